//! What the RFCs say of each command, as a table: sequence, syntax, limits, parameters good and bad. Each case is a session
//! of its own with a whole server, in the clear, under STARTTLS and under implicit TLS.
//!
//! A line of `cases/*.txt` is `state: octets => replies`, steps set apart by `;;`. The state says how far the session has
//! come: `start` (greeted), `helo`, `ehlo` (or `lhlo`), `login` (AUTH was answered with 235), `mail`, `rcpt`, `data` (354 was
//! heard). CRLF follows the octets, in which `\r`, `\n`, `\s`, `\t`, `\\` and `\xHH` stand for what they say, `{x*9}` for nine times x
//! and `{=x}` for x in base64. The replies are told by their codes, with `~x` behind one that has x in its text; `closed` behind
//! them: the server ends the session. `clear` or `tls` in front: only so.
#![allow(clippy::unwrap_used)]

#[path = "../house/mod.rs"]
mod house;

#[path = "../house/handshake.rs"]
mod handshake;

mod case;

use smtp_server::metrics::Service;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::case::{Case, Only, State, Step};
use smtp_sasl::{ScramKeys, prepare_password};

use self::handshake::handshake;
use self::house::{Dialogue, House};

/// The mx listener of the house is in the clear, with STARTTLS; this one has TLS from the first octet. There are two of LMTP.
const LISTENERS: &str = "[[listener]]\nservice = \"mx\"\naddresses = [\"127.0.0.4:0\"]\ntls = \"implicit\"\n\
    [[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.5:0\"]\ntls = \"starttls\"\n\
    [[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.6:0\"]\ntls = \"implicit\"\n";

/// Clients that do not wait for replies are served, so that a table can say in one step what its order must be.
const HASTE: &str = "[guards]\npipelining = \"count\"\n";

/// alice logs in with `wonderland`; a hash that takes no time, since the tables have many log-ins.
const USERS: &str = "[alice]\npassword = \"$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu\"\nscram_sha_256 = \"KEYS\"\n[bob]\n";

/// No delay, and no lock-out of those whose log-ins fail on purpose.
const AUTH: &str = "[auth]\nfailure_delay = \"0s\"\nfailures_per_client = 100000\nfailures_per_login = 100000\n";

/// Little, so that the tables reach it.
const LIMITS: &str = "[limits]\nmessage_octets = \"64 KiB\"\nrecipients_per_message = 2\ntransactions_per_session = 3\n\
    errors_per_session = 4\nidle_commands_per_message = 6\n";

trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Octets for T {}

type Session = Dialogue<Box<dyn Octets>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Clear,
    StartTls,
    Implicit,
}

impl Transport {
    const ALL: [Self; 3] = [Self::Clear, Self::StartTls, Self::Implicit];

    fn carries(self, only: Option<Only>) -> bool {
        match only {
            None => true,
            Some(Only::Clear) => self == Self::Clear,
            Some(Only::Tls) => self != Self::Clear,
        }
    }

    /// A session that has been greeted, and secured where this says so.
    async fn open(self, house: &House, service: Service) -> Session {
        let stream = TcpStream::connect(house.address(service, self == Self::Implicit)).await.unwrap();
        match self {
            Self::Clear => greeted(Box::new(stream)).await,
            Self::Implicit => greeted(secured(house, stream).await).await,
            Self::StartTls => {
                let mut clear = Dialogue::new(stream);
                clear.reply().await;
                clear.ask(State::Ehlo.commands(service)[0]).await;
                clear.ask("STARTTLS").await;
                Dialogue::new(secured(house, clear.stream).await)
            }
        }
    }
}

async fn greeted(stream: Box<dyn Octets>) -> Session {
    Dialogue::new(stream).greeted().await
}

async fn secured(house: &House, stream: TcpStream) -> Box<dyn Octets> {
    Box::new(handshake(house.authority.client_config(), stream).await.unwrap())
}

/// What went otherwise than the case says.
async fn run(case: &Case, service: Service, session: &mut Session) -> Result<(), String> {
    for command in case.state.commands(service) {
        let reply = session.ask(command).await;
        if !reply.starts_with(['2', '3']) {
            return Err(format!("{command}: {reply}"));
        }
    }
    for Step { octets, replies, closed } in &case.steps {
        session.write(octets).await;
        for expected in replies {
            let reply = session.reply().await;
            if !expected.is(&reply) {
                return Err(format!("expected {expected:?}, got {reply:?}"));
            }
        }
        if *closed {
            let rest = session.reply().await;
            return if rest.is_empty() { Ok(()) } else { Err(format!("the session goes on: {rest:?}")) };
        }
    }
    if case.ends_in_mail_data() {
        return Ok(());
    }
    // Nothing is left over, and the session is in step.
    for (command, code) in [("NOOP", "250 "), ("QUIT", "221 ")] {
        let reply = session.ask(command).await;
        if !reply.starts_with(code) {
            return Err(format!("the session is out of step: {reply:?} to {command}"));
        }
    }
    Ok(())
}

/// Runs a table with the mx listeners, over every transport.
async fn hold(table: &str, more: &str) {
    hold_at(Service::Mx, table, more).await;
}

/// Runs a table with the listeners of a service, over every transport.
async fn hold_at(service: Service, table: &str, more: &str) {
    hold_in(service, table, &format!("{more}{HASTE}")).await;
}

/// The same with this configuration.
async fn hold_in(service: Service, table: &str, more: &str) {
    hold_on(LISTENERS, service, table, more).await;
}

/// The same with these listeners beside those of the house.
async fn hold_on(listeners: &str, service: Service, table: &str, more: &str) {
    let cases = case::parse(table);
    let mut house = House::start(&format!("{more}{listeners}")).await;
    let keys = ScramKeys::make(&prepare_password(b"wonderland").unwrap());
    house.write("users.toml", &USERS.replace("KEYS", &keys.expose()));
    house.reload().await;
    let mut failures = Vec::new();
    for transport in Transport::ALL {
        for case in cases.iter().filter(|case| transport.carries(case.only)) {
            let mut session = transport.open(&house, service).await;
            if let Err(failure) = run(case, service, &mut session).await {
                failures.push(format!("{transport:?}, line {}: {}: {failure}", case.line, case.text));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    house.stop().await;
}

/// RFC 5321 §4.1.1.1, §4.1.4.
#[tokio::test]
async fn hello() {
    hold(include_str!("cases/hello.txt"), "").await;
}

/// RFC 5321 §4.1.1.2, §4.1.2, §4.5.3.1.
#[tokio::test]
async fn mail() {
    hold(include_str!("cases/mail.txt"), "").await;
}

/// RFC 5321 §4.1.1.3, §3.3.
#[tokio::test]
async fn rcpt() {
    hold(include_str!("cases/rcpt.txt"), "").await;
}

/// RFC 5321 §2.3.8, §4.1.1.4, §4.5.2.
#[tokio::test]
async fn data() {
    hold(include_str!("cases/data.txt"), "").await;
}

/// RFC 5321 §4.1.1.5 to §4.1.1.10, §4.2.4.
#[tokio::test]
async fn other_commands() {
    hold(include_str!("cases/others.txt"), "").await;
}

/// RFC 1870, 6152, 6531, 3207, 2920.
#[tokio::test]
async fn extensions() {
    hold(include_str!("cases/extensions.txt"), "").await;
}

/// RFC 5321 §3.5, §4.1.1.8; RFC 1985.
#[tokio::test]
async fn queries() {
    let more = "[extensions]\nvrfy = true\nexpn = true\netrn = true\nhelp = \"Ask the postmaster\"\n\
                [relay]\nnetworks = [\"127.0.0.1/32\"]\n\
                [[route]]\nrecipients = [\"corp.example\"]\nto = \"smtp://127.0.0.1:9\"\n";
    hold(include_str!("cases/queries.txt"), more).await;
}

/// XCLIENT, from a peer that is listed: <https://www.postfix.org/XCLIENT_README.html>.
#[tokio::test]
async fn xclient() {
    // Of LMTP, since its listeners are the tables' own.
    let trusting = LISTENERS.replace("service = \"lmtp\"", "xclient_from = [\"127.0.0.1\"]\nservice = \"lmtp\"");
    hold_on(&trusting, Service::Lmtp, include_str!("cases/xclient.txt"), HASTE).await;
}

/// RFC 2920 §2, §3.1: whose turn it is to speak.
#[tokio::test]
async fn turns() {
    hold_in(Service::Mx, include_str!("cases/guards.txt"), "").await;
}

/// RFC 3030.
#[tokio::test]
async fn chunking() {
    hold(include_str!("cases/chunking.txt"), "").await;
}

/// RFC 3030 §3.
#[tokio::test]
async fn binary_content() {
    hold(include_str!("cases/binarymime.txt"), "[extensions]\nbinarymime = true\n").await;
}

/// RFC 3461.
#[tokio::test]
async fn delivery_status_notifications() {
    hold(include_str!("cases/dsn.txt"), "").await;
}

/// RFC 8689.
#[tokio::test]
async fn require_tls() {
    hold(include_str!("cases/requiretls.txt"), "").await;
}

/// RFC 4865, 2852: for those who submit.
#[tokio::test]
async fn release_and_deadline() {
    hold_at(Service::Submission, include_str!("cases/times.txt"), AUTH).await;
}

/// RFC 6710, for those who submit.
#[tokio::test]
async fn priority() {
    hold_at(Service::Submission, include_str!("cases/priority.txt"), AUTH).await;
    let mut house = House::start("").await;
    let mx = house.connect().await.ask("EHLO client.example").await;
    assert!(!mx.contains("MT-PRIORITY"), "{mx}");
    for (more, offered) in [("", true), ("[extensions]\nmtpriority = false\n", false)] {
        house.configure(more);
        house.reload().await;
        let stream = TcpStream::connect(house.address(Service::Submission, false)).await.unwrap();
        let reply = greeted(Box::new(stream)).await.ask("EHLO client.example").await;
        assert_eq!(reply.lines().any(|line| &line[4..] == "MT-PRIORITY"), offered, "{reply}");
    }
    house.stop().await;
}

/// RFC 4865 §4.2: offered for submission alone, with the limits that the configuration has.
#[tokio::test]
async fn release_and_deadline_are_offered_for_submission_alone() {
    let mut house = House::start("").await;
    let mx = house.connect().await.ask("EHLO client.example").await;
    assert!(!mx.contains("FUTURERELEASE") && !mx.contains("DELIVERBY"), "{mx}");
    for (more, offered) in [
        ("", vec!["FUTURERELEASE 2592000 20", "DELIVERBY 60"]),
        ("[limits]\nfuture_release = \"1h\"\ndeliver_by = \"0s\"\n", vec!["FUTURERELEASE 3600 20", "DELIVERBY"]),
        ("[extensions]\nfuturerelease = false\n", vec!["DELIVERBY 60"]),
        ("[extensions]\ndeliverby = false\n", vec!["FUTURERELEASE 2592000 20"]),
    ] {
        house.configure(more);
        house.reload().await;
        let stream = TcpStream::connect(house.address(Service::Submission, false)).await.unwrap();
        let reply = greeted(Box::new(stream)).await.ask("EHLO client.example").await;
        let lines = reply.lines().map(|line| &line[4..]);
        let lines: Vec<_> =
            lines.filter(|line| line.starts_with("FUTURERELEASE") || line.starts_with("DELIVERBY")).collect();
        assert_eq!(lines.len(), offered.len(), "{reply}");
        for (line, begin) in lines.iter().zip(offered) {
            assert!(line.starts_with(begin) && (begin.contains("20") || *line == begin), "{reply}");
        }
    }
    house.stop().await;
}

/// RFC 5321 §4.1.1.1: what can be switched off is named in the reply to EHLO, unless it is off.
#[tokio::test]
async fn extensions_are_offered_unless_switched_off() {
    let all = ["BINARYMIME", "CHUNKING", "DSN", "LIMITS", "SMTPUTF8"];
    let mut house = House::start("").await;
    for off in [None, Some("CHUNKING"), Some("DSN"), Some("LIMITS"), Some("SMTPUTF8")] {
        let more = off.map(|keyword| format!("[extensions]\n{} = false\n", keyword.to_lowercase()));
        house.configure(&more.unwrap_or_default());
        house.reload().await;
        let reply = house.connect().await.ask("EHLO client.example").await;
        let keywords = reply.lines().skip(1).map(|line| line[4..].split(' ').next().unwrap());
        let mut offered: Vec<&str> = keywords.filter(|keyword| all.contains(keyword)).collect();
        offered.sort_unstable();
        let is_expected = |keyword: &&str| Some(*keyword) != off && *keyword != "BINARYMIME";
        let expected: Vec<&str> = all.into_iter().filter(is_expected).collect();
        assert_eq!(offered, expected, "without {off:?}: {reply}");
    }
    house.configure("[extensions]\nbinarymime = true\n");
    house.reload().await;
    let reply = house.connect().await.ask("EHLO client.example").await;
    assert!(all.into_iter().all(|keyword| reply.contains(keyword)), "with all: {reply}");
    house.stop().await;
}

/// Each extension can be switched off, and then its parameters and commands are unknown.
#[tokio::test]
async fn extensions_switched_off() {
    let off = "[extensions]\nchunking = false\ndsn = false\nsmtputf8 = false\nlimits = false\nrequiretls = false\n";
    hold(include_str!("cases/switched_off.txt"), off).await;
}

/// RFC 4954, at submission: who logs in, how, and when.
#[tokio::test]
async fn auth() {
    hold_at(Service::Submission, include_str!("cases/auth.txt"), AUTH).await;
}

/// The same for clients on loopback addresses, who may log in without TLS.
#[tokio::test]
async fn auth_in_the_clear_on_loopback() {
    let more = format!("{AUTH}clear_on_loopback = true\n");
    hold_at(Service::Submission, include_str!("cases/auth_on_loopback.txt"), &more).await;
}

/// RFC 6409, of those who have logged in.
#[tokio::test]
async fn submission() {
    let more = format!("[extensions]\netrn = true\n{AUTH}");
    hold_at(Service::Submission, include_str!("cases/submission.txt"), &more).await;
}

/// RFC 2033.
#[tokio::test]
async fn lmtp() {
    hold_at(Service::Lmtp, include_str!("cases/lmtp.txt"), "").await;
}

/// RFC 1870 §6, 9422 §4: what is offered is what is held.
#[tokio::test]
async fn limits() {
    hold(include_str!("cases/limits.txt"), LIMITS).await;
}

/// The same in LMTP, for each recipient.
#[tokio::test]
async fn limits_of_lmtp() {
    hold_at(Service::Lmtp, include_str!("cases/lmtp_limits.txt"), LIMITS).await;
}
