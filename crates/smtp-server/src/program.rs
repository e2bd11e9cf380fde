//! The program `smtp-server`: its arguments, its signals, its exit codes.

use std::error::Error;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use smtp_config::file::{Log, LogFormat, LogLevel};
use smtp_config::{Found, LoadError};
use smtp_queue::OpenError;
use tokio::signal::unix::SignalKind;

use crate::check;
use crate::config::{Config, EXIT_CONFIG};
use crate::daemon::{Daemon, StartError};
use crate::demo::{self, DemoArguments};
use crate::log;
use crate::signals::{self, Stop};

/// `EX_USAGE` of sysexits: the arguments are wrong.
const EXIT_USAGE: u8 = 64;
/// `EX_OSERR` of sysexits: an address, a socket, or the queue cannot be had, most often because another process has it.
const EXIT_SYSTEM: u8 = 71;
/// `EX_IOERR`: the queue cannot be read, or the disk failed in a way after which nothing that was written can be trusted.
const EXIT_INPUT_OUTPUT: u8 = 74;
/// Something in the demo did not go as it should.
const EXIT_DEMO_FAILED: u8 = 1;
/// `EX_SOFTWARE`: a defect.
const EXIT_SOFTWARE: u8 = 70;

/// An SMTP server: takes mail in, keeps it safe, and brings it on.
#[derive(Debug, Parser)]
#[command(name = "smtp-server", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: `$SMTP_SERVER_CONFIG`, else /etc/smtp-server/smtp-server.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground (what is done without a command)
    Run,
    /// Say whether the configuration can be used, and what it will do
    Check,
    /// Show the server at work on this computer: no configuration, no root, nothing left behind
    Demo(DemoArguments),
}

/// Runs what the arguments ask for.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for, and are no mistake. A terminal that is gone reads neither.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let code = match arguments.command {
        None | Some(Command::Run) => run_server(arguments.config),
        Some(Command::Check) => check(arguments.config),
        Some(Command::Demo(arguments)) => in_runtime(demo::run(arguments)).min(EXIT_DEMO_FAILED),
    };
    log::flush();
    ExitCode::from(code)
}

fn run_server(path: Option<PathBuf>) -> u8 {
    let found = find(path);
    let loaded = match Config::load(&found.path) {
        Ok(loaded) => loaded,
        Err(error) => {
            say(&error);
            if matches!(error, LoadError::Read(_)) {
                say_where(&found);
            }
            return EXIT_CONFIG;
        }
    };
    if let Err(error) = log::install(format(&loaded.config.log), filter(&loaded.config.log)) {
        say(&error);
        return EXIT_CONFIG;
    }
    // Else it would be written between the lines of the log, in a form of its own.
    std::panic::set_hook(Box::new(log::panic));
    for warning in &loaded.warnings {
        log::configuration_warning(warning);
    }
    in_runtime(serve(loaded.config))
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn check(path: Option<PathBuf>) -> u8 {
    let report = check::check(&find(path).path, SystemTime::now());
    println!("{report}");
    report.exit_code()
}

/// The configuration file that is meant, by the argument, the environment or by habit.
fn find(path: Option<PathBuf>) -> Found {
    smtp_config::find(path, std::env::var_os(smtp_config::ENVIRONMENT_VARIABLE))
}

fn in_runtime(work: impl Future<Output = Result<u8>>) -> u8 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done =
        runtime.context("the threads of the server cannot be started").and_then(|runtime| runtime.block_on(work));
    done.unwrap_or_else(|error| {
        say(error.as_ref());
        EXIT_SOFTWARE
    })
}

/// Serves until a signal says stop, or the disk fails.
async fn serve(config: Config) -> Result<u8> {
    let path = config.path.clone();
    let mut stop = Stop::new()?;
    let mut hangup = signals::catch(SignalKind::hangup())?;
    let mut daemon = match Daemon::start(config).await {
        Ok(daemon) => daemon,
        Err(error) => {
            log::not_started(&error);
            return Ok(match error {
                StartError::Queue { source, .. } if !matches!(source, OpenError::Locked { .. }) => EXIT_INPUT_OUTPUT,
                StartError::Queue { .. } | StartError::Listen(_) | StartError::Socket(_) => EXIT_SYSTEM,
            });
        }
    };
    tell_supervisor(&[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = hangup.recv() => reload(&mut daemon, &path).await,
            error = daemon.fatal() => {
                log::fatal(&error);
                return Ok(EXIT_INPUT_OUTPUT);
            }
        }
    }
    tell_supervisor(&[sd_notify::NotifyState::Stopping]);
    daemon.stop().await;
    Ok(0)
}

/// A file that cannot be used leaves the old configuration in force, and is said aloud.
async fn reload(daemon: &mut Daemon, path: &Path) {
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        tell_supervisor(&[sd_notify::NotifyState::Reloading, now]);
    }
    let path = path.to_owned();
    match tokio::task::spawn_blocking(move || Config::load(&path)).await {
        Ok(Ok(loaded)) => {
            for warning in &loaded.warnings {
                log::configuration_warning(warning);
            }
            // What cannot be taken was logged, and is in the status.
            let _ = daemon.reload(loaded.config).await;
        }
        Ok(Err(error)) => daemon.note_reload_failed(&error),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
    tell_supervisor(&[sd_notify::NotifyState::Ready]);
}

/// Tells systemd, where it is the one that started us.
fn tell_supervisor(states: &[sd_notify::NotifyState<'_>]) {
    // Whoever does not listen does not care.
    let _ = sd_notify::notify(states);
}

fn format(log: &Log) -> log::Format {
    match log.format {
        Some(LogFormat::Human) => log::Format::Human,
        None if stderr().is_terminal() => log::Format::Human,
        Some(LogFormat::Json) | None => log::Format::Json,
    }
}

fn filter(log: &Log) -> &'static str {
    match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

#[expect(clippy::print_stderr, reason = "there is no log before the configuration is read")]
fn say_where(found: &Found) {
    eprintln!("smtp-server: the file is {}; --config names another, and `smtp-server demo` needs none", found.origin);
}

#[expect(clippy::print_stderr, reason = "there is no log before the configuration is read")]
fn say(error: &(dyn Error + 'static)) {
    eprintln!("smtp-server: {}", log::Chain(error));
}
