//! The demo: a whole server on this computer, and a tour of what it does.

mod files;
mod page;
mod peer;
mod tour;

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use self::files::{Addresses, Directory};
use self::page::{Page, Then};
use self::peer::Peer;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::log;
use crate::signals::Stop;

/// What the demo is asked for.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Run the tour, check that all went as it should, and end: exit code 0 or 1
    #[arg(long)]
    check: bool,
    /// Where everything lies, an empty or new directory [default: a fresh temporary one]
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Leave the directory there at the end
    #[arg(long)]
    keep: bool,
    /// The port for SMTP, submission gets 562 more and submissions 440 more; 0: any free ones
    #[arg(long, value_name = "PORT", default_value_t = 1025)]
    port: u16,
    /// Show the server's log too
    #[arg(long)]
    log: bool,
}

/// Nobody is told that all went as it should, if nobody has seen that.
#[derive(Debug, thiserror::Error)]
#[error("the check was stopped before its end")]
struct Stopped;

/// Runs the demo, until Ctrl-C or, with `--check`, to the end of its tour.
///
/// # Errors
/// Something could not be started, or a message did not come to its end.
pub async fn run(arguments: DemoArguments) -> Result<u8> {
    log::install(log::Format::Human, if arguments.log { "info" } else { "error" })?;
    let mut stop = Stop::new()?;
    let peer = Peer::start()?;
    let directory = Directory::make(arguments.dir, arguments.keep)?;
    let port = if arguments.check { 0 } else { arguments.port };
    let addresses = Addresses {
        smtp: free_addresses(port)?,
        submission: free_addresses(shifted(port, 562))?,
        submissions: free_addresses(shifted(port, 440))?,
        away: peer.address(),
    };
    directory.write(&addresses)?;
    let loaded = Config::load(&directory.configuration())?;
    let daemon = Daemon::start(loaded.config).await?;
    let then = if arguments.check { Then::End } else { Then::Stay { keep: arguments.keep } };
    let toured = tokio::select! {
        toured = tour(&directory, &addresses, &daemon, then) => toured,
        () = stop.asked() => if arguments.check { Err(Stopped.into()) } else { Ok(()) },
    };
    if toured.is_ok() && !arguments.check {
        stop.asked().await;
    }
    daemon.stop().await;
    toured.map(|()| 0)
}

async fn tour(directory: &Directory, addresses: &Addresses, daemon: &Daemon, then: Then) -> Result<()> {
    let attempts = daemon.watch();
    let sent_by = tour::send(directory, addresses).await?;
    let stories = tour::follow(directory, attempts).await?;
    let smtpctl = smtpctl();
    let page = Page { directory, addresses, sent_by: &sent_by, stories: &stories, smtpctl: &smtpctl, then };
    let mut output = std::io::stdout().lock();
    write!(output, "{page}").and_then(|()| output.flush()).context("the page cannot be printed")
}

/// How smtpctl is called from where the user stands: beside this program, through cargo, or by its name.
fn smtpctl() -> String {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("smtpctl"));
    match beside.filter(|path| path.exists()) {
        Some(path) => path.display().to_string(),
        None if std::env::var_os("CARGO").is_some() => "cargo run -q --release -p smtpctl --".to_owned(),
        None => "smtpctl".to_owned(),
    }
}

fn shifted(port: u16, by: u16) -> u16 {
    if port == 0 { 0 } else { port.saturating_add(by) }
}

/// `port` on 127.0.0.1 and, where the machine has it, `::1`; where it is taken, the next that is free on both.
fn free_addresses(port: u16) -> Result<Vec<SocketAddr>> {
    for candidate in port..=port.saturating_add(100) {
        let Ok(first) = TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) else { continue };
        let port = first.local_addr()?.port();
        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(_) => addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port))),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => continue,
            Err(_) => {}
        }
        return Ok(addresses);
    }
    anyhow::bail!("no port from {port} to {} is free on this computer", port.saturating_add(100))
}
