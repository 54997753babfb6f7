//! Gives entries their ids and positions, in one growing order.

use std::time::Duration;

use crate::ambient::Entropy;
use crate::event::{EventId, Timestamp};
use crate::eventlog::Position;

/// For how long a repeat by a producer's bus is recognised.
pub(super) const ORIGIN_WINDOW: Duration = Duration::from_hours(24);

/// The last names that were given; the next ones are higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdGenerator {
    last: EventId,
    head: Position,
}

impl IdGenerator {
    /// Goes on after the newest entry of a log.
    pub(super) const fn after(last: EventId, head: Position) -> Self {
        Self { last, head }
    }

    /// The position that was given last.
    pub(super) const fn head(self) -> Position {
        self.head
    }

    /// Gives the next id and position; nothing once the ids are used up, in the year 10889.
    ///
    /// A new millisecond begins at a random place in its lower half. Within a millisecond, and
    /// while the clock is behind the last id, ids are consecutive; a millisecond that is used up
    /// carries over into the next.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<(EventId, Position)> {
        let now_ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        let id = if now_ms > self.last.unix_ms() {
            // The cleared bit leaves room for 2^79 successors before the first carry.
            EventId::from_parts(now_ms, entropy.next_u128() & (u128::MAX >> 49))
        } else {
            self.last.successor()?
        };
        *self = Self { last: id, head: Position(self.head.0 + 1) };
        Some((id, self.head))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;

    proptest! {
        #[test]
        fn ids_and_positions_grow_together_whatever_the_clock_does(
            moments in proptest::collection::vec(-5_i64..20, 1..60),
        ) {
            let entropy = SeededEntropy::new(1);
            let mut id_generator = IdGenerator::after(EventId::MIN, Position::START);
            let mut before = (EventId::MIN, Position::START);
            for ms in moments {
                let next = id_generator.next(Timestamp::from_unix_ms(ms), &entropy).unwrap();
                prop_assert!(next.0 > before.0);
                prop_assert_eq!(next.1.0, before.1.0 + 1);
                before = next;
            }
        }
    }

    #[test]
    fn a_full_millisecond_carries_over_and_the_last_id_ends_the_series() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_unix_ms(7);

        let mut full = IdGenerator::after(EventId::last_of(7), Position(1));
        assert_eq!(full.next(now, &entropy), Some((EventId::first_of(8), Position(2))));

        let mut over = IdGenerator::after(EventId::MAX, Position(1));
        assert_eq!(over.next(now, &entropy), None);
    }

    #[test]
    fn a_new_millisecond_shows_the_clock() {
        let mut id_generator = IdGenerator::after(EventId::first_of(5), Position(1));
        let (id, _) =
            id_generator.next(Timestamp::from_unix_ms(9), &SeededEntropy::new(1)).unwrap();
        assert_eq!(id.unix_ms(), 9);
    }
}
