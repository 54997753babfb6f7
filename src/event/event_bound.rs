//! An end of a range of events, as people name it: an event, or a moment.

use std::fmt;
use std::str::FromStr;

use crate::event::{EventId, Timestamp};

/// An end of a range of events; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventBound {
    /// An event.
    Event(EventId),
    /// A moment: whatever was accepted in its millisecond is in the range.
    Moment(Timestamp),
}

impl EventBound {
    /// The lowest id of a range that begins here.
    pub fn first(self) -> EventId {
        match self {
            Self::Event(id) => id,
            Self::Moment(at) => u64::try_from(at.unix_ms()).map_or(EventId::MIN, EventId::first_of),
        }
    }

    /// The highest id of a range that ends here.
    pub fn last(self) -> EventId {
        match self {
            Self::Event(id) => id,
            Self::Moment(at) => u64::try_from(at.unix_ms()).map_or(EventId::MIN, EventId::last_of),
        }
    }
}

/// A text that is neither.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{given}` is neither an event id (a ULID) nor a time (RFC 3339, such as 2026-11-21T17:42:11Z)"
)]
pub struct EventBoundError {
    given: String,
}

impl FromStr for EventBound {
    type Err = EventBoundError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Event(id));
        }
        let refused = |_| EventBoundError { given: text.chars().take(40).collect() };
        text.parse().map(Self::Moment).map_err(refused)
    }
}

impl fmt::Display for EventBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(id) => id.fmt(f),
            Self::Moment(at) => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_takes_in_every_event_of_its_millisecond_and_no_other() {
        let bound: EventBound = "2026-11-21T19:42:11.5009+02:00".parse().unwrap();
        let ms = 1_795_282_931_500;

        assert_eq!((bound.first(), bound.last()), (EventId::first_of(ms), EventId::last_of(ms)));
        assert_eq!(bound.first().predecessor(), Some(EventId::last_of(ms - 1)));
        assert_eq!(bound.last().successor(), Some(EventId::first_of(ms + 1)));
    }

    #[test]
    fn a_moment_before_there_were_ids_is_before_all() {
        let bound: EventBound = "1969-12-31T23:59:59Z".parse().unwrap();

        assert_eq!((bound.first(), bound.last()), (EventId::MIN, EventId::MIN));
    }

    #[test]
    fn what_is_neither_is_told_with_both_forms() {
        for text in ["", "yesterday", "2026-11-21", "17:42", "01M8027ZB0C7G57CVHKN66E8B"] {
            let words = text.parse::<EventBound>().unwrap_err().to_string();
            assert!(words.contains("ULID") && words.contains("RFC 3339"), "{words}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_from_what_it_is_shown_as(
            text in "\\PC{0,40}",
            ms in 0_i64..4_102_444_800_000,
            random in any::<u128>(),
        ) {
            let id = EventId::from_parts(ms.unsigned_abs(), random);
            for bound in [EventBound::Event(id), EventBound::Moment(Timestamp::from_unix_ms(ms))] {
                prop_assert_eq!(bound.to_string().parse::<EventBound>().unwrap(), bound);
                prop_assert!(bound.first() <= bound.last());
            }
            if let Ok(bound) = text.parse::<EventBound>() {
                prop_assert_eq!(bound.to_string().parse::<EventBound>().unwrap(), bound);
            }
        }
    }
}
