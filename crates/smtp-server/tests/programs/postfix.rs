//! Debian's Postfix, in folders of its own.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::house::free_address;
use super::run;

const WAIT_MAX: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Its services, none of them below another root.
const SERVICES: &str = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
    tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
    defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\n\
    proxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nlmtp unix - - n - - lmtp\nshowq unix n - n - - showq\n\
    error unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
    postlog unix-dgram n - n - 1 postlogd\n";

/// One that runs. This machine may send to anywhere by it, and it delivers nothing itself.
pub(crate) struct Postfix {
    folder: TempDir,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Postfix {
    /// Starts one with these settings besides the common ones, and waits until it listens.
    pub(crate) async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let path = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["etc", "queue", "data"] {
            fs::create_dir(path(name)).unwrap();
        }
        let id = run(Command::new("id").args(["-u", "postfix"])).stdout;
        let id = String::from_utf8(id).unwrap().trim().parse().unwrap();
        chown(path("data"), Some(id), None).unwrap();
        let common = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmaillog_file = /dev/stdout\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = postfix.test\nmydestination =\n\
             mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nsmtp_host_lookup = native\n\
             smtpd_recipient_restrictions = permit_mynetworks, reject\n",
            path("queue").display(),
            path("data").display()
        );
        fs::write(path("etc/main.cf"), common + settings).unwrap();
        fs::write(path("etc/master.cf"), format!("{address} inet n - n - - smtpd\n{SERVICES}")).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let mut start = postfix(&path("etc"), "start-fg");
        let child = start.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let postfix = Self { folder, child, address };
        postfix.until("it listens", |_| std::net::TcpStream::connect(address).is_ok()).await;
        postfix
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The messages in its queue, one line each.
    pub(crate) fn queue(&self) -> String {
        let mut showq = Command::new("/usr/sbin/postqueue");
        String::from_utf8(run(showq.arg("-c").arg(self.folder.path().join("etc")).arg("-j")).stdout).unwrap()
    }

    /// Waits until something is so that it does in its own time.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let reached = async {
            let mut looks = tokio::time::interval(LOOK_AGAIN);
            while !reached(self) {
                looks.tick().await;
            }
        };
        let reached = tokio::time::timeout(WAIT_MAX, reached).await;
        reached.unwrap_or_else(|late| panic!("{late}: {what}\n{}", self.log()));
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let stopped = postfix(&self.folder.path().join("etc"), "stop").output().unwrap();
        // Where it has not been stopped it has ended, and the test says why it fails.
        let _ = std::io::stderr().write_all(&stopped.stderr);
        self.child.wait().unwrap();
    }
}

fn postfix(configuration: &Path, act: &str) -> Command {
    let mut command = Command::new("/usr/sbin/postfix");
    command.arg("-c").arg(configuration).arg(act);
    command
}
