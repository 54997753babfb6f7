//! What an opened token says.

use std::fmt;

use serde_json::{Map, Value};

use crate::event::{ChainValue, EventDigest, Salt};
use crate::seal::{PlaceClaims, SaltedClaims};

/// The claims of a token whose both layers were checked. Only [`open`](crate::seal::open()) makes
/// one; `Debug` shows no claim.
#[derive(Clone, PartialEq)]
pub struct Opened {
    claims: Value,
    event_type: String,
    id: String,
    place: Option<PlaceClaims>,
    salt: Option<Salt>,
}

impl Opened {
    /// Takes claims that are checked; nothing if they are not well formed.
    pub(super) fn from_checked(claims: Map<String, Value>) -> Option<Self> {
        let id = claims.get("jti")?.as_str().filter(|id| !id.is_empty())?.to_owned();
        let events = claims.get("events")?.as_object()?;
        let mut events = events.iter();
        let (event_type, event) = events.next()?;
        if events.next().is_some() || !event.is_object() {
            return None;
        }
        let event_type = event_type.clone();
        let place = match (claims.get("seq"), claims.get("prv")) {
            (None, None) => None,
            (Some(sequence), Some(previous)) => Some(PlaceClaims {
                sequence: sequence.as_u64().filter(|sequence| *sequence > 0)?,
                previous: previous.as_str()?.parse::<ChainValue>().ok()?,
            }),
            _ => return None,
        };
        let is_text = |name: &str| claims.get(name).is_none_or(Value::is_string);
        if !is_text("rpl") || !is_text("pub_ver") {
            return None;
        }
        let salt = match claims.get("slt") {
            None => None,
            Some(salt) => Some(salt.as_str()?.parse().ok()?),
        };
        Some(Self { claims: Value::Object(claims), event_type, id, place, salt })
    }

    /// All the claims, a JSON object.
    pub const fn claims(&self) -> &Value {
        &self.claims
    }

    /// The name of the one member of `events`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The event, a JSON object.
    pub fn event(&self) -> &Value {
        self.claims
            .get("events")
            .and_then(|events| events.get(&self.event_type))
            .unwrap_or(&Value::Null)
    }

    /// `jti`: the event id, by which a repeat is recognised.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `seq` and `prv`: the place in the sequence of the subscription; nothing on replays.
    pub const fn place(&self) -> Option<PlaceClaims> {
        self.place
    }

    /// The name in `sub_id`, a subject identifier of the format `opaque`.
    pub fn subscription(&self) -> Option<&str> {
        self.claims.pointer("/sub_id/id").and_then(Value::as_str)
    }

    /// `rpl`: the replay that this is part of.
    pub fn replay(&self) -> Option<&str> {
        self.claims.get("rpl").and_then(Value::as_str)
    }

    /// `slt` and `pub_ver`: what the digest of the event is computed with; nothing if it is of form 1.
    pub fn salted(&self) -> Option<SaltedClaims<'_>> {
        let publication_version = self.claims.get("pub_ver").and_then(Value::as_str);
        self.salt.map(|salt| SaltedClaims { salt, publication_version })
    }

    /// The digest of the event, in the form that it has: what chains, bundles and proofs hold of it.
    /// Nothing if it is no event of the gateway.
    pub fn digest(&self) -> Option<EventDigest> {
        let salted = self.salted().map(|salted| (salted.salt, salted.publication_version));
        EventDigest::of_token(self.event(), salted)
    }

    /// The chain value after the event: the `prv` of the next one. Nothing on a replay.
    pub fn chain_after(&self) -> Option<ChainValue> {
        Some(self.place?.previous.next(self.id.parse().ok()?, self.digest()?))
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.id)
    }
}
