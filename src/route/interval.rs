//! Which of many ranges hold a number.

use crate::event::NumericValue;
use crate::route::found::Found;
use crate::route::predicate::Range;

/// How far ranges go up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    To(NumericValue),
    Endless,
}

/// Ranges in a binary tree without pointers: sorted by their lower ends, the middle of each slice
/// is the root of its tree and knows how far the ranges of the tree reach.
#[derive(Debug, Default)]
pub(super) struct Intervals(Vec<Interval>);

#[derive(Debug)]
struct Interval {
    range: Range,
    /// The highest upper end in the tree below.
    reach: Reach,
    entry: u32,
}

impl Intervals {
    pub(super) fn new(ranges: impl IntoIterator<Item = (Range, u32)>) -> Self {
        let mut intervals: Vec<Interval> = ranges
            .into_iter()
            .map(|(range, entry)| Interval { range, reach: Reach::Endless, entry })
            .collect();
        let low = |interval: &Interval| interval.range.low.as_ref().map(|low| low.at.clone());
        intervals.sort_by_cached_key(low);
        set_reach(&mut intervals);
        Self(intervals)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the entries of every range that holds the number.
    pub(super) fn collect(&self, number: &NumericValue, found: &mut Found) {
        collect(&self.0, number, found);
    }
}

fn split(intervals: &[Interval]) -> Option<(&[Interval], &Interval, &[Interval])> {
    let (left, rest) = intervals.split_at_checked(intervals.len() / 2)?;
    let (middle, right) = rest.split_first()?;
    Some((left, middle, right))
}

fn set_reach(intervals: &mut [Interval]) -> Option<Reach> {
    let half = intervals.len() / 2;
    let (left, rest) = intervals.split_at_mut_checked(half)?;
    let (middle, right) = rest.split_first_mut()?;
    let high = middle.range.high.as_ref();
    let own = high.map_or(Reach::Endless, |high| Reach::To(high.at.clone()));
    let sides = [set_reach(left), set_reach(right)];
    middle.reach = sides.into_iter().flatten().fold(own, Reach::max);
    Some(middle.reach.clone())
}

fn collect(intervals: &[Interval], number: &NumericValue, found: &mut Found) {
    let Some((left, middle, right)) = split(intervals) else { return };
    if matches!(&middle.reach, Reach::To(highest) if highest < number) {
        return;
    }
    collect(left, number, found);
    if middle.range.contains(number) {
        found.add(middle.entry);
    }
    if middle.range.low.as_ref().is_none_or(|low| low.at <= *number) {
        collect(right, number, found);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::found::Buckets;
    use crate::route::predicate::Bound;

    fn bound() -> impl Strategy<Value = Option<Bound>> {
        proptest::option::of((-9_i8..9, any::<bool>()).prop_map(|(at, inclusive)| Bound {
            at: NumericValue::of(&at.to_string()).unwrap(),
            inclusive,
        }))
    }

    proptest! {
        #[test]
        fn it_finds_what_a_loop_finds(
            ranges in proptest::collection::vec((bound(), bound()), 0..30),
            number in -10_i8..10,
        ) {
            let ranges: Vec<(Range, u32)> =
                (0..).zip(ranges).map(|(i, (low, high))| (Range { low, high }, i)).collect();
            let number = NumericValue::of(&number.to_string()).unwrap();
            let mut found = Found::new(&Buckets::default(), ranges.len());

            Intervals::new(ranges.iter().cloned()).collect(&number, &mut found);

            let expected: Vec<u32> =
                ranges.iter().filter(|(r, _)| r.contains(&number)).map(|&(_, i)| i).collect();
            prop_assert_eq!(found.into_sorted(), expected);
        }
    }
}
