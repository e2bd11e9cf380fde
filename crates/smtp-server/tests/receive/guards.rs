//! Clients that do what no honest client does are refused and counted, and honest ones do not notice.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use smtp_sasl::{PasswordHash, prepare_password};
use smtp_server::metrics::{AttemptResult, QueueReading, Service};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{OTHER, connect_from, hello_from, secure, starttls};
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";
/// So long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
const DELAY: &str = "[guards]\ngreeting_delay = \"30s\"\n";

fn mx(house: &House) -> SocketAddr {
    house.address(Service::Mx, false)
}

/// The value of a series of the guards.
fn counted(house: &House, guard: &str, action: &str) -> u64 {
    let series = format!("smtp_server_guards_total{{guard=\"{guard}\",action=\"{action}\"}} ");
    let text = house.metrics();
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |value| value.parse().unwrap())
}

/// Says all this at once, from there, without waiting for the greeting.
async fn early(house: &House, source: &str, octets: &str) -> Dialogue<TcpStream> {
    let mut dialogue = connect_from(source, mx(house)).await;
    dialogue.write(octets.as_bytes()).await;
    dialogue
}

/// C04 (a): who speaks before the greeting is refused by a stated rule, whatever it is that is said, in whatever pieces.
#[tokio::test]
async fn c04_who_speaks_before_the_greeting_is_refused() {
    let lines = Lines::capture();
    // The greeting is not due before the client has spoken, so this is no race.
    let mut house = House::start(DELAY).await;
    for said in ["EHLO p\r\nQUIT\r\n", "E", "\r\n", "QUIT\r\n"] {
        let mut client = early(&house, OTHER, said).await;
        assert_eq!(
            client.reply().await,
            "554 5.5.1 You have not waited for the greeting: closing the channel",
            "{said:?}"
        );
        assert!(client.end().await);
    }
    assert_eq!(counted(&house, "early_talker", "refused"), 4);
    until("the sessions end", || lines.of("closed").len() == 4).await;
    for line in lines.of("out_of_turn") {
        assert_eq!((line["guard"].as_str().unwrap(), line["action"].as_str().unwrap()), ("early_talker", "refused"));
        assert_eq!(line["behind"], "the connection");
    }
    assert_eq!(lines.of("out_of_turn").len(), 4);
    assert!(lines.of("closed").iter().all(|line| line["refused"] == 1));
    assert!(house.metrics().contains("smtp_server_rejects_total{stage=\"connect\",code=\"554\"} 4"));
    house.stop().await;
}

/// It is so under TLS from the first octet too.
#[tokio::test]
async fn who_speaks_before_the_greeting_under_tls_is_refused() {
    let implicit = "[[listener]]\nservice = \"mx\"\naddresses = [\"127.0.0.4:0\"]\ntls = \"implicit\"\n";
    let mut house = House::start(&format!("{DELAY}{implicit}")).await;
    let stream = TcpStream::connect(house.address(Service::Mx, true)).await.unwrap();
    let mut client = Dialogue::new(secure(&house, stream).await);
    client.write(b"EHLO p\r\n").await;
    let reply = client.reply().await;
    assert!(reply.starts_with("554 5.5.1 "), "{reply}");
    house.stop().await;
}

/// Client networks, submission and LMTP are not watched: nobody there waits, and nobody is refused.
#[tokio::test]
async fn who_is_not_watched_may_speak_first_and_is_greeted_at_once() {
    let listener = "[[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.4:0\"]\n";
    let mut house = House::start(&format!("{DELAY}[relay]\nnetworks = [\"{OTHER}/32\"]\n{listener}")).await;
    let at_once = "EHLO p\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    let mut client = early(&house, OTHER, at_once).await;
    for expected in ["220 ", "250-", "250 ", "250 ", "354 ", "250 ", "221 "] {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{expected}: {reply}");
    }
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    for service in [Service::Submission, Service::Lmtp] {
        let mut client = connect_from("127.0.0.1", house.address(service, false)).await;
        client.write(b"NOOP\r\n").await;
        let greeting = client.reply().await;
        assert!(greeting.starts_with("220 "), "{greeting}");
        let reply = client.reply().await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    assert_eq!(counted(&house, "early_talker", "refused") + counted(&house, "pipelining", "refused"), 0);
    house.stop().await;
}

#[tokio::test]
async fn client_networks_are_watched_where_the_configuration_says_so() {
    let more = format!("{DELAY}client_networks = true\n[relay]\nnetworks = [\"{OTHER}/32\"]\n");
    let mut house = House::start(&more).await;
    let reply = early(&house, OTHER, "EHLO p\r\n").await.reply().await;
    assert!(reply.starts_with("554 5.5.1 "), "{reply}");
    house.stop().await;
}

/// An honest client waits for as long as the greeting is put off, and no longer where it is not; a stop ends the waiting.
#[tokio::test]
async fn the_greeting_comes_when_it_is_due() {
    let mut house = House::start("[guards]\ngreeting_delay = \"20ms\"\n").await;
    let mut client = hello_from(OTHER, mx(&house)).await;
    assert!(client.send("a@example.net", &["alice@example.org"], CONTENT).await.starts_with("250 "));
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    drop(client);
    house.configure(DELAY);
    house.reload().await;
    let mut waiting = connect_from(OTHER, mx(&house)).await;
    let metrics = house.daemon().control().metrics().clone();
    until("the client waits", || metrics.sessions_opened(Service::Mx) == 2).await;
    house.stop().await;
    let reply = waiting.reply().await;
    assert!(reply.starts_with("421 4.3.2 "), "{reply}");
}

#[tokio::test]
async fn who_is_only_counted_is_served() {
    let lines = Lines::capture();
    let mut house = House::start(&format!("{DELAY}early_talkers = \"count\"\npipelining = \"count\"\n")).await;
    let at_once = "EHLO p\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    let mut client = early(&house, OTHER, at_once).await;
    for expected in ["220 ", "250-", "250 ", "250 ", "354 ", "250 ", "221 "] {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{expected}: {reply}");
    }
    assert_eq!(counted(&house, "early_talker", "counted"), 1);
    assert_eq!(counted(&house, "pipelining", "counted"), 1, "once a session");
    let told = lines.of("out_of_turn");
    let told: Vec<_> =
        told.iter().map(|line| (line["guard"].as_str().unwrap(), line["behind"].as_str().unwrap())).collect();
    assert_eq!(told, [("early_talker", "the connection"), ("pipelining", "EHLO")]);
    house.stop().await;
}

/// What is said and what is heard of it, then what is said at once, which replies to that stand, and behind what it was too early.
type TooEarly = (&'static str, &'static [&'static str], String, &'static [&'static str], &'static str);

/// RFC 2920 §3.1: nothing of what stands behind a command that must be the last of its group is run.
#[tokio::test]
async fn who_speaks_out_of_turn_is_refused() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let hello = "EHLO client.example\r\n";
    let transaction = "MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\n";
    let cases: [TooEarly; 7] = [
        ("", &[], format!("{hello}MAIL"), &[], "EHLO"),
        ("", &[], "NOOP\r\nEHLO x\r\n".to_owned(), &[], "NOOP"),
        ("HELO x\r\n", &["250 "], transaction.to_owned(), &[], "MAIL"),
        (hello, &["250-"], format!("{transaction}DATA\r\nx\r\n.\r\n"), &["250 ", "250 "], "DATA"),
        (hello, &["250-"], "MAIL FROM:<>\r\nDATA\r\nx\r\n.\r\n".to_owned(), &["250 "], "DATA"),
        (hello, &["250-"], "VRFY a\r\nVRFY b\r\n".to_owned(), &[], "VRFY"),
        (hello, &["250-"], "FOO\r\nEHLO x\r\n\x16\x03".to_owned(), &["500 "], "EHLO"),
    ];
    for (before, heard, at_once, standing, _) in &cases {
        let mut client = connect_from(OTHER, mx(&house)).await.greeted().await;
        client.write(before.as_bytes()).await;
        for expected in *heard {
            assert!(client.reply().await.starts_with(expected), "{before:?}");
        }
        client.write(at_once.as_bytes()).await;
        for expected in *standing {
            let reply = client.reply().await;
            assert!(reply.starts_with(expected), "{at_once:?}: {reply}");
        }
        let reply = client.reply().await;
        assert_eq!(reply, "503 5.5.1 You have not waited for the reply: closing the channel", "{at_once:?}");
        assert!(client.end().await);
    }
    assert_eq!(counted(&house, "pipelining", "refused"), cases.len() as u64);
    let told = lines.of("out_of_turn");
    let told: Vec<&str> = told.iter().map(|line| line["behind"].as_str().unwrap()).collect();
    assert_eq!(told, cases.map(|(.., behind)| behind));
    until("the sessions end", || lines.of("closed").len() == told.len()).await;
    assert!(lines.of("closed").iter().all(|line| line["reason"] == "spoke out of turn"));
    house.stop().await;
    assert!(house.maildir("bob").is_empty());
}

/// RFC 5321 §4.2.5: the content was complete and is taken, so its 250 is heard, and the message is delivered once; the 503 is for
/// what was said behind it.
#[tokio::test]
async fn the_reply_to_content_is_heard_whatever_stands_behind_it() {
    let mut house = House::start("").await;
    let mut client = connect_from(OTHER, mx(&house)).await.greeted().await;
    for line in ["HELO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.org>"] {
        assert!(client.ask(line).await.starts_with("250 "), "{line}");
    }
    assert!(client.ask("DATA").await.starts_with("354 "));
    client.write(format!("{CONTENT}.\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\n").as_bytes()).await;
    assert!(client.reply().await.starts_with("250 2.0.0 "));
    assert!(client.reply().await.starts_with("503 5.5.1 "));
    assert!(client.end().await);
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    house.stop().await;
    assert_eq!(house.maildir("bob").len(), 1);
}

/// Says this at once, and hears these replies to it.
async fn say<S>(client: &mut Dialogue<S>, octets: &str, replies: &[&str])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    client.write(octets.as_bytes()).await;
    for expected in replies {
        let reply = client.reply().await;
        assert!(reply.starts_with(expected), "{octets:?}, {expected}: {reply}");
    }
}

/// Transactions in groups as great as they may be.
async fn pipeline<S>(client: &mut Dialogue<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let group = "MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n";
    let replies = ["250 ", "250 ", "250 ", "550 ", "354 "];
    say(client, group, &replies[1..]).await;
    for _ in 0..3 {
        say(client, &format!("x\r\n.\r\n{group}"), &replies).await;
    }
    say(client, "x\r\n.\r\nRSET\r\nNOOP\r\nNOOP\r\nQUIT\r\n", &["250 ", "250 ", "250 ", "250 ", "221 "]).await;
}

/// RFC 2920 §3.1: groups as they should be, in the clear and under TLS; and QUIT behind anything.
#[tokio::test]
async fn honest_groups_are_taken() {
    let mut house = House::start("").await;
    pipeline(&mut hello_from(OTHER, mx(&house)).await).await;
    let clear = hello_from(OTHER, mx(&house)).await;
    pipeline(&mut starttls(&house, clear).await).await;
    let mut old = connect_from(OTHER, mx(&house)).await.greeted().await;
    say(&mut old, "HELO x\r\n", &["250 "]).await;
    say(&mut old, "MAIL FROM:<a@example.net>\r\n", &["250 "]).await;
    say(&mut old, "RCPT TO:<bob@example.org>\r\n", &["250 "]).await;
    say(&mut old, "DATA\r\n", &["354 "]).await;
    say(&mut old, "x\r\n.\r\nquit\r\n", &["250 ", "221 "]).await;
    assert_eq!(counted(&house, "pipelining", "refused"), 0);
    house.stop().await;
}

/// A log-in whose next step has not waited for the challenge is refused, whatever becomes of it.
#[tokio::test]
async fn auth_out_of_turn_is_refused_while_its_answer_is_late() {
    let mut house = House::start("[auth]\nclear_on_loopback = true\nfailure_delay = \"100ms\"\n").await;
    let hash = PasswordHash::make(&prepare_password(b"wonderland").unwrap());
    house.write("users.toml", &format!("[alice]\npassword = \"{}\"\n[bob]\n", hash.expose()));
    house.reload().await;
    let mut client = hello_from(OTHER, house.address(Service::Submission, false)).await;
    let metrics = house.daemon().control().metrics().clone();
    client.write(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n").await;
    // The password is found wrong, and the answer to that is kept back.
    let failed = "smtp_server_auth_total{mechanism=\"PLAIN\",result=\"failed\"} 1";
    until("the log-in fails", || metrics.render(&QueueReading::default(), SystemTime::now()).contains(failed)).await;
    client.write(b"NOOP\r\n").await;
    let reply = client.reply().await;
    assert!(reply.starts_with("503 5.5.1 "), "{reply}");
    assert!(client.end().await);
    house.stop().await;
}

/// What each limit of a session is answered with, and counted as.
#[tokio::test]
async fn limits_of_a_session_are_counted_by_their_name() {
    let limits = "[limits]\nerrors_per_session = 2\ncommands_per_session = 9\nidle_commands_per_message = 4\n\
                  transactions_per_session = 1\nrecipients_per_message = 1\nsessions_per_client = 50\n";
    let mut house = House::start(limits).await;
    let line = |text: &str| format!("{text}\r\n");
    let (mail, rcpt) = (line("MAIL FROM:<a@example.net>"), line("RCPT TO:<nobody@example.org>"));
    for (guard, said, replies) in [
        ("errors", line("FOO").repeat(2), ["500 ", "421 4.7.0 mx.example.org "].to_vec()),
        ("idle_commands", line("NOOP").repeat(4), ["250 ", "250 ", "250 ", "421 4.7.0 mx.example.org "].to_vec()),
        (
            "transactions",
            format!("{mail}{}{mail}", line("RSET")),
            ["250 ", "250 ", "421 4.7.0 mx.example.org "].to_vec(),
        ),
        (
            "commands",
            format!("{mail}{}", rcpt.repeat(8)),
            ["250 ", "550 ", "550 ", "550 ", "550 ", "550 ", "550 ", "550 ", "421 4.7.0 mx.example.org "].to_vec(),
        ),
    ] {
        let mut client = hello_from(OTHER, mx(&house)).await;
        say(&mut client, &said, &replies).await;
        assert_eq!(client.reply().await, "", "{guard}: the session is over");
        until(guard, || counted(&house, guard, "refused") == 1).await;
    }
    let mut client = hello_from(OTHER, mx(&house)).await;
    let rcpt = rcpt.replace("nobody", "bob");
    say(&mut client, &format!("{mail}{rcpt}{rcpt}"), &["250 ", "250 ", "452 4.5.3 "]).await;
    until("recipients", || counted(&house, "recipients", "refused") == 1).await;
    drop(client);
    house.stop().await;
}

/// RFC 5321 §4.5.3.2.7: a command line that is dripped octet by octet has the time of one command, whatever comes of it.
#[tokio::test]
async fn silence_and_dripping_end_a_session() {
    let lines = Lines::capture();
    let mut house = House::start("[timeouts]\ncommand = \"2s\"\n").await;
    let mut silent = hello_from(OTHER, mx(&house)).await;
    let reply = silent.reply().await;
    assert!(reply.starts_with("421 4.4.2 mx.example.org "), "{reply}");
    let (mut reader, mut writer) = tokio::io::split(hello_from(OTHER, mx(&house)).await.stream);
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    let drip = async {
        while writer.write_all(b"N").await.is_ok() {
            drops.tick().await;
        }
    };
    let mut heard = String::new();
    tokio::select! {
        () = drip => panic!("the session ends without a word"),
        read = reader.read_to_string(&mut heard) => drop(read),
    }
    assert!(heard.starts_with("421 4.4.2 mx.example.org "), "{heard}");
    until("both end", || counted(&house, "idle_time", "refused") == 2).await;
    until("both are told", || lines.of("closed").len() == 2).await;
    assert!(lines.of("closed").iter().all(|line| line["reason"] == "timeout: command"));
    house.stop().await;
}

#[tokio::test]
async fn a_session_has_a_time_however_busy_it_is() {
    let limits = "[limits]\nidle_commands_per_message = 1000000\ncommands_per_session = 1000000\n";
    let mut house = House::start(&format!("{limits}[timeouts]\nsession = \"2s\"\n")).await;
    let mut client = hello_from(OTHER, mx(&house)).await;
    let busy = async {
        let mut reply = client.ask("NOOP").await;
        while reply.starts_with("250 ") {
            reply = client.ask("NOOP").await;
        }
        reply
    };
    let reply = tokio::time::timeout(PATIENCE, busy).await.expect("the session has no end");
    assert!(reply.starts_with("421 4.4.2 mx.example.org "), "{reply}");
    until("it is counted", || counted(&house, "session_time", "refused") == 1).await;
    house.stop().await;
}

#[tokio::test]
async fn sessions_that_are_too_many_are_counted_by_their_limit() {
    let mut house = House::start("[limits]\nsessions = 3\nsessions_per_client = 1\n").await;
    let _all = [house.connect().await, house.connect().await, house.connect().await];
    let mut one_too_many = connect_from(OTHER, mx(&house)).await;
    let reply = one_too_many.reply().await;
    assert!(reply.starts_with("421 4.7.0 Too many sessions at the moment"), "{reply}");
    assert_eq!(counted(&house, "sessions", "refused"), 1);
    house.stop().await;
}
