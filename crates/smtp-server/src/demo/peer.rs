//! The demo's other server: it stands for the rest of the world and answers by the local part.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use smtp_io::{CloseLimits, Connection, now};
use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, ForwardPath, Rcpt, Reply, ReplyCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const GREETING: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "away.test ESMTP (the demo's other server)");
const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "Ok");
const TRY_LATER: Reply = Reply::new(ReplyCode::LOCAL_ERROR, EnhancedStatus::new(4, 2, 1), "try later");
const NO_SUCH_USER: Reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 1, 1), "no such user");
const SEALED: Reply = Reply::new(
    ReplyCode::MAILBOX_UNAVAILABLE,
    EnhancedStatus::new(5, 7, 1),
    "the demo is sealed: this message would have gone to the Internet",
);
/// How often `later@away.test` is told to come again.
const DEFERRALS: u32 = 2;

/// The server, answering until it is dropped.
pub(super) struct Peer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Peer {
    /// Listens on a free port of 127.0.0.1.
    pub(super) fn start() -> Result<Self> {
        let listener = crate::listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(accept(listener)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How often each address has been refused for the time being, by the octets of its path.
type Deferred = Arc<Mutex<HashMap<String, u32>>>;

async fn accept(listener: TcpListener) {
    let deferred = Deferred::default();
    let name = "away.test".parse().expect("a name as after EHLO");
    let config = Arc::new(ServerConfig::new(name));
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((tcp, _)) = accepted {
                    sessions.spawn(serve(tcp, Arc::clone(&config), Arc::clone(&deferred)));
                }
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn serve(tcp: TcpStream, config: Arc<ServerConfig>, deferred: Deferred) {
    let mut connection = Connection::new(tcp, ServerSession::new(config, None, now()));
    while let Ok(event) = connection.next_event().await {
        let session = connection.session();
        let answered = match event {
            Event::Connected => session.reply(GREETING, now()),
            Event::Hello(_) => {
                let offered = Extensions { pipelining: true, enhanced_status_codes: true, ..Extensions::default() };
                session.hello(offered, now())
            }
            Event::Mail(_) | Event::MailDataEnd(_) => session.reply(OK, now()),
            Event::Rcpt(rcpt) => session.reply(answer(&rcpt, &deferred), now()),
            Event::MailDataStart(_) => session.begin_mail_data(now()),
            Event::Closed(_) => break,
            _ => Ok(()),
        };
        if answered.is_err() {
            break;
        }
    }
    connection.close(CloseLimits::default()).await;
}

fn answer(rcpt: &Rcpt, deferred: &Deferred) -> Reply {
    let ForwardPath::Mailbox(mailbox) = &rcpt.forward_path else { return NO_SUCH_USER };
    if mailbox.domain().to_string() != "away.test" {
        return SEALED;
    }
    match mailbox.local_part().as_str() {
        "nobody" => NO_SUCH_USER,
        "later" => {
            let mut deferred = deferred.lock().unwrap_or_else(PoisonError::into_inner);
            let count = deferred.entry(mailbox.to_string()).or_default();
            *count += 1;
            if *count <= DEFERRALS { TRY_LATER } else { OK }
        }
        _ => OK,
    }
}
