//! Saying who we are to a next hop that wants to know (RFC 4954), and what with.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use smtp_io::{Connection, now};
use smtp_mail::{Report, Stage};
use smtp_proto::client::{self, ClientSession, Event};
use smtp_proto::{ChannelBindings, EnhancedStatus, Mechanism, RemoteReply, ReplyClass, Secret};
use smtp_sasl::{ClientError, Credentials, Login, LoginError, prepare_password};

use crate::error::{ConnectFailure, transient_status};

/// A secret is read to this length, in octets: tokens that carry claims have some thousands.
const SECRET_OCTETS_MAX: usize = 16 * 1024;
/// The server does not know the mechanism, though it may have offered it (RFC 4954 §4): another one may do.
const MECHANISM_UNKNOWN: u16 = 504;
/// So many mechanisms are shown of those that a host offers.
const OFFERED_SHOWN: usize = 10;

/// How this server says who it is at a next hop. Not the secret is in here, but where it is kept: it is read anew for each session,
/// so that a token which has been renewed is used from then on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HopLogin {
    /// The name.
    pub user: Login,
    /// Where the secret is.
    pub secret: SecretFile,
    /// The mechanisms that may be used. None: all that can be used with this kind of secret.
    pub mechanisms: Vec<Mechanism>,
    /// Whether the log-in may go over a connection without TLS, where all between can read a password.
    pub in_clear: bool,
}

/// A file that holds a secret and nothing else; a line end behind it does not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretFile {
    /// A password.
    Password(PathBuf),
    /// An access token of OAuth 2.0 (RFC 6750), which some other program renews.
    Token(PathBuf),
}

/// Why the secret cannot be used. None of it is in here.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No secret is that long.
    #[error("{path} is longer than {SECRET_OCTETS_MAX} octets")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It can be nobody's password.
    #[error("{path} holds no password: {source}")]
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LoginError,
    },
    /// It is empty, or not one word of printable ASCII.
    #[error("{path} holds no token: it must be one word of printable ASCII")]
    Token {
        /// The file.
        path: PathBuf,
    },
}

impl SecretFile {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Password(path) | Self::Token(path) => path,
        }
    }

    /// Reads what it holds. This waits for the disk.
    ///
    /// # Errors
    /// It holds nothing that can be used.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let path = self.path().to_owned();
        let octets = match read_at_most(&path, SECRET_OCTETS_MAX + 1) {
            Ok(octets) => octets,
            Err(source) => return Err(SecretError::Unreadable { path, source }),
        };
        if octets.as_bytes().len() > SECRET_OCTETS_MAX {
            return Err(SecretError::TooLong { path });
        }
        let written = octets.as_bytes();
        let written = written.strip_suffix(b"\n").unwrap_or(written);
        let written = written.strip_suffix(b"\r").unwrap_or(written);
        match self {
            Self::Password(_) => prepare_password(written).map_err(|source| SecretError::Password { path, source }),
            // What else stood there would end up between the fields of the mechanism's message (RFC 7628 §3.1).
            Self::Token(_) if !written.is_empty() && written.iter().all(u8::is_ascii_graphic) => {
                Ok(Secret::new(written.to_vec()))
            }
            Self::Token(_) => Err(SecretError::Token { path }),
        }
    }
}

fn read_at_most(path: &Path, octets_max: usize) -> io::Result<Secret> {
    // A pipe that nobody writes to is not waited for: the configuration would never be done with.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("the flags of open are an int");
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    // Reserved beforehand: what grows leaves its earlier octets behind.
    let mut octets = Vec::with_capacity(octets_max);
    let limit = u64::try_from(octets_max).unwrap_or(u64::MAX);
    let read = file.take(limit).read_to_end(&mut octets);
    let secret = Secret::new(octets);
    read.map(|_| secret)
}

impl HopLogin {
    /// Reads the secret, without keeping others waiting.
    pub(crate) async fn credentials(&self) -> Result<Credentials, LoginFailure> {
        let file = self.secret.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        let secret = read.map_err(|_| LoginFailure::BrokenOff)??;
        let login = self.user.clone();
        Ok(match self.secret {
            SecretFile::Password(_) => Credentials::Password { login, password: secret },
            SecretFile::Token(_) => Credentials::Token { login, token: secret },
        })
    }

    fn permits(&self, mechanism: &Mechanism) -> bool {
        self.mechanisms.is_empty() || self.mechanisms.contains(mechanism)
    }
}

/// Why a next hop does not know who we are. All of it is a matter between this server and that host, and none of any message.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailure {
    /// There is nothing to log in with.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The secret was not read to its end.
    #[error("the reading of the secret was broken off")]
    BrokenOff,
    /// There is no TLS, and the log-in may not be sent without it. It was not.
    #[error("the log-in may be sent under TLS only, and there is none")]
    Clear,
    /// The host has no AUTH.
    #[error("the host does not offer AUTH")]
    NotOffered,
    /// It has, by none of the mechanisms that may and can be used.
    #[error("the host offers AUTH by {offered} only, none of which may be used here")]
    NoMechanism {
        /// What it offers.
        offered: String,
    },
    /// It does not believe us.
    #[error("the host refused the log-in by {mechanism}: {}", .reply.escaped(Report::TEXT_OCTETS_MAX))]
    Refused {
        /// By which mechanism it was tried.
        mechanism: Mechanism,
        /// The host's words.
        reply: RemoteReply,
    },
    /// We do not believe the host, or do not understand it.
    #[error("the log-in by {mechanism} was given up: {source}")]
    GivenUp {
        /// By which mechanism it was tried.
        mechanism: Mechanism,
        /// Why.
        source: ClientError,
    },
}

impl LoginFailure {
    /// The status for whoever asks about mail that waits for it (RFC 3463 §3.8, RFC 4954 §6): never a permanent one.
    pub(crate) fn status(&self) -> EnhancedStatus {
        match self {
            Self::Secret(_) | Self::BrokenOff => EnhancedStatus::new(4, 3, 5),
            Self::Clear => EnhancedStatus::new(4, 7, 11),
            Self::NotOffered | Self::NoMechanism { .. } => EnhancedStatus::new(4, 7, 4),
            Self::Refused { reply, .. } if reply.class() == ReplyClass::Transient => transient_status(reply),
            Self::Refused { .. } => EnhancedStatus::new(4, 7, 8),
            Self::GivenUp { .. } => EnhancedStatus::new(4, 7, 5),
        }
    }

    /// One word for it, for whoever counts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Secret(_) | Self::BrokenOff => "secret",
            Self::Clear => "clear",
            Self::NotOffered => "not_offered",
            Self::NoMechanism { .. } => "no_mechanism",
            Self::Refused { .. } => "refused",
            Self::GivenUp { .. } => "given_up",
        }
    }

    /// What whoever runs this server can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Secret(_) | Self::BrokenOff => "put the secret into that file, readable for the server's user",
            Self::Clear => "set `tls` to \"verify\", or `login_in_clear` where nobody can listen",
            Self::NotOffered => {
                "take the port and scheme for log-in (submissions://, submission://), or take the user out of `to`"
            }
            Self::NoMechanism { .. } => {
                "see `mechanisms` of the route, and whether the provider wants a password or a token"
            }
            Self::Refused { .. } => "see the user in `to` and its password or token: the next hop does not take them",
            Self::GivenUp { .. } => {
                "the next hop does not behave as one that knows the password: see whether it is the right host"
            }
        }
    }

    fn is_unknown_mechanism(&self) -> bool {
        self.reply().is_some_and(|reply| reply.code().number() == MECHANISM_UNKNOWN)
    }

    /// The host's words, where it has said why.
    pub(crate) fn reply(&self) -> Option<&RemoteReply> {
        match self {
            Self::Refused { reply, .. } => Some(reply),
            _ => None,
        }
    }
}

type Failed = (Stage, ConnectFailure);

fn failed(failure: LoginFailure) -> Failed {
    (Stage::Auth, ConnectFailure::Login(Box::new(failure)))
}

/// Logs in by the best mechanism that both sides have (RFC 4954 §4); by the next one where the host does not know what it has
/// offered. Which it was.
pub(crate) async fn log_in(
    connection: &mut Connection<ClientSession>,
    login: &HopLogin,
    credentials: &Credentials,
) -> Result<Mechanism, Failed> {
    let session = connection.session();
    let bindings = session.tls().map(|tls| tls.channel_bindings.clone());
    if bindings.is_none() && !login.in_clear {
        return Err(failed(LoginFailure::Clear));
    }
    let bindings = bindings.unwrap_or_default();
    let offered = session.extensions().auth.clone();
    if offered.is_empty() {
        return Err(failed(LoginFailure::NotOffered));
    }
    let mut usable: Vec<Mechanism> = offered.iter().copied().filter(|mechanism| login.permits(mechanism)).collect();
    let mut unknown = None;
    while let Some(mechanism) = smtp_sasl::Client::choose(&usable, credentials, &bindings) {
        match exchange(connection, mechanism, &offered, credentials, &bindings).await {
            Err((stage, ConnectFailure::Login(failure))) if failure.is_unknown_mechanism() => {
                usable.retain(|other| *other != mechanism);
                unknown = Some((stage, ConnectFailure::Login(failure)));
            }
            ended => return ended.map(|()| mechanism),
        }
    }
    Err(unknown.unwrap_or_else(|| failed(LoginFailure::NoMechanism { offered: shown(&offered) })))
}

/// One exchange, to its end.
async fn exchange(
    connection: &mut Connection<ClientSession>,
    mechanism: Mechanism,
    offered: &[Mechanism],
    credentials: &Credentials,
    bindings: &ChannelBindings,
) -> Result<(), Failed> {
    let given_up = |source| failed(LoginFailure::GivenUp { mechanism, source });
    let (mut client, initial) =
        smtp_sasl::Client::start(mechanism, offered, credentials, bindings).map_err(given_up)?;
    // It cannot be refused here: the session is ready, and the mechanism is offered.
    let _ = connection.session().authenticate(mechanism, initial, now());
    let mut fault = None;
    loop {
        match connection.next_event().await {
            Ok(Event::Challenge(challenge)) => {
                let session = connection.session();
                // Answered in any case: a challenge was awaiting it.
                let _ = match client.respond(challenge.as_bytes()) {
                    Ok(response) => session.respond(response, now()),
                    Err(error) => {
                        fault = Some(error);
                        session.cancel_authentication(now())
                    }
                };
            }
            Ok(Event::Authenticated) => return client.authenticated().map_err(given_up),
            Ok(Event::Refused { stage: client::Stage::Auth, reply }) => {
                return Err(match fault {
                    Some(fault) => given_up(fault),
                    None => failed(LoginFailure::Refused { mechanism, reply }),
                });
            }
            Ok(Event::Closed(reason)) => return Err((Stage::Auth, ConnectFailure::Ended(reason))),
            Ok(_) => {}
            Err(error) => return Err((Stage::Auth, ConnectFailure::Lost(error))),
        }
    }
}

fn shown(offered: &[Mechanism]) -> String {
    let names: Vec<&str> = offered.iter().take(OFFERED_SHOWN).map(Mechanism::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_the_file_holds_without_the_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let read = |file: &SecretFile, octets: &[u8]| {
            std::fs::write(file.path(), octets).unwrap();
            file.read().map(|secret| secret.as_bytes().to_vec()).map_err(|error| error.to_string())
        };
        let password = SecretFile::Password(path.clone());
        for (octets, secret) in [
            (&b"a b"[..], &b"a b"[..]),
            (b"x\n", b"x"),
            (b"x\r\n", b"x"),
            (" \u{e9}\n".as_bytes(), " \u{e9}".as_bytes()),
        ] {
            assert_eq!(read(&password, octets).unwrap(), secret);
        }
        for wrong in [&b""[..], b"\n", b"a\nb\n", b"\xff"] {
            let text = read(&password, wrong).unwrap_err();
            assert!(text.ends_with("it is empty") || text.contains("characters"), "{text}");
        }
        let token = SecretFile::Token(path.clone());
        assert_eq!(read(&token, b"ya29.a0-_~+/=\n").unwrap(), b"ya29.a0-_~+/=");
        for wrong in [&b""[..], b"\n", b"a b", b"a\x01b", "\u{e9}".as_bytes()] {
            assert!(read(&token, wrong).unwrap_err().contains("holds no token"));
        }
        let long = vec![b'x'; SECRET_OCTETS_MAX + 1];
        assert!(read(&token, &long).unwrap_err().contains("longer than"));
        // A pipe that nobody writes to is not waited for.
        std::fs::remove_file(&path).unwrap();
        let owner_reads = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, owner_reads, 0).unwrap();
        assert!(password.read().unwrap_err().to_string().ends_with("it is no plain file"));
        std::fs::remove_file(&path).unwrap();
        assert!(password.read().unwrap_err().to_string().contains("cannot be read"));
    }
}
