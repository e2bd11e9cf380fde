//! `show queue` as a table that streams.

use std::io::{self, Write};

use jiff::Timestamp;
use smtp_admin::QueuedRecipient;

use super::text::{octets, path, span, visible};
use super::{count, state};

/// So many rows are looked at to find how wide the columns are; the rest of the list streams by.
const ROWS_MEASURED: usize = 200;

/// No address makes its column wider than this.
const WIDTH_MAX: usize = 36;

const COLUMNS: usize = 8;
const TITLES: [&str; COLUMNS] = ["ID", "AGE", "SIZE", "FROM", "TO", "TRIES", "STATE", "LAST REPLY"];

type Row = [String; COLUMNS];

/// Collects some rows, then prints as the rows come.
pub(crate) struct QueueTable<W> {
    output: W,
    now: Timestamp,
    waiting: Vec<Row>,
    widths: Option<[usize; COLUMNS]>,
    envelopes: u64,
    messages: u64,
    octets: u64,
    last_message: String,
}

impl<W: Write> QueueTable<W> {
    pub(crate) fn new(output: W, now: Timestamp) -> Self {
        let (waiting, last_message) = (Vec::new(), String::new());
        Self { output, now, waiting, widths: None, envelopes: 0, messages: 0, octets: 0, last_message }
    }

    /// Adds a recipient; those of one message follow each other.
    pub(crate) fn push(&mut self, recipient: &QueuedRecipient) -> io::Result<()> {
        self.envelopes += 1;
        if recipient.message != self.last_message {
            self.last_message.clone_from(&recipient.message);
            self.messages += 1;
            self.octets += recipient.octets;
        }
        let row = row(recipient, self.now);
        if let Some(widths) = &self.widths {
            return print(&mut self.output, &row, widths);
        }
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_MEASURED { self.begin() } else { Ok(()) }
    }

    /// Prints what is left and the sum; without rows, nothing. Returns how many envelopes there were.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if self.envelopes > 0 {
            self.begin()?;
            let (envelopes, messages) = (count(self.envelopes, "envelope"), count(self.messages, "message"));
            writeln!(self.output, "-- {envelopes} of {messages}, {}", octets(self.octets))?;
        }
        self.output.flush()?;
        Ok(self.envelopes)
    }

    /// Finds the widths, once, and prints the rows that waited for them.
    fn begin(&mut self) -> io::Result<()> {
        if self.widths.is_none() {
            let titles = TITLES.map(str::to_owned);
            let widths = widths(std::iter::once(&titles).chain(&self.waiting));
            self.widths = Some(widths);
            print(&mut self.output, &titles, &widths)?;
            for row in std::mem::take(&mut self.waiting) {
                print(&mut self.output, &row, &widths)?;
            }
        }
        Ok(())
    }
}

fn row(recipient: &QueuedRecipient, now: Timestamp) -> Row {
    let last = recipient.last.as_ref().map_or_else(String::new, |last| match &last.host {
        Some(host) => format!("{}: {}", visible(host), visible(&last.text)),
        None => visible(&last.text),
    });
    [
        visible(&recipient.id),
        span(now, recipient.received_at),
        octets(recipient.octets),
        path(&recipient.reverse_path),
        path(&recipient.forward_path),
        recipient.attempts.to_string(),
        state(recipient, now),
        last,
    ]
}

fn widths<'a>(rows: impl Iterator<Item = &'a Row>) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(WIDTH_MAX);
        }
    }
    widths
}

/// The cells side by side; one that is too wide pushes the rest of its row aside, and none is cut.
fn print(output: &mut impl Write, row: &Row, widths: &[usize; COLUMNS]) -> io::Result<()> {
    let mut line = String::new();
    for (cell, &width) in row.iter().zip(widths) {
        line.push_str(cell);
        let missing = width.saturating_sub(cell.chars().count());
        line.extend(std::iter::repeat_n(' ', missing + 2));
    }
    writeln!(output, "{}", line.trim_end())
}
