//! The programs that people send mail with, by every listener.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::house::{House, Security};
use super::run;
use super::wire::{CONTENT, assert_content_kept};

const EVERY_WAY: [Security; 3] = [Security::Plain, Security::StartTls, Security::Implicit];

/// Sends the content by every listener and asserts that it arrives as it is.
async fn every_way(send: fn(&House, Security, &Path)) {
    let house = House::open();
    let file = house.path("content.eml");
    fs::write(&file, CONTENT).unwrap();
    for security in EVERY_WAY {
        send(&house, security, &file);
        let stored = house.take_message().await;
        assert_content_kept(&stored, CONTENT, &format!("content by {security:?}"));
        let tls = String::from_utf8_lossy(&stored).contains(" with ESMTPS\r\n");
        assert_eq!(tls, security != Security::Plain, "the Received field says how it came");
    }
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_sends_by_every_listener() {
    every_way(|house, security, file| {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", &house.address(security).to_string(), "--helo", "client.test"]);
        swaks.args(["--from", "sender@client.test", "--to", "alice@example.test", "--data"]);
        // It ends the last line itself.
        let unended = file.with_extension("swaks");
        fs::write(&unended, CONTENT.trim_ascii_end()).unwrap();
        swaks.arg(format!("@{}", unended.display()));
        match security {
            Security::Plain => &mut swaks,
            Security::StartTls => swaks.arg("--tls"),
            Security::Implicit => swaks.arg("--tls-on-connect"),
        };
        if security != Security::Plain {
            swaks.arg("--tls-verify").arg("--tls-ca-path").arg(house.authority());
        }
        run(&mut swaks);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Debian's swaks"]
async fn swaks_sends_with_pipelining() {
    let house = House::open();
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", &house.address(Security::Plain).to_string(), "--pipeline"]);
    swaks.args(["--from", "sender@client.test", "--to", "alice@example.test"]);
    run(&mut swaks);
    house.take_message().await;
}

#[tokio::test]
#[ignore = "needs Debian's curl"]
async fn curl_sends_by_every_listener() {
    every_way(|house, security, file| {
        let scheme = if security == Security::Implicit { "smtps" } else { "smtp" };
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--cacert"]).arg(house.authority());
        curl.args(["--mail-from", "sender@client.test", "--mail-rcpt", "alice@example.test"]);
        curl.arg("--upload-file").arg(file);
        curl.arg(format!("{scheme}://{}/client.test", house.address(security)));
        if security == Security::StartTls {
            curl.arg("--ssl-reqd");
        }
        run(&mut curl);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Debian's msmtp"]
async fn msmtp_sends_by_every_listener() {
    every_way(|house, security, file| {
        let address = house.address(security);
        let on = |is_on: bool| if is_on { "on" } else { "off" };
        let mut msmtp = Command::new("msmtp");
        msmtp.arg(format!("--host={}", address.ip())).arg(format!("--port={}", address.port()));
        msmtp.args(["--domain=client.test", "--from=sender@client.test", "--auth=off"]);
        msmtp.arg(format!("--tls={}", on(security != Security::Plain)));
        msmtp.arg(format!("--tls-starttls={}", on(security == Security::StartTls)));
        msmtp.arg(format!("--tls-trust-file={}", house.authority().display()));
        msmtp.arg("alice@example.test").stdin(Stdio::from(fs::File::open(file).unwrap()));
        run(&mut msmtp);
    })
    .await;
}

/// Arguments: plain, starttls or implicit; host; port; file of the authority; file of the content.
const SMTPLIB: &str = r#"
import smtplib, ssl, sys
security, host, port, authority, content = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if security == "implicit":
    client = smtplib.SMTP_SSL(host, int(port), local_hostname="client.test", context=context)
else:
    client = smtplib.SMTP(host, int(port), local_hostname="client.test")
if security == "starttls":
    client.starttls(context=context)
with open(content, "rb") as file:
    client.sendmail("sender@client.test", ["alice@example.test"], file.read())
client.quit()
"#;

#[tokio::test]
#[ignore = "needs Debian's python3"]
async fn smtplib_sends_by_every_listener() {
    every_way(|house, security, file| {
        let address = house.address(security);
        let word = match security {
            Security::Plain => "plain",
            Security::StartTls => "starttls",
            Security::Implicit => "implicit",
        };
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", SMTPLIB, word, &address.ip().to_string(), &address.port().to_string()]);
        python.arg(house.authority()).arg(file);
        run(&mut python);
    })
    .await;
}
