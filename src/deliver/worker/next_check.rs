//! When something is looked at again that is looked at now and then.

use crate::event::Timestamp;

/// The moment of the next look. A clock that is set back does not put it off.
pub(super) struct NextCheck {
    looked_at: Timestamp,
    look_at: Timestamp,
}

impl NextCheck {
    /// Looks at once.
    pub(super) const fn at_once() -> Self {
        Self { looked_at: Timestamp::EPOCH, look_at: Timestamp::EPOCH }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        // Before the last look is no moment that a clock comes to by itself.
        now < self.looked_at || now >= self.look_at
    }

    /// Notes a look, and when the next is due.
    pub(super) const fn looked(&mut self, now: Timestamp, next: Timestamp) {
        self.looked_at = now;
        self.look_at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_due_at_its_moment_and_before_the_last_one() {
        let at = Timestamp::from_unix_seconds;
        let mut look = NextCheck::at_once();
        assert!(look.is_due(at(100)));
        look.looked(at(100), at(105));
        assert_eq!([99, 100, 104, 105].map(|now| look.is_due(at(now))), [true, false, false, true]);
    }
}
