//! Where a message ends: at CRLF "." CRLF and nowhere else, however the octets arrive. What another server could take for
//! an end is never stored and never becomes a second message.

use std::time::SystemTime;

use futures_util::future::join_all;
use smtp_server::metrics::AttemptResult;
use tokio::task::yield_now;

use crate::client::hello;
use crate::house::House;

const ENDS: [&str; 5] = ["\r", "\n", "\r\n", "\r\r\n", "\0"];

/// What arrives behind 354, and the replies to it.
struct Attack {
    octets: String,
    replies: &'static [&'static str],
}

fn attack(before: &str, after: &str) -> Attack {
    let smuggled = "MAIL FROM:<root@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nsmuggled";
    let start = format!("Subject: x\r\n\r\nfirst{before}.{after}");
    // With a true end behind the first message, what follows are the client's own commands.
    if before.ends_with("\r\n") && after == "\r\n" {
        let first = if before == "\r\n" { &["250 2.0.0 ", "250 2.0.0 "] } else { &["554 5.6.0 ", "250 2.0.0 "] };
        return Attack { octets: format!("{start}NOOP\r\n"), replies: first };
    }
    Attack { octets: format!("{start}{smuggled}\r\n.\r\nNOOP\r\n"), replies: &["554 5.6.0 ", "250 2.0.0 "] }
}

/// Tries one combination, cut into two writes at every position.
async fn try_every_cut(house: &House, before: &str, after: &str) {
    let attack = attack(before, after);
    let octets = attack.octets.as_bytes();
    let mut dialogue = hello(house).await;
    for cut in 0..octets.len() {
        for line in ["MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA"] {
            let reply = dialogue.ask(line).await;
            assert!(reply.starts_with(['2', '3']), "{before:?}.{after:?} cut at {cut}: {reply}");
        }
        let (first, second) = octets.split_at(cut);
        dialogue.write(first).await;
        // Lets the server read what is there, so that it sees the cut. Where it does not, this is still a fair try.
        for _ in 0..3 {
            yield_now().await;
        }
        dialogue.write(second).await;
        for expected in attack.replies {
            let reply = dialogue.reply().await;
            assert!(reply.starts_with(expected), "{before:?}.{after:?} cut at {cut}: {reply}");
        }
    }
    let reply = dialogue.ask("QUIT").await;
    assert!(reply.starts_with("221 "), "{before:?}.{after:?}: something more was answered: {reply}");
}

#[tokio::test]
async fn nothing_but_crlf_dot_crlf_ends_a_message_in_any_cut() {
    // Most of these sessions bring no message at all.
    let mut house = House::start("[limits]\nidle_commands_per_message = 10000\n").await;
    let pairs = ENDS.iter().flat_map(|before| ENDS.iter().map(move |after| (before, after)));
    join_all(pairs.map(|(before, after)| try_every_cut(&house, before, after))).await;
    // Of all these, only those with a true end were messages: one for each of its cuts.
    let honest = attack("\r\n", "\r\n").octets.len();
    for _ in 0..honest {
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
    }
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    house.stop().await;
    let stored = house.maildir("alice");
    assert_eq!(stored.len(), honest);
    for message in stored {
        assert!(message.ends_with("\r\n\r\nfirst\r\n"), "{message:?}");
        let rest = message.replace("\r\n", "");
        assert!(!rest.contains(['\r', '\n', '\0']), "{message:?}");
    }
    assert!(house.maildir("bob").is_empty());
}

/// CVE-2023-51764 and its kin, as their finder sent them, each in one write.
#[tokio::test]
async fn the_published_sequences_end_nothing() {
    let mut house = House::start("").await;
    for end in ["\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n.\n", "\n\n.\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n"]
    {
        let mut dialogue = hello(&house).await;
        for line in ["MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA"] {
            dialogue.ask(line).await;
        }
        let text = format!("Subject: x\r\n\r\nfirst{end}MAIL FROM:<root@example.org>\r\n.\r\n");
        let reply = dialogue.ask(text.trim_end_matches("\r\n")).await;
        assert!(reply.starts_with("554 5.6.0 "), "{end:?}: {reply}");
        let reply = dialogue.ask("NOOP").await;
        assert!(reply.starts_with("250 2.0.0 "), "{end:?}: {reply}");
    }
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    house.stop().await;
}
