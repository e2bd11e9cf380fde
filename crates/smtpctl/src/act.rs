//! The commands that change something.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use smtp_admin::{Act, Client, Control, ControlReport, PauseRequest, ResumeRequest, Scope, Status};

use crate::args::{Command, OnQueue, OneDomain, Pause, PauseEnvelope, PauseFor, Remove, Resume, Why};
use crate::failure::Failure;
use crate::place::Place;
use crate::render;
use crate::selection::Selection;

/// Does what a command asks for, by the daemon.
pub(crate) async fn act(command: Command, place: &Place, json: bool) -> Result<(), Failure> {
    let client = place.client()?;
    let session = Session { client: &client, json };
    match command {
        Command::Schedule(on) => session.control(Act::Schedule, on, None).await,
        Command::Hold(pause) | Command::Pause(Pause::Envelope(pause)) => session.hold(pause).await,
        Command::Release(on) | Command::Resume(Resume::Envelope(on)) => session.control(Act::Release, on, None).await,
        Command::Remove(remove) => session.remove(remove).await,
        Command::Pause(Pause::Mta { domain, pause }) => session.pause(mta(domain), pause).await,
        Command::Pause(Pause::Mda { pause }) => session.pause(Scope::Mda, pause).await,
        Command::Pause(Pause::Smtp { pause }) => session.pause(Scope::Smtp, pause).await,
        Command::Resume(Resume::Mta { domain, why }) => session.resume(mta(domain), why).await,
        Command::Resume(Resume::Mda { why }) => session.resume(Scope::Mda, why).await,
        Command::Resume(Resume::Smtp { why }) => session.resume(Scope::Smtp, why).await,
        Command::Show(_) | Command::Check(_) | Command::Rebuild(_) | Command::Encrypt(_) | Command::Route { .. } => {
            unreachable!("these change nothing by the daemon")
        }
    }
}

fn mta(domain: Option<OneDomain>) -> Scope {
    match domain {
        None => Scope::Mta,
        Some(OneDomain::Domain { domain }) => Scope::Domain(domain),
    }
}

struct Session<'a> {
    client: &'a Client,
    json: bool,
}

/// What an act did, for programs.
#[derive(Serialize)]
struct Acted {
    act: Act,
    #[serde(flatten)]
    report: ControlReport,
    dry_run: bool,
}

impl Session<'_> {
    async fn hold(&self, pause: PauseEnvelope) -> Result<(), Failure> {
        self.control(Act::Hold, pause.on, pause.period).await
    }

    async fn control(&self, act: Act, on: OnQueue, period: Option<Duration>) -> Result<(), Failure> {
        let selection = Selection::for_act(&on.which, &mut io::stdin())?;
        self.send(control(act, selection, &on, period)).await
    }

    async fn remove(&self, remove: Remove) -> Result<(), Failure> {
        let selection = Selection::for_act(&remove.on.which, &mut io::stdin())?;
        let ask = selection.all && !remove.yes && !remove.on.dry_run;
        let control = control(Act::Remove, selection, &remove.on, None);
        if ask {
            self.confirm(&control).await?;
        }
        self.send(control).await
    }

    /// Asks the person at the terminal; where there is none, `--yes` must have been written.
    async fn confirm(&self, control: &Control) -> Result<(), Failure> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let text = "`remove all` needs --yes when nobody is at the terminal";
            return Err(Failure::Usage(text.to_owned()));
        }
        let report = self.client.control(&Control { dry_run: true, ..control.clone() }).await?;
        let envelopes = render::count(report.matched, "envelope");
        write!(io::stderr(), "Remove {envelopes}? Nobody gets a report. [y/N] ")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).context("the answer could not be read").map_err(Failure::Failed)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::Failed(anyhow::anyhow!("nothing was removed"))),
        }
    }

    async fn send(&self, control: Control) -> Result<(), Failure> {
        let report = self.client.control(&control).await?;
        let mut output = io::stdout().lock();
        if self.json {
            let acted = Acted { act: control.act, report: report.clone(), dry_run: control.dry_run };
            writeln!(output, "{}", line(&acted)?)?;
        }
        if report.matched == 0 {
            return Err(Failure::NothingMatched);
        }
        if !self.json && control.dry_run {
            writeln!(output, "{} would be {}", render::count(report.matched, "envelope"), render::done(control.act))?;
        } else if !self.json {
            let (envelopes, done) = (render::count(report.changed, "envelope"), render::done(control.act));
            writeln!(output, "{envelopes} {done}")?;
        }
        Ok(())
    }

    async fn pause(&self, scope: Scope, pause: PauseFor) -> Result<(), Failure> {
        let for_seconds = pause.period.map(|period| period.as_secs());
        let request = PauseRequest { scope, for_seconds, reason: pause.why.reason };
        let status = self.client.pause(&request).await?;
        self.print_status(&status)
    }

    async fn resume(&self, scope: Scope, why: Why) -> Result<(), Failure> {
        let status = self.client.resume(&ResumeRequest { scope, reason: why.reason }).await?;
        self.print_status(&status)
    }

    fn print_status(&self, status: &Status) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        if self.json {
            writeln!(output, "{}", line(status)?)?;
        } else {
            render::running(&mut output, status, Timestamp::now())?;
        }
        Ok(())
    }
}

fn control(act: Act, selection: Selection, on: &OnQueue, period: Option<Duration>) -> Control {
    let for_seconds = period.map(|period| period.as_secs());
    Control { act, selector: selection.selector, reason: on.why.reason.clone(), for_seconds, dry_run: on.dry_run }
}

/// A value as one line of JSON.
pub(crate) fn line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).context("the answer cannot be written as JSON").map_err(Failure::Failed)
}
