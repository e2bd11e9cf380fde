//! What the tests of delivery have in common.

use std::time::{Duration, SystemTime};

use smtp_admin::{Act, Client, Control, ControlReport, PauseRequest, QueuedRecipient, ResumeRequest, Scope, Selector};
use smtp_server::daemon::Attempted;
use smtp_server::metrics::Service;
use smtp_testkit::peer::{Answer, Peer};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::handshake::handshake;
use crate::house::{Dialogue, House};

/// So long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Every attempt waits a tenth of a second for the next.
pub(crate) const SOON: &str = "retry = [\"100ms\", \"…\"]\n";

/// Configuration by which this machine may send to anywhere, mail for each domain going to a peer in the clear. `queue` is
/// for the table `[queue]`.
pub(crate) fn routed(queue: &str, routes: &[(&str, &Peer)]) -> String {
    let more = routes.iter().map(|(domain, peer)| route(domain, &format!("smtp://{}", peer.address()), "none"));
    format!("{queue}[relay]\nnetworks = [\"127.0.0.0/8\"]\n{}", more.collect::<String>())
}

pub(crate) fn route(domain: &str, to: &str, tls: &str) -> String {
    format!("[[route]]\nrecipients = [\"{domain}\"]\nto = \"{to}\"\ntls = \"{tls}\"\n")
}

/// A message of that subject.
pub(crate) fn message(subject: &str) -> String {
    format!("Subject: {subject}\r\n\r\nhello\r\n")
}

/// Has the server take a message.
pub(crate) async fn accept(house: &House, from: &str, to: &[&str], content: &str) {
    let reply = house.send(from, to, content).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

/// A session under TLS with the submission listener, EHLO said.
pub(crate) async fn secured(house: &House) -> Dialogue<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(house.address(Service::Submission, true)).await.unwrap();
    let stream = handshake(house.authority.client_config(), stream).await.unwrap();
    let mut dialogue = Dialogue::new(stream).greeted().await;
    dialogue.ask("EHLO client.example").await;
    dialogue
}

/// Has the server take a message, by TLS, with these parameters of MAIL.
pub(crate) async fn submit(house: &House, from: &str, parameters: &str, to: &[&str], content: &str) {
    let mut dialogue = secured(house).await;
    let mut commands = vec![format!("MAIL FROM:<{from}> {parameters}").trim_end().to_owned()];
    commands.extend(to.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
    for command in commands {
        let reply = dialogue.ask(&command).await;
        assert!(reply.starts_with("250 "), "{command}: {reply}");
    }
    dialogue.ask("DATA").await;
    let reply = dialogue.ask(&format!("{content}.")).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

/// Has the server take many messages, from many clients at a time.
pub(crate) async fn accept_many(house: &House, count: usize, from: &str, to: &str) {
    const CLIENTS: usize = 20;
    let clients = (0..CLIENTS).map(|client| async move {
        let mut dialogue = house.connect().await;
        dialogue.ask("EHLO client.example").await;
        for number in (client..count).step_by(CLIENTS) {
            let reply = dialogue.send(from, &[to], &message(&number.to_string())).await;
            assert!(reply.starts_with("250 "), "{reply}");
        }
    });
    futures_util::future::join_all(clients).await;
}

/// Waits for what a peer, or the server, does in its own time.
pub(crate) async fn in_time<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Waits for a state of which nobody tells.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    in_time(what, async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until all that was accepted, and all reports on it, have come to their end.
pub(crate) async fn emptied(house: &mut House) {
    let queue = house.daemon().control().queue().clone();
    until("an empty queue", || queue.stats(SystemTime::now()).deliveries == 0).await;
}

pub(crate) fn admin(house: &House) -> Client {
    Client::new(house.path("control.sock"))
}

/// All that is in the queue, as operators see it.
pub(crate) async fn queued(house: &House) -> Vec<QueuedRecipient> {
    let mut entries = admin(house).find(&Selector::default()).await.unwrap();
    let mut found = Vec::new();
    while let Some(recipient) = entries.next().await.unwrap() {
        found.push(recipient);
    }
    found
}

/// Waits until the only recipient in the queue has so many attempts behind it, all booked.
pub(crate) async fn attempts_booked(house: &House, attempts: u32) -> QueuedRecipient {
    in_time("an attempt that is booked", async {
        loop {
            let found = queued(house).await;
            assert_eq!(found.len(), 1, "{found:?}");
            if found[0].attempts == attempts {
                return found[0].clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// An operator's act on all that is in the queue.
pub(crate) async fn act_on_all(house: &House, act: Act) -> ControlReport {
    let control = Control { act, selector: Selector::default(), reason: None, for_seconds: None, dry_run: false };
    admin(house).control(&control).await.unwrap()
}

pub(crate) fn status(attempted: &Attempted) -> String {
    attempted.report.status.to_string()
}

pub(crate) fn replies(replies: &[&str]) -> Vec<Answer> {
    replies.iter().map(|&reply| reply.into()).collect()
}

pub(crate) async fn pause(house: &House, scope: Scope) {
    admin(house).pause(&PauseRequest { scope, for_seconds: None, reason: None }).await.unwrap();
}

pub(crate) async fn resume(house: &House, scope: Scope) {
    admin(house).resume(&ResumeRequest { scope, reason: None }).await.unwrap();
}
