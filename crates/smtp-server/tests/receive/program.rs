//! The program itself: what it says when it cannot start, its exit codes, its signals, and what systemd hears of it.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::house::Dialogue;
use crate::process::Server;

/// A directory with a configuration in it.
struct Site {
    directory: TempDir,
}

/// What a run of the program came to.
struct Run {
    code: i32,
    output: String,
    error: String,
}

impl Site {
    /// One for a server on any free port of loopback, with this behind the common part.
    fn new(more: &str) -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap() };
        site.configure(more);
        site
    }

    fn configure(&self, more: &str) {
        let common = "hostname = \"mx.example.org\"\nsmart_host = { to = \"smtp://127.0.0.1:9\" }\n[admin]\nsocket = \"control.sock\"\n[queue]\ndirectory = \"queue\"\n";
        let listener = "[[listener]]\nservice = \"submission\"\naddresses = [\"127.0.0.1:0\"]\n";
        let more = if more.contains("[[listener]]") { more.to_owned() } else { format!("{more}{listener}") };
        self.write("c.toml", &format!("{common}{more}"));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smtp-server"));
        command.args(arguments).arg("--config").arg(self.path("c.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("NOTIFY_SOCKET").env_remove("SMTP_SERVER_CONFIG");
        command
    }

    /// Runs the program to its end.
    fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn start(&self) -> Server {
        Server::of(self.command(&[]))
    }
}

#[test]
fn a_configuration_that_is_wrong_exits_78_and_says_where() {
    let site = Site::new("[limits]\nmesage_octets = \"50 MiB\"\n");
    for arguments in [&[][..], &["run"]] {
        let run = site.run(arguments);
        assert_eq!(run.code, 78);
        assert!(run.error.starts_with("smtp-server: "), "{}", run.error);
        assert!(run.error.contains("c.toml:8:1: "), "{}", run.error);
        assert!(run.error.contains("message_octets"), "a suggestion: {}", run.error);
        assert!(!site.path("queue").exists(), "nothing was made");
    }
}

#[test]
fn a_file_that_is_missing_exits_78_and_says_what_can_be_done() {
    let site = Site::new("");
    fs::remove_file(site.path("c.toml")).unwrap();
    let run = site.run(&[]);
    assert_eq!(run.code, 78);
    assert!(run.error.contains("c.toml"), "{}", run.error);
    assert!(run.error.contains("--config") && run.error.contains("smtp-server demo"), "{}", run.error);
}

#[test]
fn a_key_that_cannot_be_read_exits_78_and_is_named() {
    let site = Site::new("[tls]\ncertificates = [{ chain = \"mx.pem\", key = \"mx.key\" }]\n");
    let identity = smtp_testkit::tls::Identity::self_signed(&["mx.example.org"]);
    site.write("mx.pem", identity.chain_pem());
    fs::create_dir(site.path("mx.key")).unwrap();
    let run = site.run(&[]);
    assert_eq!(run.code, 78);
    assert!(run.error.contains("c.toml:8:") && run.error.contains("mx.key cannot be read: "), "{}", run.error);
}

#[test]
fn a_busy_port_exits_71_with_one_line_that_says_what_to_do() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let site = Site::new(&format!("[[listener]]\nservice = \"submission\"\naddresses = [\"{address}\"]\n"));
    let run = site.run(&[]);
    assert_eq!(run.code, 71);
    let last: Value = serde_json::from_str(run.error.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "not_started");
    let text = last["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("{address} cannot be listened on: another program has this port; ")), "{text}");
    assert_eq!(run.error.lines().filter(|line| line.contains("\"error\"")).count(), 1, "{}", run.error);
}

#[test]
fn a_second_server_on_a_queue_exits_71_with_one_line_that_names_the_first() {
    let site = Site::new("");
    let first = site.start();
    let run = site.run(&[]);
    assert_eq!(run.code, 71);
    assert_eq!(run.error.lines().count(), 1, "{}", run.error);
    let line: Value = serde_json::from_str(&run.error).unwrap();
    let text = line["text"].as_str().unwrap();
    assert!(text.contains("in use by another process") && text.contains(&first.child.id().to_string()), "{text}");
    assert!(first.stop().success());
    // And then it can.
    assert!(site.start().stop().success());
}

#[test]
fn check_says_whether_the_configuration_can_be_used() {
    let site = Site::new("");
    let run = site.run(&["check"]);
    assert_eq!(run.code, 0, "{}{}", run.output, run.error);
    assert!(!run.output.is_empty());
    site.configure("[limits]\nsessions = 0\n");
    let run = site.run(&["check"]);
    assert_eq!(run.code, 78);
    assert!(format!("{}{}", run.output, run.error).contains("c.toml:8:"), "{}{}", run.output, run.error);
    assert!(!site.path("queue").exists(), "nothing was made");
}

#[test]
fn wrong_arguments_exit_64_or_are_explained() {
    let site = Site::new("");
    assert_eq!(site.run(&["frobnicate"]).code, 64);
    assert_eq!(site.run(&["--no-such-option"]).code, 64);
    let help = site.run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.output.contains("check") && help.output.contains("demo"), "{}", help.output);
}

#[test]
fn sighup_reloads_and_a_bad_file_keeps_what_was() {
    let site = Site::new("");
    let mut server = site.start();
    site.configure("[limits]\nsessions = \"many\"\n");
    server.signal(Signal::HUP);
    let failed = server.event("reload_failed");
    let text = failed["text"].as_str().unwrap();
    assert!(text.contains("c.toml:8:"), "{text}");
    site.configure("[limits]\nsessions = 7\n");
    server.signal(Signal::HUP);
    server.event("reloaded");
    assert!(server.stop().success());
}

#[test]
fn sigint_stops_in_order_too() {
    let mut server = Site::new("").start();
    server.signal(Signal::INT);
    assert_eq!(server.event("stopped")["in_time"], true);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    server.log.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// C33: killed in an attempt and started again, the server has nothing in flight that nobody works on.
/// A provider by `[[route]]`, for the user app1.
fn provider(password: &str) -> String {
    format!("[[route]]\nrecipients = [\"*\"]\nto = \"submission://app1@127.0.0.1:9\"\npassword = {{ {password} }}\n")
}

#[test]
fn a_credential_of_systemd_is_found_where_systemd_puts_it() {
    let site = Site::new(&provider("credential = \"relay\""));
    let check = |directory: Option<&str>| {
        let mut command = site.command(&["check"]);
        command.env_remove("CREDENTIALS_DIRECTORY");
        if let Some(directory) = directory {
            fs::create_dir_all(site.path(directory)).unwrap();
            command.env("CREDENTIALS_DIRECTORY", site.path(directory));
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = check(None);
    assert!(code == 78 && text.contains("`LoadCredential=relay:/path`"), "{text}");
    let (code, text) = check(Some("empty"));
    assert!(code == 78 && text.contains("empty/relay cannot be read"), "{text}");
    fs::create_dir_all(site.path("given")).unwrap();
    site.write("given/relay", "wonderland\n");
    let (code, text) = check(Some("given"));
    let told = format!(
        "next hops     * by smtp://app1@127.0.0.1:9?tls=verify, logged in with the password in {}\n",
        site.path("given/relay").display()
    );
    assert!(code == 0 && text.contains(&told), "{text}");
    assert!(!text.contains("wonderland"), "{text}");
}

/// Who runs the server learns which route it is, and what to do.
#[tokio::test]
async fn a_log_in_that_fails_at_a_next_hop_is_told_with_advice() {
    let site = Site::new(&provider("file = \"secret\""));
    site.write("secret", "wonderland\n");
    let mut server = site.start();
    fs::remove_file(site.path("secret")).unwrap();
    let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let mut dialogue = Dialogue::new(stream).greeted().await;
    dialogue.ask("EHLO client.example").await;
    let reply = dialogue.send("a@example.org", &["x@example.net"], "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    let failed = server.event("login_failed");
    assert_eq!((&failed["lane"], &failed["reason"]), (&"smtp://app1@127.0.0.1:9?tls=verify".into(), &"secret".into()));
    assert!(failed["text"].as_str().unwrap().contains("secret cannot be read"), "{failed}");
    assert!(failed["advice"].as_str().unwrap().contains("put the secret into that file"), "{failed}");
    assert_eq!(server.event("lane_rests")["status"], "4.3.5");
    let deferred = server.event("deferred");
    assert_eq!((&deferred["status"], &deferred["lane"]), (&"4.3.5".into(), &failed["lane"]));
    assert!(server.stop().success());
}

#[tokio::test]
async fn after_a_kill_in_an_attempt_nothing_is_in_flight_without_a_worker() {
    let next_hop = TcpListener::bind("127.0.0.1:0").unwrap();
    let route = format!("[[route]]\nrecipients = [\"*\"]\nto = \"smtp://{}\"\n", next_hop.local_addr().unwrap());
    let site = Site::new(&route);
    let mut server = site.start();
    let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let mut dialogue = Dialogue::new(stream).greeted().await;
    dialogue.ask("EHLO client.example").await;
    let reply = dialogue.send("a@example.org", &["x@example.net"], "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    let (attempt, _) = next_hop.accept().unwrap();
    assert_eq!(in_queue(&site).await, (1, 1));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    // Nobody listens there any more: the next attempt ends at once, and then nothing is under way.
    drop((attempt, next_hop));
    let mut server = site.start();
    let deferred = server.event("deferred");
    assert_eq!(deferred["forward_path"], "<x@example.net>");
    // The log speaks before the queue has booked it.
    let booked = async { while in_queue(&site).await != (1, 0) {} };
    tokio::time::timeout(Duration::from_secs(30), booked).await.expect("an attempt is under way without a worker");
    assert!(server.stop().success());
}

/// The deliveries in the queue, and those of them with an attempt under way.
async fn in_queue(site: &Site) -> (u64, u64) {
    let client = smtp_admin::Client::new(site.path("control.sock"));
    let status = client.status().await.unwrap();
    (status.queue.deliveries, status.queue.in_flight)
}

/// `sd_notify(3)`: systemd hears when the server is ready, reloads, and stops.
#[test]
fn systemd_is_told() {
    let site = Site::new("");
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hears = |expected: &[&str]| {
        let mut buffer = [0; 1024];
        let octets = socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..octets]).into_owned();
        assert!(expected.iter().all(|line| text.lines().any(|told| told.starts_with(line))), "{expected:?}: {text}");
    };
    let mut command = site.command(&[]);
    command.env("NOTIFY_SOCKET", &path);
    let server = Server::of(command);
    hears(&["READY=1"]);
    server.signal(Signal::HUP);
    hears(&["RELOADING=1", "MONOTONIC_USEC="]);
    hears(&["READY=1"]);
    // What the file says now cannot be used, and the server is ready all the same.
    site.write("c.toml", "no configuration");
    server.signal(Signal::HUP);
    hears(&["RELOADING=1"]);
    hears(&["READY=1"]);
    server.signal(Signal::TERM);
    hears(&["STOPPING=1"]);
    assert!(server.stop().success());
}
