//! Decides what is kept of a credential when a subscription is created or changed.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{SubscriptionId, Timestamp};
use crate::keys::DataKey;
use crate::subscriptions::credential_rules::check_complete;
use crate::subscriptions::sealed_credential::{Former, seal};
use crate::subscriptions::{KeptCredential, SinkCredential, Subscription, SubscriptionError};

impl KeptCredential {
    /// Makes what is kept of a credential that a new subscription asks for.
    ///
    /// # Errors
    ///
    /// The caller's turn: a secret is left out or elsewhere.
    pub fn create(
        id: &SubscriptionId,
        wanted: Option<&SinkCredential>,
        (data_key, now): (&DataKey, Timestamp),
    ) -> Result<Option<Self>, SubscriptionError> {
        let Some(wanted) = wanted else { return Ok(None) };
        check_complete(wanted)?;
        Ok(Some(Self { sealed: seal(id, wanted, data_key), changed: now, former: None }))
    }

    /// Makes what is kept when a subscription asks for this credential at this sink from now on.
    ///
    /// Secrets that are left out are taken from the one that it replaces, as far as they go where
    /// they went. The one that it replaces stays beside it for the overlap, if the sink stays. One
    /// that says the same is kept as it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: a secret is left out that is not kept, or must not be used again. Ours:
    /// what is kept cannot be decrypted.
    pub fn replace(
        current: &Subscription,
        sink: Option<&str>,
        wanted: Option<&SinkCredential>,
        (data_key, now): (&DataKey, Timestamp),
    ) -> Result<Option<Self>, SubscriptionError> {
        let Some(wanted) = wanted else { return Ok(None) };
        let same_sink = current.document.sink.as_deref() == sink;
        let Some(before) = current.credential.as_ref().filter(|_| same_sink) else {
            return Self::create(&current.id, Some(wanted), (data_key, now));
        };
        let opened = before.open(before.current(), data_key);
        let opened = opened.map_err(|error| SubscriptionError::Damaged {
            id: current.id.to_string(),
            source: Box::new(error),
        })?;
        let mut wanted = wanted.clone();
        wanted.fill_from(&opened);
        check_complete(&wanted)?;
        let overlap = Duration::from_secs(wanted.overlap_seconds().into());
        let until = now.after(overlap);
        let kept = &before.kept;
        if wanted == opened {
            return Ok(Some(KeptCredential::clone(kept)));
        }
        let same_but_overlap = SinkCredential { overlap: None, ..wanted.clone() }
            == SinkCredential { overlap: None, ..opened };
        let (changed, former) = if same_but_overlap {
            // Another overlap bounds the one that is under way, and begins none.
            let former = kept.former.clone().map(|former| Former {
                until: former.until.min(kept.changed.after(overlap)),
                ..former
            });
            (kept.changed, former)
        } else {
            (now, Some(Former { sealed: Arc::clone(&kept.sealed), until }))
        };
        let former = former.filter(|former| now < former.until);
        Ok(Some(Self { sealed: seal(&current.id, &wanted, data_key), changed, former }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::SeededEntropy;
    use crate::subscriptions::SealedCredential;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key() -> DataKey {
        DataKey::generate(&SeededEntropy::new(1))
    }

    fn oauth(change: &Value) -> SinkCredential {
        let mut oauth = json!({ "endpoint": "https://id.example/token", "clientId": "shop" });
        oauth.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "credentialtype": "OAUTH_CLIENT_CREDENTIALS", "oauth": oauth,
        }))
        .unwrap()
    }

    fn secret(change: &Value) -> SinkCredential {
        let mut credential = oauth(change);
        credential.oauth.as_mut().unwrap().client_secret = Some("hunter2".into());
        credential
    }

    #[test]
    fn what_is_kept_holds_no_secret_and_opens_for_its_subscription_only() {
        let id: SubscriptionId = "a".parse().unwrap();
        let credential = secret(&json!({}));
        let kept = KeptCredential::create(&id, Some(&credential), (&key(), NOW)).unwrap().unwrap();
        assert!(!serde_json::to_string(&kept).unwrap().contains("hunter2"));
        let sealed = SealedCredential::new(id, kept.clone());
        let moved = SealedCredential::new("b".parse().unwrap(), kept);

        assert_eq!(sealed.open(sealed.current(), &key()).unwrap(), credential);
        assert!(moved.open(moved.current(), &key()).is_err());
        assert!(!format!("{sealed:?}").contains(&**sealed.current()));
    }

    #[test]
    fn a_secret_is_filled_in_where_it_goes_to_the_same_place_only() {
        let filled = |wanted: SinkCredential| {
            let mut wanted = wanted;
            wanted.fill_from(&secret(&json!({ "tls": { "authorities": "one" } })));
            wanted.oauth.unwrap().client_secret.is_some()
        };
        let at = |change: &Value| {
            let mut wanted = oauth(&json!({ "tls": { "authorities": "one" } }));
            let mut json = serde_json::to_value(&wanted).unwrap();
            json["oauth"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            wanted = serde_json::from_value(json).unwrap();
            filled(wanted)
        };

        assert!(at(&json!({})) && at(&json!({ "scope": "other" })));
        for elsewhere in [
            json!({ "endpoint": "https://id.example/other" }),
            json!({ "endpoint": "https://evil.example/token" }),
            json!({ "clientId": "other" }),
            json!({ "tls": { "authorities": "two" } }),
            json!({ "tls": null }),
        ] {
            assert!(!at(&elsewhere), "{elsewhere}");
        }
        let mut distrusting = oauth(&json!({ "tls": { "authorities": "one" } }));
        distrusting.tls = serde_json::from_value(json!({ "authorities": "two" })).unwrap();
        assert!(!filled(distrusting), "a token goes to the sink, too");
    }

    #[test]
    fn a_secret_that_becomes_plain_is_not_filled_in() {
        let parameter = |secret: bool| -> SinkCredential {
            serde_json::from_value(json!({ "headers": [{ "name": "x", "secret": secret }] }))
                .unwrap()
        };
        let mut before = parameter(true);
        before.headers[0].value = Some("hunter2".into());
        let (mut same, mut plain) = (parameter(true), parameter(false));
        same.fill_from(&before);
        plain.fill_from(&before);

        assert_eq!(
            (same.headers[0].value.is_some(), plain.headers[0].value.is_some()),
            (true, false)
        );
    }
}
