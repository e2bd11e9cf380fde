//! The commands that only look.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use jiff::Timestamp;
use smtp_admin::{Client, ClientError, QueuedRecipient};

use crate::act::line;
use crate::args::{Selectors, Show};
use crate::failure::Failure;
use crate::offline;
use crate::place::Place;
use crate::render::{self, QueueTable, TerminalFilter};
use crate::selection::Selection;

/// Shows what is asked for.
pub(crate) async fn show(what: Show, place: &Place, json: bool) -> Result<(), Failure> {
    let client = place.client()?;
    match what {
        Show::Queue(which) => queue(&which, &client, place, json).await,
        Show::Envelope { id } => envelope(&client, &id, json).await,
        Show::Message { id, headers } => content(&client, &id, headers).await,
        Show::Status => {
            let status = client.status().await?;
            let mut output = io::stdout().lock();
            if json {
                writeln!(output, "{}", line(&status)?)?;
            } else {
                render::status(&mut output, &status, Timestamp::now())?;
            }
            Ok(())
        }
        Show::Stats => {
            let stats = client.stats().await?;
            let mut output = io::stdout().lock();
            if json {
                writeln!(output, "{}", line(&stats)?)?;
            } else {
                render::stats(&mut output, &stats)?;
            }
            Ok(())
        }
    }
}

async fn queue(which: &Selectors, client: &Client, place: &Place, json: bool) -> Result<(), Failure> {
    let selection = Selection::read(which, &mut io::stdin())?;
    let mut list = QueueList::new(json);
    match client.find(&selection.selector).await {
        Ok(mut entries) => {
            while let Some(recipient) = entries.next().await? {
                list.push(&recipient)?;
            }
        }
        Err(error @ ClientError::NotRunning { .. }) => {
            offline::find(&place.queue_directory()?, &selection.selector, &mut list, error)?;
        }
        Err(error) => return Err(error.into()),
    }
    match list.finish()? {
        0 if !selection.is_everything() => Err(Failure::NothingMatched),
        0 if !json => Ok(writeln!(io::stdout(), "The queue is empty.")?),
        _ => Ok(()),
    }
}

/// Where the rows of a list go: to a person or to a program.
pub(crate) enum QueueList {
    Human(QueueTable<Box<dyn Write>>),
    Json { output: Box<dyn Write>, count: u64 },
}

impl QueueList {
    fn new(json: bool) -> Self {
        let output: Box<dyn Write> = Box::new(BufWriter::new(io::stdout()));
        if json { Self::Json { output, count: 0 } } else { Self::Human(QueueTable::new(output, Timestamp::now())) }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, recipient: &QueuedRecipient) -> Result<(), Failure> {
        match self {
            Self::Human(table) => table.push(recipient)?,
            Self::Json { output, count } => {
                *count += 1;
                writeln!(output, "{}", line(recipient)?)?;
            }
        }
        Ok(())
    }

    /// Writes what is left. Returns how many rows there were.
    fn finish(self) -> Result<u64, Failure> {
        match self {
            Self::Human(table) => Ok(table.finish()?),
            Self::Json { mut output, count } => {
                output.flush()?;
                Ok(count)
            }
        }
    }
}

async fn envelope(client: &Client, id: &str, json: bool) -> Result<(), Failure> {
    let message = client.message(id).await?;
    let only = id.contains('.').then_some(id);
    let mut output = io::stdout().lock();
    if json {
        writeln!(output, "{}", line(&message)?)?;
    } else {
        render::envelope(&mut output, &message, only)?;
    }
    Ok(())
}

async fn content(client: &Client, id: &str, headers: bool) -> Result<(), Failure> {
    let mut content = client.content(id).await?;
    let stdout = io::stdout().lock();
    let terminal = stdout.is_terminal();
    let mut output: Box<dyn Write> = if terminal { Box::new(TerminalFilter::new(stdout)) } else { Box::new(stdout) };
    let mut end = HeaderEnd::default();
    while let Some(octets) = content.next().await? {
        if !headers {
            output.write_all(&octets)?;
        } else if let Some(length) = end.find(&octets) {
            output.write_all(&octets[..length])?;
            break;
        } else {
            output.write_all(&octets)?;
        }
    }
    Ok(output.flush()?)
}

/// Finds the empty line that ends the header block, whatever the cuts of the content.
#[derive(Default)]
struct HeaderEnd {
    /// Octets of CRLF CRLF that were seen last; at the start of the content a line end has just been.
    seen: usize,
    begun: bool,
}

impl HeaderEnd {
    /// The number of octets of this piece that still belong to the header block, if it ends here.
    fn find(&mut self, octets: &[u8]) -> Option<usize> {
        const END: &[u8] = b"\r\n\r\n";
        if !self.begun {
            (self.begun, self.seen) = (true, 2);
        }
        for (index, &octet) in octets.iter().enumerate() {
            self.seen = match octet {
                octet if octet == END[self.seen] => self.seen + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.seen == END.len() {
                return Some(index + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_block_ends_at_its_empty_line_whatever_the_cuts() {
        for (content, length) in [
            ("A: b\r\n\r\nbody", Some(8)),
            ("A: b\r\n c\r\n\r\n\r\n", Some(12)),
            ("\r\nbody", Some(2)),
            ("A: b\r\n\r\r\n\r\n", Some(11)),
            ("A: b\r\n", None),
        ] {
            for cut in 0..content.len() {
                let mut end = HeaderEnd::default();
                let (one, two) = content.as_bytes().split_at(cut);
                let found = end.find(one).or_else(|| end.find(two).map(|length| cut + length));
                assert_eq!(found, length, "{content:?} cut at {cut}");
            }
        }
    }
}
