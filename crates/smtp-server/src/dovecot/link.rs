//! One connection to Dovecot.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smtp_proto::{Mechanism, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::line::{self, LINE_OCTETS_MAX, Line};
use super::{Answer, QUESTIONS_MAX, Unavailable};

/// A connection on which Dovecot has said what it can. Its tasks end with it.
pub(super) struct Link {
    mechanisms: Vec<Mechanism>,
    waiting: Arc<Mutex<Waiting>>,
    lines: mpsc::Sender<Secret>,
    last_id: AtomicU32,
    tasks: [AbortHandle; 2],
}

type Answered = oneshot::Sender<Result<Answer, Unavailable>>;

/// Who waits for an answer, by the number of the exchange; `None` once no answer will come.
struct Waiting(Option<HashMap<u32, Answered>>);

impl Link {
    pub(super) async fn open(path: &Path) -> Result<Self, Unavailable> {
        let connected = UnixStream::connect(path).await;
        let (input, mut output) = connected
            .map_err(|error| Unavailable::Connect { path: path.to_owned(), error: Arc::new(error) })?
            .into_split();
        output.write_all(line::hello(client_number()).as_bytes()).await.map_err(|_| Unavailable::Lost)?;
        let mut lines = Lines(BufReader::new(input));
        let mut mechanisms = Vec::new();
        loop {
            match lines.next().await? {
                Line::Version(1) | Line::Other => {}
                Line::Mechanism(mechanism) => mechanisms.push(mechanism),
                Line::Done => break,
                Line::Version(_) | Line::Answer(..) => return Err(Unavailable::Protocol),
            }
        }
        let waiting = Arc::new(Mutex::new(Waiting(Some(HashMap::new()))));
        let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
        let tasks = [
            tokio::spawn(read(lines, Arc::clone(&waiting))).abort_handle(),
            tokio::spawn(write(output, receiver, Arc::clone(&waiting))).abort_handle(),
        ];
        Ok(Self { mechanisms, waiting, lines: sender, last_id: AtomicU32::new(0), tasks })
    }

    pub(super) fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    pub(super) fn is_open(&self) -> bool {
        lock(&self.waiting).0.is_some()
    }

    /// The number of a new exchange.
    pub(super) fn next_id(&self) -> u32 {
        self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Says a line of this exchange, and waits for the answer to it. Given up, nobody waits for it any more.
    pub(super) async fn ask(&self, id: u32, line: Secret) -> Result<Answer, Unavailable> {
        let (answered, answer) = oneshot::channel();
        lock(&self.waiting).0.as_mut().ok_or(Unavailable::Lost)?.insert(id, answered);
        let _place = Place { waiting: &self.waiting, id };
        self.lines.send(line).await.map_err(|_| Unavailable::Lost)?;
        answer.await.unwrap_or(Err(Unavailable::Lost))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The place of one who waits, which is free when that ends.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    id: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &mut lock(self.waiting).0 {
            waiting.remove(&self.id);
        }
    }
}

struct Lines(BufReader<OwnedReadHalf>);

impl Lines {
    async fn next(&mut self) -> Result<Line, Unavailable> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(LINE_OCTETS_MAX).read_until(b'\n', &mut line).await;
        match (read, line.strip_suffix(b"\n")) {
            (Ok(_), Some(line)) => Line::parse(line).ok_or(Unavailable::Protocol),
            (Ok(octets), None) if octets as u64 == LINE_OCTETS_MAX => Err(Unavailable::Protocol),
            _ => Err(Unavailable::Lost),
        }
    }
}

/// Hands each answer to who waits for it, to the end of the connection, or of our understanding.
async fn read(mut lines: Lines, waiting: Arc<Mutex<Waiting>>) {
    while let Ok(line) = lines.next().await {
        if let Line::Answer(id, answer) = line
            && let Some(answered) = lock(&waiting).0.as_mut().and_then(|waiting| waiting.remove(&id))
        {
            // Who waited may have gone just now.
            let _ = answered.send(answer);
        }
    }
    lock(&waiting).0 = None;
}

/// In a task of its own, so that a line is never written in half.
async fn write(mut output: OwnedWriteHalf, mut lines: mpsc::Receiver<Secret>, waiting: Arc<Mutex<Waiting>>) {
    while let Some(line) = lines.recv().await {
        if output.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    lock(&waiting).0 = None;
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // Nothing panics while it is held.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Dovecot takes no two connections of one number, and no 0: the process and a count.
fn client_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let count = LAST.fetch_add(1, Ordering::Relaxed);
    // It is read as the number of a process, which has a sign.
    ((std::process::id() << 10 | count & 0x3ff) & 0x7fff_ffff).max(1)
}
