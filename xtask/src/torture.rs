//! `cargo xtask torture`: kill the server under load, again and again, and count every message.
//!
//! A round starts the server, loads it, and kills it with SIGKILL at a random moment, or cuts the power of its disk. After the last round the
//! server is left in peace until its queue is empty. Then each message that was answered 250 must lie exactly
//! once in the mailbox or at the sink, or its delivery report in the mailbox if the sink refuses it; a second
//! copy is right only where the first arrived just before a kill, so that it could not be settled.

mod ledger;
mod load;
mod mailbox;
mod sink;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::ours::{self, Server};
use ledger::Ledger;
use load::Sessions;
use sink::Sink;

/// How often, and how hard.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often the server is killed
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// What the random choices follow from; without it, another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Sessions that send at once
    #[arg(long, default_value_t = 10)]
    sessions: usize,
    /// The most messages of one round
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// Cut the power of the disk instead: what was not synced is gone. Needs root, e2fsprogs and xfsprogs
    #[arg(long)]
    power_cut: bool,
    /// The longest time until the kill, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    kill_within_ms: u64,
}

/// Runs the rounds and counts.
///
/// # Errors
/// When the server does not start again after a kill. A message that is lost or doubled is the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ours::build()?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("torture: seed {seed}");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let ledger = runtime.block_on(torture(arguments, seed))?;
    let faults = ledger.faults();
    for fault in faults.iter().take(20) {
        eprintln!("{fault}");
    }
    println!("{}", ledger.summary());
    if faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} faults; again: cargo xtask torture --seed {seed}", faults.len());
    Ok(ExitCode::FAILURE)
}

async fn torture(arguments: &Arguments, seed: u64) -> Result<Ledger> {
    let mut random = fastrand::Rng::with_seed(seed);
    let sink = Sink::open(random.fork()).await?;
    let server = if arguments.power_cut { Server::on_disk } else { Server::new };
    let mut server = server(sink.address(), "retry = [\"500ms\", \"…\"]\n")?;
    let mut ledger = Ledger::default();
    for round in 1..=arguments.rounds {
        server.start().await.with_context(|| format!("the start of round {round}"))?;
        let sessions = Sessions::begin(server.address(), arguments.sessions, arguments.messages, round, &mut random);
        tokio::time::sleep(Duration::from_millis(random.u64(10..=arguments.kill_within_ms))).await;
        if arguments.power_cut { server.cut_power() } else { server.kill() }?;
        ledger.killed(SystemTime::now());
        let (answered, sent) = sessions.end().await?;
        println!("round {round}: killed; {answered} of {sent} messages were answered", answered = answered.len());
        ledger.answered(answered, sent);
    }
    server.start().await.context("the last start")?;
    server.wait_for_empty_queue().await?;
    server.stop().await?;
    server.check()?;
    ledger.arrived(mailbox::read(&server.mailbox())?);
    ledger.arrived(sink.close());
    Ok(ledger)
}
