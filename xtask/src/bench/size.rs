//! What a long queue costs: the start, the memory, a look into it, and the mail that has nothing to do with it.

use std::fs;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::measure::ProcessTree;
use super::server::LOCAL_RECIPIENT;
use crate::load::{self, Load, count};
use crate::ours::{self, Server};
use crate::{bench::free_address, process};

/// How long the queue is.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Deliveries that wait for a next hop that is not there
    #[arg(long, default_value_t = 200_000)]
    queued: usize,
}

/// The queued mail is spread over so many recipient domains.
const DOMAINS: usize = 100;
const SESSIONS: usize = 20;
const QUEUED_OCTETS: usize = 1024;
const LOCAL_OCTETS: usize = 4096;
const LOCAL_MESSAGES: usize = 2_000;
const ARRIVAL_MAX: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Fills a queue, measures, and prints a table.
///
/// # Errors
/// When the server does not take the mail, or does not start.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ours::build()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let table = runtime.block_on(measure(arguments.queued))?;
    println!("\n{table}");
    Ok(ExitCode::SUCCESS)
}

async fn measure(queued: usize) -> Result<String> {
    // Nobody listens there.
    let mut server =
        Server::new(free_address()?, "retry = [\"1h\", \"…\"]\n[limits]\ntransactions_per_session = 1000000\n")?;
    server.start().await?;
    let before = local_mail(&server, 0).await?;
    println!("{queued} messages to a next hop that is not there");
    let filled = load::run(&load_of(&server, queued, QUEUED_OCTETS, domains())).await?;
    let after = local_mail(&server, LOCAL_MESSAGES).await?;
    let (look, lines) = look_while_mail_flows(&server).await?;
    ensure!(lines == queued / DOMAINS, "show queue found {lines} of {} recipients", queued / DOMAINS);
    server.stop().await?;
    let reader = reader_octets(&server).await?;
    let start = Instant::now();
    server.start().await?;
    let started = start.elapsed();
    let memory = server.processes()?.memory_octets()?;
    let each = count(usize::try_from(memory.saturating_sub(reader))?) / count(queued);
    Ok(format!(
        "| with {queued} deliveries queued | | wanted |\n|---|---:|---|\n\
         | accepted | {:.0} messages/s | |\n\
         | start to greeting | {:.2} s | ≤ 2 s |\n\
         | memory after start, less that of `smtpctl check` | {each:.0} octets each | ≤ 150 |\n\
         | `show queue --domain` while mail flows | {:.2} s | < 1 s |\n\
         | {LOCAL_MESSAGES} local messages in the mailbox, before | {:.2} s | |\n\
         | the same beside the dead next hop | {:.2} s | no longer |",
        filled.rate(),
        started.as_secs_f64(),
        look.as_secs_f64(),
        before.as_secs_f64(),
        after.as_secs_f64(),
    ))
}

/// Sends local mail and waits until all of it is in the mailbox, in which so much lies already.
async fn local_mail(server: &Server, already: usize) -> Result<Duration> {
    let start = Instant::now();
    load::run(&load_of(server, LOCAL_MESSAGES, LOCAL_OCTETS, vec![LOCAL_RECIPIENT.into()])).await?;
    let arrival = async {
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        while fs::read_dir(server.mailbox().join("new"))?.count() < already + LOCAL_MESSAGES {
            looks.tick().await;
        }
        anyhow::Ok(start.elapsed())
    };
    tokio::time::timeout(ARRIVAL_MAX, arrival).await.context("local mail is held up")?
}

/// How long a look at one domain takes, and how many lines it has.
async fn look_while_mail_flows(server: &Server) -> Result<(Duration, usize)> {
    let flow = load_of(server, LOCAL_MESSAGES, LOCAL_OCTETS, vec![LOCAL_RECIPIENT.into()]);
    let flow = tokio::spawn(async move { load::run(&flow).await });
    let mut show = server.program("smtpctl");
    show.args(["show", "queue", "--json", "--domain", &domain(7)]);
    let start = Instant::now();
    let shown = tokio::task::spawn_blocking(move || process::output(&mut show)).await??;
    let time = start.elapsed();
    flow.await.context("the load ended early")??;
    Ok((time, shown.lines().count()))
}

/// The most memory of a process that only opens the store of the stopped server and reads all of it.
async fn reader_octets(server: &Server) -> Result<u64> {
    let mut check = server.program("smtpctl");
    check.arg("check").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = check.spawn().context("cannot start smtpctl")?;
    let peak = ProcessTree { root: child.id() }.watch_peak();
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    ensure!(status.success(), "smtpctl check ended with {status}");
    peak.stop().await
}

fn domains() -> Vec<String> {
    (0..DOMAINS).map(|number| format!("user@{}", domain(number))).collect()
}

fn domain(number: usize) -> String {
    format!("d{number}.away.test")
}

fn load_of(server: &Server, messages: usize, content_octets: usize, recipients: Vec<String>) -> Load {
    Load { address: server.address(), sessions: SESSIONS, messages, content_octets, recipients, pipelining: true }
}
