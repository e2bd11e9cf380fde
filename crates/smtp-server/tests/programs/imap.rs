//! Dovecot serves what we have put into the Maildir.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::house::{House, Security, free_address};
use super::run;
use super::wire::send;

/// Dovecot opens no mailbox as root: nobody owns it.
const OWNER: u32 = 65_534;
const START_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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
    let dovecot = Dovecot::start(&house).await;
    let fetched = run(Command::new("curl")
        .args(["--silent", "--show-error", "--user", "alice:secret"])
        .arg(format!("imap://{}/INBOX;MAILINDEX=1", dovecot.address)));
    assert_eq!(fetched.stdout, delivered);
}

struct Dovecot {
    child: Child,
    address: SocketAddr,
}

impl Dovecot {
    async fn start(house: &House) -> Self {
        let address = free_address();
        let folder = house.path("dovecot");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(house.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        give_away(&house.path("mail"));
        let configuration = folder.join("dovecot.conf");
        fs::write(&configuration, text(address, &folder, &house.maildir())).unwrap();
        let mut child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        let listens = async {
            while TcpStream::connect(address).is_err() {
                assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(folder.join("log")).unwrap());
                looks.tick().await;
            }
        };
        tokio::time::timeout(START_MAX, listens).await.expect("dovecot listens");
        Self { child, address }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It is asked, not killed, so that it ends the processes that it has started.
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        self.child.wait().unwrap();
    }
}

fn give_away(path: &Path) {
    chown(path, Some(OWNER), None).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

fn text(address: SocketAddr, folder: &Path, maildir: &Path) -> String {
    let (folder, maildir) = (folder.display(), maildir.display());
    let (host, port) = (address.ip(), address.port());
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = imap
listen = {host}
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{maildir}
first_valid_uid = {OWNER}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={OWNER} gid={OWNER} home={folder}
}}
"
    )
}
