use std::io::{BufRead as _, BufReader};
use std::thread::{self, JoinHandle};

use smtp_proto::{Mail, Rcpt};

use super::*;

/// A server that says each of these lines when a line has come, the first one at once, and closes.
fn server(lines: &'static [&'static str]) -> (UnixStream, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        let mut input = BufReader::new(theirs.try_clone().unwrap());
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                input.read_line(&mut String::new()).unwrap();
            }
            (&theirs).write_all(line.as_bytes()).unwrap();
        }
    });
    (ours, serving)
}

fn config() -> ClientConfig {
    ClientConfig::new("localhost".parse().unwrap())
}

/// Sends that to as many recipients, and says what has kept it from that.
fn sent(stream: UnixStream, content: String, recipients: usize, progress: &mut Progress) -> Result<(), String> {
    let why = |failed| match failed {
        Failed::Down(why) => why,
        Failed::Refused(exit) => format!("refused: {}", exit.text),
    };
    let (session, _) = Session::begin(stream, config()).map_err(why)?;
    let mut envelope = Envelope::new(Mail::new("<>".parse().unwrap()));
    let path = |number| format!("<user{number}@example.org>").parse().unwrap();
    envelope.recipients = (0..recipients).map(|number| Rcpt::new(path(number))).collect();
    session.send(&envelope, &Bytes::from(content), progress).map_err(why)
}

#[test]
fn the_name_is_read_from_greetings_of_any_form() {
    for (greeting, name) in [
        ("220 example.org ESMTP\r\n", Some("example.org")),
        ("220 example.org\r\n", Some("example.org")),
        ("220-example.org hello\r\n220 again\r\n", Some("example.org")),
        ("220 \r\n", None),
        ("220\r\n", None),
    ] {
        let lines: &'static [&'static str] = vec![greeting, "250 x\r\n"].leak();
        let (stream, serving) = server(lines);
        let begun = Session::begin(stream, config());
        assert_eq!(begun.ok().map(|(_, domain)| domain.to_string()).as_deref(), name, "{greeting:?}");
        serving.join().unwrap();
    }
}

/// It has closed before it read the message: what it has said before says why.
#[test]
fn the_last_words_of_the_server_are_heard() {
    let lines =
        &["220 a.example\r\n", "250 a.example\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n421 4.3.2 I go down\r\n"];
    let (stream, serving) = server(lines);
    let mut progress = Progress::new(1);
    assert_eq!(sent(stream, "x\r\n".repeat(4 << 20), 1, &mut progress).unwrap_err(), "421 4.3.2 I go down");
    assert_eq!(progress.waiting, [0]);
    serving.join().unwrap();
}

/// A server that takes two recipients at once. It answers RCPT so, and from the second MAIL on all else with `later`.
fn busy_server(rcpt: fn(&str) -> &'static str, later: &'static str) -> (UnixStream, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        let mut input = BufReader::new(theirs.try_clone().unwrap());
        let mut mails = 0;
        let mut content = false;
        (&theirs).write_all(b"220 a.example\r\n").unwrap();
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap() == 0 {
                return;
            }
            mails += usize::from(line.starts_with("MAIL"));
            let reply = match line.get(..4).unwrap_or_default() {
                "EHLO" => "250-a.example\r\n250 LIMITS RCPTMAX=2\r\n",
                "DATA" => {
                    content = true;
                    "354 go\r\n"
                }
                _ if content && line != ".\r\n" => continue,
                "RCPT" => rcpt(&line),
                _ if mails > 1 => later,
                _ => "250 ok\r\n",
            };
            content &= line != ".\r\n";
            // The client may have what it wants, and be gone.
            if (&theirs).write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    });
    (ours, serving)
}

/// A caller that is told to try again would send it to all once more.
#[test]
fn who_has_the_message_does_not_get_it_again_when_the_rest_must_wait() {
    let (ours, serving) = busy_server(|_| "250 ok\r\n", "452 4.3.1 no room\r\n");
    let mut progress = Progress::new(3);
    assert_eq!(sent(ours, "x\r\n".to_owned(), 3, &mut progress).unwrap_err(), "452 4.3.1 no room");
    assert_eq!(progress.waiting, [2]);
    serving.join().unwrap();
}

/// The same when it is one recipient of several that must wait.
#[test]
fn who_has_the_message_does_not_get_it_again_when_another_must_wait() {
    let rcpt = |line: &str| match line {
        "RCPT TO:<user0@example.org>\r\n" | "RCPT TO:<user2@example.org>\r\n" => "450 4.2.1 later\r\n",
        _ => "250 ok\r\n",
    };
    let (ours, serving) = busy_server(rcpt, "250 ok\r\n");
    let mut progress = Progress::new(4);
    assert_eq!(sent(ours, "x\r\n".to_owned(), 4, &mut progress).unwrap_err(), "450 4.2.1 later");
    assert_eq!(progress.waiting, [0, 2]);
    progress.refusals.into_result().unwrap();
    serving.join().unwrap();
}

/// Nobody has it: the caller keeps it.
#[test]
fn who_must_wait_alone_is_left_to_the_caller() {
    let (ours, serving) = busy_server(|_| "450 4.2.1 later\r\n", "250 ok\r\n");
    let mut progress = Progress::new(3);
    sent(ours, "x\r\n".to_owned(), 3, &mut progress).unwrap();
    assert!(progress.waiting.is_empty());
    let exit = progress.refusals.into_result().unwrap_err();
    assert_eq!((exit.code, exit.text.lines().count()), (code::TEMPFAIL, 3));
    serving.join().unwrap();
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut config = config();
    config.timeouts.greeting = Duration::from_millis(20);
    let Err(Failed::Down(why)) = Session::begin(ours, config) else { panic!("nobody has greeted") };
    assert!(why.starts_with("the server has broken off: "), "{why}");

    let (stream, serving) = server(&["220 a.example\r\n"]);
    let hold = stream.try_clone().unwrap();
    serving.join().unwrap();
    drop(hold);
    let Err(Failed::Down(why)) = Session::begin(stream, self::config()) else { panic!("nobody has answered EHLO") };
    assert!(why.starts_with("the server has broken off: "), "{why}");
}
