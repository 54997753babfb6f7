//! Numbers that look random and follow from a seed.

/// A stream of numbers, always the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(in crate::contract) struct Dice(u64);

impl Dice {
    pub(in crate::contract) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::contract) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if nothing is.
    pub(in crate::contract) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % bound).unwrap_or(0)
    }
}

#[cfg(test)]
impl Dice {
    /// True so many times in a hundred.
    pub(in crate::contract) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(in crate::contract) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}
