//! The twenty callers of a survey, each by the line that its source makes, and what becomes of its message. Those whose packages
//! are small are run themselves, in `programs`.

use std::fs;
use std::process::Command;

use smtp_server::metrics::AttemptResult::Delivered;

use crate::ended::Ended;
use crate::house::House;
use crate::support::sendmail;

struct Caller {
    name: &'static str,
    line: &'static [&'static str],
    /// As programs write it: with LF.
    input: &'static str,
    /// The reverse-path; `USER` is whoever runs this.
    sender: &'static str,
    /// Those of alice and bob who get it.
    users: &'static [&'static str],
    /// Fields that the message has then.
    fields: &'static [&'static str],
    body: &'static str,
}

const CALLERS: &[Caller] = &[
    Caller {
        name: "cronie",
        line: &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"],
        input: "From: \"(Cron Daemon)\" <root>\nTo: root\nSubject: Cron <root@host> job\nAuto-Submitted: auto-generated\n\nout\n.\nend\n",
        sender: "root@example.org",
        users: &["alice"],
        fields: &["Subject: Cron <root@host> job", "To: root"],
        body: "out\n.\nend\n",
    },
    Caller {
        name: "cronie, where nobody is to hear of a failure",
        line: &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "<>"],
        input: "From: root\nTo: root\nSubject: x\n\nout\n",
        sender: "",
        users: &["alice"],
        fields: &["Subject: x"],
        body: "out\n",
    },
    Caller {
        name: "Debian's cron",
        line: &["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"],
        input: "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> job\nMIME-Version: 1.0\n\
                Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\nGr\u{fc}\u{df}e\n",
        sender: "USER",
        users: &["alice"],
        fields: &["From: root (Cron Daemon)", "X-Cron-Env: <SHELL=/bin/sh>"],
        body: "Gr\u{fc}\u{df}e\n",
    },
    Caller {
        name: "BSD's cron",
        line: &["-FCronDaemon", "-odi", "-oem", "-oi", "-t"],
        input: "From: Cron Daemon <root@example.org>\nTo: root\nSubject: Cron <root@host> job\n\nout\n",
        sender: "USER",
        users: &["alice"],
        fields: &["From: Cron Daemon <root@example.org>"],
        body: "out\n",
    },
    Caller {
        name: "systemd-cron",
        line: &["-i", "-B", "8BITMIME", "root"],
        input: "Subject: [host] job output: cron-root\nFrom: Systemd cron <root@host.example>\nTo: root\n\n.\n",
        sender: "USER",
        users: &["alice"],
        fields: &["From: Systemd cron <root@host.example>"],
        body: ".\n",
    },
    Caller {
        name: "anacron",
        line: &["-FAnacron", "-odi", "root"],
        input: "From: Anacron <root>\nTo: root\nSubject: Anacron job 'x' on host\n\nout\n.\nnever sent\n",
        sender: "USER",
        users: &["alice"],
        fields: &["Subject: Anacron job 'x' on host"],
        body: "out\n",
    },
    Caller {
        name: "atd",
        line: &["-i", "root"],
        input: "Subject: Output from your job 1\nTo: root\n\nout\n.\n",
        sender: "USER",
        users: &["alice"],
        fields: &["Subject: Output from your job 1", "To: root"],
        body: "out\n.\n",
    },
    Caller {
        name: "mdadm",
        line: &["-t", "-froot@example.org"],
        input: "From: mdadm monitoring <root@example.org>\nTo: root\nSubject: Fail event on /dev/md0\n\nThis is an automatically generated mail.\n",
        sender: "root@example.org",
        users: &["alice"],
        fields: &["Subject: Fail event on /dev/md0"],
        body: "This is an automatically generated mail.\n",
    },
    Caller {
        name: "PHP's mail() with a fifth argument",
        line: &["-t", "-i", "-fbob@example.org"],
        input: "To: alice@example.org\nSubject: hello\nX-PHP-Originating-Script: 0:mail.php\nFrom: bob@example.org\n\nbody\n.\n",
        sender: "bob@example.org",
        users: &["alice"],
        fields: &["X-PHP-Originating-Script: 0:mail.php"],
        body: "body\n.\n",
    },
    Caller {
        name: "PHPMailer",
        line: &["-oi", "-fbob@example.org", "-t"],
        input: "Date: Tue, 25 Nov 2025 10:00:00 +0000\nTo: Alice <alice@example.org>\nFrom: Bob <bob@example.org>\nBcc: bob@example.org\n\
                Subject: hello\nMessage-ID: <x@example.org>\n\nbody\n",
        sender: "bob@example.org",
        users: &["alice", "bob"],
        fields: &["Message-ID: <x@example.org>"],
        body: "body\n",
    },
    Caller {
        name: "git send-email",
        line: &["-f", "bob@example.org", "-i", "alice@example.org", "bob@example.org"],
        input: "From: Bob <bob@example.org>\nTo: alice@example.org\nSubject: [PATCH] x\n\nbody\n---\n x | 1 +\n.\n",
        sender: "bob@example.org",
        users: &["alice", "bob"],
        fields: &["Subject: [PATCH] x"],
        body: "body\n---\n x | 1 +\n.\n",
    },
    Caller {
        name: "mutt",
        line: &["-oem", "-oi", "--", "alice@example.org", "bob@example.org"],
        input: "Date: Tue, 25 Nov 2025 10:00:00 +0000\nFrom: Bob <bob@example.org>\nTo: alice@example.org\nSubject: x\n\nbody\n.\n",
        sender: "USER",
        users: &["alice", "bob"],
        fields: &["From: Bob <bob@example.org>"],
        body: "body\n.\n",
    },
    Caller {
        name: "s-nail",
        line: &["-i", "--", "alice@example.org"],
        input: "Date: Tue, 25 Nov 2025 10:00:00 +0000\nTo: alice@example.org\nSubject: x\nUser-Agent: s-nail\n\nbody\n",
        sender: "USER",
        users: &["alice"],
        fields: &["User-Agent: s-nail"],
        body: "body\n",
    },
    Caller {
        name: "GNU mail",
        line: &["-oi", "-f", "bob@example.org", "-t"],
        input: "Subject: x\nTo: <alice@example.org>\nUser-Agent: mail (GNU Mailutils 3.15)\n\nbody\n",
        sender: "bob@example.org",
        users: &["alice"],
        fields: &["User-Agent: mail (GNU Mailutils 3.15)"],
        body: "body\n",
    },
    Caller {
        name: "Nodemailer",
        line: &["-i", "-f", "bob@example.org", "alice@example.org", "bob@example.org"],
        input: "From: bob@example.org\nTo: alice@example.org\nSubject: x\nMessage-ID: <x@example.org>\nMIME-Version: 1.0\n\nbody",
        sender: "bob@example.org",
        users: &["alice", "bob"],
        fields: &["MIME-Version: 1.0"],
        body: "body\n",
    },
    Caller {
        name: "Rails",
        line: &["-i", "-t"],
        input: "Date: Tue, 25 Nov 2025 10:00:00 +0000\r\nFrom: bob@example.org\r\nTo: alice@example.org\r\nMessage-ID: <x@example.org>\r\n\
                Subject: x\r\n\r\nbody\r\n",
        sender: "USER",
        users: &["alice"],
        fields: &["Message-ID: <x@example.org>"],
        body: "body\n",
    },
    Caller {
        name: "lettre",
        line: &["-i", "-f", "bob@example.org", "--", "alice@example.org"],
        input: "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: x\r\n\r\nbody\r\n.\r\n",
        sender: "bob@example.org",
        users: &["alice"],
        fields: &["From: Bob <bob@example.org>"],
        body: "body\n.\n",
    },
    Caller {
        name: "fail2ban",
        line: &["-f", "bob@example.org", "alice@example.org"],
        input: "Subject: [Fail2Ban] sshd: banned 192.0.2.1 from host\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n\
                From: Fail2Ban <bob@example.org>\nTo: alice@example.org\n\nHi,\n\nThe IP 192.0.2.1 has just been banned.\n",
        sender: "bob@example.org",
        users: &["alice"],
        fields: &["From: Fail2Ban <bob@example.org>"],
        body: "Hi,\n\nThe IP 192.0.2.1 has just been banned.\n",
    },
];

/// Those who speak SMTP: Symfony, Laravel, Alpine.
const SPEAKERS: &[(&str, &[&str])] =
    &[("Symfony", &["-bs"]), ("Laravel", &["-bs", "-i"]), ("Alpine", &["-bs", "-odb", "-oem"])];

async fn house() -> House {
    let mut house = House::start("").await;
    house.write("aliases", "postmaster: alice\nroot: alice\n");
    house.reload().await;
    house
}

/// The name of the user that runs this, at the domain of the house.
fn user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    format!("{}@example.org", String::from_utf8(id.stdout).unwrap().trim())
}

/// Waits for the message of each of these users, and takes it.
async fn taken(house: &mut House, users: &[&str]) -> Vec<String> {
    for _ in users {
        let attempted = house.next_attempt().await;
        assert_eq!(attempted.result, Delivered, "{attempted:?}");
    }
    let take = |user: &&str| {
        let messages = house.maildir(user);
        let [message] = &messages[..] else { panic!("{user}: {messages:?}") };
        fs::remove_dir_all(house.path("Maildir").join(user)).unwrap();
        message.clone()
    };
    users.iter().map(take).collect()
}

#[tokio::test]
async fn each_caller_gets_what_it_means() {
    assert_eq!(CALLERS.len() + SPEAKERS.len(), 21, "twenty callers, one of them in two ways");
    let mut house = house().await;
    let user = user();
    for caller in CALLERS {
        let name = caller.name;
        assert_eq!(sendmail(&house, caller.line, caller.input).await, Ended::silent(), "{name}");
        for message in taken(&mut house, caller.users).await {
            let sender = if caller.sender == "USER" { &user } else { caller.sender };
            assert!(message.starts_with(&format!("Return-Path: <{sender}>\r\n")), "{name}: {message}");
            let (header, body) = message.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, caller.body.replace('\n', "\r\n"), "{name}");
            let fields: Vec<&str> = header.split("\r\n").collect();
            for field in caller.fields {
                assert!(fields.contains(field), "{name}: {header}");
            }
            for field in ["From: ", "Date: ", "Message-ID: "] {
                let times = fields.iter().filter(|line| line.starts_with(field)).count();
                assert_eq!(times, 1, "{name}: {field}in\n{header}");
            }
            assert!(!header.contains("\r\nBcc:"), "{name}: {header}");
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn each_speaker_is_heard() {
    let mut house = house().await;
    for (name, line) in SPEAKERS {
        let input = "EHLO [127.0.0.1]\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n\
                     From: bob@example.org\r\nSubject: x\r\n\r\nbody\r\n..\r\n.\r\nQUIT\r\n";
        let ended = sendmail(&house, line, input).await;
        assert_eq!((ended.code, &*ended.errors), (0, ""), "{name}");
        let codes: Vec<&str> = ended.output.lines().map(|line| &line[..4]).filter(|code| code.ends_with(' ')).collect();
        assert_eq!(codes, ["220 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "], "{name}: {}", ended.output);
        let message = taken(&mut house, &["alice"]).await.remove(0);
        assert!(message.starts_with("Return-Path: <bob@example.org>\r\n"), "{name}: {message}");
        assert!(message.ends_with("\r\nSubject: x\r\n\r\nbody\r\n.\r\n"), "{name}: {message}");
    }
    house.stop().await;
}
