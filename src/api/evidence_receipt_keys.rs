//! The consumer's keys for receipts in a bundle: those of now, and those under which its receipts were
//! checked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::evidence::{Broken, Export};
use crate::eventlog::ReceiptKey;
use crate::keys::{ConsumerKeys, VerifyingKeys};

impl Export {
    /// Says the consumer's keys for receipts, those behind its address, too, or why there are none.
    pub(super) async fn receipt_keys(&mut self) -> Result<(), Broken> {
        if let Some(receipts) = &self.subscription.receipts {
            let fetched = matches!(receipts.keys, ConsumerKeys::Remote(_));
            let line = match receipts.keys.known(&self.services.receipt_keys).await {
                Ok(keys) => {
                    let line = self.bundle.receipt_keys(Ok(&keys.to_jwks()), fetched);
                    self.known_receipt_keys = Some(keys);
                    line
                }
                // What the guard or the network says behind this is not for whoever reads the bundle.
                Err(error) => self.bundle.receipt_keys(Err(&error.to_string()), fetched),
            };
            self.say(line).await?;
        }
        let kept = self.services.store.receipts.receipt_keys(&self.subscription.id).await?;
        for jwks in kept_key_sets(&kept, self.known_receipt_keys.as_deref())? {
            let line = self.bundle.kept_receipt_keys(&jwks);
            self.say(line).await?;
        }
        Ok(())
    }
}

/// JWK Sets of the kept keys that are not among those of now. A set holds one key of each name, so that
/// there are as many as one name had keys.
///
/// # Errors
///
/// Ours: a kept key is no JSON.
fn kept_key_sets(
    kept: &[ReceiptKey],
    now: Option<&VerifyingKeys>,
) -> Result<Vec<Value>, serde_json::Error> {
    let is_of_now = |key: &ReceiptKey| {
        let same_name = now.and_then(|now| now.get(&key.kid));
        same_name.is_some_and(|own| own.thumbprint() == &*key.thumbprint)
    };
    let mut sets: Vec<(BTreeSet<&str>, Vec<Value>)> = Vec::new();
    for key in kept.iter().filter(|key| !is_of_now(key)) {
        let jwk = serde_json::from_str(&key.jwk)?;
        match sets.iter_mut().find(|(names, _)| !names.contains(&*key.kid)) {
            Some((names, keys)) => {
                names.insert(&key.kid);
                keys.push(jwk);
            }
            None => sets.push((BTreeSet::from([&*key.kid]), vec![jwk])),
        }
    }
    Ok(sets.into_iter().map(|(_, keys)| json!({ "keys": keys })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{SigningAlgorithm, SigningKey, VerifyingKey};

    fn key(kid: &str) -> (ReceiptKey, VerifyingKey) {
        let made = SigningKey::generate(SigningAlgorithm::EdDSA).unwrap();
        let mut jwk = made.public_jwk().unwrap().clone();
        jwk["kid"] = json!(kid);
        let public = VerifyingKey::from_jwk(&jwk).unwrap();
        let kept = ReceiptKey {
            subscription: "shop".parse().unwrap(),
            kid: kid.into(),
            thumbprint: public.thumbprint().into(),
            jwk: public.to_jwk().to_string().into(),
        };
        (kept, public)
    }

    #[test]
    fn each_set_can_be_read_and_the_key_of_now_is_in_none() {
        let (now, public) = key("a");
        let others = [key("a").0, key("b").0, key("a").0];
        let kept = [&[now.clone()][..], &others].concat();

        let sets = kept_key_sets(&kept, Some(&VerifyingKeys::from_iter([public]))).unwrap();

        let read = |set: &Value| VerifyingKeys::from_json(set.to_string().as_bytes()).unwrap();
        let prints: Vec<_> = sets.iter().map(|set| read(set).thumbprints().len()).collect();
        assert_eq!(prints, [2, 1]);
        assert_eq!(kept_key_sets(&kept, None).unwrap().len(), 3);
        assert!(kept_key_sets(&[now], None).unwrap().len() == 1);
        assert!(kept_key_sets(&[], None).unwrap().is_empty());
    }
}
