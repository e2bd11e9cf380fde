//! Content of messages that have just come in, so that their first attempt reads nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use smtp_mail::MessageId;

/// Recent content within a limit of memory; the oldest goes first.
#[derive(Debug)]
pub(super) struct HotContent {
    limit_octets: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    content: HashMap<MessageId, (Bytes, Bytes)>,
    /// In the order of arrival; may name what is gone.
    order: VecDeque<MessageId>,
    octets: usize,
}

impl HotContent {
    pub(super) fn new(limit_octets: u64) -> Self {
        Self { limit_octets: usize::try_from(limit_octets).unwrap_or(usize::MAX), state: Mutex::default() }
    }

    pub(super) fn get(&self, id: MessageId) -> Option<(Bytes, Bytes)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).content.get(&id).cloned()
    }

    pub(super) fn put(&self, id: MessageId, header: &Bytes, body: &Bytes) {
        let octets = header.len() + body.len();
        if octets > self.limit_octets / 4 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.octets += octets;
        state.content.insert(id, (header.clone(), body.clone()));
        state.order.push_back(id);
        while state.octets > self.limit_octets {
            let Some(oldest) = state.order.pop_front() else {
                break;
            };
            state.remove(oldest);
        }
        if state.order.len() > 2 * state.content.len() + 1024 {
            let State { content, order, .. } = &mut *state;
            order.retain(|id| content.contains_key(id));
        }
    }

    pub(super) fn remove(&self, id: MessageId) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl State {
    fn remove(&mut self, id: MessageId) {
        if let Some((header, body)) = self.content.remove(&id) {
            self.octets -= header.len() + body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_the_limit_holds() {
        let hot = HotContent::new(400);
        let (header, body) = (Bytes::from_static(b"h"), Bytes::from(vec![b'x'; 99]));
        for id in 1..=6 {
            hot.put(MessageId::from_raw(id), &header, &body);
        }
        let kept: Vec<bool> = (1..=6).map(|id| hot.get(MessageId::from_raw(id)).is_some()).collect();
        assert_eq!(kept, [false, false, true, true, true, true]);
        hot.remove(MessageId::from_raw(3));
        hot.put(MessageId::from_raw(7), &header, &body);
        assert!(hot.get(MessageId::from_raw(4)).is_some());
        hot.put(MessageId::from_raw(8), &header, &Bytes::from(vec![b'x'; 500]));
        assert!(hot.get(MessageId::from_raw(8)).is_none());
    }
}
