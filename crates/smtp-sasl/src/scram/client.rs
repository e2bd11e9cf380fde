//! The client's side of the exchange.

use smtp_proto::Secret;
use zeroize::Zeroizing;

use super::keys::{ITERATIONS_MAX, client_proof, is_signature, salted_password};
use super::message::{ServerFirstMessage, escape_name};
use super::{Binding, Digest, base64, nonce};
use crate::Login;
use crate::client::ClientError;

/// How far the exchange is, from the client's first message on.
pub(crate) struct ClientExchange {
    password: Secret,
    /// `gs2-header` and the binding's data.
    bound: Vec<u8>,
    nonce: String,
    first_bare: String,
    state: State,
}

enum State {
    First,
    Final { salted: Zeroizing<Digest>, auth_message: String },
    Verified,
}

/// What the client says of channel binding.
pub(crate) enum ClientBinding {
    /// It has none.
    None,
    /// It has one, and the server offers none.
    NotOffered,
    /// It uses this one.
    Used(Binding),
}

impl ClientExchange {
    /// Begins: the exchange, and the first message.
    pub(crate) fn start(login: &Login, password: &Secret, binding: ClientBinding) -> (Self, Secret) {
        Self::start_with_nonce(login, password, binding, nonce())
    }

    pub(super) fn start_with_nonce(
        login: &Login,
        password: &Secret,
        binding: ClientBinding,
        nonce: String,
    ) -> (Self, Secret) {
        let (header, data) = match binding {
            ClientBinding::None => ("n,,".to_owned(), Secret::default()),
            ClientBinding::NotOffered => ("y,,".to_owned(), Secret::default()),
            ClientBinding::Used(Binding { name, data }) => (format!("p={name},,"), data),
        };
        let first_bare = format!("n={},r={nonce}", escape_name(login.as_str()));
        let message = Secret::new(format!("{header}{first_bare}").into_bytes());
        let mut bound = header.into_bytes();
        bound.extend_from_slice(data.as_bytes());
        let exchange = Self { password: password.clone(), bound, nonce, first_bare, state: State::First };
        (exchange, message)
    }

    /// Answers a challenge of the server.
    pub(crate) fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ClientError> {
        match &self.state {
            State::First => self.prove(challenge),
            State::Final { salted, auth_message } => {
                let signature = challenge.strip_prefix(b"v=").and_then(|text| Secret::from_base64(text).ok());
                let signature = signature.ok_or(ClientError::Challenge)?;
                if !is_signature(salted, &[auth_message.as_bytes()], signature.as_bytes()) {
                    return Err(ClientError::Impostor);
                }
                self.state = State::Verified;
                Ok(Secret::new(Vec::new()))
            }
            State::Verified => Err(ClientError::Challenge),
        }
    }

    /// Whether the server has proven that it knows the password.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified)
    }

    fn prove(&mut self, server_first: &[u8]) -> Result<Secret, ClientError> {
        let first = ServerFirstMessage::parse(server_first).ok_or(ClientError::Challenge)?;
        let text = std::str::from_utf8(server_first).map_err(|_| ClientError::Challenge)?;
        let salt = Secret::from_base64(first.salt).map_err(|_| ClientError::Challenge)?;
        // The server's part must not be empty (RFC 5802 §5.1).
        let is_ours = first.nonce.strip_prefix(self.nonce.as_bytes()).is_some_and(|added| !added.is_empty());
        // Few iterations would make what we say cheap to guess from, many would keep us busy (RFC 7677 §4).
        if !is_ours || salt.is_empty() || !(super::ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return Err(ClientError::Challenge);
        }
        let salted = salted_password(&self.password, salt.as_bytes(), first.iterations);
        let nonce = String::from_utf8_lossy(first.nonce);
        let without_proof = format!("c={},r={nonce}", base64(&self.bound));
        let auth_message = format!("{},{text},{without_proof}", self.first_bare);
        let proof = client_proof(&salted, &[auth_message.as_bytes()]);
        self.state = State::Final { salted, auth_message };
        Ok(Secret::new(format!("{without_proof},p={}", base64(&proof)).into_bytes()))
    }
}
