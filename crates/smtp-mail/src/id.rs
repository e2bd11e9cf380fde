//! Message ids: unique for ever, sorted by time, short enough to be read aloud.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 13;
const TIME_BITS: u32 = 41;
const TIME_MAX: u64 = (1 << TIME_BITS) - 1;
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

/// 2025-01-01T00:00:00Z, in seconds since the Unix epoch.
const EPOCH_SECONDS: u64 = 1_735_689_600;

/// Crockford's base32: no I, L, O or U, so that nothing is misread. In ASCII order, so ids sort as text too.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 13 letters of 5 bits hold 64 bits; the first letter carries only 4.
const LETTERS: usize = 13;

/// The identity of one message in the queue, never reused.
///
/// 41 bits of milliseconds since 2025-01-01T00:00:00Z (enough until 2094), 10 bits of node, 13 bits of
/// sequence. Shown as 13 letters of Crockford base32; both forms sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl MessageId {
    /// The highest node number that fits an id.
    pub const NODE_MAX: u16 = (1 << NODE_BITS) - 1;

    /// The id that [`MessageId::as_raw`] gave. Zero is lower than every id that is ever given out.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The id as it is stored: one number, sorted by time.
    pub const fn as_raw(self) -> u64 {
        self.0
    }

    /// When the id was made, to the millisecond. Under a clock set back or more than 8,192 ids a
    /// millisecond it runs ahead of the clock.
    pub fn time(self) -> SystemTime {
        let since_epoch = Duration::from_millis(self.milliseconds());
        SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS) + since_epoch
    }

    /// The node that made the id.
    pub const fn node(self) -> u16 {
        // Ten bits after the mask: the cast loses nothing.
        #[allow(clippy::cast_possible_truncation)]
        let node = (self.0 >> SEQUENCE_BITS) as u16 & Self::NODE_MAX;
        node
    }

    const fn milliseconds(self) -> u64 {
        self.0 >> (NODE_BITS + SEQUENCE_BITS)
    }

    const fn sequence(self) -> u64 {
        self.0 & SEQUENCE_MAX
    }

    const fn from_parts(milliseconds: u64, node: u64, sequence: u64) -> Self {
        Self(milliseconds << (NODE_BITS + SEQUENCE_BITS) | node << SEQUENCE_BITS | sequence)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = [0_u8; LETTERS];
        let mut rest = self.0;
        for letter in letters.iter_mut().rev() {
            *letter = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&letters).expect("the alphabet is ASCII"))
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    /// Reads the 13 letters, in any case; `I` and `L` are read as `1` and `O` as `0`, as Crockford asks.
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != LETTERS {
            return Err(IdError::Length);
        }
        let mut raw: u128 = 0;
        for letter in text.bytes() {
            raw = raw << 5 | u128::from(letter_value(letter).ok_or(IdError::Letter)?);
        }
        u64::try_from(raw).map(Self).map_err(|_| IdError::OutOfRange)
    }
}

fn letter_value(letter: u8) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        b'I' | b'L' => b'1',
        b'O' => b'0',
        other => other,
    };
    let index = ALPHABET.iter().position(|known| *known == letter)?;
    u8::try_from(index).ok()
}

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A message id has exactly 13 letters.
    #[error("a message id has {LETTERS} letters")]
    Length,
    /// Not a letter of Crockford base32.
    #[error("a message id holds digits and letters, but no U")]
    Letter,
    /// More than 64 bits.
    #[error("a message id begins with a digit or a letter up to F")]
    OutOfRange,
    /// What follows the point is no number from 1.
    #[error("a recipient's number is a whole number from 1, as in {example}", example = "ID.1")]
    Number,
}

/// One recipient of a message: `ID.n`, counted from 1 in the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientId {
    /// The message.
    pub message: MessageId,
    /// The recipient's number in it, from 1.
    pub number: u32,
}

impl fmt::Display for RecipientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message, self.number)
    }
}

impl FromStr for RecipientId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (message, number) = text.split_once('.').ok_or(IdError::Number)?;
        // `u32::from_str` would take a sign.
        let digits = number.bytes().all(|octet| octet.is_ascii_digit());
        match number.parse() {
            Ok(number) if digits && number > 0 => Ok(Self { message: message.parse()?, number }),
            _ => Err(IdError::Number),
        }
    }
}

/// Gives out message ids, each higher than the one before, whatever the clock does. Shared by reference.
#[derive(Debug)]
pub struct MessageIds {
    node: u64,
    last: AtomicU64,
}

impl MessageIds {
    /// A generator that goes on after `last`, the highest id that is known to have been given out.
    ///
    /// # Panics
    /// If `node` is more than [`MessageId::NODE_MAX`].
    pub fn new(node: u16, last: MessageId) -> Self {
        assert!(node <= MessageId::NODE_MAX, "a node number has 10 bits");
        Self { node: u64::from(node), last: AtomicU64::new(last.as_raw()) }
    }

    /// The next id: that of `now`, or the next after the last one where the clock stands still or goes back.
    pub fn next(&self, now: SystemTime) -> MessageId {
        let now = milliseconds_since_epoch(now);
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = self.after(MessageId(last), now);
            let swapped = self.last.compare_exchange_weak(last, next.as_raw(), Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return next,
                Err(current) => last = current,
            }
        }
    }

    /// The highest id given out so far.
    pub fn last(&self) -> MessageId {
        MessageId(self.last.load(Ordering::Relaxed))
    }

    fn after(&self, last: MessageId, now: u64) -> MessageId {
        let fresh = MessageId::from_parts(now, self.node, 0);
        if fresh > last {
            return fresh;
        }
        let milliseconds = last.milliseconds();
        let same_node = u64::from(last.node()) == self.node;
        if same_node && last.sequence() < SEQUENCE_MAX {
            MessageId::from_parts(milliseconds, self.node, last.sequence() + 1)
        } else {
            // The sequence never runs over into the node: it borrows from the time to come.
            MessageId::from_parts(milliseconds + 1, self.node, 0)
        }
    }
}

fn milliseconds_since_epoch(now: SystemTime) -> u64 {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS);
    let milliseconds = now.duration_since(epoch).unwrap_or_default().as_millis();
    u64::try_from(milliseconds).unwrap_or(TIME_MAX).min(TIME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS) + Duration::from_millis(milliseconds)
    }

    #[test]
    fn an_id_tells_time_and_node() {
        let ids = MessageIds::new(7, MessageId::from_raw(0));
        let id = ids.next(at(12_345));
        assert_eq!((id.time(), id.node(), id.sequence()), (at(12_345), 7, 0));
        assert_eq!(ids.last(), id);
    }

    #[test]
    fn a_clock_set_back_never_repeats_an_id() {
        let ids = MessageIds::new(1, MessageId::from_raw(0));
        let mut last = ids.next(at(5_000));
        for step in 0..20_000 {
            let id = ids.next(at(4_000 + step % 3));
            assert!(id > last);
            assert_eq!(id.node(), 1);
            last = id;
        }
    }

    #[test]
    fn another_node_number_after_a_restart_still_counts_up() {
        let last = MessageIds::new(9, MessageId::from_raw(0)).next(at(100));
        let ids = MessageIds::new(3, last);
        assert!(ids.next(at(100)) > last);
        assert_eq!(ids.last().node(), 3);
    }

    #[test]
    fn threads_share_one_generator() {
        let ids = MessageIds::new(0, MessageId::from_raw(0));
        let mut all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..5_000).map(|_| ids.next(at(1))).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn the_clock_may_be_out_of_range() {
        let ids = MessageIds::new(0, MessageId::from_raw(0));
        assert_eq!(ids.next(SystemTime::UNIX_EPOCH).as_raw(), 1);
        let far = at(TIME_MAX + 10);
        assert_eq!(MessageIds::new(0, MessageId::from_raw(0)).next(far).milliseconds(), TIME_MAX);
    }

    #[test]
    fn texts_that_are_no_id() {
        let parse = |text: &str| text.parse::<MessageId>();
        assert_eq!(parse("01"), Err(IdError::Length));
        assert_eq!(parse("0000000000000U"), Err(IdError::Length));
        assert_eq!(parse("000000000000U"), Err(IdError::Letter));
        assert_eq!(parse("00000000000é"), Err(IdError::Letter));
        assert_eq!(parse("G000000000000"), Err(IdError::OutOfRange));
        assert_eq!(parse("FZZZZZZZZZZZZ"), Ok(MessageId(u64::MAX)));
        assert_eq!(parse("oOiIlL1000000"), parse("0011111000000"));
        for text in ["0000000000001", "0000000000001.", "0000000000001.0", "0000000000001.+1", "0000000000001.x"] {
            assert_eq!(text.parse::<RecipientId>(), Err(IdError::Number), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_number_agree(a: u64, b: u64, number in 1_u32..) {
            let (left, right) = (MessageId(a), MessageId(b));
            prop_assert_eq!(left.to_string().parse(), Ok(left));
            prop_assert_eq!(left.to_string().to_lowercase().parse(), Ok(left));
            prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
            let recipient = RecipientId { message: left, number };
            prop_assert_eq!(recipient.to_string().parse(), Ok(recipient));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<MessageId>();
            let _ = text.parse::<RecipientId>();
        }
    }
}
