//! An admin server in this process, and the tool run against it as a process of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_mail::{Destination, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Rcpt};
use smtp_queue::{NewDelivery, NewMessage, NewRecipient, Queue, QueueConfig};
use smtp_server::admin::AdminSocket;
use smtp_server::config::{Config, InForce};
use smtp_server::control::Control;
use smtp_server::local_socket::SocketConfig;
use smtp_server::metrics::Metrics;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::ended::{Ended, to_the_end};

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
        let in_force = InForce::new(Arc::new(loaded(directory.path())));
        runtime.block_on(async {
            let socket = AdminSocket::bind(SocketConfig { path, mode: 0o660, group: None }).unwrap();
            tokio::spawn(smtp_server::admin::serve(socket, serving, in_force, std::future::pending()));
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

/// A configuration by which all mail goes to a smart host.
fn loaded(directory: &Path) -> Config {
    let path = directory.join("server.toml");
    std::fs::write(&path, "hostname = \"mx.demo.test\"\n[smart_host]\nto = \"smtp://smart.demo.test\"\n").unwrap();
    Config::load(&path).unwrap().config
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
        hold: None,
    };
    draft.commit(message).await.unwrap()
}

/// Runs the tool.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: &[S], input: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtpctl"));
    command.args(arguments).env_remove("SMTP_SERVER_CONFIG");
    to_the_end(command, input)
}

/// The configuration of a server with its queue and its socket in a directory.
pub(crate) fn configuration(directory: &Path) -> PathBuf {
    let path = directory.join("smtp-server.toml");
    let text = "hostname = \"mx.example.com\"\n[queue]\ndirectory = \"queue\"\n[admin]\nsocket = \"control.sock\"\n";
    std::fs::write(&path, text).unwrap();
    path
}
