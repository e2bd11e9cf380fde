//! The keys of `[auth]`.

use crate::keys::Fallback::{Otherwise, Value};
use crate::keys::Key;

/// The keys of the section, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "auth.clear_on_loopback",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Log-in without TLS for clients on loopback addresses, whose passwords cross no network.",
    },
    Key {
        path: "auth.verifications",
        value: "number of passwords",
        fallback: Otherwise("half as many as there are processors"),
        example: "2",
        text: "Passwords that are verified at once; each takes a processor for tens of milliseconds, and with argon2id 19 MiB, which is kept. \
               Others wait. With half of the processors, mail finds another one while somebody guesses passwords.",
    },
    Key {
        path: "auth.failures_per_client",
        value: "number of failures",
        fallback: Value("10"),
        example: "5",
        text: "Failed log-ins from one IPv4 address or one IPv6 /64 until it is locked out: AUTH is then answered with 454 4.7.0.",
    },
    Key {
        path: "auth.failures_per_login",
        value: "number of failures",
        fallback: Value("100"),
        example: "50",
        text: "Failed log-ins of one name, from wherever, until it is locked. Clients from which it has logged in within 30 days are not concerned, so \
               that nobody can lock its owner out.",
    },
    Key {
        path: "auth.lockout",
        value: "duration",
        fallback: Value("\"15m\""),
        example: "\"1h\"",
        text: "How long whoever has too many failures is locked out. Failures are forgotten when as long has passed since the last of them.",
    },
    Key {
        path: "auth.failure_delay",
        value: "duration",
        fallback: Value("\"1s\""),
        example: "\"0s\"",
        text: "How long the answer to a first failure of a client waits; twice as long after each further one, up to eight times.",
    },
    Key {
        path: "auth.dovecot_socket",
        value: "path",
        fallback: Otherwise("only the users file is asked"),
        example: "\"/run/dovecot/auth-smtp\"",
        text: "Dovecot is asked for the passwords of all whom the users file gives none, at this socket for authentication clients: in Dovecot \
               `service auth { unix_listener auth-smtp { … } }`, open to the user of this server. Offered are those of PLAIN, LOGIN and SCRAM-SHA-256 \
               that Dovecot has too. Who has logged in by it sends under the login, where that is an address, and under what the users file and \
               the aliases give to the user of that name or address.",
    },
    Key {
        path: "auth.dovecot_timeout",
        value: "duration",
        fallback: Value("\"30s\""),
        example: "\"10s\"",
        text: "How long Dovecot may take for an answer, which it delays after failures. Then, and while it cannot be asked, AUTH is answered with \
               454 4.7.0, which counts as no failure.",
    },
    Key {
        path: "auth.messages_per_hour",
        value: "number of messages; 0 is any number",
        fallback: Value("1000"),
        example: "100",
        text: "Messages that one user who has logged in may send in an hour, from wherever. Only what is accepted counts. Beyond it MAIL is answered \
               with 450 4.7.1, unless `excess` says otherwise.",
    },
    Key {
        path: "auth.recipients_per_hour",
        value: "number of recipients; 0 is any number",
        fallback: Value("10000"),
        example: "500",
        text: "Recipients that one user who has logged in may name in an hour, in all messages together, before aliases are expanded. Beyond it RCPT \
               is answered with 450 4.7.1, unless `excess` says otherwise.",
    },
    Key {
        path: "auth.excess",
        value: "`refuse`, `hold`",
        fallback: Value("\"refuse\""),
        example: "\"hold\"",
        text: "What becomes of the mail of a user who has sent too much: it is refused for the time being, or accepted and held in the queue until \
               somebody has looked at it and releases it (`smtpctl resume envelope`).",
    },
];
