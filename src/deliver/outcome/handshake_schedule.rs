//! Backoff of handshakes: when a sink is asked again to prove itself, and until when.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::{Entropy, HumanDuration};
use crate::deliver::outcome::schedule::{LONGEST_WAIT, jittered};
use crate::event::Timestamp;
use crate::subscriptions::PendingHandshake;

/// When a sink that has not proved itself is asked again.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HandshakeConfig {
    /// The delays between attempts, each with a fifth of jitter to either side; the last one
    /// repeats. At least one, of at most 1day each.
    pub retries: Vec<HumanDuration>,
    /// How long a sink is asked. Then the subscription stays pending until someone asks again.
    #[schemars(extend("x-range" = ["1m", "30days"]))]
    pub give_up_after: HumanDuration,
}

impl Default for HandshakeConfig {
    fn default() -> Self {
        let seconds = [5, 30, 120, 300, 900, 1_800, 3_600];
        Self {
            retries: seconds.map(|s| HumanDuration(Duration::from_secs(s))).to_vec(),
            give_up_after: HumanDuration(Duration::from_hours(72)),
        }
    }
}

/// How an attempt at a handshake has ended that did not prove the sink.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandshakeEnd {
    /// Whether someone had asked for it, so that attempts and patience begin anew.
    pub asked: bool,
    /// Whether the sink has taken the challenge and its consumer is to answer it.
    pub delivered: bool,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl HandshakeConfig {
    /// What is kept after an attempt: nothing is due any more once its patience has ended.
    ///
    /// A challenge that was delivered and waits for its answer is repeated with the longest delay.
    pub fn after_attempt(
        &self,
        before: PendingHandshake,
        end: HandshakeEnd,
        (now, entropy): (Timestamp, &dyn Entropy),
    ) -> PendingHandshake {
        let mut kept = if end.asked { before.again(now) } else { before };
        kept.attempts = kept.attempts.saturating_add(1);
        let delay = if end.delivered { self.longest() } else { self.delay_after(kept.attempts) };
        let asked = end.retry_after.unwrap_or_default().min(LONGEST_WAIT);
        let due = now.after(jittered(delay, entropy).max(asked));
        kept.due = Some(due).filter(|due| *due <= kept.began.after(self.give_up_after.0));
        kept
    }

    fn delay_after(&self, attempts: u32) -> Duration {
        let made = usize::try_from(attempts).unwrap_or(usize::MAX);
        self.retries
            .get(made.saturating_sub(1))
            .or(self.retries.last())
            .map_or(LONGEST_WAIT, |d| d.0)
    }

    fn longest(&self) -> Duration {
        self.retries.iter().max().map_or(LONGEST_WAIT, |delay| delay.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::keys::DataKey;
    use crate::subscriptions::{Challenge, ChallengeBinding, SubscriptionDocument};

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn begun() -> PendingHandshake {
        let entropy = SeededEntropy::new(1);
        let document = serde_json::json!({
            "consumer": "shop", "sink": "https://shop.example",
            "config": { "keys": { "sharedSecret": true } },
        });
        let document: SubscriptionDocument = serde_json::from_value(document).unwrap();
        let binding = ChallengeBinding::of(&"shop".parse().unwrap(), &document, None);
        let challenge = Challenge::new(START, &entropy);
        PendingHandshake::new(
            &challenge,
            (&binding, &DataKey::generate(&entropy)),
            START,
            Some(START),
        )
    }

    fn after(before: PendingHandshake, end: HandshakeEnd, now: Timestamp) -> PendingHandshake {
        HandshakeConfig::default().after_attempt(before, end, (now, &SeededEntropy::new(1)))
    }

    #[test]
    fn delays_grow_to_an_hour_and_end_after_three_days() {
        let mut kept = begun();
        let mut delays = Vec::new();
        while let Some(due) = kept.due {
            let next = after(kept.clone(), HandshakeEnd::default(), due);
            assert!(next.carries_the_same(&kept));
            delays.extend(next.due.map(|next| next.since(due).as_secs()));
            kept = next;
        }

        for (delay, planned) in delays.iter().zip([5, 30, 120, 300, 900, 1_800, 3_600, 3_600]) {
            assert!((planned * 8 / 10..=planned * 12 / 10).contains(delay), "{delay} {planned}");
        }
        let whole: u64 = delays.iter().sum();
        assert!((70 * 3600..=72 * 3600).contains(&whole), "{whole} s in {} steps", delays.len());
        assert_eq!(kept.due, None);

        // Whoever asks begins anew.
        let (now, end) = (
            START.after(Duration::from_hours(100)),
            HandshakeEnd { asked: true, ..<_>::default() },
        );
        let asked = after(kept, end, now);
        assert_eq!((asked.attempts, asked.began, asked.since), (1, now, START));
        assert!(asked.due.unwrap().since(now) <= Duration::from_secs(6));
    }

    #[test]
    fn a_sink_can_ask_for_more_time_but_not_for_less_and_for_a_day_at_the_most() {
        let wait = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let end = HandshakeEnd { retry_after, ..HandshakeEnd::default() };
            after(begun(), end, START).due.unwrap().since(START).as_secs()
        };

        assert!((4..=6).contains(&wait(0)));
        assert_eq!((wait(60), wait(1_000_000), wait(u64::MAX)), (60, 86_400, 86_400));
    }

    #[test]
    fn what_waits_for_its_consumer_is_repeated_rarely() {
        let end = HandshakeEnd { delivered: true, ..HandshakeEnd::default() };
        let wait = after(begun(), end, START).due.unwrap().since(START);

        assert!(wait >= Duration::from_mins(48), "{wait:?}");
    }
}
