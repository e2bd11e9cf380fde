#![allow(clippy::unwrap_used)]

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

const RECIPIENT: &str = r#"{"id":"0A.1","message":"0A","state":"due","class":"remote","lane":"example.net","reverse_path":"a@example.org","forward_path":"b@example.net","octets":5,"received_at":"2026-01-01T00:00:00Z","due_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-06T00:00:00Z","attempts":0,"later":"added"}"#;

/// A server that answers every request with `answer`, in pieces as they are given.
fn server(answer: &[&[u8]]) -> (TempDir, Client) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer: Vec<Vec<u8>> = answer.iter().map(|piece| piece.to_vec()).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            for piece in &answer {
                let _ = stream.write_all(piece).await;
                tokio::task::yield_now().await;
            }
        }
    });
    (directory, Client::new(socket))
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_named_so() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let error = Client::new(&socket).status().await.unwrap_err();
    let text = format!("the server is not running (no answer at {})", socket.display());
    assert_eq!(error.to_string(), text);
    drop(UnixListener::bind(&socket).unwrap());
    let error = Client::new(&socket).status().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "a socket that was left behind: {error:?}");
}

#[tokio::test]
async fn refusals_keep_the_words_of_the_daemon() {
    for (status, expected) in [
        ("403 Forbidden", "this user may not use the admin socket"),
        ("404 Not Found", "no message 0A"),
        ("400 Bad Request", "no message 0A"),
    ] {
        let (directory, client) = server(&[&http(status, r#"{"error":"no message 0A"}"#)]);
        let error = client.message("0A").await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{status}: {error}");
        drop(directory);
    }
}

#[tokio::test]
async fn an_id_cannot_change_the_path() {
    let client = Client::new("/nonexistent");
    for id in ["", "../status", "0A/content", "0A?x", "0A\r\nX: y", "0A 1", "é"] {
        assert!(matches!(client.message(id).await, Err(ClientError::NotFound { .. })), "{id:?}");
    }
}

#[tokio::test]
async fn a_list_is_read_whatever_the_cuts() {
    let text = format!("{RECIPIENT}\n{RECIPIENT}\n");
    let whole = http("200 OK", &text);
    for cut in 1..whole.len() {
        let (directory, client) = server(&[&whole[..cut], &whole[cut..]]);
        let mut entries = client.find(&Selector::default()).await.unwrap();
        let mut count = 0;
        while let Some(recipient) = entries.next().await.unwrap() {
            assert_eq!(recipient.id, "0A.1");
            count += 1;
        }
        assert_eq!(count, 2, "cut at {cut}");
        drop(directory);
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_an_error() {
    let (_directory, client) = server(&[&http("200 OK", &RECIPIENT[..40])]);
    let mut entries = client.find(&Selector::default()).await.unwrap();
    assert!(matches!(entries.next().await, Err(ClientError::Answer(_))));

    let stopped = format!("{RECIPIENT}\n{{\"error\":\"the index cannot be read\"}}\n");
    let (_directory, client) = server(&[&http("200 OK", &stopped)]);
    let mut entries = client.find(&Selector::default()).await.unwrap();
    assert!(entries.next().await.unwrap().is_some());
    assert_eq!(entries.next().await.unwrap_err().to_string(), "the index cannot be read");
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_error() {
    for body in ["", "<html>", "{}", "[1]"] {
        let (_directory, client) = server(&[&http("200 OK", body)]);
        assert!(matches!(client.status().await, Err(ClientError::Answer(_))), "{body:?}");
    }
}

#[tokio::test]
async fn content_arrives_octet_for_octet() {
    let (_directory, client) = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\x00\xff\r", b"\n.\r"]);
    let mut content = client.content("0A").await.unwrap();
    let mut octets = Vec::new();
    while let Some(chunk) = content.next().await.unwrap() {
        octets.extend_from_slice(&chunk);
    }
    assert_eq!(octets, b"\x00\xff\r\n.\r");
}
