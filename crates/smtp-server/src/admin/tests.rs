#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use axum::extract::connect_info::MockConnectInfo;
use bytes::Bytes;
use smtp_admin::{
    Act, Client, ClientError, Control as ControlRequest, PauseRequest, QueueState, QueuedRecipient, ResumeRequest,
    Scope, Selector, Size,
};
use smtp_mail::{Destination, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Rcpt};
use smtp_queue::{NewDelivery, NewMessage, NewRecipient, Queue, QueueConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::config::Config;
use crate::control::Topic;
use crate::local_socket::SocketConfig;
use crate::log::{Format, LogLayer};
use crate::metrics::Metrics;

/// An event that is first reached while nobody listens may be passed over for ever, though another test has begun to listen meanwhile.
static LISTENED: Once = Once::new();

/// An admin server over a queue in memory.
struct Fixture {
    directory: TempDir,
    control: Control,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<io::Result<()>>,
}

impl Fixture {
    fn start() -> Self {
        LISTENED.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let (queue, _) = Queue::open(&QueueConfig::in_memory()).unwrap();
        let control = Control::new(queue, Metrics::new(), "mx.example.com");
        let socket = AdminSocket::bind(SocketConfig { path: path.clone(), mode: 0o660, group: None }).unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(socket, control.clone(), configuration(&directory), async {
            let _ = stopped.await;
        }));
        Self { directory, control, client: Client::new(path), stop: Some(stop), served }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Puts a message into the queue: one delivery for each domain of its recipients.
    async fn message(&self, reverse_path: &str, forward_paths: &[&str]) -> MessageId {
        let mut draft = self.control.queue().draft(None).unwrap();
        draft.write(Bytes::from_static(b"Hello.\r\n")).await.unwrap();
        draft.commit(new_message(reverse_path, forward_paths)).await.unwrap()
    }

    async fn find(&self, selector: Selector) -> Vec<QueuedRecipient> {
        let mut entries = self.client.find(&selector).await.unwrap();
        let mut found = Vec::new();
        while let Some(recipient) = entries.next().await.unwrap() {
            found.push(recipient);
        }
        found
    }

    async fn ids(&self, selector: Selector) -> Vec<String> {
        self.find(selector).await.into_iter().map(|recipient| recipient.id).collect()
    }

    async fn act(&self, act: Act, selector: Selector) -> (u64, u64) {
        let reason = Some("a test".to_owned());
        let request = ControlRequest { act, selector, reason, for_seconds: None, dry_run: false };
        let report = self.client.control(&request).await.unwrap();
        (report.matched, report.changed)
    }

    /// What comes back on a connection of its own: head and body.
    async fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn configuration(directory: &TempDir) -> InForce {
    let path = directory.path().join("c.toml");
    std::fs::write(&path, "hostname = \"mx.example.com\"\n[smart_host]\nto = \"smtp://smart.example.net\"\n").unwrap();
    InForce::new(Arc::new(Config::load(&path).unwrap().config))
}

fn new_message(reverse_path: &str, forward_paths: &[&str]) -> NewMessage {
    let now = SystemTime::now();
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    for path in forward_paths {
        let path: ForwardPath = path.parse().unwrap();
        let destination = Destination::Domain(path.mailbox().unwrap().domain().clone());
        let recipient = NewRecipient { rcpt: Rcpt::new(path), original: None };
        match deliveries.iter_mut().find(|delivery| delivery.destination == destination) {
            Some(delivery) => delivery.recipients.push(recipient),
            None => deliveries.push(NewDelivery { destination, recipients: vec![recipient], reverse_path: None }),
        }
    }
    NewMessage {
        mail: Mail::new(reverse_path.parse().unwrap()),
        header: Bytes::from_static(b"Subject: hello\r\n\r\n"),
        facts: ContentFacts { octets: 26, longest_line_octets: 14, ..ContentFacts::default() },
        received_at: now,
        expires_at: now + Duration::from_hours(120),
        delay_notice_at: None,
        deliveries,
        origin: "192.0.2.1".to_owned(),
        hold: None,
    }
}

fn by_id(id: &impl ToString) -> Selector {
    Selector { ids: Some(vec![id.to_string()]), ..Selector::default() }
}

#[tokio::test]
async fn the_queue_is_listed_recipient_by_recipient() {
    let fixture = Fixture::start();
    assert_eq!(fixture.find(Selector::default()).await, []);
    let one = fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.com>"]).await;
    let two = fixture.message("<>", &["<\"d e\"@example.net>"]).await;
    let found = fixture.find(Selector::default()).await;
    let shown: Vec<_> =
        found.iter().map(|r| (r.id.clone(), r.reverse_path.as_str(), r.forward_path.as_str())).collect();
    assert_eq!(
        shown,
        [
            (format!("{one}.1"), "a@example.org", "b@example.net"),
            (format!("{one}.2"), "a@example.org", "c@example.com"),
            (format!("{two}.1"), "", "\"d e\"@example.net"),
        ]
    );
    assert!(found.iter().all(|recipient| recipient.state == QueueState::Due && recipient.octets == 26));
}

#[tokio::test]
async fn selectors_choose() {
    let fixture = Fixture::start();
    let one = fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.net>", "<d@example.com>"]).await;
    let two = fixture.message("<>", &["<b@example.net>"]).await;
    let text = |text: &str| Some(text.to_owned());
    let all = Selector::default;
    for (selector, expected) in [
        (by_id(&one), vec![(one, 1), (one, 2), (one, 3)]),
        (by_id(&format!("{one}.2")), vec![(one, 2)]),
        (Selector { ids: Some(Vec::new()), ..all() }, vec![]),
        (Selector { sender: text("<>"), ..all() }, vec![(two, 1)]),
        (Selector { sender: text("@example.org"), ..all() }, vec![(one, 1), (one, 2), (one, 3)]),
        (Selector { rcpt: text("B@example.net"), ..all() }, vec![(one, 1), (two, 1)]),
        (Selector { domain: text("example.com"), ..all() }, vec![(one, 3)]),
        (Selector { relay: text("example.com"), ..all() }, vec![(one, 3)]),
        (Selector { limit: Some(2), ..all() }, vec![(one, 1), (one, 2)]),
        (Selector { limit: Some(1), rcpt: text("@example.net"), ..all() }, vec![(one, 1)]),
        (Selector { older_seconds: Some(60), ..all() }, vec![]),
        (Selector { younger_seconds: Some(60), sender: text(""), ..all() }, vec![(two, 1)]),
        (Selector { size: Some(Size::AtLeast(27)), ..all() }, vec![]),
        (Selector { size: Some(Size::AtMost(26)), domain: text("example.com"), ..all() }, vec![(one, 3)]),
        (Selector { held: Some(true), ..all() }, vec![]),
        (Selector { error: text("."), ..all() }, vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(message, number)| format!("{message}.{number}")).collect();
        assert_eq!(fixture.ids(selector.clone()).await, expected, "{selector:?}");
    }
}

#[tokio::test]
async fn a_selector_that_cannot_be_meant_is_refused_with_its_name() {
    let fixture = Fixture::start();
    let text = |text: &str| Some(text.to_owned());
    for (name, selector) in [
        ("--id", by_id(&"not an id")),
        ("--sender", Selector { sender: text("a@@b"), ..Selector::default() }),
        ("--domain", Selector { domain: text("-"), ..Selector::default() }),
        ("--error", Selector { error: text("("), ..Selector::default() }),
    ] {
        let error = fixture.client.find(&selector).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { status: 400, .. }), "{error:?}");
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_whole_and_in_order() {
    let fixture = Fixture::start();
    let mut expected = Vec::new();
    for _ in 0..1201 {
        let id = fixture.message("<a@example.org>", &["<b@example.net>"]).await;
        expected.push(format!("{id}.1"));
    }
    assert_eq!(fixture.ids(Selector::default()).await, expected);
}

#[tokio::test]
async fn acts_change_what_is_selected_and_say_how_much() {
    let fixture = Fixture::start();
    let one = fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.com>"]).await;
    fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    assert_eq!(fixture.act(Act::Hold, by_id(&format!("{one}.1"))).await, (1, 1));
    let held = fixture.find(Selector { held: Some(true), ..Selector::default() }).await;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].state, held[0].hold.as_ref().unwrap().reason.as_str()), (QueueState::Held, "a test"));
    assert_eq!(fixture.act(Act::Release, Selector::default()).await, (3, 1));
    assert_eq!(fixture.act(Act::Remove, by_id(&one)).await, (2, 2));
    assert_eq!(fixture.find(by_id(&one)).await, []);
    assert_eq!(fixture.act(Act::Remove, by_id(&one)).await, (0, 0));
    assert_eq!(fixture.find(Selector::default()).await.len(), 1);
}

#[tokio::test]
async fn one_of_two_recipients_at_a_domain_is_removed_alone() {
    let fixture = Fixture::start();
    let id = fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.net>"]).await;
    assert_eq!(fixture.act(Act::Remove, by_id(&format!("{id}.1"))).await, (1, 1));
    assert_eq!(fixture.ids(Selector::default()).await, [format!("{id}.2")]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let fixture = Fixture::start();
    fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.net>"]).await;
    let selector = Selector::default();
    let request = ControlRequest { act: Act::Remove, selector, reason: None, for_seconds: None, dry_run: true };
    let report = fixture.client.control(&request).await.unwrap();
    assert_eq!((report.matched, report.changed), (2, 0));
    assert_eq!(fixture.find(Selector::default()).await.len(), 2);
}

/// C33: after the queue was emptied under way, the next message is due at once and nothing is in flight.
#[tokio::test]
async fn an_emptied_queue_goes_on() {
    let fixture = Fixture::start();
    for _ in 0..20 {
        fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    }
    let queue = fixture.control.queue();
    let lane = smtp_queue::Lane::new("example.net");
    let leases = queue.lease(&lane, SystemTime::now(), 5);
    assert_eq!(leases.len(), 5);
    assert_eq!(fixture.client.status().await.unwrap().queue.in_flight, 5);
    assert_eq!(fixture.act(Act::Remove, Selector::default()).await, (20, 20));
    drop(leases);
    let counts = fixture.client.status().await.unwrap().queue;
    assert_eq!((counts.messages, counts.deliveries, counts.in_flight, counts.due), (0, 0, 0, 0));
    let id = fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    let leases = queue.lease(&lane, SystemTime::now(), 5);
    assert_eq!(leases.iter().map(smtp_queue::Lease::id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_message_is_shown_with_its_content() {
    let fixture = Fixture::start();
    let id = fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.com>"]).await;
    for text in [id.to_string(), format!("{id}.2")] {
        let message = fixture.client.message(&text).await.unwrap();
        assert_eq!((message.id, message.origin.as_str()), (id.to_string(), "192.0.2.1"));
        assert_eq!(message.recipients.len(), 2);
        let mut content = fixture.client.content(&text).await.unwrap();
        let mut octets = Vec::new();
        while let Some(chunk) = content.next().await.unwrap() {
            octets.extend_from_slice(&chunk);
        }
        assert_eq!(octets, b"Subject: hello\r\n\r\nHello.\r\n");
    }
    let other = MessageId::from_raw(id.as_raw() + 1);
    for missing in [other.to_string(), format!("{id}.3"), "nonsense".to_owned()] {
        let error = fixture.client.message(&missing).await.unwrap_err();
        assert!(matches!(error, ClientError::NotFound { .. }), "{error:?}");
    }
}

async fn pause(fixture: &Fixture, scope: Scope, for_seconds: Option<u64>) -> smtp_admin::Status {
    let reason = Some("new disk".to_owned());
    fixture.client.pause(&PauseRequest { scope, for_seconds, reason }).await.unwrap()
}

#[tokio::test]
async fn parts_are_paused_and_resumed() {
    let fixture = Fixture::start();
    let domain = || Scope::Domain("example.net".to_owned());
    let status = pause(&fixture, Scope::Mta, Some(60)).await;
    let shown = status.mta.pause.unwrap();
    assert_eq!(shown.reason.as_deref(), Some("new disk"));
    assert!(shown.until.is_some());
    assert!(pause(&fixture, Scope::Mda, None).await.mda.pause.unwrap().until.is_none());
    let status = pause(&fixture, domain(), None).await;
    assert!(status.paused_domains.contains_key("example.net"));
    assert!(status.ready, "delivery that is paused does not refuse mail");
    let status = pause(&fixture, Scope::Smtp, None).await;
    assert!(status.smtp.pause.is_some());
    assert!(!status.ready);
    assert!(!fixture.control.is_accepting(SystemTime::now()));
    for scope in [Scope::Mta, Scope::Mda, domain(), Scope::Smtp] {
        let request = ResumeRequest { scope: scope.clone(), reason: None };
        fixture.client.resume(&request).await.unwrap();
        let error = fixture.client.resume(&request).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{scope} is not paused"));
    }
    let status = fixture.client.status().await.unwrap();
    assert!(status.ready && status.paused_domains.is_empty());
    assert_eq!((status.mta.pause, status.mda.pause, status.smtp.pause), (None, None, None));
}

#[tokio::test]
async fn what_is_paused_is_shown_so_in_the_queue() {
    let fixture = Fixture::start();
    fixture.message("<a@example.org>", &["<b@example.net>", "<c@example.com>"]).await;
    pause(&fixture, Scope::Domain("example.net".to_owned()), None).await;
    let states: Vec<_> = fixture.find(Selector::default()).await.into_iter().map(|found| found.state).collect();
    assert_eq!(states, [QueueState::Paused, QueueState::Due]);
}

#[tokio::test]
async fn a_pause_of_smtp_ends_by_itself() {
    let fixture = Fixture::start();
    pause(&fixture, Scope::Smtp, Some(60)).await;
    let now = SystemTime::now();
    assert!(!fixture.control.is_accepting(now));
    assert!(fixture.control.is_accepting(now + Duration::from_secs(61)));
    assert!(!fixture.control.resume_smtp(now + Duration::from_secs(61)), "it is over already");
}

#[tokio::test]
async fn health_is_told_to_watchers() {
    let fixture = Fixture::start();
    assert!(fixture.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let ready = fixture.get("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200 OK\r\n") && ready.ends_with("\r\n\r\nok\n"), "{ready}");
    fixture.control.set_problem(Topic::Certificates, Some("mx.pem is not there".to_owned()));
    let ready = fixture.get("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200 OK\r\n") && ready.ends_with("mx.pem is not there\n"), "{ready}");
    fixture.control.set_problem(Topic::Certificates, None);
    fixture.control.stop();
    let ready = fixture.get("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{ready}");
    assert!(ready.ends_with("the server is stopping\n"), "{ready}");
    assert!(fixture.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn metrics_are_scraped_with_the_state_of_the_queue() {
    let fixture = Fixture::start();
    fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    let text = fixture.get("/metrics").await;
    assert!(text.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"), "{text}");
    assert!(text.contains("\nsmtp_server_queue_messages 1\n"), "{text}");
    assert!(text.contains("\nsmtp_server_queue_deliveries{state=\"due\"} 1\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn stats_have_the_names_of_opensmtpd() {
    let fixture = Fixture::start();
    let _session = fixture.control.metrics().session_opened(crate::metrics::Service::Mx);
    let stats = fixture.client.stats().await.unwrap();
    assert_eq!(stats.counters["smtp.session"], 1);
    assert_eq!(stats.counters["scheduler.delivery.ok"], 0);
}

#[tokio::test]
async fn requests_of_another_version_are_refused_in_words() {
    let fixture = Fixture::start();
    let answer = fixture.get("/v2/status").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("there is no request GET /v2/status"), "{answer}");
    assert!(fixture.get("/v1/pause").await.contains("there is no request GET /v1/pause"));
}

#[tokio::test]
async fn the_socket_goes_when_the_server_stops() {
    let mut fixture = Fixture::start();
    fixture.client.status().await.unwrap();
    fixture.stop.take().unwrap().send(()).unwrap();
    (&mut fixture.served).await.unwrap().unwrap();
    assert!(!fixture.socket().exists());
    assert!(matches!(fixture.client.status().await, Err(ClientError::NotRunning { .. })));
}

/// A list that nobody reads on, longer than the buffers of the socket, does not hold up the end.
#[tokio::test]
async fn a_reader_that_has_stalled_is_left_behind() {
    let mut fixture = Fixture::start();
    for _ in 0..2000 {
        fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    }
    let mut entries = fixture.client.find(&Selector::default()).await.unwrap();
    assert!(entries.next().await.unwrap().is_some());
    tokio::time::pause();
    fixture.stop.take().unwrap().send(()).unwrap();
    (&mut fixture.served).await.unwrap().unwrap();
    assert!(!fixture.socket().exists());
    drop(entries);
}

/// The mode of a socket can be loosened by hand; a stranger is turned away all the same.
#[tokio::test]
async fn a_stranger_is_turned_away_from_every_path() {
    let fixture = Fixture::start();
    let path = fixture.directory.path().join("other.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let stranger = Peer { uid: 4_000_000_000, gid: 4_000_000_000, pid: None };
    let api = Api { control: fixture.control.clone(), configuration: configuration(&fixture.directory) };
    let router = router(api, Arc::new(Admission::new(None)));
    for (name, caller) in [("stranger", Caller(Some(stranger))), ("unknown", Caller(None))] {
        let path = path.with_extension(name);
        let listener = UnixListener::bind(&path).unwrap();
        let router = router.clone().layer(MockConnectInfo(caller));
        tokio::spawn(async { axum::serve(listener, router).await });
        let client = Client::new(&path);
        assert!(matches!(client.status().await, Err(ClientError::Denied { .. })));
        assert!(matches!(client.find(&Selector::default()).await, Err(ClientError::Denied { .. })));
        let remove = ControlRequest {
            act: Act::Remove,
            selector: Selector::default(),
            reason: None,
            for_seconds: None,
            dry_run: false,
        };
        assert!(matches!(client.control(&remove).await, Err(ClientError::Denied { .. })));
    }
    drop(listener);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged() -> (Lines, DefaultGuard) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(Format::Json, lines.clone()));
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn every_act_is_logged_with_who_and_why() {
    let (lines, _guard) = logged();
    let fixture = Fixture::start();
    fixture.message("<a@example.org>", &["<b@example.net>"]).await;
    pause(&fixture, Scope::Mta, None).await;
    fixture.act(Act::Remove, Selector { domain: Some("example.net".to_owned()), ..Selector::default() }).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let acts: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let acts: Vec<_> = acts.iter().filter(|line| line["event"] == "act").collect();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(acts.len(), 2, "{text}");
    assert_eq!(
        (&acts[0]["act"], &acts[0]["target"], &acts[0]["reason"]),
        (&"pause".into(), &"mta".into(), &"new disk".into())
    );
    assert_eq!(
        (&acts[1]["act"], &acts[1]["changed"], &acts[1]["reason"]),
        (&"remove".into(), &1.into(), &"a test".into())
    );
    assert_eq!(acts[1]["target"], r#"{"domain":"example.net"}"#);
    assert!(acts.iter().all(|act| act["uid"] == uid));
}
