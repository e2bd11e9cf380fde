//! Our server beside Debian's Postfix: the same jobs, one after the other, on loopback, with fsync.
//!
//! Both log as they do when nothing is set: Postfix to a syslog that need not be there, ours to a file.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::phases::{Amounts, Phase};
use super::server::Peer;
use super::table::Figures;
use crate::ground::Ground;
use crate::{ci, ours};

/// How much, how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages of 4 KB in each phase
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Messages of 5 MB
    #[arg(long, default_value_t = 60)]
    large_messages: usize,
    /// Idle sessions
    #[arg(long, default_value_t = 5_000)]
    idle_sessions: usize,
    /// Connections that make a handshake
    #[arg(long, default_value_t = 4_000)]
    handshakes: usize,
    /// Connections that log in
    #[arg(long, default_value_t = 400)]
    logins: usize,
    /// How often each phase is run; the table has the middle one
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Run only these phases
    #[arg(long, value_delimiter = ',')]
    only: Vec<Phase>,
    /// Measure Postfix alone
    #[arg(long)]
    without_ours: bool,
}

/// Measures both and prints the table.
///
/// # Errors
/// When a server does not start, or a phase fails.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ci::install_packages()?;
    if !arguments.without_ours {
        ours::build()?;
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let figures = runtime.block_on(measure(arguments))?;
    println!("\n{}", figures.render());
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments) -> Result<Figures> {
    let amounts = Amounts {
        messages: arguments.messages,
        large_messages: arguments.large_messages,
        idle_sessions: arguments.idle_sessions,
        handshakes: arguments.handshakes,
        logins: arguments.logins,
    };
    let ground = Ground::new()?;
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        for phase in Phase::ALL {
            if !arguments.only.is_empty() && !arguments.only.contains(&phase) {
                continue;
            }
            for peer in Peer::ALL {
                if arguments.without_ours && peer == Peer::Ours {
                    continue;
                }
                println!("round {round}: {phase:?}, {}", peer.name());
                let measured = phase.run(peer, &ground, amounts).await;
                let measured = measured.with_context(|| format!("{phase:?} with {}", peer.name()))?;
                figures.add(peer, &measured);
            }
        }
    }
    Ok(figures)
}
