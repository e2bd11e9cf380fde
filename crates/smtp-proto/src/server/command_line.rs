//! From the octets of a line to the command in it, or to what is wrong with it.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Instant;

use bytes::BytesMut;

use super::event::{CloseReason, Subject};
use super::state::{Flow, State};
use super::{ServerSession, replies};
use crate::limits::Limits;
use crate::line::{self, Line};
use crate::{Command, Reply, SyntaxError, SyntaxReason};

impl ServerSession {
    /// Takes one command line, unless too much output waits.
    pub(super) fn command_line(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let limits = &self.config.limits;
        if self.output.len() >= limits.output_octets {
            return Break(None);
        }
        let octets_max = line_octets_max(limits, input);
        if self.lines.is_too_long(input, octets_max) && is_bdat(input) {
            return self.malformed_chunk(&replies::LINE_TOO_LONG);
        }
        let Some(line) = self.lines.cut(input, octets_max) else { return Break(None) };
        let parsed = match line {
            Line::Whole(octets) => {
                Command::parse_within(&input[..octets], limits).map_err(|error| match &input[..octets] {
                    line if is_bdat(line) => Mistake::Chunk(error.reply()),
                    _ => Mistake::Syntax(error),
                })
            }
            Line::BareLf(_) => Err(Mistake::BareLf),
            Line::TooLong => Err(Mistake::TooLong),
        };
        line::take(input, &line);
        self.progress = now;
        self.took_line(parsed.as_ref().ok());
        self.commands += 1;
        if self.commands > self.config.limits.commands_per_session {
            return self.too_many(&replies::TOO_MANY_COMMANDS, CloseReason::TooManyCommands);
        }
        let behind_refusal = std::mem::take(&mut self.behind_refusal);
        match (parsed, &self.state) {
            (Err(mistake), _) => self.mistake(mistake),
            (Ok(command @ (Command::Rcpt(_) | Command::Data)), State::Ready) if behind_refusal => {
                self.refuse(replies::MAIL_FIRST, command)
            }
            (Ok(Command::Quit), _) => self.quit(),
            (Ok(command), State::NoService) => self.refuse_error(replies::QUIT_ONLY, command),
            (Ok(Command::Bdat { octets, last }), _) => self.bdat(octets, last, now, behind_refusal),
            (Ok(command), State::BetweenChunks(_)) if !is_harmless(&command) => {
                self.refuse_error(replies::CHUNKS_ONLY, command)
            }
            (Ok(command), State::ChunksFailed(_)) if !is_harmless(&command) => {
                self.refuse_error(replies::RSET_FIRST, command)
            }
            (Ok(command), _) => self.command(command, input),
        }
    }

    fn mistake(&mut self, mistake: Mistake) -> Flow {
        match mistake {
            Mistake::Syntax(error) if error.reason == SyntaxReason::HttpRequest => {
                replies::HTTP.encode(&mut self.output);
                self.end(CloseReason::HttpRequest);
                Continue(())
            }
            Mistake::Syntax(error) => self.refuse_error(error.reply(), Subject::Line),
            Mistake::Chunk(reply) => self.malformed_chunk(&reply),
            Mistake::BareLf => self.bare_lf(),
            Mistake::TooLong => self.refuse_error(replies::LINE_TOO_LONG, Subject::Line),
        }
    }

    /// What stands behind a bare LF may be what somebody else has put into a line of this client, so it is not run as a command;
    /// and where it ends is not known.
    pub(super) fn bare_lf(&mut self) -> Flow {
        replies::BARE_LF.encode(&mut self.output);
        self.end(CloseReason::BareLf);
        Continue(())
    }
}

/// A command line that is no command.
enum Mistake {
    Syntax(SyntaxError),
    BareLf,
    TooLong,
    /// BDAT that cannot be read.
    Chunk(Reply),
}

/// Octets of the next command line at most: AUTH may bring an initial response (RFC 4954 §4).
fn line_octets_max(limits: &Limits, input: &[u8]) -> usize {
    match input.get(..5) {
        Some(verb) if verb.eq_ignore_ascii_case(b"AUTH ") => limits.auth_line_octets.max(limits.command_line_octets),
        _ => limits.command_line_octets,
    }
}

fn is_bdat(line: &[u8]) -> bool {
    let verb = line.split(|octet| matches!(octet, b' ' | b'\t')).next();
    verb.is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
}

/// Whether a command may come between the chunks of a message, or behind those that have failed.
fn is_harmless(command: &Command) -> bool {
    matches!(command, Command::Rset | Command::Noop)
}
