//! The server's side.

use smtp_proto::{ChannelBindings, Mechanism, Secret};

use crate::scram::{ScramKeys, ServerExchange, ServerFirst};
use crate::{Login, plain, prepare_password};

/// The prompts of LOGIN: clients compare them octet by octet.
const USER_NAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

/// What comes next in an exchange.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client (334), and hand its answer to [`Server::respond`].
    Challenge(Secret),
    /// Answer the question.
    Ask(Question),
    /// The client is this one (235).
    Authenticated(Login),
    /// It is not (535); why is for the log, and not for the client.
    Failed(Failure),
}

/// What the exchange must know from the caller.
#[derive(Debug)]
pub enum Question {
    /// Is this the password of `login`? Answered with [`Server::verified`], in the same time whether there is such a one or not.
    Password {
        /// Who it says it is.
        login: Login,
        /// What it gave as the password, prepared.
        password: Secret,
    },
    /// The keys of `login`: answered with [`Server::keys`], with [`ScramKeys::decoy`] where there is no such one.
    Keys {
        /// Who it says it is.
        login: Login,
    },
    /// Whom does the client's verified certificate name, and may that one be called so? Answered with [`Server::certificate`].
    Certificate {
        /// Who it wants to be, where it says so.
        authorization: Option<Login>,
    },
}

/// Why a client is not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What it said is no message of the mechanism.
    #[error("the client's message is malformed")]
    Malformed,
    /// Nobody of that name, or not the password.
    #[error("no such login, or not its password")]
    Credentials,
    /// It asked to act for somebody else.
    #[error("the login may not act for another")]
    Identity,
    /// What both sides see of the TLS channel does not agree (RFC 5802 §6).
    #[error("the channel binding does not agree")]
    ChannelBinding,
}

/// There is no such mechanism here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mechanism is not known")]
pub struct UnknownMechanism;

/// One exchange, from the server's side. `Debug` shows no secret.
#[derive(Debug)]
pub struct Server {
    bindings: ChannelBindings,
    login: Option<Login>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// PLAIN waits for its one message.
    Plain,
    LoginName,
    LoginPassword(Secret),
    External,
    ScramFirst {
        plus: bool,
    },
    /// A question is open: who it is about.
    Asked(Login),
    AskedKeys(ServerFirst),
    AskedCertificate,
    ScramFinal(Box<ServerExchange>),
    /// Our proof is on its way; the client's empty answer ends the exchange.
    ScramProven,
    Over,
}

impl Server {
    /// Begins an exchange. `bindings` are those of the TLS channel: where there are any, SCRAM-SHA-256-PLUS must have been offered.
    ///
    /// # Errors
    /// For a mechanism that is not one of PLAIN, LOGIN, EXTERNAL, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
    pub fn start(
        mechanism: Mechanism,
        bindings: ChannelBindings,
        initial: Option<Secret>,
    ) -> Result<(Self, Step), UnknownMechanism> {
        let state = match mechanism {
            Mechanism::PLAIN => State::Plain,
            Mechanism::LOGIN => State::LoginName,
            Mechanism::EXTERNAL => State::External,
            Mechanism::SCRAM_SHA_256 => State::ScramFirst { plus: false },
            Mechanism::SCRAM_SHA_256_PLUS => State::ScramFirst { plus: true },
            _ => return Err(UnknownMechanism),
        };
        let prompt = if mechanism == Mechanism::LOGIN { USER_NAME } else { b"" };
        let mut server = Self { bindings, login: None, state };
        let step = match initial {
            Some(initial) => server.respond(&initial),
            None => Step::Challenge(Secret::new(prompt.to_vec())),
        };
        Ok((server, step))
    }

    /// Who the client says it is, as far as it has said so: for the log and for limits.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Takes the client's answer to the last challenge.
    pub fn respond(&mut self, response: &Secret) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => self.plain(response),
            State::LoginName => {
                self.state = State::LoginPassword(response.clone());
                Step::Challenge(Secret::new(PASSWORD.to_vec()))
            }
            State::LoginPassword(name) => self.ask_password(name.as_bytes(), response.as_bytes()),
            State::External => self.external(response),
            State::ScramFirst { plus } => self.scram_first(response, plus),
            State::ScramFinal(exchange) => match exchange.finish(response.as_bytes()) {
                Ok(proof) => {
                    self.state = State::ScramProven;
                    Step::Challenge(proof)
                }
                Err(failure) => Step::Failed(failure),
            },
            State::ScramProven => match self.login.clone() {
                Some(login) if response.is_empty() => Step::Authenticated(login),
                _ => Step::Failed(Failure::Malformed),
            },
            State::Asked(_) | State::AskedKeys(_) | State::AskedCertificate | State::Over => {
                Step::Failed(Failure::Malformed)
            }
        }
    }

    /// Answers [`Question::Password`].
    pub fn verified(&mut self, is_right: bool) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(login) if is_right => Step::Authenticated(login),
            _ => Step::Failed(Failure::Credentials),
        }
    }

    /// Answers [`Question::Keys`].
    pub fn keys(&mut self, keys: ScramKeys) -> Step {
        let State::AskedKeys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Failed(Failure::Credentials);
        };
        let (exchange, challenge) = first.challenge(keys);
        self.state = State::ScramFinal(Box::new(exchange));
        Step::Challenge(challenge)
    }

    /// Answers [`Question::Certificate`]: the login that the certificate stands for; or [`Failure::Credentials`] where it stands for none,
    /// and [`Failure::Identity`] where it stands for another than the client wants to be.
    pub fn certificate(&mut self, login: Result<Login, Failure>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), login) {
            (State::AskedCertificate, Ok(login)) => {
                self.login = Some(login.clone());
                Step::Authenticated(login)
            }
            (State::AskedCertificate, Err(failure)) => Step::Failed(failure),
            _ => Step::Failed(Failure::Credentials),
        }
    }

    /// RFC 4422 appendix A: the one message is the authorization identity, empty where it is to be that of the certificate.
    fn external(&mut self, response: &Secret) -> Step {
        let authorization = match response.as_bytes() {
            b"" => None,
            identity => match Login::prepare(identity) {
                Ok(login) => Some(login),
                Err(_) => return Step::Failed(Failure::Identity),
            },
        };
        self.login.clone_from(&authorization);
        self.state = State::AskedCertificate;
        Step::Ask(Question::Certificate { authorization })
    }

    fn plain(&mut self, message: &Secret) -> Step {
        let Some(message) = plain::parse(message.as_bytes()) else { return Step::Failed(Failure::Malformed) };
        let step = self.ask_password(message.authentication, message.password);
        match self.login.as_ref().map(|login| own_identity(message.authorization, login)) {
            Some(Err(failure)) => {
                self.state = State::Over;
                Step::Failed(failure)
            }
            _ => step,
        }
    }

    fn ask_password(&mut self, name: &[u8], password: &[u8]) -> Step {
        let Ok(login) = Login::prepare(name) else { return Step::Failed(Failure::Credentials) };
        self.login = Some(login.clone());
        let Ok(password) = prepare_password(password) else { return Step::Failed(Failure::Credentials) };
        self.state = State::Asked(login.clone());
        Step::Ask(Question::Password { login, password })
    }

    fn scram_first(&mut self, message: &Secret, plus: bool) -> Step {
        match ServerFirst::take(message.as_bytes(), &self.bindings, plus) {
            Ok(first) => {
                let login = first.login.clone();
                self.login = Some(login.clone());
                self.state = State::AskedKeys(first);
                Step::Ask(Question::Keys { login })
            }
            Err(failure) => Step::Failed(failure),
        }
    }
}

/// Nobody acts for another: the authorization identity is empty or the login itself.
pub(crate) fn own_identity(authorization: &[u8], login: &Login) -> Result<(), Failure> {
    let is_own = authorization.is_empty() || Login::prepare(authorization).as_ref() == Ok(login);
    if is_own { Ok(()) } else { Err(Failure::Identity) }
}

#[cfg(test)]
mod tests;
