//! Whose filters are asked, and how much work their owners have left for one event.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::ConsumerId;
use crate::route::budget::StepAllowance;

/// Numbers owners from 0, so that what they take is counted in a list.
#[derive(Debug, Default)]
pub(super) struct OwnerNumbers(BTreeMap<ConsumerId, usize>);

impl OwnerNumbers {
    pub(super) fn number(&mut self, owner: &ConsumerId) -> usize {
        let next = self.0.len();
        *self.0.entry(owner.clone()).or_insert(next)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// The owners of one filter, by their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FilterOwners {
    /// Somebody whose work is not counted.
    Uncounted,
    One(usize),
    Several(BTreeSet<usize>),
}

impl FilterOwners {
    /// Adds one more; nothing: one that is not counted.
    pub(super) fn add(&mut self, owner: Option<usize>) {
        match (&mut *self, owner) {
            (Self::Uncounted, _) => {}
            (_, None) => *self = Self::Uncounted,
            (Self::One(known), Some(owner)) => {
                if *known != owner {
                    *self = Self::Several(BTreeSet::from([*known, owner]));
                }
            }
            (Self::Several(known), Some(owner)) => _ = known.insert(owner),
        }
    }
}

impl From<Option<usize>> for FilterOwners {
    fn from(owner: Option<usize>) -> Self {
        owner.map_or(Self::Uncounted, Self::One)
    }
}

/// The steps that are taken at once of one event: by each owner, and by all together.
pub(super) struct StepMeter {
    allowance: StepAllowance,
    taken: u64,
    /// What each owner has left.
    left: Vec<u64>,
}

impl StepMeter {
    pub(super) fn new(allowance: StepAllowance, owners: usize) -> Self {
        Self { allowance, taken: 0, left: vec![allowance.owner; owners] }
    }

    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) const fn allowance(&self) -> StepAllowance {
        self.allowance
    }

    /// Steps that one of a filter's owners can still pay for.
    pub(super) fn left(&self, owners: &FilterOwners) -> u64 {
        let of = |owner: &usize| self.left.get(*owner).copied().unwrap_or(0);
        match owners {
            FilterOwners::Uncounted => u64::MAX,
            FilterOwners::One(owner) => of(owner),
            FilterOwners::Several(owners) => owners.iter().map(of).max().unwrap_or(0),
        }
    }

    /// Each owner pays as if the filter were its alone, so that nobody has more of a filter because
    /// others have it, too, and nobody less.
    pub(super) fn take(&mut self, owners: &FilterOwners, steps: u64) {
        self.taken = self.taken.saturating_add(steps);
        let mut pay = |owner: usize| {
            if let Some(left) = self.left.get_mut(owner) {
                *left = left.saturating_sub(steps);
            }
        };
        match owners {
            FilterOwners::Uncounted => {}
            FilterOwners::One(owner) => pay(*owner),
            FilterOwners::Several(owners) => owners.iter().copied().for_each(pay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_known_once_and_one_that_is_not_counted_stands_for_all() {
        let of = |owners: &[Option<usize>]| {
            let mut all = FilterOwners::from(owners[0]);
            owners[1..].iter().for_each(|owner| all.add(*owner));
            all
        };

        assert_eq!(of(&[Some(3), Some(3)]), FilterOwners::One(3));
        let several = [Some(3), Some(1), Some(3), Some(2), Some(1)];
        assert_eq!(of(&several), FilterOwners::Several([1, 2, 3].into()));
        assert_eq!(of(&[Some(3), None, Some(1)]), FilterOwners::Uncounted);
    }

    #[test]
    fn each_owner_pays_in_full_and_who_has_most_left_says_how_far_it_goes() {
        let allowance = StepAllowance { owner: 100, ..StepAllowance::UNLIMITED };
        let mut meter = StepMeter::new(allowance, 2);
        let both = FilterOwners::Several([0, 1].into());

        meter.take(&FilterOwners::One(0), 70);
        assert_eq!((meter.left(&FilterOwners::One(0)), meter.left(&both)), (30, 100));
        meter.take(&both, 50);

        assert_eq!((meter.left(&FilterOwners::One(0)), meter.left(&both)), (0, 50));
        assert_eq!((meter.left(&FilterOwners::Uncounted), meter.taken()), (u64::MAX, 120));
    }
}
