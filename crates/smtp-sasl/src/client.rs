//! The client's side.

use std::fmt;

use smtp_proto::{ChannelBindings, Mechanism, Secret};

use crate::scram::{ClientBinding, ClientExchange, best_binding};
use crate::{Login, bearer, plain};

/// What a client logs in with. `Debug` shows the login only.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A name and its [prepared](crate::prepare_password) password.
    Password {
        /// Who logs in.
        login: Login,
        /// The password.
        password: Secret,
    },
    /// A name and a token of OAuth 2.0 (RFC 6750).
    Token {
        /// Who logs in.
        login: Login,
        /// The access token.
        token: Secret,
    },
    /// The certificate that was shown in the TLS handshake.
    Certificate,
}

impl Credentials {
    /// The mechanisms that they can be used with, the best first.
    fn mechanisms(&self) -> &'static [Mechanism] {
        match self {
            Self::Password { .. } => {
                &[Mechanism::SCRAM_SHA_256_PLUS, Mechanism::SCRAM_SHA_256, Mechanism::PLAIN, Mechanism::LOGIN]
            }
            Self::Token { .. } => &[Mechanism::OAUTHBEARER, Mechanism::XOAUTH2],
            Self::Certificate => &[Mechanism::EXTERNAL],
        }
    }
}

/// Why a client gives the exchange up: it answers the challenge with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// These credentials, or this connection, cannot be used with the mechanism.
    #[error("the mechanism cannot be used with these credentials on this connection")]
    Unusable,
    /// The server's challenge cannot be read, or none was due.
    #[error("the server's challenge cannot be understood")]
    Challenge,
    /// The server does not know the password's keys: it is not the one that it says it is.
    #[error("the server could not prove that it knows the password")]
    Impostor,
}

/// One exchange, from the client's side.
pub struct Client(State);

enum State {
    /// All has been said; a further challenge is a fault.
    Said,
    /// LOGIN: what the next challenges are answered with, the last first.
    Login(Vec<Secret>),
    /// OAUTHBEARER, XOAUTH2: a challenge explains a failure, and the server waits for this.
    Bearer(&'static [u8]),
    Scram(Box<ClientExchange>),
}

impl Client {
    /// The best of the mechanisms that a server offers, for these credentials and this connection. None: there is no common one.
    pub fn choose(offered: &[Mechanism], credentials: &Credentials, bindings: &ChannelBindings) -> Option<Mechanism> {
        let usable = |mechanism: &&Mechanism| {
            offered.contains(mechanism) && (**mechanism != Mechanism::SCRAM_SHA_256_PLUS || !bindings.is_empty())
        };
        credentials.mechanisms().iter().find(usable).copied()
    }

    /// Begins an exchange: what goes with AUTH, where the mechanism lets the client speak first.
    ///
    /// `offered` are all mechanisms of the server: SCRAM tells it what we saw, so that nobody between can hide the better one.
    ///
    /// # Errors
    /// [`ClientError::Unusable`].
    pub fn start(
        mechanism: Mechanism,
        offered: &[Mechanism],
        credentials: &Credentials,
        bindings: &ChannelBindings,
    ) -> Result<(Self, Option<Secret>), ClientError> {
        let (state, initial) = match credentials {
            Credentials::Password { login, password } => match mechanism {
                Mechanism::PLAIN => (State::Said, Some(plain::encode(login, password))),
                Mechanism::LOGIN => {
                    let name = Secret::new(login.as_str().as_bytes().to_vec());
                    (State::Login(vec![password.clone(), name]), None)
                }
                Mechanism::SCRAM_SHA_256 | Mechanism::SCRAM_SHA_256_PLUS => {
                    let binding = client_binding(mechanism, offered, bindings)?;
                    let (exchange, first) = ClientExchange::start(login, password, binding);
                    (State::Scram(Box::new(exchange)), Some(first))
                }
                _ => return Err(ClientError::Unusable),
            },
            Credentials::Token { login, token } => match mechanism {
                Mechanism::OAUTHBEARER => {
                    (State::Bearer(bearer::OAUTHBEARER_FAILED), Some(bearer::oauthbearer(login, token)))
                }
                Mechanism::XOAUTH2 => (State::Bearer(b""), Some(bearer::xoauth2(login, token))),
                _ => return Err(ClientError::Unusable),
            },
            Credentials::Certificate if mechanism == Mechanism::EXTERNAL => {
                (State::Said, Some(Secret::new(Vec::new())))
            }
            Credentials::Certificate => return Err(ClientError::Unusable),
        };
        Ok((Self(state), initial))
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// [`ClientError::Challenge`] or [`ClientError::Impostor`]; the exchange is to be given up.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ClientError> {
        match &mut self.0 {
            State::Said => Err(ClientError::Challenge),
            State::Login(answers) => answers.pop().ok_or(ClientError::Challenge),
            State::Bearer(answer) => {
                let answer = Secret::new(answer.to_vec());
                self.0 = State::Said;
                Ok(answer)
            }
            State::Scram(exchange) => exchange.respond(challenge),
        }
    }

    /// Asked when the server says that we are logged in (235): may we believe it?
    ///
    /// # Errors
    /// [`ClientError::Impostor`] where the server owes its proof.
    pub fn authenticated(&self) -> Result<(), ClientError> {
        match &self.0 {
            State::Scram(exchange) if !exchange.is_verified() => Err(ClientError::Impostor),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(…)")
    }
}

fn client_binding(
    mechanism: Mechanism,
    offered: &[Mechanism],
    bindings: &ChannelBindings,
) -> Result<ClientBinding, ClientError> {
    match best_binding(bindings) {
        Some(binding) if mechanism == Mechanism::SCRAM_SHA_256_PLUS => Ok(ClientBinding::Used(binding)),
        None if mechanism == Mechanism::SCRAM_SHA_256_PLUS => Err(ClientError::Unusable),
        Some(_) if !offered.contains(&Mechanism::SCRAM_SHA_256_PLUS) => Ok(ClientBinding::NotOffered),
        _ => Ok(ClientBinding::None),
    }
}

#[cfg(test)]
mod tests;
