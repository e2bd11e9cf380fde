//! What a client says with a token of OAuth 2.0: OAUTHBEARER (RFC 7628 §3.1), and XOAUTH2, which was before it.

use smtp_proto::Secret;

use crate::Login;
use crate::scram::escape_name;

/// What the client answers to the server's explanation of a failure in OAUTHBEARER (RFC 7628 §3.2.3).
pub(crate) const OAUTHBEARER_FAILED: &[u8] = b"\x01";

/// The client's one message of OAUTHBEARER.
pub(crate) fn oauthbearer(login: &Login, token: &Secret) -> Secret {
    assemble(&[b"n,a=", escape_name(login.as_str()).as_bytes(), b",\x01auth=Bearer ", token.as_bytes(), b"\x01\x01"])
}

/// The client's one message of XOAUTH2.
pub(crate) fn xoauth2(login: &Login, token: &Secret) -> Secret {
    assemble(&[b"user=", login.as_str().as_bytes(), b"\x01auth=Bearer ", token.as_bytes(), b"\x01\x01"])
}

/// A message of these parts, made in one piece: a buffer that grows leaves copies behind.
pub(crate) fn assemble(parts: &[&[u8]]) -> Secret {
    let mut message = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        message.extend_from_slice(part);
    }
    Secret::new(message)
}
