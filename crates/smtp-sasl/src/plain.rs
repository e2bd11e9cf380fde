//! What PLAIN says (RFC 4616 §2): `[authzid] NUL authcid NUL passwd`.

use smtp_proto::Secret;

use crate::Login;
use crate::bearer::assemble;

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
    assemble(&[b"\0", login.as_str().as_bytes(), b"\0", password.as_bytes()])
}
