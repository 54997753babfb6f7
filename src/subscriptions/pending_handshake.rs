//! What is kept of a handshake until the sink has proved itself.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;
use crate::keys::DataKey;
use crate::subscriptions::{Challenge, ChallengeBinding};

/// Answers with another nonce after which a new one is made.
const MOST_WRONG_ANSWERS: u8 = 5;

/// A handshake that is not done: its sealed challenge, and when it is tried next.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PendingHandshake {
    /// Id and nonce, encrypted under the data key and bound to sink and keys.
    challenge: Arc<str>,
    /// Answers that were another nonce.
    #[serde(default)]
    wrong_answers: u8,
    /// Since when the sink has to prove itself.
    pub since: Timestamp,
    /// When these attempts began: with the challenge, or when someone asked for another.
    pub began: Timestamp,
    /// Attempts since then.
    #[serde(default)]
    pub attempts: u32,
    /// When the next attempt is made; nothing: when someone asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Why the sink has not proved itself, as far as there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the subscription had proved itself before, with another sink or other keys.
    #[serde(default)]
    pub had_proved: bool,
}

impl PendingHandshake {
    /// Begins with a challenge that was made now, and is due at this moment or when someone asks.
    pub fn new(
        challenge: &Challenge,
        (binding, data_key): (&ChallengeBinding, &DataKey),
        now: Timestamp,
        due: Option<Timestamp>,
    ) -> Self {
        Self {
            challenge: challenge.seal(binding, data_key),
            wrong_answers: 0,
            since: now,
            began: now,
            attempts: 0,
            due,
            reason: None,
            had_proved: false,
        }
    }

    /// The challenge; nothing if it was made for another sink or other keys.
    pub fn challenge(&self, binding: &ChallengeBinding, data_key: &DataKey) -> Option<Challenge> {
        Challenge::open(&self.challenge, binding, data_key)
    }

    /// Tells whether both carry the same challenge.
    pub fn carries_the_same(&self, other: &Self) -> bool {
        self.challenge == other.challenge
    }

    /// The same with another challenge, which nobody has answered yet.
    #[must_use]
    pub fn with_another(
        self,
        challenge: &Challenge,
        (binding, data_key): (&ChallengeBinding, &DataKey),
    ) -> Self {
        Self { challenge: challenge.seal(binding, data_key), wrong_answers: 0, ..self }
    }

    /// Begun anew with the same challenge, to be tried at once.
    #[must_use]
    pub fn again(self, now: Timestamp) -> Self {
        Self { began: now, attempts: 0, due: Some(now), ..self }
    }

    /// After another wrong answer.
    #[must_use]
    pub fn answered_wrongly(self) -> Self {
        Self { wrong_answers: self.wrong_answers.saturating_add(1), ..self }
    }

    /// How many wrong answers more its nonce bears; at 0 it needs another.
    pub const fn answers_left(&self) -> u8 {
        MOST_WRONG_ANSWERS.saturating_sub(self.wrong_answers)
    }
}

/// Shows when, and nothing of the challenge.
impl fmt::Debug for PendingHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingHandshake({} attempts, due {:?})", self.attempts, self.due)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::event::SubscriptionId;
    use crate::subscriptions::SubscriptionDocument;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn document(sink: &str, keys: &Value) -> SubscriptionDocument {
        let document = json!({"consumer": "shop", "sink": sink, "config": {"keys": keys}});
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_challenge_opens_for_its_subscription_its_sink_and_its_keys_only() {
        let data_key = DataKey::generate(&SeededEntropy::new(1));
        let [shop, other]: [SubscriptionId; 2] = ["shop", "other"].map(|id| id.parse().unwrap());
        let uri = |path: &str| json!({"jwksUri": format!("https://shop.example/{path}")});
        let here = document("https://shop.example", &uri("a"));
        let binding = ChallengeBinding::of(&shop, &here, None);
        let challenge = Challenge::new(NOW, &SeededEntropy::new(2));
        let kept = PendingHandshake::new(&challenge, (&binding, &data_key), NOW, Some(NOW));
        let nonce = challenge.to_event("", NOW)["data"]["challenge"].as_str().unwrap().to_owned();

        let opened = kept.challenge(&binding, &data_key).unwrap();
        assert!(opened.is(&nonce) && opened.id() == challenge.id());
        for elsewhere in [
            ChallengeBinding::of(&other, &here, None),
            ChallengeBinding::of(&shop, &document("https://evil.example", &uri("a")), None),
            ChallengeBinding::of(&shop, &document("https://shop.example", &uri("b")), None),
            ChallengeBinding::of(&shop, &here, Some("another secret")),
        ] {
            assert!(kept.challenge(&elsewhere, &data_key).is_none());
        }
        assert!(!serde_json::to_string(&kept).unwrap().contains(&nonce));
        assert!(!format!("{kept:?}").contains(&*kept.challenge));
    }

    #[test]
    fn five_wrong_answers_use_a_nonce_up_and_another_has_none() {
        let data_key = DataKey::generate(&SeededEntropy::new(1));
        let here = document("https://shop.example", &json!({"sharedSecret": true}));
        let binding = ChallengeBinding::of(&"shop".parse().unwrap(), &here, Some("kept"));
        let made = |seed| Challenge::new(NOW, &SeededEntropy::new(seed));
        let mut kept = PendingHandshake::new(&made(2), (&binding, &data_key), NOW, None);
        let left: Vec<u8> = std::iter::repeat_with(|| {
            kept = kept.clone().answered_wrongly();
            kept.answers_left()
        })
        .take(5)
        .collect();

        assert_eq!(left, [4, 3, 2, 1, 0]);
        let another = kept.clone().with_another(&made(3), (&binding, &data_key));
        assert_eq!(another.answers_left(), 5);
        assert!(!another.carries_the_same(&kept) && another.again(NOW).due == Some(NOW));
    }
}
