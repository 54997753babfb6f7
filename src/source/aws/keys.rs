//! The gateway's own access keys, and what each may publish.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use zeroize::Zeroizing;

use crate::ambient::Secret;
use crate::event::{EventProducer, ProducerKind};
use crate::source::source_rule::is_allowed;
use crate::source::{AccessKey, SourceRule};

/// The service name in the scope of a signature.
pub(super) const SERVICE: &str = "events";

/// Who sent a request to the embedded bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The access key id; empty for an unsigned request.
    pub access_key: Arc<str>,
    /// The sources that it may publish as; nothing if it may publish as any.
    sources: Option<Arc<[SourceRule]>>,
    /// Whether it has signed, with a key that was the gateway's then.
    is_verified: bool,
}

impl Identity {
    /// A producer that did not have to say who it is, and may publish as any source.
    pub fn unsigned(access_key: &str) -> Self {
        Self { access_key: access_key.into(), sources: None, is_verified: false }
    }

    /// The producer, as what it sends names it.
    pub fn producer(&self) -> EventProducer {
        EventProducer { kind: ProducerKind::AccessKey, name: Arc::clone(&self.access_key) }
    }

    /// Whether the producer may publish as this source.
    pub fn may_publish_as(&self, source: &str) -> bool {
        is_allowed(self.sources.as_deref(), source)
    }
}

/// The access keys that producers sign with, by id, until they are replaced.
#[derive(Default)]
pub struct AccessKeys(ArcSwap<HashMap<String, Held>>);

struct Held {
    identity: Identity,
    secret: Secret,
    /// The signing key of the day and region that was used last, since deriving one takes four
    /// HMACs and a producer seldom changes either.
    derived: Mutex<Option<Derived>>,
}

struct Derived {
    date: String,
    region: String,
    key: Zeroizing<Vec<u8>>,
}

impl AccessKeys {
    /// Takes the keys of the settings, each with its secret.
    pub fn new(keys: impl IntoIterator<Item = (AccessKey, Secret)>) -> Self {
        let hold = |(key, secret): (AccessKey, Secret)| {
            let identity = Identity {
                access_key: key.id.as_str().into(),
                sources: key.sources.map(Into::into),
                is_verified: true,
            };
            (key.id, Held { identity, secret, derived: Mutex::new(None) })
        };
        Self(ArcSwap::from_pointee(keys.into_iter().map(hold).collect()))
    }

    /// Puts others in their place, all at once. A call whose signature is verified already goes on.
    pub fn replace(&self, others: Self) {
        self.0.store(others.0.into_inner());
    }

    /// Whether the access key of a producer is ours, or was when its signature was verified.
    pub(super) fn has(&self, identity: &Identity) -> bool {
        identity.is_verified || self.knows(&identity.access_key)
    }

    /// Whether an access key is ours.
    pub(super) fn knows(&self, access_key: &str) -> bool {
        self.0.load().contains_key(access_key)
    }

    /// Signs a text for a day (`YYYYMMDD`, which is that of `unix_seconds`) and a region; nothing if
    /// the access key is not ours.
    pub(super) fn sign(
        &self,
        access_key: &str,
        (date, unix_seconds): (&str, u64),
        region: &str,
        text: &str,
    ) -> Option<(Identity, String)> {
        let keys = self.0.load();
        let held = keys.get(access_key)?;
        let mut derived = held.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match derived.take() {
            Some(known) if known.date == date && known.region == region => known,
            _ => {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds);
                let key = generate_signing_key(held.secret.expose(), time, region, SERVICE);
                let key = Zeroizing::new(key.as_ref().to_vec());
                Derived { date: date.to_owned(), region: region.to_owned(), key }
            }
        };
        let signature = calculate_signature(key.key.as_slice(), text.as_bytes());
        *derived = Some(key);
        Some((held.identity.clone(), signature))
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKeys({})", self.0.load().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SecretReference;

    #[test]
    fn a_key_may_publish_as_the_sources_it_names_and_a_star_stands_for_any_rest() {
        let key = AccessKey {
            id: "AKIA".into(),
            secret: SecretReference::Env("X".into()),
            sources: Some(vec!["orders".parse().unwrap(), "shop.*".parse().unwrap()]),
        };
        let keys = AccessKeys::new([(key, Secret::new("s".into()))]);

        let (identity, _) =
            keys.sign("AKIA", ("20261121", 1_795_282_931), "eu-west-1", "").unwrap();

        assert!(identity.may_publish_as("orders"));
        assert!(identity.may_publish_as("shop.eu"));
        assert!(!identity.may_publish_as("orders2"));
        assert!(Identity::unsigned("").may_publish_as("anything"));
        assert!(!format!("{keys:?}{identity:?}").contains("\"s\""));
    }

    #[test]
    fn keys_are_replaced_at_once_and_a_verified_call_stays_its_producers() {
        let key = |id: &str| {
            let key = AccessKey {
                id: id.into(),
                secret: SecretReference::Env("X".into()),
                sources: None,
            };
            (key, Secret::new("s".into()))
        };
        let keys = AccessKeys::new([key("AKIA")]);
        let day = ("20261121", 1_795_282_931);
        let (verified, _) = keys.sign("AKIA", day, "eu-west-1", "t").unwrap();

        keys.replace(AccessKeys::new([key("AKIB")]));

        assert!(keys.sign("AKIA", day, "eu-west-1", "t").is_none());
        assert!(keys.sign("AKIB", day, "eu-west-1", "t").is_some());
        assert!(keys.has(&verified), "it was verified before");
        assert!(!keys.has(&Identity::unsigned("AKIA")) && keys.has(&Identity::unsigned("AKIB")));
    }

    #[test]
    fn a_derived_key_belongs_to_its_day_and_region() {
        let key = AccessKey {
            id: "AKIA".into(),
            secret: SecretReference::Env("X".into()),
            sources: None,
        };
        let keys = AccessKeys::new([(key, Secret::new("s".into()))]);
        let sign =
            |date, seconds, region| keys.sign("AKIA", (date, seconds), region, "t").unwrap().1;

        let first = sign("20261121", 1_795_282_931, "eu-west-1");
        let other_region = sign("20261121", 1_795_282_931, "us-east-1");
        let other_day = sign("20261122", 1_795_282_931 + 86_400, "eu-west-1");

        assert_ne!(first, other_region);
        assert_ne!(first, other_day);
        assert_eq!(first, sign("20261121", 1_795_282_931, "eu-west-1"));
        assert!(keys.sign("AKIB", ("20261121", 0), "eu-west-1", "").is_none());
    }
}
