//! A Dovecot that answers authentication clients as a test says (its authentication protocol, version 1.2).

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What is said to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// These lines.
    Lines(Vec<String>),
    /// Nothing, as if it were still at work.
    Nothing,
    /// Nothing, and the connection ends.
    Close,
}

impl From<String> for Say {
    /// One line.
    fn from(line: String) -> Self {
        Self::Lines(vec![line])
    }
}

/// What one says first who has these mechanisms.
pub fn hello(mechanisms: &[&str]) -> String {
    let mechanisms: Vec<String> = mechanisms.iter().map(|name| format!("MECH\t{name}\tplaintext\n")).collect();
    format!("VERSION\t1\t2\n{}SPID\t77\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n", mechanisms.concat())
}

/// One that listens, until it is dropped.
#[derive(Debug)]
pub struct ScriptedDovecot {
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ScriptedDovecot {
    /// Listens at `path`, says `hello` to everybody, and then to each line what `answer` says to it.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(path: &Path, hello: String, answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("the path is free");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (told, answer) = (Arc::clone(&heard), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (hello, told, answer) = (hello.clone(), Arc::clone(&told), Arc::clone(&answer));
                sessions.spawn(async move { serve(client, &hello, &told, &*answer).await });
            }
        });
        Self { heard, task }
    }

    /// All lines that were heard so far, of all clients.
    ///
    /// # Panics
    /// Where the script has panicked.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("the script does not panic").clone()
    }
}

impl Drop for ScriptedDovecot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// To the end of the client, which may come at any time.
async fn serve(client: UnixStream, hello: &str, heard: &Mutex<Vec<String>>, answer: &(dyn Fn(&str) -> Say + Sync)) {
    let (reading, mut writing) = client.into_split();
    let mut lines = BufReader::new(reading).lines();
    let mut gone = writing.write_all(hello.as_bytes()).await.is_err();
    while !gone && let Ok(Some(line)) = lines.next_line().await {
        heard.lock().expect("the script does not panic").push(line.clone());
        if line.starts_with("VERSION\t") || line.starts_with("CPID\t") {
            continue;
        }
        match answer(&line) {
            Say::Lines(lines) => gone = writing.write_all((lines.join("\n") + "\n").as_bytes()).await.is_err(),
            Say::Nothing => {}
            Say::Close => gone = true,
        }
    }
}
