//! The keys of `[[route]]` and `[smart_host]`.

use crate::keys::Fallback::{Otherwise, Required, Value};
use crate::keys::Key;

const MECHANISMS: &str = "list of `SCRAM-SHA-256-PLUS`, `SCRAM-SHA-256`, `PLAIN`, `LOGIN`, `OAUTHBEARER`, `XOAUTH2`";
const NO_LOGIN: &str = "none: without a user in `to` nobody logs in";

/// The keys, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "route.recipients",
        value: "list of domain patterns",
        fallback: Required,
        example: "[\"corp.example\", \"*.corp.example\"]",
        text: "The recipients' domains: `example.com` is that one, `*.example.com` all below it, `*` all.",
    },
    Key {
        path: "route.to",
        value: "next hop",
        fallback: Required,
        example: "\"smtp://10.0.0.5:25\"",
        text: "The next hop: `smtp://`, `submission://` or `submissions://`, then a host and, if it is not 25, 587 or 465, a port. `submissions` is \
               TLS from the first octet. The host is an address, or a name that the system looks up. A user before it \
               (`submissions://app1@smtp.example.net`, `submissions://alice@example.com@smtp.example.net`) is who this server logs in as; \
               other characters than letters, digits and `-._~+@` are written as `%20`.",
    },
    Key {
        path: "route.tls",
        value: "`opportunistic`, `require`, `verify`, `none`",
        fallback: Otherwise("`opportunistic`; `verify` with `submissions://` or a user"),
        example: "\"require\"",
        text: "What TLS must give. `opportunistic`: TLS if it is offered. `require`: TLS with any certificate. `verify`: TLS with a certificate \
               for the name of the host by an authority that this system trusts, or `[tls] authorities`. What is asked for and not given defers the mail.",
    },
    Key {
        path: "route.mechanisms",
        value: MECHANISMS,
        fallback: Otherwise("all that can be used with what there is, a password or a token"),
        example: "[\"PLAIN\"]",
        text: "The mechanisms of AUTH (RFC 4954) that may be used. Of those that the next hop offers the strongest is taken, in the order in which \
               they are named here under `value`, whatever the order in the list.",
    },
    Key {
        path: "route.login_in_clear",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Log in without TLS too. With PLAIN and LOGIN everybody on the way can then read the password.",
    },
    Key {
        path: "route.chunking",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Send content by BDAT where the next hop offers CHUNKING (RFC 3030). `false` is for hosts that offer it and fail with it: content \
               then goes by DATA.",
    },
    Key {
        path: "route.password.file",
        value: "path",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host.secret\"",
        text: "The file holds the password and nothing else, and only the server's user should be able to read it. It is read for each session.",
    },
    Key {
        path: "route.password.credential",
        value: "name",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host\"",
        text: "In place of `file`: a credential of the service (`LoadCredential=` of systemd).",
    },
    Key {
        path: "route.token.file",
        value: "path",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host.token\"",
        text: "The file holds an access token of OAuth 2.0 and nothing else. It is read for each session, so that another program can renew it: \
               it should write the new one beside it and rename it.",
    },
    Key {
        path: "route.token.credential",
        value: "name",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host_token\"",
        text: "In place of `file`: a credential of the service, which stays as it was when the service was started.",
    },
    Key {
        path: "smart_host.to",
        value: "next hop",
        fallback: Required,
        example: "\"submissions://app1@smtp.example.net\"",
        text: "The next hop, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.tls",
        value: "`opportunistic`, `require`, `verify`, `none`",
        fallback: Otherwise("`verify`"),
        example: "\"require\"",
        text: "What TLS must give, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.mechanisms",
        value: MECHANISMS,
        fallback: Otherwise("all that can be used with what there is, a password or a token"),
        example: "[\"PLAIN\"]",
        text: "The mechanisms of AUTH that may be used, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.login_in_clear",
        value: "`true`, `false`",
        fallback: Value("false"),
        example: "true",
        text: "Log in without TLS too, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.chunking",
        value: "`true`, `false`",
        fallback: Value("true"),
        example: "false",
        text: "Send content by BDAT where that is offered, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.password.file",
        value: "path",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host.secret\"",
        text: "A file with the password and nothing else, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.password.credential",
        value: "name",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host\"",
        text: "In place of `file`: a credential of the service.",
    },
    Key {
        path: "smart_host.token.file",
        value: "path",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host.token\"",
        text: "A file with an access token and nothing else, as in `[[route]]`.",
    },
    Key {
        path: "smart_host.token.credential",
        value: "name",
        fallback: Otherwise(NO_LOGIN),
        example: "\"smart_host_token\"",
        text: "In place of `file`: a credential of the service.",
    },
];
