//! Keeps credentials encrypted, the former one beside the new one for a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::event::{Blame, Fault, SubscriptionId, Timestamp};
use crate::keys::{DataKey, DataKeyError};
use crate::subscriptions::credential_rules::check_complete;
use crate::subscriptions::{SinkCredential, Subscription, SubscriptionError};

/// What is kept of a credential: all of it, encrypted under the gateway's data key.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptCredential {
    sealed: Arc<str>,
    changed: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<Former>,
}

#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Former {
    sealed: Arc<str>,
    until: Timestamp,
}

/// A credential that was kept and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It does not open.
    #[error("the sink credential cannot be decrypted with the data key")]
    Sealed(#[from] DataKeyError),
    /// What was encrypted is no credential; the cause is left out, because it may quote it.
    #[error("the sink credential cannot be read")]
    Damaged,
}

impl Blame for CredentialError {
    fn fault(&self) -> Fault {
        Fault::Ours
    }
}

/// The credential of one subscription, still encrypted.
#[derive(Clone)]
pub struct SealedCredential {
    subscription: SubscriptionId,
    kept: Arc<KeptCredential>,
}

impl SealedCredential {
    pub(super) fn new(subscription: SubscriptionId, kept: KeptCredential) -> Self {
        Self { subscription, kept: Arc::new(kept) }
    }

    /// Whose it is.
    pub const fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    /// The one that holds; no two have the same text.
    pub fn current(&self) -> &Arc<str> {
        &self.kept.sealed
    }

    /// The one from before, while it is still tried.
    pub fn former(&self, now: Timestamp) -> Option<&Arc<str>> {
        self.kept.former.as_ref().filter(|former| now < former.until).map(|former| &former.sealed)
    }

    /// When the present one came.
    pub fn changed(&self) -> Timestamp {
        self.kept.changed
    }

    /// Until when the former one is tried, if it still is.
    pub fn former_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.kept.former.as_ref().map(|former| former.until).filter(|until| now < *until)
    }

    /// Decrypts the present or the former one.
    ///
    /// # Errors
    ///
    /// Ours: it was altered or moved, or the data key is another.
    pub fn open(
        &self,
        sealed: &str,
        data_key: &DataKey,
    ) -> Result<SinkCredential, CredentialError> {
        let text = data_key.open(&context(&self.subscription), sealed)?;
        serde_json::from_slice(&text).map_err(|_| CredentialError::Damaged)
    }
}

/// Shows nothing of it, not even encrypted.
impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedCredential(of {})", self.subscription)
    }
}

/// Shows nothing of it, not even encrypted.
impl fmt::Debug for KeptCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptCredential(…)")
    }
}

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

fn seal(id: &SubscriptionId, credential: &SinkCredential, data_key: &DataKey) -> Arc<str> {
    // Writing values of these types to memory cannot fail.
    let text = Zeroizing::new(serde_json::to_vec(credential).unwrap_or_default());
    data_key.seal(&context(id), &text).into()
}

/// Binds an encrypted credential to its subscription, so that it cannot be moved to another.
fn context(id: &SubscriptionId) -> String {
    format!("subscription/{id}/sink-credential")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::SeededEntropy;

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
