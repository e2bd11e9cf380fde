//! What it costs others when somebody guesses passwords: from many addresses, all at once.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::secure::Secure;
use super::server::{LOCAL_RECIPIENT, Peer, Running};
use super::submission::auth_plain;
use crate::ground::Ground;
use crate::load::{self, Client, LoadReport, Message, Tls, count};
use crate::ours;

/// How much is guessed, and how much mail there is beside it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Addresses from which is guessed
    #[arg(long, default_value_t = 100)]
    addresses: u8,
    /// Wrong passwords from each address
    #[arg(long, default_value_t = 10)]
    guesses: usize,
    /// Messages a second of the others
    #[arg(long, default_value_t = 200)]
    messages_per_second: u32,
}

/// The others' sessions.
const SESSIONS: u32 = 10;
const CONTENT_OCTETS: usize = 4096;
/// How long the calm is measured.
const CALM: Duration = Duration::from_secs(10);

/// Measures and prints a table.
///
/// # Errors
/// When the server does not start, or refuses one of the others.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ours::build()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    println!("\n{}", runtime.block_on(measure(arguments))?);
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments) -> Result<String> {
    let ground = Ground::new()?;
    let sink = super::free_address()?;
    let server = Peer::Ours.start(&ground, sink, true).await?;
    let calm = others(&server, arguments.messages_per_second, Until::Passed(Instant::now() + CALM)).await?;
    let before = server.processes().memory_octets()?;
    let peak = server.processes().watch_peak();
    let guessing = tokio::spawn(guess_all(guessers(&server, arguments)?));
    let start = Instant::now();
    let guessed = others(&server, arguments.messages_per_second, Until::Done(&guessing)).await?;
    let time = start.elapsed();
    let verified = guessing.await.context("the guesses ended early")??;
    let grown = peak.stop().await?.saturating_sub(before);
    let (calm_99, guessed_99) = (calm.percentile(0.99), guessed.percentile(0.99));
    Ok(format!(
        "| {verified} wrong passwords from {} addresses in {:.1} s | | wanted |\n|---|---:|---|\n\
         | the 250 of others: 99 of 100 within, calm | {:.2} ms, of {} | |\n\
         | the same meanwhile | {:.2} ms, of {} | |\n\
         | ratio | {:.2} | ≤ 2 |\n\
         | memory grown at most by | {:.1} MiB | |",
        arguments.addresses,
        time.as_secs_f64(),
        calm_99.as_secs_f64() * 1e3,
        calm.latencies.len(),
        guessed_99.as_secs_f64() * 1e3,
        guessed.latencies.len(),
        guessed_99.as_secs_f64() / calm_99.as_secs_f64(),
        count(usize::try_from(grown)?) / f64::from(1 << 20),
    ))
}

/// When the others stop.
#[derive(Clone, Copy)]
enum Until<'a> {
    Passed(Instant),
    Done(&'a tokio::task::JoinHandle<Result<usize>>),
}

impl Until<'_> {
    fn is_reached(self) -> bool {
        match self {
            Self::Passed(end) => Instant::now() >= end,
            Self::Done(task) => task.is_finished(),
        }
    }
}

/// Sends so many messages a second, by several sessions, and no faster: what is measured is the wait and not the rush.
async fn others(server: &Running, messages_per_second: u32, until: Until<'_>) -> Result<LoadReport> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut sessions = JoinSet::new();
    let start = Instant::now();
    for number in 0..SESSIONS {
        let (address, stopped) = (server.address(), stopped.clone());
        let every = Duration::from_secs(1) * SESSIONS / messages_per_second;
        let first = start + every * number / SESSIONS;
        sessions.spawn(async move {
            let content = load::content(CONTENT_OCTETS);
            let mut client = Client::connect(address).await?;
            let mut latencies = Vec::new();
            let mut turns = tokio::time::interval_at(first, every);
            while !*stopped.borrow() {
                turns.tick().await;
                let message = Message { sender: "load@client.test", recipient: LOCAL_RECIPIENT, content: &content };
                latencies.push(client.send(&message, true).await?);
            }
            client.quit().await?;
            anyhow::Ok(latencies)
        });
    }
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    while !until.is_reached() {
        looks.tick().await;
    }
    stop.send_replace(true);
    let mut latencies = Vec::new();
    while let Some(done) = sessions.join_next().await {
        latencies.extend(done.context("a session of the others ended early")??);
    }
    latencies.sort_unstable();
    Ok(LoadReport { time: start.elapsed(), latencies })
}

/// Who guesses: one client an address.
struct Guesser {
    own: Ipv4Addr,
    tls: Tls,
    secure: std::net::SocketAddr,
    guesses: usize,
}

fn guessers(server: &Running, arguments: &Arguments) -> Result<Vec<Guesser>> {
    let secure: &Secure = server.secure()?;
    let tls = secure.client()?;
    let guesser = |last| Guesser {
        own: Ipv4Addr::new(127, 0, 2, last),
        tls: tls.clone(),
        secure: secure.address,
        guesses: arguments.guesses,
    };
    Ok((1..=arguments.addresses).map(guesser).collect())
}

/// How many passwords were refused.
async fn guess_all(guessers: Vec<Guesser>) -> Result<usize> {
    let mut tasks: JoinSet<_> = guessers.into_iter().map(guess).collect();
    let mut refused = 0;
    while let Some(done) = tasks.join_next().await {
        refused += done.context("a guesser ended early")??;
    }
    Ok(refused)
}

/// Guesses, each time over a connection of its own; how many guesses were answered with 535.
async fn guess(guesser: Guesser) -> Result<usize> {
    for number in 0..guesser.guesses {
        let client = Client::connect_from(guesser.own, guesser.secure).await?;
        let mut client = client.start_tls(&guesser.tls).await?;
        client.command(&auth_plain(&format!("guess {number}")), 535).await?;
        client.quit().await?;
    }
    Ok(guesser.guesses)
}
