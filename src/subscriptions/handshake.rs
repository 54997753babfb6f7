//! Proof that a consumer controls its sink and its key: a sealed nonce that comes back.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ambient::Entropy;
use crate::event::{EventId, SubscriptionId, Timestamp};
use crate::keys::DataKey;
use crate::subscriptions::SubscriptionDocument;

/// The CloudEvents `type` of a challenge.
pub const CHALLENGE_TYPE: &str = "sealway.subscription.challenge";
/// The length of a nonce: 128 bits in unpadded base64url.
const NONCE_LENGTH: usize = 22;

/// A nonce that only the holder of the key can read, posted to the sink like any event.
///
/// The consumer answers with status 200 and `{"challenge": "<nonce>"}`, or with the bare nonce; or
/// it tells the gateway's API. Every repeat carries the same id and the same nonce.
pub struct Challenge {
    id: EventId,
    nonce: String,
}

/// What an answer to a challenge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeReply {
    /// The nonce.
    Right,
    /// Another nonce.
    Wrong,
    /// No nonce at all.
    Nothing,
}

/// What a challenge holds for: one subscription with one sink and one choice of keys.
///
/// A sealed challenge does not open for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeBinding(String);

impl ChallengeBinding {
    /// That of a document; `shared_secret` is the encrypted secret, if keys are shared.
    pub fn of(
        id: &SubscriptionId,
        document: &SubscriptionDocument,
        shared_secret: Option<&str>,
    ) -> Self {
        let bound = json!([document.sink, document.config.keys, shared_secret]).to_string();
        let digest = base64_simd::URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(bound));
        Self(format!("subscription/{id}/challenge/{digest}"))
    }
}

impl Challenge {
    /// Makes a challenge with 128 random bits.
    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let unix_ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        Self {
            id: EventId::from_parts(unix_ms, entropy.next_u128()),
            nonce: base64_simd::URL_SAFE_NO_PAD.encode_to_string(nonce),
        }
    }

    /// The id of the challenge, which is the `jti` of its token. It is not in the log.
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// The challenge as a CloudEvent, to be sealed.
    pub fn to_event(&self, issuer: &str, now: Timestamp) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id.to_string(),
            "source": issuer,
            "type": CHALLENGE_TYPE,
            "time": now.to_string(),
            "datacontenttype": "application/json",
            "data": { "challenge": self.nonce },
        })
    }

    /// Tells whether a text has the form of a nonce.
    pub fn may_have(text: &str) -> bool {
        let of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        text.len() == NONCE_LENGTH && text.bytes().all(of_alphabet)
    }

    /// Reads what a response's body says.
    ///
    /// A member `challenge` of an object, and a string, are nonces. Text that is no JSON is one if it
    /// has the form of one: many a server says `OK`.
    pub fn reply(&self, body: &[u8]) -> ChallengeReply {
        let as_json = serde_json::from_slice::<Value>(body).ok();
        let said = match &as_json {
            Some(Value::Object(members)) => members.get("challenge").and_then(Value::as_str),
            Some(json) => json.as_str(),
            None => std::str::from_utf8(body.trim_ascii()).ok().filter(|text| Self::may_have(text)),
        };
        match said {
            Some(nonce) if self.is(nonce) => ChallengeReply::Right,
            // A string that cannot be a nonce is a word like any other.
            Some(nonce)
                if as_json.as_ref().is_some_and(Value::is_object) || Self::may_have(nonce) =>
            {
                ChallengeReply::Wrong
            }
            _ => ChallengeReply::Nothing,
        }
    }

    /// Tells whether this is the nonce, in a time that does not depend on where it differs.
    pub fn is(&self, nonce: &str) -> bool {
        nonce.as_bytes().ct_eq(self.nonce.as_bytes()).into()
    }

    /// A text without the nonce, because a sink may have repeated it in words that are shown.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.nonce, "…")
    }

    /// Encrypts it, to be kept until it is answered.
    pub(super) fn seal(&self, binding: &ChallengeBinding, data_key: &DataKey) -> Arc<str> {
        let text = zeroize::Zeroizing::new(format!("{} {}", self.id, self.nonce));
        data_key.seal(&binding.0, text.as_bytes()).into()
    }

    /// Decrypts one; nothing if it was made for another sink or other keys, or is damaged.
    pub(super) fn open(
        sealed: &str,
        binding: &ChallengeBinding,
        data_key: &DataKey,
    ) -> Option<Self> {
        let text = data_key.open(&binding.0, sealed).ok()?;
        let (id, nonce) = std::str::from_utf8(&text).ok()?.split_once(' ')?;
        Some(Self { id: id.parse().ok()?, nonce: nonce.to_owned() })
    }
}

/// Shows the id only: the nonce proves the consumer's key.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ambient::SeededEntropy;

    fn challenge() -> Challenge {
        Challenge::new(Timestamp::EPOCH, &SeededEntropy::new(1))
    }

    fn nonce() -> String {
        let event = challenge().to_event("https://gw.example", Timestamp::EPOCH);
        event["data"]["challenge"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_challenge_is_answered_by_its_nonce_in_json_or_bare_and_by_nothing_else() {
        let (challenge, nonce) = (challenge(), nonce());
        let reply = |body: &str| challenge.reply(body.as_bytes());

        assert_eq!(nonce.len(), NONCE_LENGTH);
        for right in
            [format!(r#"{{"challenge":"{nonce}"}}"#), format!("{nonce}\n"), format!("\"{nonce}\"")]
        {
            assert_eq!(reply(&right), ChallengeReply::Right, "{right}");
        }
        assert!(!format!("{challenge:?}").contains(&nonce));
        assert_eq!(challenge.hidden_in(&format!("not {nonce}!")), "not …!");
    }

    #[test]
    fn another_nonce_is_wrong_and_any_other_word_is_no_answer() {
        let other = "A".repeat(NONCE_LENGTH);
        let reply = |body: &str| challenge().reply(body.as_bytes());

        for wrong in
            [&*other, &format!("\"{other}\""), r#"{"challenge":"bm9wZQ"}"#, r#"{"challenge":""}"#]
        {
            assert_eq!(reply(wrong), ChallengeReply::Wrong, "{wrong}");
        }
        for nothing in
            ["", "{}", "null", "OK", "\"OK\"", "[]", "any word", r#"{"challenge":1}"#, "<html/>"]
        {
            assert_eq!(reply(nothing), ChallengeReply::Nothing, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics_and_only_the_nonce_is_right(
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            prop_assert_ne!(challenge().reply(&body), ChallengeReply::Right);
        }
    }
}
