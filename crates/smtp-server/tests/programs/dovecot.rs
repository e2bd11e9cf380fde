//! Debian's Dovecot, in a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::house::free_address;
use super::run;

/// Dovecot opens no mailbox as root: nobody owns it.
pub(crate) const OWNER: u32 = 65_534;
const START_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One that runs.
pub(crate) struct Dovecot {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Dovecot {
    /// Starts one in `folder`, which is made, and waits until it listens; `text` makes its settings from the address and the folder.
    /// It must be able to come to the folder as nobody.
    pub(crate) async fn start(folder: &Path, text: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        let address = free_address();
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        let (host, place) = (address.ip(), folder.display());
        let common = format!(
            "base_dir = {place}/run\nstate_dir = {place}/state\nlog_path = /dev/stderr\nlisten = {host}\nssl = no\n\
             first_valid_uid = {OWNER}\npassdb {{\n  driver = static\n  args = password=secret\n}}\n"
        );
        let configuration = folder.join("dovecot.conf");
        fs::write(&configuration, common + &text(address, folder)).unwrap();
        let mut child = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log(folder)).unwrap())
            .spawn()
            .unwrap();
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        let listens = async {
            while TcpStream::connect(address).is_err() {
                assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(log(folder)).unwrap());
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

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Makes nobody the owner of all that is there.
pub(crate) fn give_away(path: &Path) {
    chown(path, Some(OWNER), None).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}
