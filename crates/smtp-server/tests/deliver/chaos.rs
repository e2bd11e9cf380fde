//! Everything at once: a next hop that fails in every way, an operator who changes his mind, a server that is started anew.

use std::collections::BTreeMap;

use fastrand::Rng;
use smtp_admin::{Act, Scope};
use smtp_testkit::peer::{Answer, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, act_on_all, emptied, message, pause, resume, routed};

const MESSAGES: usize = 60;

/// Answers so often with one of these troubles, or as usual, and then as usual for good.
fn troubles(random: &mut Rng, usual: &str, times: usize) -> Vec<Answer> {
    let trouble = |random: &mut Rng| match random.u8(..8) {
        0 => Answer::ReplyAndClose("421 4.3.2 not now".to_owned()),
        1 => Answer::Close,
        2 => "451 4.3.0 later".into(),
        _ => usual.into(),
    };
    (0..times).map(|_| trouble(random)).chain([usual.into()]).collect()
}

fn unreliable(random: &mut Rng) -> Peer {
    let mut script = Script::new().on_recipient("never@example.net", ["550 5.1.1 never"]);
    for (stage, usual, times) in [
        (Stage::Connect, "220 peer.test", 10),
        (Stage::Mail, "250 2.1.0 yes", 20),
        (Stage::Rcpt, "250 2.1.5 yes", 40),
        (Stage::Data, "354 go on", 20),
        (Stage::Dot, "250 2.0.0 taken", 20),
    ] {
        script = script.on_each(stage, troubles(random, usual, times));
    }
    Peer::start(script)
}

/// What an operator does on a bad day; nothing of it loses mail.
async fn meddle(house: &mut House, random: &mut Rng) {
    match random.u8(..6) {
        0 => {
            act_on_all(house, Act::Schedule).await;
        }
        1 => {
            act_on_all(house, Act::Hold).await;
            act_on_all(house, Act::Release).await;
        }
        2 => {
            pause(house, Scope::Mta).await;
            resume(house, Scope::Mta).await;
        }
        3 => house.reload().await,
        4 => {
            house.stop().await;
            house.start_daemon().await;
        }
        _ => {}
    }
}

/// How often each subject occurs in these texts.
fn by_subject<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        let number =
            text.lines().filter_map(|line| line.trim_start().strip_prefix("Subject: ")).find_map(|it| it.parse().ok());
        *counts.entry(number.unwrap_or_else(|| panic!("{text}"))).or_default() += 1;
    }
    counts
}

/// The Message-ID of a report itself, which stands before that of the message that it is about.
fn own_id(report: &str) -> &str {
    report.lines().find(|line| line.starts_with("Message-ID: ")).unwrap()
}

/// Whatever happens, each recipient gets each message, and each failure is reported once.
async fn nothing_is_lost(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let peer = unreliable(&mut random);
    let more = routed(SOON, &[("example.net", &peer)]) + "[timeouts]\ndrain = \"100ms\"\n";
    let mut house = House::start(&more).await;
    for number in 0..MESSAGES {
        let to = ["x@example.net", "bob@example.org", "never@example.net"];
        accept(&house, "alice@example.org", &to, &message(&number.to_string())).await;
        if random.u8(..4) == 0 {
            meddle(&mut house, &mut random).await;
        }
    }
    emptied(&mut house).await;
    house.stop().await;
    let once: BTreeMap<_, _> = (0..MESSAGES).map(|number| (number, 1)).collect();
    // Where MAIL or all recipients were refused and DATA was not, the way out is an empty message (RFC 2920 §3.1).
    let taken: Vec<_> = peer
        .messages()
        .into_iter()
        .filter(|message| !message.mail.is_empty() && !message.recipients.is_empty())
        .collect();
    for message in &taken {
        assert_eq!(message.recipients, ["<x@example.net>"], "seed {seed}");
    }
    let contents: Vec<_> = taken.iter().map(|message| String::from_utf8_lossy(&message.content).into_owned()).collect();
    // Behind the dot a next hop may have taken what it did not say it has; and so may a mailbox, at a stop.
    let arrived = by_subject(contents.iter().map(String::as_str));
    assert!(arrived.keys().eq(once.keys()), "seed {seed}: {arrived:?}");
    let delivered = by_subject(house.maildir("bob").iter().map(String::as_str));
    assert!(delivered.keys().eq(once.keys()), "seed {seed}: {delivered:?}");
    let reports = house.maildir("alice");
    assert!(reports.iter().all(|report| report.contains("550 5.1.1 never")), "seed {seed}: {reports:?}");
    // A report may be in the mailbox twice, as any message; but there are no two on one failure.
    let different: BTreeMap<_, _> = reports.iter().map(|report| (own_id(report), report.as_str())).collect();
    let reported = by_subject(different.into_values());
    assert_eq!(reported, once, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_whatever_happens() {
    for seed in 0..5 {
        nothing_is_lost(seed).await;
    }
}
