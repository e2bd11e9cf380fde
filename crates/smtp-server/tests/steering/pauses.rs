//! What is paused rests, and nothing counts it as tried.

use smtp_admin::{Client, PauseRequest, QueueState, QueuedRecipient, ResumeRequest, Scope, Selector};
use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;

use crate::house::{Dialogue, House};

/// A server whose next hop for all other domains is a port where nobody listens.
async fn house() -> (House, Client) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!(
        "retry = [\"1h\", \"…\"]\n[relay]\nnetworks = [\"127.0.0.0/8\"]\n[[route]]\nrecipients = [\"*\"]\nto = \"smtp://{nobody}\"\ntls = \"none\"\n"
    );
    let house = House::start(&more).await;
    let client = Client::new(house.path("control.sock"));
    (house, client)
}

async fn queue(client: &Client) -> Vec<QueuedRecipient> {
    let mut entries = client.find(&Selector::default()).await.unwrap();
    let mut found = Vec::new();
    while let Some(recipient) = entries.next().await.unwrap() {
        found.push(recipient);
    }
    found
}

fn example_net() -> Scope {
    Scope::Domain("example.net".to_owned())
}

/// C32: a pause of a domain ends by itself, and was no attempt.
#[tokio::test]
async fn a_pause_ends_by_itself_and_is_no_attempt() {
    let (mut house, client) = house().await;
    let pause = async |for_seconds| {
        let request = PauseRequest { scope: example_net(), for_seconds, reason: None };
        client.pause(&request).await.unwrap();
    };
    pause(None).await;
    for _ in 0..10 {
        let reply = house.send("alice@example.org", &["x@example.net"], "Subject: x\r\n\r\n").await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    let resting = queue(&client).await;
    assert_eq!(resting.len(), 10);
    assert!(resting.iter().all(|found| (found.state, found.attempts) == (QueueState::Paused, 0)), "{resting:?}");
    pause(Some(1)).await;
    house.attempt("x@example.net", AttemptResult::Deferred).await;
    assert!(client.status().await.unwrap().paused_domains.is_empty());
    let waiting = queue(&client).await;
    assert_eq!(waiting.len(), 10);
    assert!(waiting.iter().all(|found| found.attempts <= 1), "the pause counted as an attempt");
    house.stop().await;
}

#[tokio::test]
async fn a_pause_outlives_the_server_and_ends_at_once_when_resumed() {
    let (mut house, client) = house().await;
    client.pause(&PauseRequest { scope: Scope::Mta, for_seconds: None, reason: None }).await.unwrap();
    house.send("alice@example.org", &["x@example.net"], "Subject: x\r\n\r\n").await;
    house.stop().await;
    house.start_daemon().await;
    assert!(client.status().await.unwrap().mta.pause.is_some());
    assert_eq!(queue(&client).await[0].state, QueueState::Paused);
    client.resume(&ResumeRequest { scope: Scope::Mta, reason: None }).await.unwrap();
    house.attempt("x@example.net", AttemptResult::Deferred).await;
    house.stop().await;
}

#[tokio::test]
async fn a_pause_of_smtp_is_told_to_clients() {
    let (mut house, client) = house().await;
    client.pause(&PauseRequest { scope: Scope::Smtp, for_seconds: None, reason: None }).await.unwrap();
    let mut turned_away = Dialogue::new(TcpStream::connect(house.address(Service::Mx, false)).await.unwrap());
    let reply = turned_away.reply().await;
    assert!(reply.starts_with("421 4.3.2 "), "{reply}");
    client.resume(&ResumeRequest { scope: Scope::Smtp, reason: None }).await.unwrap();
    house.connect().await;
    house.stop().await;
}
