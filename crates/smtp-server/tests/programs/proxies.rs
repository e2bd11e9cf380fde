//! `HAProxy` in front of a listener, by both versions of the PROXY protocol, and swaks, which names any client as a proxy does, or by
//! XCLIENT.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use smtp_server::metrics::AttemptResult::Delivered;

use super::house::free_address;
use super::inside::{House, until};
use super::run;
use super::wire::with_crlf;

/// Connections within 127.0.0.0/8 come from 127.0.0.1 where nobody says otherwise.
const BEHIND: &str =
    "[[listener]]\nservice = \"mx\"\naddresses = [\"127.0.0.5:0\"]\ntls = \"starttls\"\nproxy_from = [\"127.0.0.1\"]\n";
const CLIENT: &str = "127.0.0.9";
const CONTENT: &str = "From: <sender@client.test>\r\nTo: <alice@example.org>\r\nSubject: by a proxy\r\n\r\nhello\r\n";

async fn house() -> (House, SocketAddr) {
    house_with(BEHIND).await
}

async fn house_with(listener: &str) -> (House, SocketAddr) {
    let mut house = House::start(listener).await;
    let behind = house
        .daemon()
        .listening()
        .iter()
        .map(|one| one.address)
        .find(|address| address.ip().to_string() == "127.0.0.5");
    (house, behind.unwrap())
}

/// The trace fields of the one message that alice gets.
async fn arrived(house: &mut House) -> String {
    house.attempt("alice@example.org", Delivered).await;
    let messages = house.maildir("alice");
    let [message] = &messages[..] else { panic!("{messages:?}") };
    fs::remove_dir_all(house.path("Maildir/alice")).unwrap();
    message.strip_suffix(CONTENT).unwrap_or_else(|| panic!("{message}")).to_owned()
}

struct HaProxy {
    child: Child,
    address: SocketAddr,
    statistics: PathBuf,
}

impl HaProxy {
    /// One that checks the server all the time, as a client of its own.
    fn start(house: &House, server: SocketAddr, send: &str) -> Self {
        let (address, statistics) = (free_address(), house.path("haproxy.sock"));
        let text = format!(
            "global\n  stats socket {}\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n\
             frontend in\n  bind {address}\n  default_backend out\n\
             backend out\n  option smtpchk EHLO check.test\n  server one {server} {send} check inter 50ms\n",
            statistics.display()
        );
        fs::write(house.path("haproxy.cfg"), text).unwrap();
        let mut haproxy = Command::new("/usr/sbin/haproxy");
        haproxy.args(["-q", "-db", "-f"]).arg(house.path("haproxy.cfg")).stdin(Stdio::null());
        Self { child: haproxy.spawn().unwrap(), address, statistics }
    }

    /// What it says of its servers and their checks; empty until it runs.
    fn shown(&self) -> String {
        let mut shown = String::new();
        if let Ok(mut socket) = UnixStream::connect(&self.statistics) {
            socket.write_all(b"show stat\n").unwrap();
            socket.read_to_string(&mut shown).unwrap();
        }
        shown
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Debian's haproxy and curl"]
async fn haproxy_tells_who_its_client_is() {
    let (mut house, behind) = house().await;
    fs::write(house.path("content.eml"), CONTENT).unwrap();
    for send in ["send-proxy", "send-proxy-v2"] {
        let haproxy = HaProxy::start(&house, behind, send);
        // A whole session, in which it names itself: UNKNOWN in version 1, LOCAL in version 2.
        until("a check has passed", || haproxy.shown().contains(",L7OK,")).await;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--ssl-reqd", "--interface", CLIENT, "--cacert"])
            .arg(house.path("ca.pem"));
        curl.args(["--mail-from", "sender@client.test", "--mail-rcpt", "alice@example.org"]);
        curl.arg("--upload-file").arg(house.path("content.eml"));
        curl.arg(format!("smtp://{}/client.test", haproxy.address));
        tokio::task::spawn_blocking(move || run(&mut curl)).await.unwrap();
        let trace = arrived(&mut house).await;
        assert!(trace.contains("[127.0.0.9]") && !trace.contains("[127.0.0.1]"), "{send}: {trace}");
    }
    house.stop().await;
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_names_any_client_as_a_proxy() {
    let (mut house, behind) = house().await;
    let content = with_crlf(CONTENT.as_bytes());
    fs::write(house.path("content.eml"), content.trim_ascii_end()).unwrap();
    for (version, family, source, destination, shown) in [
        ("1", "TCP4", "192.0.2.7", "198.51.100.25", "[192.0.2.7]"),
        ("1", "TCP6", "2001:db8::7", "2001:db8::25", "[IPv6:2001:db8::7]"),
        ("2", "AF_INET", "192.0.2.7", "198.51.100.25", "[192.0.2.7]"),
        ("2", "AF_INET6", "2001:db8::7", "2001:db8::25", "[IPv6:2001:db8::7]"),
    ] {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", &behind.to_string(), "--helo", "client.test"]);
        swaks.args(["--from", "sender@client.test", "--to", "alice@example.org"]);
        swaks.args(["--proxy-version", version, "--proxy-family", family]);
        swaks.args(["--proxy-source", source, "--proxy-source-port", "40000"]);
        swaks.args(["--proxy-dest", destination, "--proxy-dest-port", "25"]);
        swaks.arg("--data").arg(format!("@{}", house.path("content.eml").display()));
        tokio::task::spawn_blocking(move || run(&mut swaks)).await.unwrap();
        let trace = arrived(&mut house).await;
        assert!(trace.contains(shown) && !trace.contains("[127.0.0.1]"), "version {version}, {family}: {trace}");
    }
    house.stop().await;
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_names_any_client_by_xclient() {
    let (mut house, trusting) = house_with(&BEHIND.replace("proxy_from", "xclient_from")).await;
    let content = with_crlf(CONTENT.as_bytes());
    fs::write(house.path("content.eml"), content.trim_ascii_end()).unwrap();
    for (address, shown) in [
        ("192.0.2.7", "from spike.example (client.example [192.0.2.7])"),
        ("IPV6:2001:db8::7", "from spike.example (client.example [IPv6:2001:db8::7])"),
    ] {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", &trusting.to_string(), "--helo", "client.test"]);
        swaks.args(["--from", "sender@client.test", "--to", "alice@example.org"]);
        swaks.args(["--xclient-helo", "spike.example", "--xclient-login", "a b+c", "--xclient-proto", "ESMTP"]);
        swaks.args(["--xclient-destaddr", "198.51.100.25", "--xclient-destport", "25", "--xclient-delim"]);
        swaks.args(["--xclient-name", "client.example", "--xclient-addr", address, "--xclient-port", "40000"]);
        swaks.arg("--data").arg(format!("@{}", house.path("content.eml").display()));
        tokio::task::spawn_blocking(move || run(&mut swaks)).await.unwrap();
        let trace = arrived(&mut house).await;
        assert!(trace.contains(shown) && !trace.contains("127.0.0.1"), "{address}: {trace}");
    }
    house.stop().await;
}
