//! Counts what the kept answers of each caller take, and says which of them have to go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{CallerId, Timestamp};
use crate::eventlog::{Record, Revision};

/// How long an answer is kept.
pub(super) const KEPT: Duration = Duration::from_hours(24);
/// How many bytes of answers are kept at most, of all callers.
pub(super) const ALL_BYTES: u64 = 16 * 1024 * 1024;
/// How many of them are of one caller, at most.
pub(super) const CALLER_BYTES: u64 = ALL_BYTES / 4;
/// How many answers go at once because they are too old: nobody is given them any more, so that whoever
/// keeps one need not wait for all of a busy hour.
const OLD_AT_ONCE: usize = 64;
/// What a record takes beside its body.
const OVERHEAD: u64 = 200;

/// An answer in the count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CountedAnswer {
    /// Who was given it; nothing where that is not known.
    pub(super) caller: Option<CallerId>,
    /// The write that it comes from, by which the oldest are told.
    pub(super) revision: Revision,
    /// The name of its record.
    pub(super) id: String,
    bytes: u64,
    kept: Timestamp,
}

impl CountedAnswer {
    /// Counts an answer as its record is.
    pub(super) fn of(caller: Option<CallerId>, record: Record) -> Self {
        let Record { id, revision, changed, body } = record;
        Self { caller, revision, id, bytes: weight(&body), kept: changed }
    }
}

/// What the answers of all callers take.
#[derive(Default)]
pub(super) struct AnswerShares {
    callers: BTreeMap<Option<CallerId>, CallerShare>,
    bytes: u64,
}

#[derive(Default)]
struct CallerShare {
    answers: BTreeMap<Revision, CountedAnswer>,
    bytes: u64,
}

impl AnswerShares {
    /// Counts an answer.
    pub(super) fn add(&mut self, answer: CountedAnswer) {
        let share = self.callers.entry(answer.caller.clone()).or_default();
        share.bytes += answer.bytes;
        self.bytes += answer.bytes;
        share.answers.insert(answer.revision, answer);
    }

    /// Counts one no more, because another has taken its place or it is gone.
    pub(super) fn remove(&mut self, caller: Option<&CallerId>, revision: Revision) {
        let caller = caller.cloned();
        if let Some(share) = self.callers.get_mut(&caller)
            && let Some(removed) = share.answers.remove(&revision)
        {
            share.bytes -= removed.bytes;
            self.bytes -= removed.bytes;
            if share.answers.is_empty() {
                self.callers.remove(&caller);
            }
        }
    }

    /// Takes out what has to go: some of what is too old; the oldest of a caller whose answers take more
    /// than its share; and while all take too much, the oldest of the caller whose answers take most.
    pub(super) fn take_excess(&mut self, now: Timestamp) -> Vec<CountedAnswer> {
        let mut excess = self.old(now);
        for answer in &excess {
            self.remove(answer.caller.as_ref(), answer.revision);
        }
        while let Some(oldest) = self.oldest_in_excess().cloned() {
            self.remove(oldest.caller.as_ref(), oldest.revision);
            excess.push(oldest);
        }
        excess
    }

    fn old(&self, now: Timestamp) -> Vec<CountedAnswer> {
        let is_old = |answer: &&CountedAnswer| answer.kept.after(KEPT) <= now;
        let shares = self.callers.values();
        let old = shares.flat_map(|share| share.answers.values().take_while(is_old));
        old.take(OLD_AT_ONCE).cloned().collect()
    }

    fn oldest_in_excess(&self) -> Option<&CountedAnswer> {
        let over = self.callers.values().find(|share| share.bytes > CALLER_BYTES);
        let most = || self.callers.values().max_by_key(|share| share.bytes);
        let share = over.or_else(|| (self.bytes > ALL_BYTES).then(most).flatten())?;
        share.answers.values().next()
    }
}

/// What a record with this body takes.
pub(super) const fn weight(body: &str) -> u64 {
    body.len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn answer(caller: u8, revision: u64, bytes: u64) -> CountedAnswer {
        CountedAnswer {
            caller: Some(format!("caller-{caller}").parse().unwrap()),
            revision: Revision(revision),
            id: revision.to_string(),
            bytes,
            kept: Timestamp::from_unix_seconds(NOW),
        }
    }

    /// Adds answers one after the other, as they are kept; gives those that are left.
    fn keep(answers: &[CountedAnswer]) -> Vec<CountedAnswer> {
        let mut shares = AnswerShares::default();
        let mut left: Vec<CountedAnswer> = Vec::new();
        for answer in answers {
            shares.add(answer.clone());
            left.push(answer.clone());
            let excess = shares.take_excess(answer.kept);
            left.retain(|one| !excess.contains(one));
        }
        assert_eq!(shares.bytes, left.iter().map(|one| one.bytes).sum::<u64>());
        left
    }

    fn bytes_of(answers: &[CountedAnswer], caller: u8) -> u64 {
        let caller = Some(format!("caller-{caller}").parse().unwrap());
        answers.iter().filter(|one| one.caller == caller).map(|one| one.bytes).sum()
    }

    #[test]
    fn who_keeps_much_loses_its_own_oldest_and_nobody_elses() {
        let mut answers = vec![answer(1, 1, 500)];
        answers.extend((2..100).map(|revision| answer(2, revision, CALLER_BYTES / 4)));

        let left = keep(&answers);

        let left: Vec<_> = left.iter().map(|one| one.revision.0).collect();
        assert_eq!(left, [1, 96, 97, 98, 99]);
    }

    #[test]
    fn when_all_is_full_who_holds_most_loses_first() {
        // Three hold their whole shares, and a fourth nearly so.
        let mut answers = vec![answer(0, 1, 1000)];
        let four = (1..=4).flat_map(|caller| (0..4).map(move |number| (caller, number)));
        answers.extend(four.map(|(caller, number)| {
            let bytes = if caller == 4 { CALLER_BYTES / 4 - 100 } else { CALLER_BYTES / 4 };
            answer(caller, 10 * u64::from(caller) + number, bytes)
        }));

        let left = keep(&answers);

        assert_eq!(bytes_of(&left, 0), 1000, "who holds least keeps all");
        let lost: Vec<_> = answers.iter().filter(|one| !left.contains(one)).collect();
        assert_eq!(lost.len(), 1);
        assert_ne!(lost[0].caller, Some("caller-4".parse().unwrap()));
    }

    #[test]
    fn what_is_too_old_goes_whoever_keeps_something() {
        let mut shares = AnswerShares::default();
        shares.add(answer(1, 1, 10));
        let of_nobody = CountedAnswer { caller: None, ..answer(1, 2, 10) };
        shares.add(of_nobody.clone());
        let now = Timestamp::from_unix_seconds(NOW);
        assert_eq!(shares.take_excess(now), []);

        assert_eq!(shares.take_excess(now.after(KEPT)), [of_nobody, answer(1, 1, 10)]);
        assert!(shares.callers.is_empty() && shares.bytes == 0);
    }

    proptest! {
        #[test]
        fn no_caller_loses_anything_while_it_holds_less_than_an_equal_part(
            sizes in prop::collection::vec((1_u8..8, 1..=CALLER_BYTES / 4), 1..120),
        ) {
            let answers: Vec<_> = (1..).zip(&sizes)
                .map(|(revision, (caller, bytes))| answer(*caller, revision, *bytes))
                .collect();
            let left = keep(&answers);

            prop_assert!(left.iter().map(|one| one.bytes).sum::<u64>() <= ALL_BYTES);
            let callers: BTreeSet<_> = sizes.iter().map(|(caller, _)| *caller).collect();
            for caller in callers {
                prop_assert!(bytes_of(&left, caller) <= CALLER_BYTES);
                // Of seven callers each has a seventh, whatever the others do.
                let all = bytes_of(&answers, caller);
                if all <= ALL_BYTES / 7 {
                    prop_assert_eq!(bytes_of(&left, caller), all);
                }
            }
        }
    }
}
