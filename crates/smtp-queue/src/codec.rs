//! Octets of records and rows: integers of variable length, strings with their length in front, times in milliseconds.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};

/// Why stored octets could not be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The octets end too early, or hold a value that cannot be.
    #[error("malformed")]
    Malformed,
    /// Written by a later version of the program.
    #[error("format version {found} is newer than {known}, the newest that this program knows")]
    Newer { found: u8, known: u8 },
}

/// Milliseconds since the Unix epoch; what lies before it counts as the epoch.
pub(crate) fn to_milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The inverse of [`to_milliseconds`]; a time too far away for the clock counts as the epoch.
pub(crate) fn from_milliseconds(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The time as it comes back from the store: cut to whole milliseconds.
pub(crate) fn stored_time(time: SystemTime) -> SystemTime {
    from_milliseconds(to_milliseconds(time))
}

/// What can be appended to stored octets.
pub(crate) trait Encode {
    fn integer(&mut self, value: u64);
    fn octets(&mut self, octets: &[u8]);
    fn time(&mut self, time: SystemTime);
    fn flag(&mut self, flag: bool);
    /// A presence octet, then the value.
    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T));
    /// The octets that `write` appends, with their length in front.
    fn framed(&mut self, write: impl FnOnce(&mut BytesMut));
}

impl Encode for BytesMut {
    fn integer(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The low seven bits: the cast drops nothing that counts.
            #[allow(clippy::cast_possible_truncation)]
            self.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        #[allow(clippy::cast_possible_truncation)]
        self.put_u8(value as u8);
    }

    fn octets(&mut self, octets: &[u8]) {
        self.integer(octets.len() as u64);
        self.put_slice(octets);
    }

    fn time(&mut self, time: SystemTime) {
        self.integer(to_milliseconds(time));
    }

    fn flag(&mut self, flag: bool) {
        self.put_u8(u8::from(flag));
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn framed(&mut self, write: impl FnOnce(&mut BytesMut)) {
        // Two octets hold every length that occurs, so nothing is moved afterwards.
        let start = self.len();
        self.put_u16(0);
        write(self);
        let octets =
            u16::try_from(self.len() - start - 2).expect("a command or a reply that is stored is shorter than 64 KiB");
        self[start..start + 2].copy_from_slice(&octets.to_be_bytes());
    }
}

/// Reads what [`Encode`] wrote, from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, octets: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(octets).ok_or(DecodeError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn octet(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    /// The version octet of a row or record, at most `known`.
    pub(crate) fn version(&mut self, known: u8) -> Result<u8, DecodeError> {
        match self.octet()? {
            0 => Err(DecodeError::Malformed),
            found if found > known => Err(DecodeError::Newer { found, known }),
            found => Ok(found),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<u64, DecodeError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Malformed);
            }
            value |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed)
    }

    /// An integer of 32 bits.
    pub(crate) fn number(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.integer()?).map_err(|_| DecodeError::Malformed)
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], DecodeError> {
        let octets = usize::try_from(self.integer()?).map_err(|_| DecodeError::Malformed)?;
        self.take(octets)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.octets()?).map_err(|_| DecodeError::Malformed)
    }

    pub(crate) fn framed(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }

    pub(crate) fn time(&mut self) -> Result<SystemTime, DecodeError> {
        self.integer().map(from_milliseconds)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.octet()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed),
        }
    }

    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        self.flag()?.then(|| read(self)).transpose()
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        self.is_empty().then_some(()).ok_or(DecodeError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64, octets: Vec<u8>, text: String, flag: bool, time in 0_u64..1 << 45) {
            let mut buffer = BytesMut::new();
            buffer.integer(value);
            buffer.octets(&octets);
            buffer.octets(text.as_bytes());
            buffer.flag(flag);
            buffer.time(from_milliseconds(time));
            buffer.optional(Some(value), BytesMut::integer);
            buffer.framed(|buffer| buffer.extend_from_slice(&octets));
            let mut decoder = Decoder::new(&buffer);
            prop_assert_eq!(decoder.integer(), Ok(value));
            prop_assert_eq!(decoder.octets(), Ok(&octets[..]));
            prop_assert_eq!(decoder.text(), Ok(&text[..]));
            prop_assert_eq!(decoder.flag(), Ok(flag));
            prop_assert_eq!(decoder.time(), Ok(from_milliseconds(time)));
            prop_assert_eq!(decoder.optional(Decoder::integer), Ok(Some(value)));
            prop_assert_eq!(decoder.framed(), Ok(&octets[..]));
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn no_octets_panic(octets: Vec<u8>) {
            let mut decoder = Decoder::new(&octets);
            let _ = decoder.version(1);
            let _ = decoder.integer();
            let _ = decoder.text();
            let _ = decoder.optional(Decoder::time);
            let _ = decoder.framed();
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        assert_eq!(Decoder::new(&[2]).version(1), Err(DecodeError::Newer { found: 2, known: 1 }));
        assert_eq!(Decoder::new(&[0]).version(1), Err(DecodeError::Malformed));
    }
}
