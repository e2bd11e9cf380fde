//! Dovecot serves what we have put into the Maildir.

use std::fs;
use std::process::Command;

use super::dovecot::{Dovecot, OWNER, give_away};
use super::house::{House, Security};
use super::run;
use super::wire::send;

const CONTENT: &[u8] = b"From: <sender@client.test>\r\n\
Subject: for IMAP\r\n\
\r\n\
.a dot\r\n\
\xc3\xa4\r\n\
\r\n\
a last line with white space \r\n";

#[tokio::test]
#[ignore = "needs Debian's dovecot-imapd and curl, and root"]
async fn dovecot_serves_the_octets_that_were_delivered() {
    let house = House::open();
    send(house.address(Security::Plain), "alice@example.test", CONTENT);
    let delivered = fs::read(house.wait_for_message().await).unwrap();
    give_away(&house.path("mail"));
    let dovecot = Dovecot::start(&house.path("dovecot"), |address, folder| {
        format!(
            "protocols = imap\ndisable_plaintext_auth = no\nmail_location = maildir:{}\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
             userdb {{\n  driver = static\n  args = uid={OWNER} gid={OWNER} home={}\n}}\n",
            house.maildir().display(),
            address.port(),
            folder.display()
        )
    })
    .await;
    let fetched = run(Command::new("curl")
        .args(["--silent", "--show-error", "--user", "alice:secret"])
        .arg(format!("imap://{}/INBOX;MAILINDEX=1", dovecot.address)));
    assert_eq!(fetched.stdout, delivered);
}
