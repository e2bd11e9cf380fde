//! The keys of `[guards]`.

use crate::keys::Fallback::Value;
use crate::keys::Key;

/// The keys, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "guards.early_talkers",
        value: "`refuse`, `count`",
        fallback: Value("\"refuse\""),
        example: "\"count\"",
        text: "What is done with a client of an `mx` listener that speaks before it is greeted (RFC 5321 §3.1): `refuse` answers 554 5.5.1 and closes, \
               `count` only counts and logs it.",
    },
    Key {
        path: "guards.greeting_delay",
        value: "duration",
        fallback: Value("\"0s\""),
        example: "\"2s\"",
        text: "How long a client of an `mx` listener waits for its greeting, so that the impatient give themselves away. `0s`: those are found who have \
               spoken when the greeting is due; nobody waits. At most 30 seconds.",
    },
    Key {
        path: "guards.pipelining",
        value: "`refuse`, `count`",
        fallback: Value("\"refuse\""),
        example: "\"count\"",
        text: "What is done with a client that speaks out of turn: that has sent more, before our reply was on its way, behind a command that must be \
               the last of its group (EHLO, HELO, LHLO, DATA, AUTH, VRFY, EXPN, ETRN; RFC 2920 §3.1), or behind any command where PIPELINING is not \
               offered (before EHLO, and after HELO). QUIT may always follow. `refuse` answers 503 5.5.1 and closes (behind \
               content after the reply to it, which stands), `count` only counts and logs it. On `mx` and `submission` listeners.",
    },
    Key {
        path: "guards.client_networks",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Watch the clients of `[relay] networks` too.",
    },
];
