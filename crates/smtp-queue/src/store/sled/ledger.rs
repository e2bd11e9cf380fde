//! What is alive in each segment: when a segment is worth cleaning, and when it can go.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::HEAD_OCTETS;
use crate::row::{BodyPlace, MessageRow};
use crate::shared::content_octets;
use crate::store::Usage;

/// The log is cleaned when it is longer than so many times what is alive, and the slack.
const LOG_TO_ALIVE_MAX: u64 = 3;

/// Counts of what is alive.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<u32, Counts>,
    messages: u64,
    content_octets: u64,
    alive_octets: u64,
    log_octets: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    octets: u64,
    /// Messages whose record is here and that are not finished.
    alive: u64,
    damaged: bool,
}

/// The octets that a message takes in the log.
fn record_octets(row: &MessageRow) -> u64 {
    let body = if row.body == BodyPlace::Log { row.body_octets } else { 0 };
    HEAD_OCTETS as u64 + u64::from(row.place.meta_octets) + u64::from(row.header_octets) + body
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment has this length.
    pub(super) fn set_segment(&self, segment: u32, octets: u64) {
        let mut state = self.state();
        let former = std::mem::replace(&mut state.segments.entry(segment).or_default().octets, octets);
        state.log_octets = state.log_octets - former + octets;
    }

    pub(super) fn remove_segment(&self, segment: u32) {
        let mut state = self.state();
        if let Some(counts) = state.segments.remove(&segment) {
            state.log_octets -= counts.octets;
        }
    }

    /// A message has come, or is found at the start.
    pub(super) fn add(&self, row: &MessageRow) {
        let mut state = self.state();
        state.messages += 1;
        state.content_octets += content_octets(row);
        state.alive_octets += record_octets(row);
        state.segments.entry(row.place.segment).or_default().alive += 1;
    }

    /// A message is finished.
    pub(super) fn remove(&self, row: &MessageRow) {
        let mut state = self.state();
        state.messages -= 1;
        state.content_octets -= content_octets(row);
        state.alive_octets -= record_octets(row);
        state.leave(row.place.segment);
    }

    /// A message was copied.
    pub(super) fn relocate(&self, from: &MessageRow, to: &MessageRow) {
        let mut state = self.state();
        state.alive_octets = state.alive_octets - record_octets(from) + record_octets(to);
        state.leave(from.place.segment);
        state.segments.entry(to.place.segment).or_default().alive += 1;
    }

    /// The oldest segment, and how many messages are alive in it.
    pub(super) fn oldest(&self) -> Option<(u32, u64)> {
        let state = self.state();
        state.segments.first_key_value().map(|(segment, counts)| (*segment, counts.alive))
    }

    /// Something in the segment is unreadable: it is not to be thrown away.
    pub(super) fn set_damaged(&self, segment: u32) {
        self.state().segments.entry(segment).or_default().damaged = true;
    }

    pub(super) fn is_damaged(&self, segment: u32) -> bool {
        self.state().segments.get(&segment).is_some_and(|counts| counts.damaged)
    }

    pub(super) fn alive_in(&self, segment: u32) -> u64 {
        self.state().segments.get(&segment).map_or(0, |counts| counts.alive)
    }

    /// Nothing is alive in the segment, whatever was counted.
    pub(super) fn set_dead(&self, segment: u32) {
        if let Some(counts) = self.state().segments.get_mut(&segment) {
            counts.alive = 0;
        }
    }

    /// Whether the log is so much longer than what is alive in it that copying pays. Sooner where room is short.
    pub(super) fn is_bloated(&self, slack_octets: u64, tight: bool) -> bool {
        let state = self.state();
        let usual = state.alive_octets * LOG_TO_ALIVE_MAX + slack_octets;
        let short = state.alive_octets * 5 / 4 + slack_octets / 4;
        state.log_octets > if tight { short } else { usual }
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.state();
        Usage { messages: state.messages, log_octets: state.log_octets, content_octets: state.content_octets }
    }
}

impl State {
    fn leave(&mut self, segment: u32) {
        if let Some(counts) = self.segments.get_mut(&segment) {
            counts.alive = counts.alive.saturating_sub(1);
        }
    }
}
