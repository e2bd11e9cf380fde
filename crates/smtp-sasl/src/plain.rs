//! What PLAIN says (RFC 4616 §2): `[authzid] NUL authcid NUL passwd`.

use smtp_proto::Secret;
use zeroize::Zeroizing;

use crate::Login;

/// The three parts of the one message, as they came.
pub(crate) struct Message<'a> {
    pub(crate) authorization: &'a [u8],
    pub(crate) authentication: &'a [u8],
    pub(crate) password: &'a [u8],
}

/// Cuts the message; `None` where it has not exactly three parts.
pub(crate) fn parse(message: &[u8]) -> Option<Message<'_>> {
    let mut parts = message.split(|&octet| octet == 0);
    let (authorization, authentication, password) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(Message { authorization, authentication, password })
}

/// Writes the message. Nobody acts for another, so the authorization identity stays empty.
pub(crate) fn encode(login: &Login, password: &Secret) -> Secret {
    // Made in one piece: a buffer that grows leaves copies behind.
    let mut message = Zeroizing::new(Vec::with_capacity(2 + login.as_str().len() + password.as_bytes().len()));
    message.push(0);
    message.extend_from_slice(login.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(password.as_bytes());
    Secret::new(std::mem::take(&mut *message))
}
