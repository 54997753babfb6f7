//! What an opened token says.

use std::fmt;

use serde_json::{Map, Value};

use crate::event::ChainValue;
use crate::seal::PlaceClaims;

/// The claims of a token whose both layers were checked. Only [`open`](crate::seal::open()) makes
/// one; `Debug` shows no claim.
#[derive(Clone, PartialEq)]
pub struct Opened {
    claims: Value,
    event_type: String,
    id: String,
    place: Option<PlaceClaims>,
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
        if claims.get("rpl").is_some_and(|replay| !replay.is_string()) {
            return None;
        }
        Some(Self { claims: Value::Object(claims), event_type, id, place })
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

    /// `rpl`: the replay that this is part of.
    pub fn replay(&self) -> Option<&str> {
        self.claims.get("rpl").and_then(Value::as_str)
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.id)
    }
}
