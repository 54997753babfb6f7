//! The public halves of signing keys that have left the key set: what they signed is still shown to
//! people who have to check it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::Timestamp;
use crate::eventlog::{RecordKey, Registry};
use crate::keys::{KeyRing, LogKeysError, PublishedKeys};

const KIND: &str = "keys";
const ID: &str = "historical";
/// So many are kept: at the usual pace of rotation, for over a century.
const MOST: usize = 500;

/// Every signing key that has been in the key set, with the times of those that have left it. Nothing in
/// it is secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoricalKeys {
    /// By thumbprint.
    keys: BTreeMap<String, HistoricalKey>,
}

/// A public key and its time in the key set.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HistoricalKey {
    jwk: Value,
    /// When its time in the set is over by itself, as far as it is known.
    leaves: Option<Timestamp>,
    /// When it was found to have left.
    left: Option<Timestamp>,
    /// Whether it left before its time: it was revoked, or lost.
    #[serde(default)]
    revoked: bool,
}

impl HistoricalKeys {
    /// Reads those of a log.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn read(registry: &dyn Registry) -> Result<Self, LogKeysError> {
        let found = registry.get(&key()).await.map_err(LogKeysError::Registry)?;
        let Some(record) = found else { return Ok(Self::default()) };
        serde_json::from_str(&record.body).map_err(LogKeysError::Damaged)
    }

    /// Has the log keep the keys of a ring beside those of before, each for so long after it has left.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed, or holds something else.
    pub async fn keep(
        registry: &dyn Registry,
        ring: &KeyRing,
        (now, age): (Timestamp, Duration),
    ) -> Result<(), LogKeysError> {
        let found = registry.get(&key()).await.map_err(LogKeysError::Registry)?;
        let expected = found.as_ref().map(|record| record.revision);
        let before: Self = match &found {
            Some(record) => serde_json::from_str(&record.body).map_err(LogKeysError::Damaged)?,
            None => Self::default(),
        };
        let after = before.clone().noted(ring, (now, age));
        if after == before {
            return Ok(());
        }
        let body = serde_json::to_string(&after).map_err(LogKeysError::Damaged)?;
        registry.put(&key(), expected, body).await.map_err(LogKeysError::Registry)?;
        Ok(())
    }

    /// The same with what a ring shows now.
    fn noted(mut self, ring: &KeyRing, (now, age): (Timestamp, Duration)) -> Self {
        let present = ring.keys();
        for of_ring in &present {
            let Some(jwk) = of_ring.key.public_jwk() else { continue };
            // One that was put back has not left.
            let leaves = ring.lifecycle().leaves(&of_ring.age);
            let known = HistoricalKey { jwk: jwk.clone(), leaves, left: None, revoked: false };
            self.keys.insert(of_ring.age.kid.clone(), known);
        }
        for (kid, known) in &mut self.keys {
            if known.left.is_none() && !present.iter().any(|of_ring| of_ring.age.kid == *kid) {
                known.left = Some(now);
                known.revoked = known.leaves.is_none_or(|leaves| now < leaves);
            }
        }
        self.keys.retain(|_, known| known.left.is_none_or(|left| now < left.after(age)));
        while self.keys.len() > MOST {
            let left = |(kid, known): (&String, &HistoricalKey)| Some((known.left?, kid.clone()));
            let Some((_, oldest)) = self.keys.iter().filter_map(left).min() else { break };
            self.keys.remove(&oldest);
        }
        self
    }

    /// A JWK Set (RFC 7517, section 5) of all that can be believed: each that has left has `exp`, when
    /// that was, in seconds. Those that left before their time are named in `revoked`, without their key.
    pub fn published(&self) -> PublishedKeys {
        let (mut keys, mut revoked) = (Vec::new(), Vec::new());
        for (kid, known) in &self.keys {
            let left = known.left.map(Timestamp::unix_seconds);
            if known.revoked {
                revoked.push(json!({ "kid": kid, "left": left }));
                continue;
            }
            let mut jwk = known.jwk.clone();
            if let (Some(left), Some(members)) = (left, jwk.as_object_mut()) {
                members.insert("exp".to_owned(), json!(left));
            }
            keys.push(jwk);
        }
        PublishedKeys::of_text(json!({ "keys": keys, "revoked": revoked }).to_string())
    }
}

fn key() -> RecordKey {
    RecordKey { kind: KIND, id: ID.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keys::{KeyStore, MemoryKeyStore, SigningAlgorithm, VerifyingKeys};

    const START: Timestamp = Timestamp::from_unix_seconds(1_795_000_000);
    const DAY: Duration = Duration::from_hours(24);
    const AGE: Duration = Duration::from_hours(400 * 24);

    fn ring() -> KeyRing {
        let store = Arc::new(MemoryKeyStore::new());
        let rules = crate::keys::Config::default().lifecycle();
        KeyRing::open(store as Arc<dyn KeyStore>, rules, START).unwrap()
    }

    fn kids(of: &HistoricalKeys, list: &str) -> Vec<String> {
        let set: Value = serde_json::from_str(&of.published().text).unwrap();
        let name = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        set[list].as_array().unwrap().iter().map(name).collect()
    }

    #[test]
    fn a_key_that_has_left_the_set_is_kept_for_its_time_and_can_be_read() {
        let ring = ring();
        let first = ring.active(SigningAlgorithm::ES256).unwrap().kid().to_owned();
        let mut known = HistoricalKeys::default();
        let mut now = START;
        for _ in 0..120 {
            ring.tick(now).unwrap();
            known = known.noted(&ring, (now, AGE));
            now = now.after(DAY);
        }
        assert!(!ring.jwks().text.contains(&first), "it has left the set");

        let text = known.published().text;

        assert!(VerifyingKeys::from_json(text.as_bytes()).unwrap().get(&first).is_some());
        assert_eq!(kids(&known, "keys").len(), 2, "{text}");
        assert!(kids(&known, "revoked").is_empty());
        let later = known.clone().noted(&ring, (now.after(AGE), AGE));
        assert!(!later.published().text.contains(&first), "its time is over");
        assert_eq!(known.clone().noted(&ring, (now, AGE)), known, "nothing is new");
    }

    #[test]
    fn a_key_that_was_revoked_is_named_and_not_given() {
        let ring = ring();
        let stolen = ring.active(SigningAlgorithm::ES256).unwrap().kid().to_owned();
        let known = HistoricalKeys::default().noted(&ring, (START, AGE));
        ring.revoke(&stolen, START.after(DAY)).unwrap();

        let known = known.noted(&ring, (START.after(DAY), AGE));

        assert_eq!(kids(&known, "revoked"), [&*stolen]);
        assert!(!kids(&known, "keys").contains(&stolen));
    }

    #[test]
    fn there_are_never_more_than_fit() {
        let ring = ring();
        let mut known = HistoricalKeys::default();
        for number in 0..MOST + 20 {
            let left = Some(START.after(Duration::from_secs(number as u64)));
            let old = HistoricalKey { jwk: json!({}), leaves: None, left, revoked: false };
            known.keys.insert(format!("{number:04}"), old);
        }

        let known = known.noted(&ring, (START.after(DAY), AGE));

        assert_eq!(known.keys.len(), MOST);
        assert!(known.keys.contains_key(&format!("{:04}", MOST + 19)));
        assert!(!known.keys.contains_key("0000"), "the one that left first goes first");
    }
}
