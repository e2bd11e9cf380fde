use std::sync::atomic::{AtomicBool, Ordering};

use smtp_testkit::dovecot::{Say, ScriptedDovecot, hello};
use tempfile::TempDir;

use super::line::Line;
use super::*;

const ABOUT: About = About { secured: true, address: None };

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn login(name: &str) -> Login {
    Login::prepare(name.as_bytes()).unwrap()
}

fn shown(line: &Secret) -> String {
    String::from_utf8(line.as_bytes().to_vec()).unwrap()
}

/// The number in a line of a client.
fn id(line: &str) -> &str {
    line.split('\t').nth(1).unwrap()
}

struct Fixture {
    folder: TempDir,
    scripted: Option<ScriptedDovecot>,
}

impl Fixture {
    fn new(hello: String, answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scripted = Some(ScriptedDovecot::start(&folder.path().join("auth"), hello, answer));
        Self { folder, scripted }
    }

    fn dovecot(&self, within: Duration) -> Dovecot {
        Dovecot::new(self.folder.path().join("auth"), within)
    }

    /// What is said of alice and her password by one who answers so.
    async fn ask(answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Result<Answer, Unavailable> {
        let fixture = Self::new(hello(&["PLAIN"]), answer);
        let dovecot = fixture.dovecot(Duration::from_secs(30));
        dovecot.password(ABOUT, login("alice"), secret("wonderland")).await
    }
}

#[test]
fn what_is_said_is_that_of_the_protocol() {
    let address = Some("::ffff:192.0.2.1".parse().unwrap());
    let about = About { secured: true, address };
    let line = line::auth(7, Mechanism::PLAIN, about, Some(&secret("\0a\0b")));
    assert_eq!(shown(&line), "AUTH\t7\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.1\tresp=AGEAYg==\n");
    let about = About { secured: false, address: None };
    assert_eq!(shown(&line::auth(7, Mechanism::LOGIN, about, None)), "AUTH\t7\tLOGIN\tservice=smtp\tnologin\n");
    assert_eq!(shown(&line::cont(7, &secret("x"))), "CONT\t7\teA==\n");
    assert_eq!(shown(&line::cont(7, &secret(""))), "CONT\t7\t\n");
}

#[test]
fn lines_are_understood() {
    let understood = |text: &str| format!("{:?}", Line::parse(text.as_bytes()));
    for (text, expected) in [
        ("VERSION\t1\t2", "Some(Version(1))"),
        ("SPID\t5", "Some(Other)"),
        ("MECH\tPLAIN\tplaintext", "Some(Mechanism(PLAIN))"),
        ("DONE", "Some(Done)"),
        ("OK\t3\tuser=alice", "Some(Answer(3, Ok(Authenticated(Login(\"alice\")))))"),
        ("OK\t3\tx=y\tuser=a\u{1}lb\tlogin", "Some(Answer(3, Err(Protocol)))"),
        ("OK\t3\tuser=a\u{1}\u{31}b", "Some(Answer(3, Ok(Authenticated(Login(\"a1b\")))))"),
        ("OK\t3\tuser=alice\tnologin", "Some(Answer(3, Ok(Refused(Some(Login(\"alice\"))))))"),
        ("OK\t3\tuser=alice\tnologin=yes", "Some(Answer(3, Ok(Refused(Some(Login(\"alice\"))))))"),
        ("OK\t3\tnologin=", "Some(Answer(3, Ok(Refused(None))))"),
        ("OK\t3\tuser=alice\tproxy\thost=192.0.2.1", "Some(Answer(3, Err(Proxied)))"),
        ("OK\t3\tuser=alice\tproxy=y", "Some(Answer(3, Err(Proxied)))"),
        ("OK\t3\tproxy=y\tnologin\tuser=alice", "Some(Answer(3, Err(Proxied)))"),
        (
            "OK\t3\tuser=alice\tx=proxy\tnologins\tproxy_timeout=9",
            "Some(Answer(3, Ok(Authenticated(Login(\"alice\")))))",
        ),
        ("OK\t3\tuser=alice=proxy\tuser=root", "Some(Answer(3, Ok(Authenticated(Login(\"alice=proxy\")))))"),
        ("OK\t3\tuser", "Some(Answer(3, Err(Protocol)))"),
        ("OK\t3", "Some(Answer(3, Err(Protocol)))"),
        ("FAIL\t3", "Some(Answer(3, Ok(Refused(None))))"),
        ("FAIL\t3\tuser=temp", "Some(Answer(3, Ok(Refused(Some(Login(\"temp\"))))))"),
        ("FAIL\t3\tuser=alice\ttemp", "Some(Answer(3, Err(Temporary)))"),
        ("FAIL\t3\tuser=alice\ttemp=yes", "Some(Answer(3, Err(Temporary)))"),
        ("FAIL\t3\tuser=alice\tcode=temp_fail", "Some(Answer(3, Err(Temporary)))"),
        ("FAIL\t3\tcode=temp\tuser=alice", "Some(Answer(3, Ok(Refused(Some(Login(\"alice\"))))))"),
        ("FAIL\t3\tuser=alice\tuser_disabled", "Some(Answer(3, Ok(Refused(Some(Login(\"alice\"))))))"),
        ("FAIL", "None"),
        ("CONT\tx\t", "None"),
        ("CONT\t1\t!", "None"),
        ("CONT\t4294967296\t", "None"),
        ("VERSION", "None"),
        ("", "Some(Other)"),
    ] {
        assert_eq!(understood(text), expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_password_is_right_or_wrong_or_cannot_be_told() {
    let right = Fixture::ask(|line| format!("OK\t{}\tuser=alice@example.org", id(line)).into()).await.unwrap();
    assert!(matches!(right, Answer::Authenticated(login) if login.as_str() == "alice@example.org"));
    let wrong = Fixture::ask(|line| format!("FAIL\t{}\tuser=alice", id(line)).into()).await.unwrap();
    assert!(matches!(wrong, Answer::Refused(Some(login)) if login.as_str() == "alice"));
    let later = Fixture::ask(|line| format!("FAIL\t{}\ttemp", id(line)).into()).await;
    assert!(matches!(later, Err(Unavailable::Temporary)));
    let odd = Fixture::ask(|line| format!("CONT\t{}\t", id(line)).into()).await;
    assert!(matches!(odd, Err(Unavailable::Protocol)));
    let gone = Fixture::ask(|_| Say::Close).await;
    assert!(matches!(gone, Err(Unavailable::Lost)));
    let garbage = Fixture::ask(|_| "OK\tx".to_owned().into()).await;
    assert!(matches!(garbage, Err(Unavailable::Lost)));
}

#[tokio::test]
async fn silence_has_an_end() {
    let fixture = Fixture::new(hello(&["PLAIN"]), |_| Say::Nothing);
    let dovecot = fixture.dovecot(Duration::from_millis(20));
    let asked = dovecot.password(ABOUT, login("alice"), secret("x")).await;
    assert!(matches!(asked, Err(Unavailable::TimedOut)));
    assert_eq!(dovecot.questions.available_permits(), QUESTIONS_MAX);
}

#[tokio::test]
async fn who_speaks_another_version_or_does_not_come_to_an_end_is_not_asked() {
    let endless = format!("VERSION\t1\t2\nMECH\t{}\nDONE\n", "x".repeat(40_000));
    for hello in [hello(&["PLAIN"]).replace("VERSION\t1", "VERSION\t2"), endless, "OK\t1\tuser=root\n".to_owned()] {
        let fixture = Fixture::new(hello, |line| format!("OK\t{}\tuser=alice", id(line)).into());
        let dovecot = fixture.dovecot(Duration::from_secs(30));
        let asked = dovecot.password(ABOUT, login("alice"), secret("x")).await;
        assert!(matches!(asked, Err(Unavailable::Protocol)), "{asked:?}");
    }
}

#[tokio::test]
async fn the_mechanisms_are_those_that_are_safe() {
    let all = ["DIGEST-MD5", "LOGIN", "GSSAPI", "SCRAM-SHA-1", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "_"];
    let fixture = Fixture::new(hello(&all), |_| Say::Nothing);
    let dovecot = fixture.dovecot(Duration::from_secs(30));
    assert_eq!(dovecot.mechanisms().await, SAFE);
    let fixture = Fixture::new(hello(&["XOAUTH2"]), |_| Say::Nothing);
    assert_eq!(fixture.dovecot(Duration::from_secs(30)).mechanisms().await, []);
    // A password is asked about by PLAIN.
    let without_plain = Fixture::new(hello(&["LOGIN", "SCRAM-SHA-256"]), |_| Say::Nothing);
    assert_eq!(without_plain.dovecot(Duration::from_secs(30)).mechanisms().await, [Mechanism::SCRAM_SHA_256]);
    let nowhere = Dovecot::new(fixture.folder.path().join("nowhere"), Duration::from_secs(30));
    assert_eq!(nowhere.mechanisms().await, PRESUMED);
}

/// Dovecot takes a mechanism that it does not have for a fault of its client, and closes the connection.
#[tokio::test]
async fn a_mechanism_that_is_not_there_ends_no_exchange_of_others() {
    let fixture = Fixture::new(hello(&["SCRAM-SHA-256"]), |line| match line.split('\t').collect::<Vec<_>>()[..] {
        ["AUTH", id, "SCRAM-SHA-256", ..] => format!("CONT\t{id}\tc2FsdA==").into(),
        ["CONT", id, ..] => format!("OK\t{id}\tuser=alice").into(),
        _ => Say::Close,
    });
    let dovecot = fixture.dovecot(Duration::from_secs(30));
    let (other, _) = dovecot.begin(ABOUT, Mechanism::SCRAM_SHA_256, Some(&secret("n,,"))).await.unwrap();
    let asked = dovecot.password(ABOUT, login("bob"), secret("x")).await;
    assert!(matches!(asked, Err(Unavailable::Mechanism(Mechanism::PLAIN))), "{asked:?}");
    let answer = other.respond(&secret("proof")).await.unwrap();
    assert!(matches!(answer, Answer::Authenticated(login) if login.as_str() == "alice"));
}

#[tokio::test]
async fn a_connection_that_was_lost_is_made_again() {
    let answered = AtomicBool::new(false);
    let mut fixture = Fixture::new(hello(&["PLAIN"]), move |line| {
        // From the second on as one that was restarted.
        let restarted = answered.swap(true, Ordering::Relaxed);
        if restarted { Say::Close } else { format!("OK\t{}\tuser=alice", id(line)).into() }
    });
    let dovecot = fixture.dovecot(Duration::from_secs(30));
    let ask = || dovecot.password(ABOUT, login("alice"), secret("x"));
    assert!(ask().await.is_ok());
    let clients = |fixture: &Fixture| {
        let heard = fixture.scripted.as_ref().unwrap().heard();
        heard.into_iter().filter(|line| line.starts_with("CPID\t")).collect::<Vec<_>>()
    };
    assert!(matches!(ask().await, Err(Unavailable::Lost)), "tried twice");
    let numbers = clients(&fixture);
    assert_eq!(numbers.len(), 2, "once on a new connection: {numbers:?}");
    assert_ne!(numbers[0], numbers[1]);
    // Nobody listens any more.
    fixture.scripted = None;
    std::fs::remove_file(dovecot.path()).unwrap();
    assert!(matches!(ask().await, Err(Unavailable::Connect { .. })));
}

#[tokio::test]
async fn exchanges_that_wait_hold_up_nobody() {
    let fixture = Fixture::new(hello(&["SCRAM-SHA-256", "PLAIN"]), |line| match line.split('\t').next().unwrap() {
        "AUTH" if line.contains("SCRAM") => format!("CONT\t{}\tc2FsdA==", id(line)).into(),
        // With one more, of which nobody knows.
        "AUTH" => Say::Lines(vec!["FAIL\t999".to_owned(), format!("OK\t{}\tuser=alice", id(line))]),
        _ => format!("OK\t{}\tuser=slow", id(line)).into(),
    });
    let dovecot = fixture.dovecot(Duration::from_secs(30));
    let (slow, answer) = dovecot.begin(ABOUT, Mechanism::SCRAM_SHA_256, Some(&secret("n,,"))).await.unwrap();
    assert!(matches!(answer, Answer::Challenge(salt) if salt == secret("salt")));
    for _ in 0..3 {
        let answer = dovecot.password(ABOUT, login("alice"), secret("x")).await.unwrap();
        assert!(matches!(answer, Answer::Authenticated(login) if login.as_str() == "alice"));
    }
    let answer = slow.respond(&secret("proof")).await.unwrap();
    assert!(matches!(answer, Answer::Authenticated(login) if login.as_str() == "slow"));
    let heard = fixture.scripted.as_ref().unwrap().heard();
    assert_eq!(heard.iter().filter(|line| line.starts_with("CPID\t")).count(), 1, "on one connection");
}
