//! The keys of `[extensions]`.

use crate::keys::Fallback::{Otherwise, Value};
use crate::keys::Key;

/// The keys, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "extensions.chunking",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer CHUNKING (RFC 3030): clients may send content by BDAT, counted and not stuffed.",
    },
    Key {
        path: "extensions.binarymime",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Offer BINARYMIME (RFC 3030 §3): content of any octets, by BDAT. It is kept as it is, and cannot go on to a next hop without it.",
    },
    Key {
        path: "extensions.dsn",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer DSN (RFC 3461): clients may say of each recipient which reports they want, and what of the message a report brings back.",
    },
    Key {
        path: "extensions.smtputf8",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer SMTPUTF8 (RFC 6531): addresses and header fields in UTF-8. Such mail cannot go on to a next hop without it.",
    },
    Key {
        path: "extensions.limits",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer LIMITS (RFC 9422): say beforehand how many recipients a message, and how many transactions a session may have.",
    },
    Key {
        path: "extensions.requiretls",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer REQUIRETLS (RFC 8689) under TLS: such a message goes on only over TLS with a verified certificate, to next hops that offer it too, or comes back with 5.7.10 or 5.7.30. So do the reports on it.",
    },
    Key {
        path: "extensions.futurerelease",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer FUTURERELEASE (RFC 4865) on `submission` listeners: a message is first tried when its sender says, `limits.future_release` from now at most. Until then the queue shows it as held, and `smtpctl schedule` lets it go.",
    },
    Key {
        path: "extensions.deliverby",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer DELIVERBY (RFC 2852) on `submission` listeners: a message that has not left in the time that its sender gives comes back with 5.4.7, or its sender is told.",
    },
    Key {
        path: "extensions.mtpriority",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Offer MT-PRIORITY (RFC 6710) on `submission` listeners: of what is due for a next hop the higher priority goes first, at most `limits.mt_priority`. Programs of this machine may lower it, and not raise it above 0.",
    },
    Key {
        path: "extensions.vrfy",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Answer VRFY (RFC 5321 §3.5) for clients that may send to anywhere (`[relay] networks`, people who have logged in, programs of this \
               machine): 250 with the address, 251 where its mail is forwarded, 550, or 553 where a name means several. To others, and without \
               this, it is 252, which says nothing.",
    },
    Key {
        path: "extensions.expn",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Answer EXPN (RFC 5321 §3.5) for the same clients: 250 with the addresses that an alias stands for. To others, and without this, it is 502.",
    },
    Key {
        path: "extensions.etrn",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Answer ETRN (RFC 1985) for clients of `[relay] networks`, on `mx` listeners only: what waits for a domain of a `[[route]]`, and is held \
               neither by its sender nor by an operator, is due now (253; 251 where that is nothing). `@example.com` is that domain and all below it. \
               Other domains, and other clients, are answered 459.",
    },
    Key {
        path: "extensions.help",
        value: "text in ASCII; `\\n` begins a further line",
        fallback: Otherwise("the commands"),
        example: "\"Help: postmaster@example.com\"",
        text: "What HELP is answered with (214), for everybody.",
    },
];
