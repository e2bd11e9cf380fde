//! Dovecot keeps the mailboxes, and is given the mail by LMTP (RFC 2033). The server is in this process, so that each attempt
//! is seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Failed};

use super::dovecot::{Dovecot, OWNER, give_away};
use super::inside::{House, until};
use super::wire::with_crlf;

const CONTENT: &str = "From: Dora <dora@example.org>\r\nSubject: for three\r\n\r\nhello\r\n.\r\nend\r\n";

/// Those whom Dovecot knows; the mailbox of bob may have so many octets.
fn known(mail: &Path, octets_of_bob: u32) -> String {
    let user = |name: &str, more: &str| {
        format!("{name}@example.org::{OWNER}:{OWNER}::{}::{more}\n", mail.join(name).display())
    };
    let quota = format!("userdb_quota_rule=*:bytes={octets_of_bob}");
    user("alice", "") + &user("bob", &quota) + &user("dora", "")
}

/// Makes it so at once: Dovecot may read at any time.
fn know(folder: &Path, mail: &Path, octets_of_bob: u32) {
    fs::write(folder.join("users.new"), known(mail, octets_of_bob)).unwrap();
    fs::rename(folder.join("users.new"), folder.join("users")).unwrap();
}

/// By TCP and by a Unix socket. A mailbox that is full is a failure for the time being.
fn settings(port: u16, folder: &Path) -> String {
    let place = folder.display();
    format!(
        "protocols = lmtp\nmail_location = maildir:~/Maildir\nmail_plugins = quota\nquota_full_tempfail = yes\n\
         service lmtp {{\n  inet_listener lmtp {{\n    port = {port}\n  }}\n  unix_listener {place}/lmtp.sock {{\n    mode = 0666\n  }}\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = {place}/users\n}}\nplugin {{\n  quota = maildir:User quota\n}}\n"
    )
}

/// What is in a mailbox, with CRLF for Dovecot's LF.
fn mailbox(mail: &Path, user: &str) -> Vec<String> {
    let entries = fs::read_dir(mail.join(user).join("Maildir/new")).into_iter().flatten();
    let read = |path: PathBuf| String::from_utf8(with_crlf(&fs::read(path).unwrap())).unwrap();
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// alice gets it, bob when there is room, and dora hears that Dovecot has no carol. Nothing comes twice.
async fn each_recipient_has_its_own_end(place: impl FnOnce(&Dovecot, &Path) -> String) {
    let mut house = House::down("retry = [\"100ms\", \"…\"]\n").await;
    let (folder, mail) = (house.path("dovecot"), house.path("mail"));
    fs::create_dir(&mail).unwrap();
    give_away(&mail);
    let dovecot = Dovecot::start(&folder, |address, folder| settings(address.port(), folder)).await;
    know(&folder, &mail, 1);
    house.write("users.toml", "[alice]\n[bob]\n[carol]\n[dora]\n");
    let configuration = fs::read_to_string(house.path("c.toml")).unwrap();
    let lmtp = format!("lmtp = \"{}\"", place(&dovecot, &folder));
    let configuration = configuration.replace("maildir = \"Maildir/{user}\"", &lmtp);
    assert!(configuration.contains(&lmtp), "{configuration}");
    house.write("c.toml", &configuration);
    house.start_daemon().await;

    let to = ["alice@example.org", "carol@example.org", "bob@example.org"];
    let stuffed = CONTENT.replace("\r\n.", "\r\n..");
    let reply = house.send("dora@example.org", &to, &stuffed).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house
        .attempts(&[
            ("alice@example.org", Delivered),
            ("carol@example.org", Failed),
            ("bob@example.org", Deferred),
            ("dora@example.org", Delivered),
        ])
        .await;
    assert_eq!(mailbox(&mail, "bob").len(), 0);
    know(&folder, &mail, 1_000_000);
    house.attempt("bob@example.org", Delivered).await;
    let queue = house.daemon().control().queue().clone();
    until("the queue is empty", || queue.stats(SystemTime::now()).deliveries == 0).await;

    for user in ["alice", "bob"] {
        let messages = mailbox(&mail, user);
        let [message] = &messages[..] else { panic!("{user}: {messages:?}") };
        assert!(message.ends_with(CONTENT), "{user}: {message}");
    }
    let reports = mailbox(&mail, "dora");
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert!(report.contains("\r\nFinal-Recipient: rfc822; carol@example.org\r\n"), "{report}");
    assert!(report.contains("\r\nAction: failed\r\n") && report.contains("550 5.1.1 "), "{report}");
    assert!(!report.contains("alice@") && !report.contains("bob@"), "{report}");
    assert!(!mail.join("carol").exists());
    house.stop().await;
}

#[tokio::test]
#[ignore = "needs Debian's dovecot-lmtpd, and root"]
async fn dovecot_answers_for_each_recipient_by_tcp() {
    each_recipient_has_its_own_end(|dovecot, _| dovecot.address.to_string()).await;
}

#[tokio::test]
#[ignore = "needs Debian's dovecot-lmtpd, and root"]
async fn dovecot_answers_for_each_recipient_by_its_socket() {
    each_recipient_has_its_own_end(|_, folder| format!("unix:{}/lmtp.sock", folder.display())).await;
}
