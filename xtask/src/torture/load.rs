//! Sessions that send until the server is killed, and messages that can be known again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::ledger::Token;
use super::sink::REFUSED;
use crate::load::{Client, Message};

/// The local mailbox, which is the sender of all too: reports come to it.
const MAILBOX: &str = "user@bench.test";
const FIELD: &str = "X-Torture: ";
/// One message in so many is long enough for a file of its own.
const LONG_ONE_IN: u32 = 50;
const LONG_LINES: usize = 6_000;
const SHORT_LINES_MAX: usize = 40;

/// The sessions of one round.
pub(super) struct Sessions {
    tasks: JoinSet<Vec<Token>>,
    sent: Arc<AtomicUsize>,
}

impl Sessions {
    /// Begins to send: at most so many messages, by so many sessions.
    pub(super) fn begin(
        server: SocketAddr,
        sessions: usize,
        messages: usize,
        round: u32,
        random: &mut fastrand::Rng,
    ) -> Self {
        let sent = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..sessions {
            tasks.spawn(session(server, messages, round, Arc::clone(&sent), random.fork()));
        }
        Self { tasks, sent }
    }

    /// Waits until every session has seen the end of its server: the messages that were answered with 250, and how
    /// many were sent.
    ///
    /// # Errors
    /// When a session panicked.
    pub(super) async fn end(mut self) -> Result<(Vec<Token>, usize)> {
        let mut answered = Vec::new();
        while let Some(tokens) = self.tasks.join_next().await {
            answered.extend(tokens.context("a session of the load ended early")?);
        }
        Ok((answered, self.sent.load(Ordering::Relaxed)))
    }
}

/// Sends until there is nothing left to send, or the server is gone, which is no error here.
async fn session(
    server: SocketAddr,
    messages: usize,
    round: u32,
    sent: Arc<AtomicUsize>,
    mut random: fastrand::Rng,
) -> Vec<Token> {
    let mut answered = Vec::new();
    let Ok(mut client) = Client::connect(server).await else {
        return answered;
    };
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= messages {
            sent.fetch_sub(1, Ordering::Relaxed);
            return answered;
        }
        let token = format!("{round}-{number}");
        let content = compose(&token, &mut random);
        let refused = format!("{REFUSED}@away.test");
        let recipient = match random.u32(0..10) {
            0..5 => MAILBOX,
            5..9 => "user@away.test",
            _ => &refused,
        };
        let message = Message { sender: MAILBOX, recipient, content: &content };
        if client.send(&message, random.bool()).await.is_err() {
            return answered;
        }
        answered.push(token);
    }
}

/// A message that says its token at its begin and at its end, and its length in between.
fn compose(token: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    let lines = match random.u32(0..LONG_ONE_IN) {
        0 => LONG_LINES,
        _ => random.usize(0..SHORT_LINES_MAX),
    };
    let body = "a line of a message that must survive whatever is done to its server\r\n".repeat(lines);
    format!("From: <{MAILBOX}>\r\n{FIELD}{token} {lines}\r\n\r\n{body}end {token}\r\n").into_bytes()
}

/// Whose message this is, and whether it is whole; nothing where it is none of ours. Reports quote the header
/// block, so they are known again by it too, and have no end to look for.
pub(super) fn recognize(content: &str) -> Option<(Token, bool)> {
    let (_, rest) = content.split_once(FIELD)?;
    let (token, rest) = rest.split_once(' ')?;
    let lines: usize = rest.lines().next()?.trim().parse().ok()?;
    let is_report = content.contains("\r\nContent-Type: multipart/report");
    let is_whole = || {
        let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        body.lines().count() == lines + 1 && body.ends_with(&format!("end {token}\r\n"))
    };
    Some((token.to_owned(), is_report || is_whole()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_again_under_trace_fields() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let content = compose("3-14", &mut random);
            let stored = [b"Return-Path: <>\r\n".as_slice(), &content].concat();
            let stored = String::from_utf8(stored).unwrap();
            assert_eq!(recognize(&stored), Some(("3-14".into(), true)));
            let cut = &stored[..stored.len() - 3];
            assert_eq!(recognize(cut), Some(("3-14".into(), false)));
        }
        assert_eq!(recognize("Subject: a\r\n\r\nb\r\n"), None);
    }
}
