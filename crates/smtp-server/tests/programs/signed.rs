//! Signed messages still verify after they were relayed and delivered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::house::{House, Security};
use super::run;
use super::wire::{assert_content_kept, send, with_crlf};

/// What is signed: lines that a careless server changes.
const SIGNED: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: 8bit\r\n\
\r\n\
From the beginning of a line.\r\n\
.a dot, and trailing white space \t\r\n\
.\r\n\
\xc3\xa4\xc3\xb6\xc3\xbc\r\n\
\r\n\
\r\n";

/// Sends `content` by a relay to the server behind it, and returns what lies in the Maildir there.
async fn relayed(content: &[u8]) -> Vec<u8> {
    let last = House::open();
    let first = House::open_before(&last);
    send(first.address(Security::Plain), "alice@example.test", content);
    let stored = last.take_message().await;
    assert_content_kept(&stored, content, "a signed message");
    stored
}

#[tokio::test]
#[ignore = "needs Debian's openssl"]
async fn an_smime_signature_verifies_after_relay_and_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("signed"), SIGNED).unwrap();
    let mut make_key = Command::new("openssl");
    make_key.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sender"]);
    make_key.args(["-addext", "subjectAltName=email:sender@client.test"]);
    run(make_key.arg("-keyout").arg(file("key.pem")).arg("-out").arg(file("certificate.pem")));
    let mut sign = Command::new("openssl");
    sign.args(["cms", "-sign", "-from", "sender@client.test", "-to", "alice@example.test", "-subject", "signed"]);
    sign.arg("-in").arg(file("signed")).arg("-signer").arg(file("certificate.pem"));
    let message = run(sign.arg("-inkey").arg(file("key.pem"))).stdout;
    fs::write(file("stored"), relayed(&with_crlf(&message)).await).unwrap();
    let mut verify = Command::new("openssl");
    verify.args(["cms", "-verify", "-purpose", "any"]).arg("-in").arg(file("stored"));
    let content = run(verify.arg("-CAfile").arg(file("certificate.pem"))).stdout;
    assert_eq!(with_crlf(&content), SIGNED, "what openssl took out of the message");
}

#[tokio::test]
#[ignore = "needs Debian's gnupg"]
async fn a_pgp_mime_signature_verifies_after_relay_and_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::write(home.join("signed"), SIGNED).unwrap();
    let make_key = ["--passphrase", "", "--quick-generate-key", "sender@client.test", "ed25519", "sign", "never"];
    run(gpg(home).args(make_key));
    run(gpg(home).args(["--armor", "--detach-sign"]).arg(home.join("signed")));
    let signature = fs::read(home.join("signed.asc")).unwrap();
    let stored = relayed(&pgp_mime(&with_crlf(&signature))).await;
    let [_, signed, signature, _] = parts(&stored);
    fs::write(home.join("signed.stored"), signed).unwrap();
    let armor = signature.windows(5).position(|octets| octets == b"-----").unwrap();
    fs::write(home.join("signed.stored.asc"), &signature[armor..]).unwrap();
    run(gpg(home).arg("--verify").arg(home.join("signed.stored.asc")).arg(home.join("signed.stored")));
    run(Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]));
}

fn gpg(home: &Path) -> Command {
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir").arg(PathBuf::from(home)).args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
    gpg
}

/// RFC 3156 §5: the signed part, and the signature over all of it but its last CRLF.
fn pgp_mime(signature: &[u8]) -> Vec<u8> {
    let head = b"From: <sender@client.test>\r\nTo: <alice@example.test>\r\nSubject: signed\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/signed; micalg=pgp-sha512;\r\n\tprotocol=\"application/pgp-signature\"; boundary=\"cut\"\r\n\
        \r\n--cut\r\n";
    let middle = b"\r\n--cut\r\nContent-Type: application/pgp-signature\r\n\r\n";
    [head, SIGNED, middle, signature, b"\r\n--cut--\r\n"].concat()
}

/// What lies between the boundaries, without the CRLF that belongs to them.
fn parts(stored: &[u8]) -> [&[u8]; 4] {
    let boundary = b"\r\n--cut";
    let mut rest = stored;
    let mut parts = [stored; 4];
    for part in &mut parts {
        let end = rest.windows(boundary.len()).position(|octets| octets == boundary).unwrap_or(rest.len());
        *part = rest[..end].strip_prefix(b"\r\n").unwrap_or(&rest[..end]);
        rest = rest.get(end + boundary.len()..).unwrap_or_default();
    }
    parts
}
