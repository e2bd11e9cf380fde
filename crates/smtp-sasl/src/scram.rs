//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides.

mod client;
mod keys;
mod message;
mod server;

use aws_lc_rs::{digest, hmac, rand};
use bytes::BytesMut;
use smtp_proto::{ChannelBindings, Secret};

pub(crate) use client::{ClientBinding, ClientExchange};
pub use keys::{DEFAULT_ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, ScramKeys, ScramKeysError};
pub(crate) use message::escape_name;
pub(crate) use server::{ServerExchange, ServerFirst};

/// What one SHA-256 gives.
const DIGEST_OCTETS: usize = 32;
/// Random octets in a nonce of ours: 24 characters of base64.
const NONCE_OCTETS: usize = 18;

type Digest = [u8; DIGEST_OCTETS];

/// What binds the exchange to the TLS channel (RFC 5802 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    /// `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929).
    name: &'static str,
    data: Secret,
}

const TLS_EXPORTER: &str = "tls-exporter";
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// The binding of this name, where the channel has it.
fn binding_named(bindings: &ChannelBindings, name: &[u8]) -> Option<Binding> {
    if name == TLS_EXPORTER.as_bytes() {
        let data = bindings.exporter.as_deref()?;
        Some(Binding { name: TLS_EXPORTER, data: Secret::new(data.to_vec()) })
    } else if name == TLS_SERVER_END_POINT.as_bytes() {
        let data = bindings.server_end_point.as_deref()?;
        Some(Binding { name: TLS_SERVER_END_POINT, data: Secret::new(data.to_vec()) })
    } else {
        None
    }
}

/// The best binding that the channel has: the exporter ties to this one connection.
pub(crate) fn best_binding(bindings: &ChannelBindings) -> Option<Binding> {
    let names = [TLS_EXPORTER, TLS_SERVER_END_POINT];
    names.into_iter().find_map(|name| binding_named(bindings, name.as_bytes()))
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 octets")
}

fn sha256(octets: &[u8]) -> Digest {
    digest::digest(&digest::SHA256, octets).as_ref().try_into().expect("SHA-256 gives 32 octets")
}

fn xor(left: &Digest, right: &Digest) -> Digest {
    std::array::from_fn(|index| left[index] ^ right[index])
}

/// A nonce of ours (RFC 5802 §5.1): printable, without a comma.
fn nonce() -> String {
    let mut octets = [0; NONCE_OCTETS];
    rand::fill(&mut octets).expect("the system gives random octets");
    base64(&octets)
}

fn base64(octets: &[u8]) -> String {
    let mut text = BytesMut::new();
    Secret::new(octets.to_vec()).encode_base64(&mut text);
    String::from_utf8(text.to_vec()).expect("base64 is ASCII")
}

#[cfg(test)]
mod tests;
