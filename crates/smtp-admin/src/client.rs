//! A typed client of the admin API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::types::{
    AddressRoute, Control, ControlReport, PauseRequest, Problem, QueueCheck, QueuedMessage, QueuedRecipient,
    ResumeRequest, RouteRequest, Selector, Stats, Status,
};

/// How long the daemon may think before it begins to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_mins(2);

/// The most octets of an answer that is not a list.
const ANSWER_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// The most octets of one line of a list.
const LINE_OCTETS_MAX: usize = 1024 * 1024;

/// Asks the daemon behind a Unix socket; a connection for each request.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why the daemon could not be asked, or what it refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("the server is not running (no answer at {})", socket.display())]
    NotRunning {
        /// The path of the socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The socket may not be used by this user.
    #[error("this user may not use the admin socket {}: be root or in its group", socket.display())]
    Denied {
        /// The path of the socket.
        socket: PathBuf,
    },
    /// The socket could not be used for another reason.
    #[error("the admin socket {} cannot be used", socket.display())]
    Socket {
        /// The path of the socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The daemon took the connection and then said nothing.
    #[error("the server gave no answer within {} s at {}", ANSWER_WAIT_MAX.as_secs(), socket.display())]
    Silent {
        /// The path of the socket.
        socket: PathBuf,
    },
    /// There is no such thing.
    #[error("{what}")]
    NotFound {
        /// What there is not, in the words of the daemon.
        what: String,
    },
    /// The daemon refused the request.
    #[error("{problem}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why, in the words of the daemon.
        problem: String,
    },
    /// The connection broke.
    #[error("the connection to the server broke")]
    Broken(#[from] hyper::Error),
    /// The answer is not what the API says.
    #[error("the server answered something that this program does not understand: are they of one version?")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Client {
    /// A client for the daemon that listens on `socket`. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How the daemon is.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// Counters since the start.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.get("/v1/stats").await
    }

    /// The recipients in the queue that `selector` means, the oldest message first.
    pub async fn find(&self, selector: &Selector) -> Result<Entries, ClientError> {
        let response = self.send(Method::POST, "/v1/queue/find", json(selector)?).await?;
        Ok(Entries { body: response.into_body(), buffer: BytesMut::new(), searched: 0 })
    }

    /// A message in the queue, by its id or by that of one of its recipients.
    pub async fn message(&self, id: &str) -> Result<QueuedMessage, ClientError> {
        self.get(&format!("/v1/queue/messages/{}", checked(id)?)).await
    }

    /// The content of a message in the queue, octet for octet.
    pub async fn content(&self, id: &str) -> Result<Content, ClientError> {
        let path = format!("/v1/queue/messages/{}/content", checked(id)?);
        let response = self.send(Method::GET, &path, Bytes::new()).await?;
        Ok(Content { body: response.into_body() })
    }

    /// Does something to the recipients that a selector means.
    pub async fn control(&self, control: &Control) -> Result<ControlReport, ClientError> {
        self.post("/v1/queue/control", control).await
    }

    /// Pauses a part of the daemon, or the delivery to a domain.
    pub async fn pause(&self, pause: &PauseRequest) -> Result<Status, ClientError> {
        self.post("/v1/pause", pause).await
    }

    /// Ends a pause.
    pub async fn resume(&self, resume: &ResumeRequest) -> Result<Status, ClientError> {
        self.post("/v1/resume", resume).await
    }

    /// What would become of mail to an address.
    pub async fn route(&self, request: &RouteRequest) -> Result<AddressRoute, ClientError> {
        self.post("/v1/route", request).await
    }

    /// Checks the queue while it is in use.
    pub async fn check(&self) -> Result<QueueCheck, ClientError> {
        self.post("/v1/queue/check", &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        parse(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<T, ClientError> {
        parse(self.send(Method::POST, path, json(request)?).await?).await
    }

    /// Sends one request; an answer that is not a success becomes an error.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "smtp-server")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("paths are made of literals and checked ids");
        let exchange = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.connect_error(error))?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // It ends by itself when the sender and the body of the answer are dropped.
            tokio::spawn(connection);
            Ok::<_, ClientError>(sender.send_request(request).await?)
        };
        let silent = || ClientError::Silent { socket: self.socket.clone() };
        let response = timeout(ANSWER_WAIT_MAX, exchange).await.map_err(|_elapsed| silent())??;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await?) }
    }

    fn connect_error(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning { socket, source },
            io::ErrorKind::PermissionDenied => ClientError::Denied { socket },
            _ => ClientError::Socket { socket, source },
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> Result<ClientError, ClientError> {
        let status = response.status();
        let problem = parse::<Problem>(response).await?.error;
        Ok(match status {
            StatusCode::FORBIDDEN => ClientError::Denied { socket: self.socket.clone() },
            StatusCode::NOT_FOUND => ClientError::NotFound { what: problem },
            status => ClientError::Refused { status: status.as_u16(), problem },
        })
    }
}

/// A list that arrives.
#[derive(Debug)]
pub struct Entries {
    body: Incoming,
    buffer: BytesMut,
    /// Octets at the front of the buffer in which there is no line end.
    searched: usize,
}

impl Entries {
    /// The next recipient; `None` at the end of the list.
    pub async fn next(&mut self) -> Result<Option<QueuedRecipient>, ClientError> {
        loop {
            if let Some(line) = self.line() {
                return entry(&line).map(Some);
            }
            if self.buffer.len() > LINE_OCTETS_MAX {
                return Err(ClientError::Answer("a line is too long".into()));
            }
            match self.body.frame().await {
                Some(frame) => {
                    let Ok(data) = frame?.into_data() else { continue };
                    self.buffer.extend_from_slice(&data);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ClientError::Answer("the list ends in the middle of a line".into())),
            }
        }
    }

    fn line(&mut self) -> Option<BytesMut> {
        let Some(end) = self.buffer[self.searched..].iter().position(|&octet| octet == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end);
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }
}

/// A line of a list: a recipient, or what stopped the list.
fn entry(line: &[u8]) -> Result<QueuedRecipient, ClientError> {
    serde_json::from_slice(line).map_err(|error| match serde_json::from_slice::<Problem>(line) {
        Ok(problem) => ClientError::Refused { status: 500, problem: problem.error },
        Err(_) => ClientError::Answer(error.into()),
    })
}

/// The content of a message that arrives.
#[derive(Debug)]
pub struct Content {
    body: Incoming,
}

impl Content {
    /// The next octets; `None` at the end of the content.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

async fn parse<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX);
    let octets = body.collect().await.map_err(ClientError::Answer)?.to_bytes();
    serde_json::from_slice(&octets).map_err(|error| ClientError::Answer(error.into()))
}

fn json(request: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(request).map(Bytes::from).map_err(|error| ClientError::Answer(error.into()))
}

/// An id as it may stand in a path.
fn checked(id: &str) -> Result<&str, ClientError> {
    let good =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.');
    if good { Ok(id) } else { Err(ClientError::NotFound { what: format!("{} is not an id", id.escape_debug()) }) }
}

#[cfg(test)]
mod tests;
