//! What the RFCs say of each command, as a table: sequence, syntax, limits, parameters good and bad. Each case is a session
//! of its own with a whole server, in the clear, under STARTTLS and under implicit TLS.
//!
//! A line of `cases/*.txt` is `state: octets => replies`, steps set apart by `;;`. The state says how far the session has
//! come: `start` (greeted), `helo`, `ehlo`, `mail`, `rcpt`, `data` (354 was heard). CRLF follows the octets, in which `\r`,
//! `\n`, `\s`, `\\` and `\xHH` stand for what they say and `{x*9}` for nine times x. The replies are told by their codes;
//! `closed` behind them: the server ends the session. `clear` or `tls` in front: only so.
#![allow(clippy::unwrap_used)]

#[path = "../house/mod.rs"]
mod house;

#[path = "../house/handshake.rs"]
mod handshake;

mod case;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::case::{Case, Only, Step};
use self::handshake::handshake;
use self::house::{Dialogue, House};

/// The mx listener of the house is in the clear, with STARTTLS; this one has TLS from the first octet.
const IMPLICIT: &str = "[[listener]]\nservice = \"mx\"\naddresses = [\"127.0.0.4:0\"]\ntls = \"implicit\"\n";

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
    async fn open(self, house: &House) -> Session {
        let implicit = self == Self::Implicit;
        let stream = TcpStream::connect(house.address(smtp_server::metrics::Service::Mx, implicit)).await.unwrap();
        match self {
            Self::Clear => greeted(Box::new(stream)).await,
            Self::Implicit => greeted(secured(house, stream).await).await,
            Self::StartTls => {
                let mut clear = Dialogue::new(stream);
                clear.reply().await;
                clear.ask("EHLO client.example").await;
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
async fn run(case: &Case, session: &mut Session) -> Result<(), String> {
    for command in case.state.commands() {
        let reply = session.ask(command).await;
        if !reply.starts_with(['2', '3']) {
            return Err(format!("{command}: {reply}"));
        }
    }
    for Step { octets, replies, closed } in &case.steps {
        session.write(octets).await;
        for expected in replies {
            let reply = session.reply().await;
            if !reply.starts_with(expected.as_str()) {
                return Err(format!("expected {expected}, got {reply:?}"));
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
    let reply = session.ask("NOOP").await;
    if reply.starts_with("250 ") { Ok(()) } else { Err(format!("the session is out of step: {reply:?}")) }
}

/// Runs a table, over every transport.
async fn hold(table: &str, more: &str) {
    let cases = case::parse(table);
    let mut house = House::start(&format!("{more}{IMPLICIT}")).await;
    let mut failures = Vec::new();
    for transport in Transport::ALL {
        for case in cases.iter().filter(|case| transport.carries(case.only)) {
            let mut session = transport.open(&house).await;
            if let Err(failure) = run(case, &mut session).await {
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
