//! The keys of the file, but for those that have a file of their own.

use crate::keys::Fallback::{Otherwise, Required, Value};
use crate::keys::Key;

/// The keys, in the order of the reference.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "hostname",
        value: "domain name",
        fallback: Required,
        example: "\"mx.example.com\"",
        text: "The name of this server: in the greeting, in EHLO, in `Received` fields and in delivery reports. It should have an address \
               in DNS that leads here.",
    },
    Key {
        path: "local.domains",
        value: "list of domain names",
        fallback: Required,
        example: "[\"example.com\", \"example.org\"]",
        text: "The domains whose mail ends here. Mail to a recipient in them whom nobody knows is refused with 550 5.1.1.",
    },
    Key {
        path: "local.users",
        value: "path",
        fallback: Otherwise("no users"),
        example: "\"users.toml\"",
        text: "The users file: TOML, one table a user. `[alice]` with `addresses = [\"alice@example.com\"]` gives alice the mail of that \
               address; without `addresses` it is alice at each local domain. With `password` (and `scram_sha_256`), as `smtpctl encrypt` prints them, \
               alice can log in, by name or by one of the addresses. With `certificates` she can by a client certificate (EXTERNAL): \
               `\"sha256:…\"` is its fingerprint, `\"alice@example.com\"` a mailbox and `\"laptop.example.com\"` a domain name among its \
               alternative names. Hashes of bcrypt (`$2b$`) and sha-crypt (`$5$`, `$6$`) are taken too.",
    },
    Key {
        path: "local.aliases",
        value: "path",
        fallback: Otherwise("no aliases"),
        example: "\"/etc/aliases\"",
        text: "The aliases file, in the syntax of sendmail: `name: target, target`. A name holds at each local domain and goes before a user of \
               that name. A target is a user, an alias, or an address anywhere, to which the mail is forwarded; `\\name` is the user of that name. \
               Programs (`|command`), files (`/file`) and `:include:` are refused.",
    },
    Key {
        path: "local.postmaster",
        value: "user, alias or address",
        fallback: Otherwise("the alias or user postmaster"),
        example: "\"alice\"",
        text: "Who gets the mail for postmaster (RFC 5321 §4.5.1).",
    },
    Key {
        path: "local.catch_all",
        value: "user, alias or address",
        fallback: Otherwise("unknown recipients are refused"),
        example: "\"alice\"",
        text: "Who gets the mail for addresses in local domains that nobody has.",
    },
    Key {
        path: "local.subaddress_separator",
        value: "one character, or none",
        fallback: Value("\"+\""),
        example: "\"-\"",
        text: "What divides a user from a tag: mail to `alice+lists` goes to alice (RFC 5233). Empty: tags mean nothing.",
    },
    Key {
        path: "local.deliver.maildir",
        value: "path with `{user}` and `{domain}`",
        fallback: Otherwise("`lmtp` says where; one of the two must be written"),
        example: "\"/var/mail/{domain}/{user}\"",
        text: "The Maildir of a user; it is made at the first delivery. `{user}` is the name of the user, `{domain}` the domain of the user's \
               first address.",
    },
    Key {
        path: "local.deliver.lmtp",
        value: "`unix:` and the path of a socket, or host and port",
        fallback: Otherwise("`maildir` says where; one of the two must be written"),
        example: "\"unix:/run/dovecot/lmtp\"",
        text: "The program that keeps the mailboxes, such as Dovecot, is given the mail by LMTP (RFC 2033) and answers for each recipient. It \
               is told the recipient's address; what it puts off is tried again, and what it refuses is reported to the sender.",
    },
    Key {
        path: "listener.service",
        value: "`mx`, `submission`, `lmtp`",
        fallback: Required,
        example: "\"mx\"",
        text: "`mx` takes mail from other servers. `submission` takes mail from the programs of people (RFC 6409): from those who have \
               logged in and from the client networks, and adds `Message-ID` and `Date` where they are missing. `lmtp` takes mail from a \
               server in front of this one, by the rules of `mx` and with an answer for each recipient (RFC 2033); never on port 25.",
    },
    Key {
        path: "listener.addresses",
        value: "list of addresses with ports",
        fallback: Required,
        example: "[\"0.0.0.0:25\", \"[::]:25\"]",
        text: "Where to listen. `0.0.0.0` is all IPv4 addresses, `[::]` all IPv6 addresses. Port 0 takes a free port.",
    },
    Key {
        path: "listener.tls",
        value: "`implicit`, `starttls`, `none`",
        fallback: Otherwise("`implicit` on port 465, else `starttls` with certificates and `none` without"),
        example: "\"starttls\"",
        text: "When TLS begins: with the first octet, when the client says STARTTLS, or never.",
    },
    Key {
        path: "listener.client_certificates",
        value: "`off`, `request`, `require`",
        fallback: Otherwise("`off`"),
        example: "\"request\"",
        text: "Whether clients show a certificate in the handshake of TLS. `request`: who has none is served as ever, and who shows one that \
               `[tls] client_authorities` does not vouch for is refused. `require`: who has none is refused too; on a `starttls` listener \
               who stays in the clear shows none. A certificate that the users file names lets its user log in without a password \
               (EXTERNAL), on `submission` listeners. There are no session tickets on such listeners.",
    },
    Key {
        path: "listener.proxy_from",
        value: "list of networks",
        fallback: Otherwise("none"),
        example: "[\"10.0.0.10\"]",
        text: "The proxies (HAProxy, a load balancer) in front of this listener. Each of their connections must begin with a header of the \
               PROXY protocol, version 1 or 2, before the greeting and before TLS; the address of the client in it is the one that counts \
               everywhere. Connections of others are closed at once: whoever may send that header may call himself anybody.",
    },
    Key {
        path: "listener.xclient_from",
        value: "list of networks",
        fallback: Otherwise("none"),
        example: "[\"10.0.0.20\"]",
        text: "The peers (a content filter, nginx, Dovecot, a program for tests) that may say by XCLIENT for which client they speak. They \
               are offered XCLIENT with NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR and DESTPORT; the client that they name then takes \
               their place everywhere, and the session begins anew. LOGIN is for the log alone: it logs nobody in. Others \
               use the listener as ever, and XCLIENT is refused to them. Not on a listener with `proxy_from`.",
    },
    Key {
        path: "relay.networks",
        value: "list of networks",
        fallback: Otherwise("none; without `[local]`, and if all listeners are on loopback addresses, those"),
        example: "[\"10.0.0.0/8\", \"2001:db8::/32\"]",
        text: "The clients that may send to anywhere.",
    },
    Key {
        path: "relay.domains",
        value: "list of domain patterns",
        fallback: Value("[]"),
        example: "[\"corp.example\", \"*.corp.example\"]",
        text: "The domains that anybody may send to. An address with a route in its local part (`a%b@`, `a!b@`, `\"a@b\"@`) is refused there.",
    },
    Key {
        path: "queue.directory",
        value: "path",
        fallback: Value("\"/var/spool/smtp-server\""),
        example: "\"/var/spool/smtp-server\"",
        text: "The folder of the queue, for this server alone. It should be on a disk that keeps what it says is written.",
    },
    Key {
        path: "queue.retry",
        value: "list of durations, then `\"…\"`",
        fallback: Value("[\"1m\", \"5m\", \"15m\", \"1h\", \"…\"]"),
        example: "[\"30s\", \"5m\", \"30m\", \"…\"]",
        text: "How long each attempt waits for the next. The last delay repeats until the message expires.",
    },
    Key {
        path: "queue.expire_after",
        value: "duration",
        fallback: Value("\"5d\""),
        example: "\"2d\"",
        text: "How long delivery is tried; then the sender gets a report that it failed (RFC 5321 §4.5.4.1 asks for 4 to 5 days).",
    },
    Key {
        path: "queue.delay_notice_after",
        value: "duration",
        fallback: Value("\"4h\""),
        example: "\"0s\"",
        text: "When the sender is told, once, that the message is still on its way. `0s`: never.",
    },
    Key {
        path: "queue.body_memory_octets",
        value: "size",
        fallback: Value("\"64 MiB\""),
        example: "\"256 MiB\"",
        text: "What the bodies of all messages that are being received may take of memory together. Beyond it they go to files earlier, which is slower.",
    },
    Key {
        path: "queue.free_octets_min",
        value: "size",
        fallback: Value("\"64 MiB\""),
        example: "\"1 GiB\"",
        text: "What the queue leaves free on its disk. Mail for which there is no room is refused for the time being (452).",
    },
    Key {
        path: "limits.message_octets",
        value: "size",
        fallback: Value("\"50 MiB\""),
        example: "\"25 MiB\"",
        text: "The longest message taken, said in the SIZE extension (RFC 1870). It should be at least 64 KiB (RFC 5321 §4.5.3.1.7).",
    },
    Key {
        path: "limits.header_octets",
        value: "size",
        fallback: Value("\"256 KiB\""),
        example: "\"128 KiB\"",
        text: "The longest header block taken; it is in memory while the message is received. From 16 KiB to 256 KiB.",
    },
    Key {
        path: "limits.recipients_per_message",
        value: "number of recipients",
        fallback: Value("1000"),
        example: "100",
        text: "Recipients of one transaction; those above it are refused with 452, and the client sends to them in another. It \
               should be at least 100 (RFC 5321 §4.5.3.1.8).",
    },
    Key {
        path: "limits.sessions",
        value: "number of sessions",
        fallback: Value("10000"),
        example: "2000",
        text: "Sessions open at once, from all clients.",
    },
    Key {
        path: "limits.sessions_per_client",
        value: "number of sessions",
        fallback: Value("50"),
        example: "20",
        text: "Sessions open at once from one IPv4 address or one IPv6 /64. Loopback has no such limit.",
    },
    Key {
        path: "limits.errors_per_session",
        value: "number of errors",
        fallback: Value("20"),
        example: "5",
        text: "Commands that are refused as wrong, and log-ins that fail, until the session is closed with 421.",
    },
    Key {
        path: "limits.idle_commands_per_message",
        value: "number of commands",
        fallback: Value("100"),
        example: "20",
        text: "Commands that bring no message nearer (EHLO, NOOP, RSET, VRFY and the like), from one message to the next, until the session is \
               closed with 421 4.7.0.",
    },
    Key {
        path: "limits.transactions_per_session",
        value: "number of transactions",
        fallback: Value("10000"),
        example: "1000",
        text: "MAIL commands of one session, whatever becomes of them; at the next one the session is closed with 421 4.7.0.",
    },
    Key {
        path: "limits.commands_per_session",
        value: "number of commands",
        fallback: Value("100000"),
        example: "10000",
        text: "All command lines of one session, whatever becomes of them; at the next one the session is closed with 421 4.7.0.",
    },
    Key {
        path: "limits.received_hops",
        value: "number of `Received` fields",
        fallback: Value("100"),
        example: "50",
        text: "A message with more is in a loop and refused with 554 5.4.6 (RFC 5321 §6.3).",
    },
    Key {
        path: "limits.alias_depth",
        value: "number of aliases",
        fallback: Value("10"),
        example: "5",
        text: "Aliases that may lead from one to the next; beyond it the recipient is refused with 550 5.4.6.",
    },
    Key {
        path: "limits.alias_recipients",
        value: "number of recipients",
        fallback: Value("1000"),
        example: "5000",
        text: "Recipients that one address may stand for by way of aliases.",
    },
    Key {
        path: "limits.future_release",
        value: "period, a year at most",
        fallback: Value("\"30d\""),
        example: "\"7d\"",
        text: "The longest time for which a sender may have a message held (FUTURERELEASE). It expires `queue.expire_after` behind its release.",
    },
    Key {
        path: "limits.deliver_by",
        value: "period",
        fallback: Value("\"1m\""),
        example: "\"0s\"",
        text: "The shortest time that a sender may give for delivery where the message is to be returned after it (DELIVERBY, mode R). `\"0s\"`: any.",
    },
    Key {
        path: "limits.mt_priority",
        value: "0 to 9",
        fallback: Value("9"),
        example: "4",
        text: "The highest priority that a sender may ask for (MT-PRIORITY); a higher one is lowered to it, and the reply says so. \
               Of one lane (a next hop, or a domain) nothing goes while something more urgent is due, and with a smart host all mail to elsewhere is one lane.",
    },
    Key {
        path: "delivery.sessions_per_next_hop",
        value: "number of sessions",
        fallback: Value("20"),
        example: "5",
        text: "Sessions open at once to one next hop.",
    },
    Key {
        path: "delivery.sessions",
        value: "number of sessions",
        fallback: Value("500"),
        example: "100",
        text: "Sessions open at once to all next hops.",
    },
    Key {
        path: "delivery.messages_per_session",
        value: "number of messages",
        fallback: Value("100"),
        example: "20",
        text: "Messages that one session to a next hop carries before another is opened.",
    },
    Key {
        path: "delivery.local_deliveries",
        value: "number of deliveries",
        fallback: Value("16"),
        example: "4",
        text: "Messages that are put into Maildirs at once.",
    },
    Key {
        path: "timeouts.command",
        value: "duration",
        fallback: Value("\"5m\""),
        example: "\"2m\"",
        text: "How long the server waits for the next command (RFC 5321 §4.5.3.2.7 asks for 5 minutes).",
    },
    Key {
        path: "timeouts.session",
        value: "duration",
        fallback: Value("\"24h\""),
        example: "\"1h\"",
        text: "How long one session may last in all, however busy it is kept; then it is closed with 421 4.4.2.",
    },
    Key {
        path: "timeouts.data_block",
        value: "duration",
        fallback: Value("\"5m\""),
        example: "\"3m\"",
        text: "How long the server waits for more of the mail data. All of it may take half an hour, and a second more for each 1,000 octets that have come.",
    },
    Key {
        path: "timeouts.tls_handshake",
        value: "duration",
        fallback: Value("\"1m\""),
        example: "\"10s\"",
        text: "How long the handshake of TLS may take, with a client and with a next hop.",
    },
    Key {
        path: "timeouts.proxy_header",
        value: "duration",
        fallback: Value("\"10s\""),
        example: "\"3s\"",
        text: "How long a proxy of `proxy_from` may take to send its header.",
    },
    Key {
        path: "timeouts.connect",
        value: "duration",
        fallback: Value("\"30s\""),
        example: "\"10s\"",
        text: "How long one address of a next hop may take to accept the connection.",
    },
    Key {
        path: "timeouts.attempt",
        value: "duration",
        fallback: Value("\"1h\""),
        example: "\"30m\"",
        text: "How long a next hop may take in all, however lively it is: once to give a session (at any of its addresses, with TLS and log-in), \
               and once more for each message.",
    },
    Key {
        path: "timeouts.drain",
        value: "duration",
        fallback: Value("\"30s\""),
        example: "\"2m\"",
        text: "How long what is under way may go on when the server is told to stop.",
    },
    Key {
        path: "admin.socket",
        value: "path",
        fallback: Value("\"/run/smtp-server/control.sock\""),
        example: "\"/run/smtp-server/control.sock\"",
        text: "The socket's file. Who may write to it may steer the server.",
    },
    Key {
        path: "admin.mode",
        value: "file mode, in octal",
        fallback: Value("\"0660\""),
        example: "\"0600\"",
        text: "The permissions of the socket's file.",
    },
    Key {
        path: "admin.group",
        value: "name of a group",
        fallback: Otherwise("the group that the server runs as"),
        example: "\"smtp-admin\"",
        text: "The group of the socket's file.",
    },
    Key {
        path: "submit.socket",
        value: "path",
        fallback: Otherwise("`submit.sock` beside `[admin] socket`, so `/run/smtp-server/submit.sock`"),
        example: "\"/run/smtp-server/submit.sock\"",
        text: "The socket's file, open to every user. It stays the same until the server is started again.",
    },
    Key {
        path: "submit.maildrop",
        value: "path",
        fallback: Otherwise("`[queue] directory` with `-maildrop` behind it, so `/var/spool/smtp-server-maildrop`"),
        example: "\"/var/spool/smtp-server-maildrop\"",
        text: "The folder for messages while the server is down: of the server's user, mode 1733, so that everybody may put files in and \
               nobody can see those of others. The server makes it where it may.",
    },
    Key {
        path: "submit.domain",
        value: "domain name",
        fallback: Otherwise("the first of `[local] domains`; without `[local]` the `hostname`"),
        example: "\"example.com\"",
        text: "The domain of addresses that have none: `root` is `root@example.com`, and the sender of a program that names none is the name of \
               its user at this domain.",
    },
    Key {
        path: "submit.trusted_users",
        value: "list of user names; `*` is everybody",
        fallback: Value("[]"),
        example: "[\"www-data\", \"list\"]",
        text: "The users who may send under any address (`sendmail -f`), besides root and the user of the server. Others may use their own name, \
               with or without a tag, at `submit.domain`, the `hostname` and the local domains, and the null reverse-path.",
    },
    Key {
        path: "submit.messages_per_hour",
        value: "number of messages; 0 is any number",
        fallback: Value("1000"),
        example: "100",
        text: "Messages that one user may send in an hour, root included. Beyond it MAIL is answered with 450 4.7.1, and `sendmail` ends with \
               75 (try again later).",
    },
    Key {
        path: "log.format",
        value: "`json`, `human`",
        fallback: Otherwise("`human` on a terminal, else `json`"),
        example: "\"json\"",
        text: "One JSON object a line for programs, or lines for people.",
    },
    Key {
        path: "log.level",
        value: "`error`, `warn`, `info`, `debug`, `trace`",
        fallback: Value("\"info\""),
        example: "\"debug\"",
        text: "What is logged: that and all that is graver.",
    },
];
