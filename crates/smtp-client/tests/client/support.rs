//! Attempts, and clients to make them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_client::{Client, ClientSettings, ClientTls, ConnectError, Host, NextHop, TlsMode};
use smtp_mail::{Attempt, AttemptRecipient, Body, Content, DeliveryResult, MessageId, Outcome};
use smtp_proto::client::{ClientConfig, ClientTimeouts};
use smtp_proto::{ContentFacts, Mail, Protocol, Rcpt};
use smtp_testkit::peer::Peer;
use smtp_testkit::tls::Authority;

/// What is sent where it does not matter.
pub(crate) const CONTENT: &[u8] = b"Subject: hello\r\n\r\n.a dot\r\n..\r\nlast line\r\n";

/// An attempt for `recipients`, numbered from 1.
pub(crate) fn attempt_of(content: &[u8], recipients: &[&str]) -> Attempt {
    let (header, body) = content.split_at(content.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4));
    let recipient = |(index, path): (usize, &&str)| AttemptRecipient {
        number: u32::try_from(index + 1).unwrap(),
        rcpt: Rcpt::new(path.parse().unwrap()),
        original: None,
        user: None,
    };
    Attempt {
        id: MessageId::from_raw(1),
        mail: Mail::new("<a@example.org>".parse().unwrap()),
        recipients: recipients.iter().enumerate().map(recipient).collect(),
        content: Content::new(Bytes::copy_from_slice(header), Body::Memory(Bytes::copy_from_slice(body))),
        facts: ContentFacts::of(content),
        received_at: SystemTime::UNIX_EPOCH,
    }
}

pub(crate) fn attempt(recipients: &[&str]) -> Attempt {
    attempt_of(CONTENT, recipients)
}

pub(crate) fn settings_with(tls: ClientTls, timeouts: ClientTimeouts) -> Arc<ClientSettings> {
    let hello_name = "client.test".parse().unwrap();
    let mut settings = ClientSettings::new(hello_name, tls);
    let session = ClientConfig { timeouts, ..(*settings.session).clone() };
    settings.session = Arc::new(session);
    settings.connect_timeout = Duration::from_secs(2);
    Arc::new(settings)
}

pub(crate) fn settings() -> Arc<ClientSettings> {
    settings_with(ClientTls::new(Authority::new().roots()), ClientTimeouts::default())
}

pub(crate) fn hop(address: SocketAddr, tls: TlsMode) -> NextHop {
    NextHop::new(Host::Name("mx.test".into()), address.port(), Protocol::Smtp, tls)
}

pub(crate) async fn connect(peer: &Peer) -> Client {
    try_connect(peer).await.unwrap()
}

pub(crate) async fn try_connect(peer: &Peer) -> Result<Client, ConnectError> {
    let address = peer.address();
    Client::connect(&hop(address, TlsMode::None), &[address], &settings()).await
}

/// Each outcome as `kind status`, such as `failed 5.1.1`.
pub(crate) fn summary(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| result_summary(&outcome.result)).collect()
}

pub(crate) fn result_summary(result: &DeliveryResult) -> String {
    let kind = match result {
        DeliveryResult::Delivered(_) => "delivered",
        DeliveryResult::Deferred(_) => "deferred",
        DeliveryResult::Failed(_) => "failed",
    };
    format!("{kind} {}", result.report().status)
}
