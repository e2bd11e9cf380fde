//! The one table: what was measured, the ratio, and what it must be.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::server::Peer;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    ManyAccepted,
    ManyDelivered,
    ManyCpu,
    ManyMemory,
    OneAccepted,
    OneCpu,
    Relayed,
    RelayedCpu,
    MedianLatency,
    Percentile99Latency,
    PipelinedAccepted,
    PipelinedPercentile99,
    LargeRate,
    LargeMemory,
    IdleSession,
    Handshakes,
    HandshakeCpu,
    Logins,
}

/// Whether more is better, and the ratio between ours and Postfix's that must be met.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// At least so many times Postfix's.
    Times(f64),
    /// At most this part of Postfix's.
    Part(f64),
    /// Not beyond so much, whatever Postfix's is.
    AtMost(f64),
    Shown,
}

struct Row {
    measure: Measure,
    what: &'static str,
    unit: &'static str,
    target: Target,
}

const fn row(measure: Measure, what: &'static str, unit: &'static str, target: Target) -> Row {
    Row { measure, what, unit, target }
}

const ROWS: &[Row] = &[
    row(Measure::ManyAccepted, "many a connection: accepted", "messages/s", Target::Times(6.0)),
    row(Measure::ManyDelivered, "many a connection: in the mailbox", "messages/s", Target::Shown),
    row(Measure::ManyCpu, "many a connection: CPU", "ms/message", Target::Part(1.0 / 6.0)),
    row(Measure::OneAccepted, "one a connection: accepted", "messages/s", Target::Times(4.0)),
    row(Measure::OneCpu, "one a connection: CPU", "ms/message", Target::Shown),
    row(Measure::Relayed, "relay until all has arrived", "messages/s", Target::Times(5.0)),
    row(Measure::RelayedCpu, "relay: CPU", "ms/message", Target::Shown),
    row(Measure::MedianLatency, "the 250: median", "ms", Target::Shown),
    row(Measure::Percentile99Latency, "the 250: 99 of 100 within", "ms", Target::Part(1.0 / 3.0)),
    row(Measure::PipelinedAccepted, "PIPELINING: accepted", "messages/s", Target::Shown),
    row(Measure::PipelinedPercentile99, "PIPELINING: 99 of 100 within", "ms", Target::Shown),
    row(Measure::LargeRate, "5 MB messages: accepted", "MB/s", Target::Times(1.5)),
    row(Measure::ManyMemory, "peak memory, 4 KB messages", "MiB", Target::Shown),
    row(Measure::LargeMemory, "peak memory, 5 MB messages", "MiB", Target::Shown),
    row(Measure::IdleSession, "an idle session", "KiB", Target::AtMost(6.0)),
    row(Measure::Handshakes, "STARTTLS", "handshakes/s", Target::Times(3.0)),
    row(Measure::HandshakeCpu, "STARTTLS: CPU", "ms/handshake", Target::Part(1.0 / 3.0)),
    row(Measure::Logins, "AUTH by argon2id", "log-ins/s", Target::Times(1.0)),
];

/// The figures of all rounds.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rounds: HashMap<(bool, Measure), Vec<f64>>,
}

impl Figures {
    pub(super) fn add(&mut self, peer: Peer, measured: &[(Measure, f64)]) {
        for (measure, figure) in measured {
            let key = (peer == Peer::Ours, *measure);
            self.rounds.entry(key).or_default().push(*figure);
        }
    }

    /// The middle one of the rounds.
    fn median(&self, peer: Peer, measure: Measure) -> Option<f64> {
        let mut figures = self.rounds.get(&(peer == Peer::Ours, measure))?.clone();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    /// The table as Markdown.
    pub(super) fn render(&self) -> String {
        let mut text =
            String::from("| | unit | Postfix | smtp-server | ratio | wanted | |\n|---|---|---:|---:|---:|---:|---|\n");
        for row in ROWS {
            let theirs = self.median(Peer::Postfix, row.measure);
            let ours = self.median(Peer::Ours, row.measure);
            if theirs.or(ours).is_none() {
                continue;
            }
            let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.what,
                row.unit,
                shown(theirs),
                shown(ours),
                shown(ratio),
                row.target.text(),
                row.target.verdict(ours, ratio),
            );
        }
        text
    }
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::Times(times) => format!("≥ {times}"),
            Self::Part(part) => format!("≤ {part:.2}"),
            Self::AtMost(most) => format!("≤ {most} of its own"),
            Self::Shown => String::new(),
        }
    }

    fn verdict(self, ours: Option<f64>, ratio: Option<f64>) -> &'static str {
        let met = match self {
            Self::Times(times) => ratio.map(|ratio| ratio >= times),
            Self::Part(part) => ratio.map(|ratio| ratio <= part),
            Self::AtMost(most) => ours.map(|ours| ours <= most),
            Self::Shown => None,
        };
        match met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        }
    }
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_medians_and_says_what_was_met() {
        let mut figures = Figures::default();
        for (theirs, ours) in [(100.0, 700.0), (90.0, 5.0), (5000.0, 610.0)] {
            figures.add(Peer::Postfix, &[(Measure::ManyAccepted, theirs), (Measure::ManyCpu, 6.0)]);
            figures.add(Peer::Ours, &[(Measure::ManyAccepted, ours), (Measure::ManyCpu, 2.0)]);
        }
        let text = figures.render();
        assert!(text.contains("| many a connection: accepted | messages/s | 100 | 610 | 6.10 | ≥ 6 | met |"), "{text}");
        assert!(text.contains("| ms/message | 6.00 | 2.00 | 0.33 | ≤ 0.17 | missed |"), "{text}");
        assert!(!text.contains("5 MB"), "what was not measured has no row");
    }
}
