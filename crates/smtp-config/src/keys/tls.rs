//! The keys of `[tls]`.

use crate::keys::Fallback::{Otherwise, Required, Value};
use crate::keys::Key;

/// The keys of the section, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "tls.level",
        value: "`modern`, `intermediate`, `compatible`",
        fallback: Value("\"compatible\""),
        example: "\"intermediate\"",
        text: "How old a client may be. `modern`: TLS 1.3. `intermediate`: also TLS 1.2 with the extended master secret (RFC 7627; OpenSSL has \
               it since 1.1.0). `compatible`: also TLS 1.2 without it. All levels have only suites with forward secrecy and AEAD; \
               older versions (RFC 8996) are not spoken. A server that finds no TLS with an `mx` listener mostly sends in the clear.",
    },
    Key {
        path: "tls.session_tickets",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Whether clients may resume a session with a ticket, which spares them most of the handshake. The key of the tickets is made at the \
               start and at each reload, is replaced every six hours, and is never stored.",
    },
    Key {
        path: "tls.authorities",
        value: "path",
        fallback: Otherwise("the authorities that this system trusts"),
        example: "\"ca.pem\"",
        text: "PEM file with the certificate authorities that vouch for next hops with `tls = \"verify\"`, in place of those that this system \
               trusts. Read again at a reload.",
    },
    Key {
        path: "tls.client_authorities",
        value: "path",
        fallback: Otherwise("nobody vouches for clients"),
        example: "\"clients-ca.pem\"",
        text: "PEM file with the certificate authorities that vouch for clients on listeners with `client_certificates`. Read again when it \
               changes. They should be your own: everybody for whom they vouch passes `require`.",
    },
    Key {
        path: "tls.certificates.chain",
        value: "path",
        fallback: Required,
        example: "\"mx.pem\"",
        text: "PEM file with the certificate of the server, then those that lead to its issuer.",
    },
    Key {
        path: "tls.certificates.key",
        value: "path",
        fallback: Required,
        example: "\"mx.key\"",
        text: "PEM file with the private key (PKCS #8, PKCS #1 or SEC 1).",
    },
];
