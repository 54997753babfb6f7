//! Proof that a consumer controls its sink and its key: a sealed nonce that comes back.

use std::fmt;

use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::ambient::Entropy;
use crate::event::{EventId, Timestamp};

/// The CloudEvents `type` of a challenge.
pub const CHALLENGE_TYPE: &str = "sealway.subscription.challenge";

/// A nonce that only the holder of the key can read, posted to the sink like any event.
///
/// The consumer answers with status 200 and `{"challenge": "<nonce>"}`, or with the bare nonce.
pub struct Challenge {
    id: EventId,
    nonce: String,
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

    /// Tells whether a response's body holds the nonce.
    pub fn is_answered_by(&self, body: &[u8]) -> bool {
        let as_json = serde_json::from_slice::<Value>(body).ok();
        let answer = as_json
            .as_ref()
            .and_then(|json| json.get("challenge").or(Some(json))?.as_str())
            .map_or(body.trim_ascii(), str::as_bytes);
        answer.ct_eq(self.nonce.as_bytes()).into()
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
    use super::*;
    use crate::ambient::SeededEntropy;

    #[test]
    fn a_challenge_is_answered_by_its_nonce_in_json_or_bare_and_by_nothing_else() {
        let challenge = Challenge::new(Timestamp::EPOCH, &SeededEntropy::new(1));
        let event = challenge.to_event("https://gw.example", Timestamp::EPOCH);
        let nonce = event["data"]["challenge"].as_str().unwrap();

        assert!(challenge.is_answered_by(format!(r#"{{"challenge":"{nonce}"}}"#).as_bytes()));
        assert!(challenge.is_answered_by(format!("{nonce}\n").as_bytes()));
        assert!(challenge.is_answered_by(format!("\"{nonce}\"").as_bytes()));
        for wrong in ["", "{}", "null", r#"{"challenge":1}"#, "bm9wZQ"] {
            assert!(!challenge.is_answered_by(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{challenge:?}").contains(nonce));
    }
}
