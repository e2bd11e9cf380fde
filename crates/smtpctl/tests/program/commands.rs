//! The tool against a real admin server: what it prints, how it ends.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use crate::support::{Server, configuration, run};
use smtp_queue::Selector;

#[test]
fn the_queue_is_shown_to_people() {
    let server = Server::start();
    assert_eq!(server.run("show queue").ok(), "The queue is empty.\n");
    let id = server.message("<alice@demo.test>", &["<bob@away.test>", "<carol@far.test>"]);
    server.message("<>", &["<bob@away.test>"]);
    server.run(&format!("hold {id}.2 --reason maintenance")).ok();
    let shown = server.run("sh q").ok().replace(&id.to_string()[..13], "ID");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines[0].starts_with("ID  "), "{shown}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(lines[1]), ["ID.1", "1m", "26", "B", "alice@demo.test", "bob@away.test", "0", "due", "now"]);
    assert_eq!(cells(lines[2]), ["ID.2", "1m", "26", "B", "alice@demo.test", "carol@far.test", "0", "held"]);
    assert_eq!(cells(lines[3])[4..6], ["<>", "bob@away.test"]);
    assert_eq!(lines[4], "-- 3 envelopes of 2 messages, 52 B");
}

#[test]
fn the_queue_is_shown_to_programs() {
    let server = Server::start();
    assert_eq!(server.run("show queue --json").ok(), "", "no row, no line");
    let id = server.message("<alice@demo.test>", &["<bob@away.test>", "<carol@far.test>"]);
    let rows = server.run("--json show queue --domain far.test").json();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["id"], format!("{id}.2"));
    assert_eq!(rows[0]["state"], "due");
    assert_eq!(rows[0]["forward_path"], "carol@far.test");
    let names: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "attempts",
        "class",
        "due_at",
        "expires_at",
        "forward_path",
        "id",
        "lane",
        "message",
        "octets",
        "received_at",
        "reverse_path",
        "state",
    ];
    assert_eq!(names, documented);
}

#[test]
fn acts_say_how_many_envelopes_as_opensmtpd_does() {
    let server = Server::start();
    let one = server.message("<a@demo.test>", &["<b@away.test>", "<c@away.test>"]);
    let two = server.message("<a@demo.test>", &["<b@away.test>"]);
    assert_eq!(
        server.run(&format!("schedule {one}.1 {two}")).ok(),
        "3 envelopes scheduled\n",
        "a delivery is tried whole"
    );
    assert_eq!(server.run(&format!("pause envelope {two}")).ok(), "1 envelope paused\n");
    assert_eq!(server.run(&format!("resume envelope {two}")).ok(), "1 envelope resumed\n");
    assert_eq!(server.run("hold --sender a@demo.test --for 2h").ok(), "3 envelopes paused\n");
    assert_eq!(server.run("release all").ok(), "3 envelopes resumed\n");
    assert_eq!(server.run("remove all --dry-run").ok(), "3 envelopes would be removed\n");
    assert_eq!(server.run(&format!("remove {one}.2")).ok(), "1 envelope removed\n");
    let acted = server.run("remove all --yes --json").json();
    assert_eq!(acted, [serde_json::json!({"act": "remove", "matched": 2, "changed": 2, "dry_run": false})]);
    assert_eq!(server.run("show queue").ok(), "The queue is empty.\n");
}

#[test]
fn nothing_that_matches_is_a_failure_of_its_own() {
    let server = Server::start();
    for line in ["remove all --yes", "hold --domain nowhere.test", "show queue --domain nowhere.test"] {
        assert_eq!(server.run(line).failed(1), "smtpctl: nothing in the queue matches\n", "{line}");
    }
}

#[test]
fn ids_are_read_from_standard_input() {
    let server = Server::start();
    let one = server.message("<a@demo.test>", &["<b@away.test>"]);
    let two = server.message("<a@demo.test>", &["<b@away.test>"]);
    server.message("<a@demo.test>", &["<b@away.test>"]);
    let input = format!("{one}\n{two}.1\n");
    assert_eq!(server.run_with_input("remove -", &input).ok(), "2 envelopes removed\n");
    assert_eq!(server.run_with_input("remove --id - --yes", "").failed(1), "smtpctl: nothing in the queue matches\n");
    assert_eq!(
        server
            .control
            .queue()
            .find(&Selector::default(), smtp_queue::Page::ALL, std::time::SystemTime::now())
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_command_line_is_checked_before_anything_is_done() {
    let server = Server::start();
    server.message("<a@demo.test>", &["<b@away.test>"]);
    for (line, words) in [
        ("remove", "say what is meant"),
        ("remove all", "`remove all` needs --yes when nobody is at the terminal"),
        ("remove all 0000000000001", "write either `all` or ids, not both"),
        ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ("re all", "unrecognized subcommand 're'"),
        ("hold all --for soon", "`soon` is not a time"),
        ("show queue --size huge", "`huge` is not a size"),
        ("", "Usage: smtpctl"),
    ] {
        let errors = server.run(line).failed(64);
        assert!(errors.contains(words), "{line}: {errors}");
    }
    assert!(server.run("--help").ok().contains("Exit codes: 0 done"));
    assert!(server.run("--version").ok().starts_with("smtpctl "));
    assert!(server.run("show queue").ok().ends_with("-- 1 envelope of 1 message, 26 B\n"));
}

#[test]
fn what_the_daemon_does_not_understand_it_says() {
    let server = Server::start();
    let errors = server.run("show queue --error (").failed(64);
    assert!(errors.starts_with("smtpctl: --error: `(`: not a regular expression"), "{errors}");
    let errors = server.run("show envelope nonsense").failed(1);
    assert!(errors.starts_with("smtpctl: `nonsense` is not an id"), "{errors}");
    let errors = server.run("pause mta domain a..b").failed(64);
    assert!(errors.starts_with("smtpctl: `a..b` is not a domain"), "{errors}");
}

#[test]
fn a_message_is_shown() {
    let server = Server::start();
    let id = server.message("<alice@demo.test>", &["<bob@away.test>"]);
    assert_eq!(server.run(&format!("show message {id}")).ok(), "Subject: hello\r\n\r\nHello.\r\n");
    assert_eq!(server.run(&format!("show message {id}.1 --headers")).ok(), "Subject: hello\r\n\r\n");
    let shown = server.run(&format!("show envelope {id}.1")).ok();
    assert!(
        shown.starts_with(&format!("id: {id}.1\nmessage: {id}\norigin: 192.0.2.1\nfrom: alice@demo.test\n")),
        "{shown}"
    );
    let message = &server.run(&format!("show envelope {id} --json")).json()[0];
    assert_eq!(message["recipients"][0]["id"], format!("{id}.1"));
}

#[test]
fn parts_are_paused_and_resumed() {
    let server = Server::start();
    assert_eq!(server.run("pause mda --reason disk").ok(), "MDA paused (disk)\nMTA running\nSMTP running\n");
    let shown = server.run("pause mta --for 1h").ok();
    assert!(shown.contains("\nMTA paused for "), "{shown}");
    server.run("pause mta domain example.net --for 60s").ok();
    server.run("pause smtp").ok();
    let status = &server.run("show status --json").json()[0];
    assert_eq!(status["ready"], false);
    assert!(status["paused_domains"]["example.net"]["until"].is_string());
    let shown = server.run("show status").ok();
    assert!(shown.starts_with("MDA paused (disk)\nMTA paused for "), "{shown}");
    assert!(shown.contains("\nNOT ready: mail is not accepted\n  taking mail in is paused\n"), "{shown}");
    for line in ["resume mda", "resume mta", "resume mta domain example.net", "resume smtp"] {
        server.run(line).ok();
    }
    assert_eq!(server.run("resume mda").failed(1), "smtpctl: mda is not paused\n");
    assert!(server.run("show status").ok().starts_with("MDA running\nMTA running\nSMTP running\n\nready: "));
}

#[test]
fn stats_and_check_ask_the_server() {
    let server = Server::start();
    server.message("<a@demo.test>", &["<b@away.test>"]);
    let stats = server.run("show stats").ok();
    assert!(stats.starts_with("uptime=") && stats.contains("\nscheduler.delivery.ok=0\n"), "{stats}");
    assert_eq!(server.run("check").ok(), "1 message checked: all is well\n");
    assert_eq!(server.run("check --json").json(), [serde_json::json!({"messages": 1, "problems": []})]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let config = configuration(directory.path());
    let socket = directory.path().join("control.sock");
    for line in ["show status", "show queue", "pause mta", "remove all --yes"] {
        let arguments = format!("--config {} {line}", config.display());
        let ended = run(&arguments.split(' ').collect::<Vec<_>>(), "");
        let expected = format!(
            "smtpctl: the server is not running (no answer at {}). Start it, or say with --socket where it listens\n",
            socket.display()
        );
        assert_eq!(ended.failed(69), expected, "{line}");
    }
}

#[test]
fn a_bad_configuration_is_shown_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let config = configuration(directory.path());
    std::fs::write(&config, "hostname = \"mx.example.com\"\n[queue]\ndirectroy = \"queue\"\n").unwrap();
    let ended = run(&["--config", config.to_str().unwrap(), "show", "status"], "");
    let errors = ended.failed(78);
    assert!(errors.contains("smtp-server.toml:3:1: ") && errors.contains("did you mean `directory`?"), "{errors}");
    let missing = directory.path().join("missing.toml");
    let errors = run(&["--config", missing.to_str().unwrap(), "show", "status"], "").failed(78);
    assert!(errors.contains("missing.toml"), "{errors}");
}

#[test]
fn a_user_who_may_not_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let refusing = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let body = r#"{"error":"be root or a member of the admin group"}"#;
        write!(stream, "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let errors = run(&["--socket", socket.to_str().unwrap(), "show", "status"], "").failed(77);
    assert!(errors.starts_with("smtpctl: this user may not use the admin socket "), "{errors}");
    refusing.join().unwrap();
}
