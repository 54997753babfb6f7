//! Backoff: when to try again, and when to stop trying.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Entropy;
use crate::deliver::outcome::{Reason, Verdict};
use crate::deliver::sink::{AnswerKind, SinkAnswer};
use crate::event::Timestamp;
use crate::subscriptions::Subscription;

/// The delays before each attempt, the first of them before the first attempt.
///
/// By default 0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h: ten attempts in
/// 75 h 35 min. Clones share the delays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Arc<[Duration]>);

/// The longest wait that a sink can ask for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// Delays vary by a fifth to either side, so that many failures do not come back as one wave.
const JITTER_PERCENT: u64 = 20;

impl Default for Schedule {
    fn default() -> Self {
        let seconds = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self(Arc::from(seconds.map(Duration::from_secs)))
    }
}

impl Schedule {
    /// Takes the delays between attempts; the first attempt is made at once.
    pub fn new(between: impl IntoIterator<Item = Duration>) -> Self {
        Self(std::iter::once(Duration::ZERO).chain(between).collect())
    }

    /// How many attempts there are in all.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The delay after `made` attempts; the last one repeats where a policy allows more attempts.
    fn delay_after(&self, made: u32) -> Duration {
        let index = usize::try_from(made).unwrap_or(usize::MAX);
        self.0.get(index).or(self.0.last()).copied().unwrap_or(LONGEST_WAIT)
    }
}

/// How long and how often one subscription is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The delays.
    pub schedule: Schedule,
    /// Attempts after the first, in EventBridge's word `maximumRetryAttempts`; nothing: as many as
    /// the schedule has.
    pub maximum_retry_attempts: Option<u32>,
    /// How old an event may become before it is given up; nothing: any age.
    pub maximum_event_age: Option<Duration>,
    /// After how many refusals for good it is given up; nothing: as the schedule
    /// says, because receivers are deployed while events flow.
    pub give_up_after_refusals: Option<u32>,
}

/// What is known of a delivery when its attempt has ended.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Attempts made, this one included.
    pub made: u32,
    /// From when on the event's age counts.
    pub ages_from: Timestamp,
    /// Now.
    pub now: Timestamp,
}

impl Policy {
    /// That of a subscription, with these delays.
    pub fn of(subscription: &Subscription, schedule: &Schedule) -> Self {
        let settings = &subscription.document.config;
        Self {
            schedule: schedule.clone(),
            maximum_retry_attempts: settings.maximum_retry_attempts,
            maximum_event_age: subscription.maximum_event_age(),
            give_up_after_refusals: settings.give_up_after_refusals,
        }
    }

    /// Decides what an answer means.
    pub fn judge(
        &self,
        answer: &SinkAnswer,
        situation: Situation,
        entropy: &dyn Entropy,
    ) -> Verdict {
        let Situation { made, ages_from, now } = situation;
        let refused = match answer.kind {
            AnswerKind::Delivered => return Verdict::Delivered,
            AnswerKind::Gone(_) => return Verdict::GiveUp(Reason::SinkGone),
            AnswerKind::Refused | AnswerKind::Unauthorised | AnswerKind::TooLarge => true,
            AnswerKind::Later(_) | AnswerKind::OtherKey | AnswerKind::NoAnswer(_) => false,
        };
        if refused && self.give_up_after_refusals.is_some_and(|count| made >= count) {
            return Verdict::GiveUp(Reason::Refused);
        }
        let most = self
            .maximum_retry_attempts
            .map_or(self.schedule.attempts(), |retries| retries.saturating_add(1));
        if made >= most {
            return Verdict::GiveUp(Reason::AttemptsExhausted);
        }
        let planned = jittered(self.schedule.delay_after(made), entropy);
        let asked = answer.retry_after.unwrap_or_default().min(LONGEST_WAIT);
        let due = now.after(planned.max(asked));
        match self.maximum_event_age {
            Some(age) if due > ages_from.after(age) => Verdict::GiveUp(Reason::EventTooOld),
            _ => Verdict::Retry { due },
        }
    }
}

/// A delay that is a fifth longer or shorter.
pub(super) fn jittered(delay: Duration, entropy: &dyn Entropy) -> Duration {
    let percent = 100 - JITTER_PERCENT + entropy.next_u64() % (2 * JITTER_PERCENT + 1);
    let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms.saturating_mul(percent) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::deliver::sink::{AttemptFailure, Health};

    fn judge(policy: &Policy, answer: &SinkAnswer, made: u32) -> Verdict {
        let now = Timestamp::from_unix_seconds(1000);
        policy.judge(
            answer,
            Situation { made, ages_from: Timestamp::from_unix_seconds(990), now },
            &SeededEntropy::new(1),
        )
    }

    fn later(health: Health) -> SinkAnswer {
        SinkAnswer::new(AnswerKind::Later(health))
    }

    fn seconds_until(verdict: Verdict) -> i64 {
        match verdict {
            Verdict::Retry { due } => due.unix_seconds() - 1000,
            other => panic!("expected a retry, found {other:?}"),
        }
    }

    #[test]
    fn the_default_schedule_has_ten_attempts_in_seventy_five_hours_and_a_half() {
        let schedule = Schedule::default();

        assert_eq!(schedule.attempts(), 10);
        assert_eq!(
            schedule.0.iter().sum::<Duration>(),
            Duration::from_secs(75 * 3600 + 35 * 60 + 5)
        );
    }

    #[test]
    fn success_ends_and_gone_closes() {
        let policy = Policy::default();

        assert_eq!(judge(&policy, &SinkAnswer::new(AnswerKind::Delivered), 1), Verdict::Delivered);
        assert_eq!(
            judge(&policy, &SinkAnswer::new(AnswerKind::Gone("gone")), 1),
            Verdict::GiveUp(Reason::SinkGone)
        );
    }

    #[test]
    fn every_other_answer_is_tried_again_within_a_fifth_of_the_planned_delay() {
        for answer in [
            later(Health::Failed),
            SinkAnswer::new(AnswerKind::Refused),
            later(Health::Declined),
            SinkAnswer::failed(AttemptFailure::Timeout, ""),
        ] {
            let wait = seconds_until(judge(&Policy::default(), &answer, 2));
            assert!((240..=360).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_yes_without_the_receipt_that_it_must_carry_is_tried_again() {
        let yes = SinkAnswer { status: Some(202), ..SinkAnswer::new(AnswerKind::Delivered) };
        let answer = yes.without_receipt(crate::seal::ReceiptFault::Missing);

        assert!(matches!(judge(&Policy::default(), &answer, 1), Verdict::Retry { .. }));
        assert_eq!(&*answer.detail, "no valid receipt: missing");
        assert_eq!(answer.status, Some(202));
    }

    #[test]
    fn the_last_attempt_and_the_oldest_age_end_in_a_dead_letter() {
        let policy = Policy { maximum_retry_attempts: Some(1), ..Policy::default() };
        let aged = Policy { maximum_event_age: Some(Duration::from_mins(1)), ..Policy::default() };
        let answer = later(Health::Overloaded);

        assert!(matches!(judge(&policy, &answer, 1), Verdict::Retry { .. }));
        assert_eq!(judge(&policy, &answer, 2), Verdict::GiveUp(Reason::AttemptsExhausted));
        assert_eq!(
            judge(&Policy::default(), &answer, 10),
            Verdict::GiveUp(Reason::AttemptsExhausted)
        );
        assert_eq!(judge(&aged, &answer, 2), Verdict::GiveUp(Reason::EventTooOld));
    }

    #[test]
    fn a_refusal_for_good_ends_early_only_where_the_policy_says_so() {
        let strict = Policy { give_up_after_refusals: Some(2), ..Policy::default() };

        assert!(matches!(
            judge(&strict, &SinkAnswer::new(AnswerKind::Refused), 1),
            Verdict::Retry { .. }
        ));
        assert_eq!(
            judge(&strict, &SinkAnswer::new(AnswerKind::Refused), 2),
            Verdict::GiveUp(Reason::Refused)
        );
        assert!(matches!(judge(&strict, &later(Health::Busy), 2), Verdict::Retry { .. }));
    }

    #[test]
    fn a_sink_can_ask_for_more_time_but_not_for_less_and_not_for_ever() {
        let asks = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            SinkAnswer { retry_after, ..later(Health::Busy) }
        };
        let policy = Policy::default();

        assert_eq!(seconds_until(judge(&policy, &asks(60), 1)), 60);
        assert!((4..=6).contains(&seconds_until(judge(&policy, &asks(1), 1))));
        assert_eq!(seconds_until(judge(&policy, &asks(1_000_000), 1)), 86_400);
    }
}
