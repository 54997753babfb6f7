//! How an event breaks its contract that a publication lets pass and only observes.

use crate::event::Violation;

/// The most violations that are kept with an event.
const MOST: usize = 64;
/// The most bytes of them: enough for all but pointers of the length of a page.
const MOST_BYTES: usize = 8 * 1024;

/// The violations of an event that its publication only observes, within bounds; at least one was
/// found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    violations: Vec<Violation>,
    found: usize,
}

impl Observed {
    /// Keeps the first of these, as many as the bounds allow; nothing if there are none.
    pub fn of(mut violations: Vec<Violation>) -> Option<Self> {
        let found = violations.len();
        let mut bytes = 0;
        let fits = |violation: &&Violation| {
            bytes += weight(violation);
            bytes <= MOST_BYTES
        };
        let kept = violations.iter().take(MOST).take_while(fits).count();
        violations.truncate(kept);
        (found > 0).then_some(Self { violations, found })
    }

    /// Joins what an engine kept.
    pub(super) const fn from_parts(violations: Vec<Violation>, found: usize) -> Self {
        Self { violations, found }
    }

    /// Those that are kept, in the order in which they were found.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How many were found, kept or not.
    pub const fn found(&self) -> usize {
        self.found
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        self.violations.iter().map(weight).sum()
    }
}

fn weight(violation: &Violation) -> usize {
    let Violation { pointer, code, message } = violation;
    pointer.len() + code.len() + message.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(pointer: usize) -> Violation {
        let pointer = "/".repeat(pointer);
        Violation { pointer, code: "required".to_owned(), message: "is missing".to_owned() }
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_allow_and_all_is_counted() {
        assert_eq!(Observed::of(vec![]), None);
        let few = Observed::of(vec![violation(1); 3]).unwrap();
        assert_eq!((few.violations().len(), few.found()), (3, 3));
        let many = Observed::of(vec![violation(1); 100]).unwrap();
        assert_eq!((many.violations().len(), many.found()), (MOST, 100));
        let long = Observed::of(vec![violation(3_000); 64]).unwrap();
        assert_eq!((long.violations().len(), long.found()), (2, 64));
        assert!(long.weight() <= MOST_BYTES);
        let longest = Observed::of(vec![violation(10_000)]).unwrap();
        assert_eq!((longest.violations().len(), longest.found()), (0, 1));
    }
}
