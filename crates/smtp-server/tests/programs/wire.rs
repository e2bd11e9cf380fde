//! SMTP by hand, for content that no program would send as it is; and what trace fields lie above content.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What is sent where any message will do: with dots that must be stuffed, and an empty line.
pub(crate) const CONTENT: &[u8] = b"From: <alice@example.test>\r\n\
To: <alice@example.test>\r\n\
Subject: from a person\r\n\
Date: Tue, 25 Nov 2025 10:00:00 +0000\r\n\
Message-ID: <1@client.test>\r\n\
\r\n\
A line.\r\n\
.\r\n\
..two dots\r\n\
\r\n\
The end.\r\n";

/// Sends one message to `recipient`, octet by octet as it is, and insists on a 250.
pub(crate) fn send(server: SocketAddr, recipient: &str, content: &[u8]) {
    send_from("sender@client.test", server, &[recipient], content);
}

/// The same, from a sender of its own, to each of `recipients`.
pub(crate) fn send_from(sender: &str, server: SocketAddr, recipients: &[&str], content: &[u8]) {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = BufReader::new(stream);
    expect(&mut stream, "220");
    let mut commands = vec!["EHLO client.test".to_owned(), format!("MAIL FROM:<{sender}> BODY=8BITMIME")];
    commands.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
    for command in commands {
        write(&mut stream, format!("{command}\r\n").as_bytes());
        expect(&mut stream, "250");
    }
    write(&mut stream, b"DATA\r\n");
    expect(&mut stream, "354");
    write(&mut stream, &stuff(content));
    write(&mut stream, b".\r\n");
    expect(&mut stream, "250");
    write(&mut stream, b"QUIT\r\n");
    expect(&mut stream, "221");
}

fn write(stream: &mut BufReader<TcpStream>, octets: &[u8]) {
    stream.get_mut().write_all(octets).unwrap();
}

fn expect(stream: &mut BufReader<TcpStream>, code: &str) {
    let mut reply = String::new();
    loop {
        let start = reply.len();
        stream.read_line(&mut reply).unwrap();
        let line = &reply[start..];
        assert!(line.starts_with(code), "wanted {code}, got {reply:?}");
        if line.as_bytes().get(3) == Some(&b' ') {
            return;
        }
    }
}

fn stuff(content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|octet| *octet == b'\n');
    let stuffed = lines.flat_map(|line| {
        let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
        [dot, line].concat()
    });
    stuffed.collect()
}

/// The text with every line end, of whatever kind, as CRLF, and the last line ended.
pub(crate) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(text.len());
    let mut previous = 0;
    for &octet in text {
        match octet {
            b'\n' if previous == b'\r' => {}
            b'\r' | b'\n' => content.extend_from_slice(b"\r\n"),
            octet => content.push(octet),
        }
        previous = octet;
    }
    if !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// Asserts that `stored` is trace fields of ours and then `content`, octet for octet.
pub(crate) fn assert_content_kept(stored: &[u8], content: &[u8], what: &str) {
    let added = trace_fields(stored, content, what);
    assert!(added.starts_with("Return-Path: <sender@client.test>\r\n"), "{what}: {added}");
}

/// The trace fields that lie above `content`, which is as it was sent.
pub(crate) fn trace_fields(stored: &[u8], content: &[u8], what: &str) -> String {
    let shown = |octets| String::from_utf8_lossy(octets).into_owned();
    assert!(
        stored.ends_with(content),
        "{what} was changed on its way, from\n{}\nto\n{}",
        shown(content),
        shown(stored)
    );
    let added = String::from_utf8_lossy(&stored[..stored.len() - content.len()]).into_owned();
    let ours = ["Return-Path:", "Delivered-To:", "Received:", "\t", " "];
    for line in added.split_terminator("\r\n") {
        // An empty line stands between our fields and content that does not begin with a field.
        let is_ours = ours.iter().any(|start| line.starts_with(start)) || line.is_empty();
        assert!(is_ours, "{what} got a line that is no trace field: {line:?}");
    }
    added
}
