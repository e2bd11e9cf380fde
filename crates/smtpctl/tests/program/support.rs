//! An admin server in this process, and the tool run against it as a process of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_mail::{Destination, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Rcpt};
use smtp_queue::{NewDelivery, NewMessage, NewRecipient, Queue, QueueConfig};
use smtp_server::admin::AdminSocket;
use smtp_server::control::Control;
use smtp_server::local_socket::SocketConfig;
use smtp_server::metrics::Metrics;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A running admin server over a queue in memory.
pub(crate) struct Server {
    directory: TempDir,
    runtime: Runtime,
    pub(crate) control: Control,
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (queue, _) = Queue::open(&QueueConfig::in_memory()).unwrap();
        let control = Control::new(queue, Metrics::new(), "mx.example.com");
        let path = directory.path().join("control.sock");
        let serving = control.clone();
        runtime.block_on(async {
            let socket = AdminSocket::bind(SocketConfig { path, mode: 0o660, group: None }).unwrap();
            tokio::spawn(smtp_server::admin::serve(socket, serving, std::future::pending()));
        });
        Self { directory, runtime, control }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Puts a message into the queue.
    pub(crate) fn message(&self, reverse_path: &str, forward_paths: &[&str]) -> MessageId {
        self.runtime.block_on(put(self.control.queue(), reverse_path, forward_paths))
    }

    /// Runs the tool against this server.
    pub(crate) fn run(&self, line: &str) -> Ended {
        self.run_with_input(line, "")
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Ended {
        let mut arguments = vec!["--socket".to_owned(), self.socket().display().to_string()];
        arguments.extend(line.split_whitespace().map(str::to_owned));
        run(&arguments, input)
    }
}

/// Puts a message into a queue, received a minute and a half ago.
pub(crate) async fn put(queue: &Queue, reverse_path: &str, forward_paths: &[&str]) -> MessageId {
    let received_at = SystemTime::now() - Duration::from_secs(90);
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    for path in forward_paths {
        let path: ForwardPath = path.parse().unwrap();
        let destination = Destination::Domain(path.mailbox().unwrap().domain().clone());
        let recipient = NewRecipient { rcpt: Rcpt::new(path), original: None };
        match deliveries.iter_mut().find(|delivery| delivery.destination == destination) {
            Some(delivery) => delivery.recipients.push(recipient),
            None => deliveries.push(NewDelivery { destination, recipients: vec![recipient], reverse_path: None }),
        }
    }
    let mut draft = queue.draft(None).unwrap();
    draft.write(Bytes::from_static(b"Hello.\r\n")).await.unwrap();
    let message = NewMessage {
        mail: Mail::new(reverse_path.parse().unwrap()),
        header: Bytes::from_static(b"Subject: hello\r\n\r\n"),
        facts: ContentFacts { octets: 26, longest_line_octets: 14, ..ContentFacts::default() },
        received_at,
        expires_at: received_at + Duration::from_hours(120),
        delay_notice_at: None,
        deliveries,
        origin: "192.0.2.1".to_owned(),
    };
    draft.commit(message).await.unwrap()
}

/// How the tool ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

impl Ended {
    /// The output of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{self:?}");
        self.output
    }

    /// The errors of a failure that printed nothing.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.output.as_str()), (code, ""), "{self:?}");
        self.errors
    }

    /// The output as JSON, a value a line.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<serde_json::Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the tool.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: &[S], input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smtpctl"))
        .args(arguments)
        .env_remove("SMTP_SERVER_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may have ended before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ended { code: ended.status.code().unwrap(), output: text(ended.stdout), errors: text(ended.stderr) }
}

/// The configuration of a server with its queue and its socket in a directory.
pub(crate) fn configuration(directory: &Path) -> PathBuf {
    let path = directory.join("smtp-server.toml");
    let text = "hostname = \"mx.example.com\"\n[queue]\ndirectory = \"queue\"\n[admin]\nsocket = \"control.sock\"\n";
    std::fs::write(&path, text).unwrap();
    path
}
