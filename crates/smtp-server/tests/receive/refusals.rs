//! Every refusal is counted and in the log, with its reason and with whom it was about, whoever decided it.

use smtp_server::metrics::Service;

use crate::client::{hello, hello_from};
use crate::house::House;
use crate::lines::Lines;

#[tokio::test]
async fn each_refusal_is_logged_and_counted() {
    let lines = Lines::capture();
    let mut house =
        House::start("[limits]\nmessage_octets = \"64 KiB\"\nrecipients_per_message = 2\nreceived_hops = 1\n").await;
    let mut dialogue = hello(&house).await;
    let hop = "Received: from a.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n.";
    let long = format!("{}.", "x\r\n".repeat(30_000));
    // What is said, the refusal that comes of it, and whom the log names: the sender, the recipient.
    let said: &[(&str, &str, &str, &str, &str)] = &[
        ("FROBNICATE", "500", "command", "", ""),
        ("RCPT TO:<alice@example.org>", "503", "rcpt", "", "<alice@example.org>"),
        ("RCPT TO:<alice@@example.org>", "501", "command", "", ""),
        ("MAIL FROM:<a@example.net> SIZE=999999", "552", "mail", "<a@example.net>", ""),
        ("MAIL FROM:<jürgen@example.net>", "553", "mail", "<jürgen@example.net>", ""),
        ("MAIL FROM:<b@example.net>", "", "", "", ""),
        ("MAIL FROM:<c@example.net>", "503", "mail", "<b@example.net>", ""),
        ("STARTTLS", "503", "starttls", "<b@example.net>", ""),
        ("DATA", "554", "data", "<b@example.net>", ""),
        ("RCPT TO:<nobody@example.org>", "550", "rcpt", "<b@example.net>", "<nobody@example.org>"),
        ("RCPT TO:<x@example.com>", "550", "rcpt", "<b@example.net>", "<x@example.com>"),
        ("RCPT TO:<alice@example.org>", "", "", "", ""),
        ("RCPT TO:<bob@example.org>", "", "", "", ""),
        ("RCPT TO:<postmaster>", "452", "rcpt", "<b@example.net>", "<postmaster>"),
        ("DATA", "", "", "", ""),
        ("one\rtwo\r\n.", "554", "message", "<b@example.net>", ""),
        ("MAIL FROM:<d@example.net>", "", "", "", ""),
        ("RCPT TO:<alice@example.org>", "", "", "", ""),
        ("DATA", "", "", "", ""),
        (hop, "554", "message", "<d@example.net>", ""),
        ("MAIL FROM:<e@example.net>", "", "", "", ""),
        ("RCPT TO:<alice@example.org>", "", "", "", ""),
        ("DATA", "", "", "", ""),
        (&long, "552", "message", "<e@example.net>", ""),
    ];
    let mut expected = Vec::new();
    for &(line, code, stage, from, to) in said {
        let reply = dialogue.ask(line).await;
        if code.is_empty() {
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        } else {
            assert!(reply.starts_with(code), "{line}: {reply}");
            expected.push((code.to_owned(), stage.to_owned(), from.to_owned(), to.to_owned()));
        }
    }
    dialogue.ask("QUIT").await;
    drop(dialogue);
    let mut dialogue = hello_from("127.0.0.1", house.address(Service::Submission, false)).await;
    dialogue.ask("MAIL FROM:<f@example.net>").await;
    expected.push(("550".to_owned(), "mail".to_owned(), "<f@example.net>".to_owned(), String::new()));
    drop(dialogue);

    let refused = lines.of("refused");
    let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let logged = refused.iter().map(|line| {
        assert_eq!((&line["level"], &line["hello"]), (&"info".into(), &"client.example".into()));
        assert!(!text(line, "reason").is_empty());
        (line["code"].to_string(), text(line, "stage"), text(line, "reverse_path"), text(line, "forward_path"))
    });
    assert_eq!(logged.collect::<Vec<_>>(), expected);
    let metrics = house.metrics();
    let count = |line: &str| {
        let value = metrics.lines().find_map(|sample| sample.strip_prefix(line)).map(|value| value.trim().to_owned());
        value.unwrap_or_default()
    };
    assert_eq!(count("smtp_server_rejects_total{stage=\"rcpt\",code=\"550\"}"), "2");
    assert_eq!(count("smtp_server_rejects_total{stage=\"message\",code=\"554\"}"), "2");
    let closed = &lines.of("closed")[0];
    assert_eq!((&closed["reason"], &closed["refused"]), (&"quit".into(), &(expected.len() - 1).into()));
    house.stop().await;
}
