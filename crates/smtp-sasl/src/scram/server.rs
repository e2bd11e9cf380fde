//! The server's side of the exchange.

use smtp_proto::{ChannelBindings, Secret};

use super::message::{BindingFlag, ClientFinal, ClientFirst};
use super::{Binding, Digest, ScramKeys, base64, binding_named, nonce};
use crate::Login;
use crate::server::{Failure, own_identity};

/// The client's first message, taken: now the keys of `login` are needed.
#[derive(Debug)]
pub(crate) struct ServerFirst {
    pub(crate) login: Login,
    nonce: String,
    /// `gs2-header` and the binding's data: what the client must repeat.
    bound: Secret,
    client_first_bare: Vec<u8>,
}

impl ServerFirst {
    /// Takes the client's first message. `plus` says by which name the mechanism was chosen.
    pub(crate) fn take(message: &[u8], bindings: &ChannelBindings, plus: bool) -> Result<Self, Failure> {
        Self::take_with_nonce(message, bindings, plus, &nonce())
    }

    pub(super) fn take_with_nonce(
        message: &[u8],
        bindings: &ChannelBindings,
        plus: bool,
        nonce: &str,
    ) -> Result<Self, Failure> {
        let first = ClientFirst::parse(message).ok_or(Failure::Malformed)?;
        let binding = check_binding(first.binding, bindings, plus)?;
        let login = Login::prepare(&first.name).map_err(|_| Failure::Credentials)?;
        own_identity(first.authorization.as_deref().unwrap_or_default(), &login)?;
        let mut bound = first.header.to_vec();
        bound.extend_from_slice(binding.as_ref().map_or(&[], |binding| binding.data.as_bytes()));
        let nonce = format!("{}{nonce}", String::from_utf8_lossy(first.nonce));
        Ok(Self { login, nonce, bound: Secret::new(bound), client_first_bare: first.bare.to_vec() })
    }

    /// Goes on with the keys: the exchange, and the challenge to send.
    pub(crate) fn challenge(self, keys: ScramKeys) -> (ServerExchange, Secret) {
        let server_first = format!("r={},s={},i={}", self.nonce, base64(&keys.salt), keys.iterations);
        let challenge = Secret::new(server_first.clone().into_bytes());
        (ServerExchange { first: self, server_first, keys }, challenge)
    }
}

/// RFC 5802 §6: what the client says of channel binding must agree with what was offered, or somebody stands between.
fn check_binding(flag: BindingFlag<'_>, bindings: &ChannelBindings, plus: bool) -> Result<Option<Binding>, Failure> {
    match flag {
        BindingFlag::Used(name) if plus => binding_named(bindings, name).map(Some).ok_or(Failure::ChannelBinding),
        BindingFlag::None if !plus => Ok(None),
        BindingFlag::NotOffered if !plus && bindings.is_empty() => Ok(None),
        _ => Err(Failure::ChannelBinding),
    }
}

/// The exchange waits for the client's final message.
#[derive(Debug)]
pub(crate) struct ServerExchange {
    first: ServerFirst,
    server_first: String,
    keys: ScramKeys,
}

impl ServerExchange {
    /// Takes the client's final message. Where it proves the password, gives what proves that we knew the keys.
    pub(crate) fn finish(&self, message: &[u8]) -> Result<Secret, Failure> {
        let last = ClientFinal::parse(message).ok_or(Failure::Malformed)?;
        let bound = Secret::from_base64(last.binding).map_err(|_| Failure::Malformed)?;
        let proof = Secret::from_base64(last.proof).map_err(|_| Failure::Malformed)?;
        let proof = Digest::try_from(proof.as_bytes()).map_err(|_| Failure::Malformed)?;
        if last.nonce != self.first.nonce.as_bytes() {
            return Err(Failure::Malformed);
        }
        if bound != self.first.bound {
            return Err(Failure::ChannelBinding);
        }
        let bare = self.first.client_first_bare.as_slice();
        let auth_message = [bare, b",", self.server_first.as_bytes(), b",", last.without_proof];
        if !self.keys.proves(&proof, &auth_message) {
            return Err(Failure::Credentials);
        }
        Ok(Secret::new(format!("v={}", base64(&self.keys.signature(&auth_message))).into_bytes()))
    }
}
