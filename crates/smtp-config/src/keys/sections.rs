//! The sections of the file.

use crate::keys::Section;

/// The sections, in the order of the reference.
pub const SECTIONS: &[Section] = &[
    Section { path: "", written: "the top of the file", text: "These stand before the first `[section]`." },
    Section {
        path: "tls",
        written: "[tls]",
        text: "What the server presents to its clients, and whom it trusts in next hops. Without certificates it offers no TLS.",
    },
    Section {
        path: "tls.certificates",
        written: "certificates = [{ … }]",
        text: "One entry a certificate, chosen by the server name that the client asks for (SNI); the first where it asks for none, or \
               for one that no certificate has. The files are read again when they change.",
    },
    Section {
        path: "local",
        written: "[local]",
        text: "Mail that ends here. Without this section no mail does: the server then takes mail from programs on this machine only, \
               and sends it on.\n\n\
               Local parts match without regard to case and quoting. `<postmaster>`, and postmaster at each local domain, are always \
               taken: there must be a `postmaster` key, or an alias or a user of that name.",
    },
    Section { path: "local.deliver", written: "deliver = { … }", text: "Where a user's mail is put." },
    Section {
        path: "listener",
        written: "[[listener]]",
        text: "One section a service and the addresses that it is given on. Without any: `mx` on port 25 of all addresses, and with \
               a certificate and people who can log in `submission` on 587 and 465; without `[local]`: `submission` on port 25 of the \
               loopback addresses.",
    },
    Section {
        path: "relay",
        written: "[relay]",
        text: "Who may send on through this server, besides people who have logged in (`[auth]`) and programs of this machine (`[submit]`). \
               For others nothing is relayed but what this section allows: a `[[route]]` alone opens nothing.",
    },
    Section {
        path: "route",
        written: "[[route]]",
        text: "Where mail for other domains goes. The first section that matches the recipient's domain wins; without one it is `[smart_host]`.",
    },
    Section {
        path: "route.password",
        written: "password = { … }",
        text: "With a user in `to`: where the password is. It never stands in this file.",
    },
    Section {
        path: "route.token",
        written: "token = { … }",
        text: "With a user in `to`, in place of `password`: where the access token is.",
    },
    Section {
        path: "smart_host",
        written: "[smart_host]",
        text: "The next hop of all mail for which there is no `[[route]]`.",
    },
    Section {
        path: "smart_host.password",
        written: "password = { … }",
        text: "Where the password is, as in `[[route]]`.",
    },
    Section {
        path: "smart_host.token",
        written: "token = { … }",
        text: "Where the access token is, as in `[[route]]`.",
    },
    Section { path: "queue", written: "[queue]", text: "The mail that was accepted and is not yet delivered." },
    Section {
        path: "limits",
        written: "[limits]",
        text: "What is too much. What goes over a limit is refused with a precise reply, and never costs more than the limit.",
    },
    Section {
        path: "guards",
        written: "[guards]",
        text: "Rules of SMTP that honest clients keep, and that much of what sends spam or attacks does not. Clients of `[relay] networks`, \
               programs of this machine and `lmtp` listeners are not watched, nor are the proxies of a listener. What counts is what has reached this \
               server before its reply was on its way: how the network has cut it makes no difference.",
    },
    Section {
        path: "extensions",
        written: "[extensions]",
        text: "What is offered to clients in reply to EHLO, besides PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES and STARTTLS.",
    },
    Section { path: "delivery", written: "[delivery]", text: "How much is delivered at once." },
    Section {
        path: "timeouts",
        written: "[timeouts]",
        text: "How long the server waits. As a client it waits as long as RFC 5321 §4.5.3.2 asks for.",
    },
    Section { path: "admin", written: "[admin]", text: "The socket by which `smtpctl` asks and steers the server." },
    Section {
        path: "submit",
        written: "[submit]",
        text: "Mail from programs of this machine, by `sendmail` and everything that calls it. The kernel tells the server which user a \
               program runs as; such mail may go to anywhere, without a password.\n\n\
               While the server is down `sendmail` leaves messages in the maildrop, and the server takes them from there.",
    },
    Section {
        path: "auth",
        written: "[auth]",
        text: "Who has a password in the users file can log in (AUTH, RFC 4954) on `submission` listeners, under TLS, and send to anywhere under \
               the own addresses. The mechanisms are PLAIN and LOGIN, and SCRAM-SHA-256 where everybody who has a password has SCRAM keys too.",
    },
    Section { path: "log", written: "[log]", text: "Written to standard error, one line an event." },
];
