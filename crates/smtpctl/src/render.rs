//! What people read: tables and sentences. Times are told as spans, sizes in units; everything that a peer can have
//! written is made visible before it reaches a terminal.

use std::io::{self, Write};

use jiff::Timestamp;
use smtp_admin::{Act, Hold, Pause, QueueCheck, QueueState, QueuedMessage, QueuedRecipient, Running, Stats, Status};

mod route;
mod table;
mod text;

pub(crate) use self::route::{route, undeliverable};
pub(crate) use self::table::QueueTable;
pub(crate) use self::text::TerminalFilter;
use self::text::{octets, path, rfc3339, span, visible};

/// What a recipient is waiting for, in a few words.
fn state(recipient: &QueuedRecipient, now: Timestamp) -> String {
    match recipient.state {
        QueueState::Due => "due now".to_owned(),
        QueueState::Scheduled if recipient.attempts > 0 => format!("retry in {}", span(now, recipient.due_at)),
        QueueState::InFlight => "sending".to_owned(),
        QueueState::Held | QueueState::Scheduled => match (&recipient.hold, recipient.state) {
            (Some(Hold { until: Some(until), .. }), _) => format!("held for {}", span(now, *until)),
            (_, QueueState::Held) => "held".to_owned(),
            _ => format!("in {}", span(now, recipient.due_at)),
        },
        other => other.as_str().to_owned(),
    }
}

/// `show envelope`: a block of `key: value` lines for each recipient.
pub(crate) fn envelope(output: &mut impl Write, message: &QueuedMessage, only: Option<&str>) -> io::Result<()> {
    let chosen = |recipient: &&QueuedRecipient| only.is_none_or(|id| recipient.id == id);
    for (index, recipient) in message.recipients.iter().filter(chosen).enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        one_envelope(output, message, recipient)?;
    }
    Ok(())
}

fn one_envelope(output: &mut impl Write, message: &QueuedMessage, recipient: &QueuedRecipient) -> io::Result<()> {
    writeln!(output, "id: {}", visible(&recipient.id))?;
    writeln!(output, "message: {}", visible(&message.id))?;
    writeln!(output, "origin: {}", visible(&message.origin))?;
    writeln!(output, "from: {}", path(&recipient.reverse_path))?;
    writeln!(output, "to: {}", path(&recipient.forward_path))?;
    if let Some(original) = &recipient.original {
        writeln!(output, "original-to: {}", path(original))?;
    }
    writeln!(output, "lane: {}", visible(&recipient.lane))?;
    writeln!(output, "state: {}", recipient.state.as_str())?;
    if let Some(hold) = &recipient.hold {
        writeln!(output, "held-because: {}", visible(&hold.reason))?;
        if let Some(until) = hold.until {
            writeln!(output, "held-until: {}", rfc3339(until))?;
        }
    }
    writeln!(output, "octets: {}", recipient.octets)?;
    writeln!(output, "eight-bit: {}", yes_no(message.eight_bit))?;
    writeln!(output, "smtputf8: {}", yes_no(message.smtputf8))?;
    if let Some(terms) = &message.terms {
        writeln!(output, "terms: {}", visible(terms))?;
    }
    if message.damaged {
        writeln!(output, "damaged: yes")?;
    }
    writeln!(output, "received: {}", rfc3339(recipient.received_at))?;
    writeln!(output, "due: {}", rfc3339(recipient.due_at))?;
    writeln!(output, "expires: {}", rfc3339(recipient.expires_at))?;
    writeln!(output, "attempts: {}", recipient.attempts)?;
    let Some(last) = &recipient.last else { return Ok(()) };
    if let Some(at) = last.at {
        writeln!(output, "last-attempt: {}", rfc3339(at))?;
    }
    if let Some(host) = &last.host {
        writeln!(output, "last-host: {}", visible(host))?;
    }
    writeln!(output, "last-status: {}", visible(&last.status))?;
    writeln!(output, "last-reply: {}", visible(&last.text))
}

fn yes_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// `show status`: the three lines that OpenSMTPD prints, then what else there is to know.
pub(crate) fn status(output: &mut impl Write, status: &Status, now: Timestamp) -> io::Result<()> {
    running(output, status, now)?;
    writeln!(output)?;
    writeln!(output, "{}", if status.ready { "ready: mail is accepted" } else { "NOT ready: mail is not accepted" })?;
    for problem in &status.problems {
        writeln!(output, "  {}", visible(problem))?;
    }
    let (version, host, up) = (visible(&status.version), visible(&status.hostname), span(now, status.started_at));
    writeln!(output, "server    {version} on {host}, pid {}, up {up}", status.pid)?;
    let queue = &status.queue;
    let (messages, deliveries) = (count(queue.messages, "message"), deliveries(queue.deliveries));
    writeln!(output, "queue     {messages}, {}, {deliveries}", octets(queue.content_octets))?;
    let parts = [(queue.due, "due"), (queue.in_flight, "in flight"), (queue.waiting, "waiting"), (queue.held, "held")];
    let parts: Vec<_> = parts.iter().filter(|part| part.0 > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !parts.is_empty() {
        writeln!(output, "          {}", parts.join(", "))?;
        writeln!(output, "          the oldest message is {} old", text::seconds(queue.oldest_age_seconds))?;
    }
    if let Some(free) = queue.free_octets {
        writeln!(output, "disk      {} free", octets(free))?;
    }
    writeln!(output, "now       {}, {}", count(status.sessions, "session"), count(status.attempts, "attempt"))
}

/// What runs and what is paused.
pub(crate) fn running(output: &mut impl Write, status: &Status, now: Timestamp) -> io::Result<()> {
    part(output, "MDA", &status.mda, now)?;
    part(output, "MTA", &status.mta, now)?;
    part(output, "SMTP", &status.smtp, now)?;
    for (domain, pause) in &status.paused_domains {
        writeln!(output, "MTA to {} {}", visible(domain), paused(pause, now))?;
    }
    Ok(())
}

fn part(output: &mut impl Write, name: &str, part: &Running, now: Timestamp) -> io::Result<()> {
    match &part.pause {
        None => writeln!(output, "{name} running"),
        Some(pause) => writeln!(output, "{name} {}", paused(pause, now)),
    }
}

fn paused(pause: &Pause, now: Timestamp) -> String {
    let period = pause.until.map_or_else(String::new, |until| format!(" for {}", span(now, until)));
    let reason = pause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({})", visible(reason)));
    format!("paused{period}{reason}")
}

/// `show stats`: `key=value` lines.
pub(crate) fn stats(output: &mut impl Write, stats: &Stats) -> io::Result<()> {
    writeln!(output, "uptime={}", stats.uptime_seconds)?;
    writeln!(output, "uptime.human={}", text::seconds(stats.uptime_seconds))?;
    for (name, value) in &stats.counters {
        writeln!(output, "{}={value}", visible(name))?;
    }
    Ok(())
}

/// `check`: what was looked at, and what is wrong.
pub(crate) fn check(output: &mut impl Write, check: &QueueCheck) -> io::Result<()> {
    for problem in &check.problems {
        writeln!(output, "{}", visible(problem))?;
    }
    let verdict = if check.problems.is_empty() { "all is well" } else { "not all is well" };
    writeln!(output, "{} checked: {verdict}", count(check.messages, "message"))
}

/// The word for what an act has done, as OpenSMTPD says it: "3 envelopes removed".
pub(crate) const fn done(act: Act) -> &'static str {
    match act {
        Act::Hold => "paused",
        Act::Release => "resumed",
        Act::Schedule => "scheduled",
        Act::Remove => "removed",
    }
}

/// "1 message", "2 messages".
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// "1 delivery", "2 deliveries".
pub(crate) fn deliveries(number: u64) -> String {
    if number == 1 { "1 delivery".to_owned() } else { format!("{number} deliveries") }
}

#[cfg(test)]
mod tests;
