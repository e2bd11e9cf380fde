//! What is done to a server, one job at a time, each in a fresh folder.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::idle;
use super::server::{LOCAL_RECIPIENT, Peer, RELAYED_RECIPIENT, Running};
use super::source::{self, Sink, Source};
use super::submission::{self, Visit};
use super::table::Measure;
use crate::ground::Ground;
use crate::load::{self, Load, count};

const SESSIONS: usize = 20;
const CONTENT_OCTETS: usize = 4096;
const LARGE_SESSIONS: usize = 10;
const LARGE_CONTENT_OCTETS: usize = 5_000_000;
/// Postfix has a process for each session and stops at 100 of them.
const POSTFIX_IDLE_SESSIONS: usize = 80;
/// The most that one phase may take.
const PHASE_MAX: Duration = Duration::from_mins(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts {
    pub(super) messages: usize,
    pub(super) large_messages: usize,
    pub(super) idle_sessions: usize,
    pub(super) handshakes: usize,
    pub(super) logins: usize,
}

/// One job and what it measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Phase {
    /// `smtp-source`, many messages a connection, into a mailbox
    Many,
    /// `smtp-source`, a connection for each message
    One,
    /// `smtp-source` in, `smtp-sink` out
    Relay,
    /// Our load client: how long the 250 takes
    Latency,
    /// Our load client with PIPELINING
    Pipelining,
    /// Messages of 5 MB
    Large,
    /// Sessions that wait
    Idle,
    /// Connections that each make a handshake
    Handshakes,
    /// Connections that each log in
    Logins,
}

type Measured = Vec<(Measure, f64)>;

impl Phase {
    pub(super) const ALL: [Self; 9] = [
        Self::Many,
        Self::One,
        Self::Relay,
        Self::Latency,
        Self::Pipelining,
        Self::Large,
        Self::Idle,
        Self::Handshakes,
        Self::Logins,
    ];

    /// Starts the server, does the job, stops the server.
    ///
    /// # Errors
    /// When the server does not start, refuses something, or is not done in time.
    pub(super) async fn run(self, peer: Peer, ground: &Ground, amounts: Amounts) -> Result<Measured> {
        let sink = Sink::start()?;
        let secure = matches!(self, Self::Handshakes | Self::Logins);
        let server = peer.start(ground, sink.address(), secure).await?;
        let job = async {
            match self {
                Self::Many => many(&server, amounts.messages).await,
                Self::One => one(&server, amounts.messages).await,
                Self::Relay => relay(&server, sink, amounts.messages).await,
                Self::Latency => latency(&server, amounts.messages).await,
                Self::Pipelining => pipelining(&server, amounts.messages).await,
                Self::Large => large(&server, amounts.large_messages).await,
                Self::Idle => idle(&server, peer, amounts.idle_sessions).await,
                Self::Handshakes => handshakes(&server, amounts.handshakes).await,
                Self::Logins => logins(&server, amounts.logins).await,
            }
        };
        let done = tokio::time::timeout(PHASE_MAX, job).await;
        done.with_context(|| format!("not done in {} s", PHASE_MAX.as_secs()))?
    }
}

async fn many(server: &Running, messages: usize) -> Result<Measured> {
    let before = server.processes().cpu()?;
    let peak = server.processes().watch_peak();
    let start = Instant::now();
    let accepted = source::send(small(server, messages, LOCAL_RECIPIENT, true)).await?;
    wait_for_mailbox(server, messages).await?;
    let delivered = start.elapsed();
    let cpu = server.processes().cpu()?.saturating_sub(before);
    Ok(vec![
        (Measure::ManyAccepted, rate(messages, accepted)),
        (Measure::ManyDelivered, rate(messages, delivered)),
        (Measure::ManyCpu, milliseconds_each(cpu, messages)),
        (Measure::ManyMemory, mebibytes(peak.stop().await?)),
    ])
}

async fn one(server: &Running, messages: usize) -> Result<Measured> {
    let before = server.processes().cpu()?;
    let accepted = source::send(small(server, messages, LOCAL_RECIPIENT, false)).await?;
    wait_for_mailbox(server, messages).await?;
    let cpu = server.processes().cpu()?.saturating_sub(before);
    Ok(vec![(Measure::OneAccepted, rate(messages, accepted)), (Measure::OneCpu, milliseconds_each(cpu, messages))])
}

async fn relay(server: &Running, mut sink: Sink, messages: usize) -> Result<Measured> {
    let before = server.processes().cpu()?;
    let start = Instant::now();
    source::send(small(server, messages, RELAYED_RECIPIENT, true)).await?;
    sink.wait_for(messages).await?;
    let arrived = start.elapsed();
    let cpu = server.processes().cpu()?.saturating_sub(before);
    Ok(vec![(Measure::Relayed, rate(messages, arrived)), (Measure::RelayedCpu, milliseconds_each(cpu, messages))])
}

async fn latency(server: &Running, messages: usize) -> Result<Measured> {
    let report = load::run(&load_of(server, messages, false)).await?;
    Ok(vec![
        (Measure::MedianLatency, milliseconds(report.percentile(0.5))),
        (Measure::Percentile99Latency, milliseconds(report.percentile(0.99))),
    ])
}

async fn pipelining(server: &Running, messages: usize) -> Result<Measured> {
    let report = load::run(&load_of(server, messages, true)).await?;
    Ok(vec![
        (Measure::PipelinedAccepted, report.rate()),
        (Measure::PipelinedPercentile99, milliseconds(report.percentile(0.99))),
    ])
}

async fn large(server: &Running, messages: usize) -> Result<Measured> {
    let peak = server.processes().watch_peak();
    let source = Source {
        sessions: LARGE_SESSIONS,
        octets: LARGE_CONTENT_OCTETS,
        ..small(server, messages, LOCAL_RECIPIENT, true)
    };
    let accepted = source::send(source).await?;
    let megabytes = count(messages * LARGE_CONTENT_OCTETS) / 1e6;
    wait_for_mailbox(server, messages).await?;
    Ok(vec![
        (Measure::LargeRate, megabytes / accepted.as_secs_f64()),
        (Measure::LargeMemory, mebibytes(peak.stop().await?)),
    ])
}

async fn idle(server: &Running, peer: Peer, sessions: usize) -> Result<Measured> {
    let sessions = match peer {
        Peer::Postfix => sessions.min(POSTFIX_IDLE_SESSIONS),
        Peer::Ours => sessions,
    };
    // What the first session brings to life is not the price of a session.
    drop(idle::open(server.address(), 1).await?);
    let before = server.processes().memory_octets()?;
    let open = idle::open(server.address(), sessions).await?;
    let after = server.processes().memory_octets()?;
    ensure!(open.len() == sessions, "sessions were lost");
    let octets = after.saturating_sub(before);
    let kibibytes = count(usize::try_from(octets)?) / 1024.0;
    Ok(vec![(Measure::IdleSession, kibibytes / count(sessions))])
}

async fn handshakes(server: &Running, handshakes: usize) -> Result<Measured> {
    let before = server.processes().cpu()?;
    let time = submission::connect(server.secure()?, SESSIONS, handshakes, Visit::Greet).await?;
    let cpu = server.processes().cpu()?.saturating_sub(before);
    Ok(vec![(Measure::Handshakes, rate(handshakes, time)), (Measure::HandshakeCpu, milliseconds_each(cpu, handshakes))])
}

async fn logins(server: &Running, logins: usize) -> Result<Measured> {
    let time = submission::connect(server.secure()?, SESSIONS, logins, Visit::LogIn).await?;
    Ok(vec![(Measure::Logins, rate(logins, time))])
}

fn small<'a>(server: &Running, messages: usize, recipient: &'a str, many_per_connection: bool) -> Source<'a> {
    Source {
        address: server.address(),
        sessions: SESSIONS,
        messages,
        octets: CONTENT_OCTETS,
        recipient,
        many_per_connection,
    }
}

fn load_of(server: &Running, messages: usize, pipelining: bool) -> Load {
    Load {
        address: server.address(),
        sessions: SESSIONS,
        messages,
        content_octets: CONTENT_OCTETS,
        recipients: vec![LOCAL_RECIPIENT.into()],
        pipelining,
    }
}

async fn wait_for_mailbox(server: &Running, messages: usize) -> Result<()> {
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    while server.delivered()? < messages {
        looks.tick().await;
    }
    Ok(())
}

fn rate(messages: usize, time: Duration) -> f64 {
    count(messages) / time.as_secs_f64()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn milliseconds_each(time: Duration, messages: usize) -> f64 {
    milliseconds(time) / count(messages)
}

fn mebibytes(octets: u64) -> f64 {
    count(usize::try_from(octets).unwrap_or(usize::MAX)) / f64::from(1 << 20)
}
