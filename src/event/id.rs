//! The name that the gateway gives an event: a ULID whose order is the order of the log.

use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

/// Identifies one event; ids sort in the order in which the log took the events.
///
/// The text form is 26 characters of Crockford's base 32, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Ulid);

impl EventId {
    /// The lowest id.
    pub const MIN: Self = Self(Ulid::nil());
    /// The highest id.
    pub const MAX: Self = Self(Ulid::max());

    /// Builds an id from milliseconds since the Unix epoch and 80 random bits.
    ///
    /// Bits beyond 48 of the time and beyond 80 of the random part are dropped.
    pub const fn from_parts(unix_ms: u64, random: u128) -> Self {
        Self(Ulid::from_parts(unix_ms, random))
    }

    /// Reads the 16 bytes that [`to_bytes`](Self::to_bytes) made.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// Gives the 16 bytes, most significant first, so that byte order is id order.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// The length of the text form, in bytes.
    pub const TEXT_BYTES: usize = ulid::ULID_LEN;

    /// Writes the text form into a buffer.
    pub fn text(self, buffer: &mut [u8; Self::TEXT_BYTES]) -> &str {
        self.0.array_to_str(buffer)
    }

    /// Milliseconds since the Unix epoch at which the id was minted.
    pub const fn unix_ms(self) -> u64 {
        self.0.timestamp_ms()
    }

    /// The next higher id, or nothing after [`MAX`](Self::MAX).
    pub fn successor(self) -> Option<Self> {
        self.0.0.checked_add(1).map(|next| Self(Ulid(next)))
    }

    /// The next lower id, or nothing before [`MIN`](Self::MIN).
    pub fn predecessor(self) -> Option<Self> {
        self.0.0.checked_sub(1).map(|next| Self(Ulid(next)))
    }

    /// The highest id of the minute in which it was minted, which tells no more of an event than that it is
    /// not younger.
    pub const fn end_of_minute(self) -> Self {
        Self::last_of(self.unix_ms() - self.unix_ms() % 60_000 + 59_999)
    }

    /// The lowest id of a millisecond.
    pub const fn first_of(unix_ms: u64) -> Self {
        Self::from_parts(unix_ms, 0)
    }

    /// The highest id of a millisecond.
    pub const fn last_of(unix_ms: u64) -> Self {
        Self::from_parts(unix_ms, u128::MAX)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; Self::TEXT_BYTES]))
    }
}

/// A text that is not a ULID.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{given}` is not an event id: expected a ULID, 26 characters of 0-9 and A-Z without I, L, O, U"
)]
pub struct EventIdError {
    given: String,
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The crate accepts a first character above 7 and drops the bits that overflow.
        match Ulid::from_string(text) {
            Ok(id) if text.starts_with(|c: char| ('0'..='7').contains(&c)) => Ok(Self(id)),
            _ => Err(EventIdError { given: text.chars().take(40).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_comes_back_as_the_same_id() {
        let id = EventId::from_parts(1_795_282_931_000, 0x1234_5678_9abc);

        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        assert_eq!(EventId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn text_order_is_id_order() {
        let low = EventId::last_of(5);
        let high = EventId::first_of(6);

        assert!(low < high && low.to_string() < high.to_string());
        assert_eq!(EventId::first_of(60_001).end_of_minute(), EventId::last_of(119_999));
        assert_eq!(EventId::last_of(119_999).end_of_minute(), EventId::last_of(119_999));
        assert_eq!(low.successor(), Some(high));
        assert_eq!(EventId::MAX.successor(), None);
        assert_eq!((high.predecessor(), EventId::MIN.predecessor()), (Some(low), None));
    }

    #[test]
    fn a_text_that_overflows_or_has_a_foreign_letter_is_refused() {
        for text in ["8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FA", "", "🦀"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
