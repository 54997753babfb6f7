//! A small set of fields, by their places in a pattern.

/// The most fields that a set can tell apart: as many as a pattern may name.
pub(super) const MOST_RANKS: usize = 256;

/// Places from 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranks([u64; MOST_RANKS / 64]);

impl Ranks {
    pub(super) fn with(mut self, rank: u16) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(rank / 64)) {
            *word |= 1 << (rank % 64);
        }
        self
    }

    pub(super) fn contains(&self, rank: u16) -> bool {
        self.0.get(usize::from(rank / 64)).is_some_and(|word| word & (1 << (rank % 64)) != 0)
    }

    pub(super) fn union(self, other: Self) -> Self {
        let mut joined = self;
        joined.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
        joined
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        let mut common = self;
        common.0.iter_mut().zip(other.0).for_each(|(word, more)| *word &= more);
        common
    }

    /// Whether another set has all of it.
    pub(super) fn is_within(&self, other: Self) -> bool {
        self.intersection(other) == *self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The lowest one.
    pub(super) fn first(&self) -> Option<u16> {
        let (index, word) = (0_u16..).zip(self.0).find(|(_, word)| *word != 0)?;
        let bit = u16::try_from(word.trailing_zeros()).ok()?;
        Some(index * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_its_lowest_place_and_what_it_shares() {
        let set = Ranks::default().with(200).with(64).with(255);

        assert_eq!((set.first(), set.len(), set.is_empty()), (Some(64), 3, false));
        assert!(set.contains(200) && !set.contains(63) && !set.contains(256));
        assert_eq!(set.intersection(Ranks::default().with(255).with(1)).first(), Some(255));
        assert_eq!(set.union(Ranks::default().with(0)).first(), Some(0));
        assert_eq!(Ranks::default().first(), None);
    }
}
