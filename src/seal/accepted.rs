//! Signed answers: the gateway's word to a producer on what became of each entry of a request.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::event::{EventDigest, EventId, Salt, SentDigest, Timestamp};
use crate::keys::{KeyFailure, SigningKey, VerifyingKeys};
use crate::seal::{OpenLimits, signed, signer_of};
use crate::transparency::TreeHead;

const ACCEPTED_TYPE: &str = "accepted+jwt";
/// The longest signed answer that is read, in characters: a batch of ten thousand entries fits.
const LONGEST: usize = 8 * 1024 * 1024;

/// What a gateway has signed of one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedReceipt {
    /// `iss`: the gateway.
    pub issuer: String,
    /// `aud`: the producer, by the name under which the gateway let it in.
    pub audience: String,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// `incarnation`: of the log, from 1; missing where it is the first.
    pub incarnation: u64,
    /// `tree`: the tree over the log, which has every event of the entries.
    pub tree: TreeHead,
    /// `entries`: what became of each, in the order of the request.
    pub entries: Vec<AcceptedEntry>,
}

/// What became of one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedEntry {
    /// `sha256`: the entry as it was sent.
    pub sent: SentDigest,
    /// `outcome`, as in the answer itself.
    pub outcome: AcceptedOutcome,
    /// `code`: why nothing of it was stored.
    pub code: Option<String>,
    /// `events`: what it became in the log, one for each publication that wanted it.
    pub events: Vec<AcceptedEvent>,
}

/// What became of an entry: a closed list.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptedOutcome {
    /// At least one new event is in the log.
    Accepted,
    /// The log had all of it already.
    Repeated,
    /// Nothing of it is in the log, and something in quarantine.
    Quarantined,
    /// No publication wants it.
    Unwanted,
    /// Nothing of it was stored.
    Refused,
}

/// An event that an entry became.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedEvent {
    /// `id`.
    pub id: EventId,
    /// Where it stands; nothing for one that the log had before and does not hold any more.
    pub place: Option<AcceptedPlace>,
    /// `salt`: of an event that this request has brought. One that was `earlier` may be another
    /// producer's, who alone was told its salt.
    pub salt: Option<Salt>,
}

/// Where an event stands in the log, and what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedPlace {
    /// `type`, as consumers see it.
    pub event_type: String,
    /// `position`: the index of its leaf is this, less the position of the tree's first leaf.
    pub position: u64,
    /// `digest`.
    pub digest: EventDigest,
}

/// Why a text is not a signed answer that may be believed: a closed list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AcceptedFault {
    /// It is none, was altered, or is signed with another key than it says.
    #[error("it is no signed answer, or was altered")]
    Invalid,
    /// The key that is said to have signed it is not there.
    #[error("it is signed with the key `{0}`, which is not among those that are believed")]
    MissingKey(String),
    /// Another gateway has signed it.
    #[error("it is of the issuer {0}, which is not one that is believed")]
    OtherIssuer(String),
    /// It was signed, and contradicts itself.
    #[error("it contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl AcceptedEvent {
    /// Whether the log had it before the request came.
    pub const fn is_earlier(&self) -> bool {
        self.salt.is_none()
    }

    fn to_claims(&self) -> Value {
        let mut claims = Map::from_iter([("id".to_owned(), json!(self.id.to_string()))]);
        if let Some(place) = &self.place {
            claims.insert("type".to_owned(), json!(place.event_type));
            claims.insert("position".to_owned(), json!(place.position));
            claims.insert("digest".to_owned(), json!(place.digest.to_string()));
        }
        match self.salt {
            Some(salt) => claims.insert("salt".to_owned(), json!(salt.to_text())),
            None => claims.insert("earlier".to_owned(), json!(true)),
        };
        Value::Object(claims)
    }

    fn of_claims(claims: &Value) -> Option<Self> {
        let text = |name: &str| claims.get(name).map(Value::as_str);
        let place = match claims.get("position") {
            None => None,
            Some(position) => Some(AcceptedPlace {
                event_type: text("type")??.to_owned(),
                position: position.as_u64()?,
                digest: text("digest")??.parse().ok()?,
            }),
        };
        let salt = match (text("salt"), claims.get("earlier")) {
            (Some(salt), None) => Some(salt?.parse().ok()?),
            (None, Some(Value::Bool(true))) => None,
            _ => return None,
        };
        Some(Self { id: text("id")??.parse().ok()?, place, salt })
    }
}

impl AcceptedEntry {
    fn to_claims(&self) -> Value {
        let events: Vec<Value> = self.events.iter().map(AcceptedEvent::to_claims).collect();
        let mut claims = json!({ "sha256": self.sent.to_string(), "outcome": self.outcome });
        if let (Some(code), Some(members)) = (&self.code, claims.as_object_mut()) {
            members.insert("code".to_owned(), json!(code));
        }
        if let (false, Some(members)) = (events.is_empty(), claims.as_object_mut()) {
            members.insert("events".to_owned(), json!(events));
        }
        claims
    }

    fn of_claims(claims: &Value) -> Option<Self> {
        let events = match claims.get("events") {
            None => Vec::new(),
            Some(events) => {
                let events = events.as_array()?.iter().map(AcceptedEvent::of_claims);
                events.collect::<Option<_>>()?
            }
        };
        let code = match claims.get("code") {
            None => None,
            Some(code) => Some(code.as_str()?.to_owned()),
        };
        Some(Self {
            sent: claims.get("sha256")?.as_str()?.parse().ok()?,
            outcome: serde_json::from_value(claims.get("outcome")?.clone()).ok()?,
            code,
            events,
        })
    }

    /// What is wrong with the entry in itself, and against the tree.
    fn contradiction(&self, tree: &TreeHead) -> Option<&'static str> {
        let (all, earlier) =
            (self.events.len(), self.events.iter().filter(|one| one.is_earlier()).count());
        let fits = match self.outcome {
            AcceptedOutcome::Accepted => all > earlier,
            AcceptedOutcome::Repeated => all > 0 && all == earlier,
            _ => all == 0,
        };
        if !fits {
            return Some("the outcome of an entry does not fit its events");
        }
        if (self.outcome == AcceptedOutcome::Refused) != self.code.is_some() {
            return Some("an entry is refused without a code, or has one and is not refused");
        }
        let end = tree.first.saturating_add(tree.tree.size);
        for event in &self.events {
            match &event.place {
                None if !event.is_earlier() => return Some("a new event has no position"),
                Some(place) if place.position >= end => {
                    return Some("an event stands behind the end of the tree");
                }
                Some(place) if place.position < tree.first && !event.is_earlier() => {
                    return Some("a new event stands before the tree");
                }
                _ => {}
            }
        }
        None
    }
}

impl AcceptedReceipt {
    /// What of it no honest gateway says.
    fn contradiction(&self) -> Option<&'static str> {
        self.entries.iter().find_map(|entry| entry.contradiction(&self.tree))
    }
}

/// Signs an answer as a compact JWS with the `typ` `accepted+jwt`.
///
/// # Errors
///
/// Ours: the cryptographic library failed.
pub fn sign_accepted(receipt: &AcceptedReceipt, key: &SigningKey) -> Result<String, KeyFailure> {
    let entries: Vec<Value> = receipt.entries.iter().map(AcceptedEntry::to_claims).collect();
    let mut claims = json!({
        "iss": receipt.issuer,
        "aud": receipt.audience,
        "iat": receipt.issued_at.unix_seconds(),
        "tree": receipt.tree,
        "entries": entries,
    });
    if let (2.., Some(members)) = (receipt.incarnation, claims.as_object_mut()) {
        members.insert("incarnation".to_owned(), receipt.incarnation.into());
    }
    key.sign(ACCEPTED_TYPE, claims.to_string().as_bytes())
}

/// Whom a producer believes about what it was answered.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedReader<'a> {
    /// The gateway's public keys.
    pub issuer_keys: &'a VerifyingKeys,
    /// Every `iss` that is believed; none: any.
    pub issuers: &'a [String],
    /// The present moment.
    pub now: Timestamp,
    /// How far the clocks of both sides may differ.
    pub leeway: Duration,
}

impl AcceptedReader<'_> {
    /// Verifies a signed answer.
    ///
    /// # Errors
    ///
    /// The sender's turn: this is not one that may be believed.
    pub fn read(&self, token: &str) -> Result<AcceptedReceipt, AcceptedFault> {
        let Some(receipt) = self.verified(token) else {
            let missing = signer_of(token).filter(|kid| self.issuer_keys.get(kid).is_none());
            return Err(missing.map_or(AcceptedFault::Invalid, AcceptedFault::MissingKey));
        };
        if !self.issuers.is_empty() && !self.issuers.contains(&receipt.issuer) {
            return Err(AcceptedFault::OtherIssuer(receipt.issuer));
        }
        match receipt.contradiction() {
            Some(problem) => Err(AcceptedFault::Contradiction(problem)),
            None => Ok(receipt),
        }
    }

    fn verified(&self, token: &str) -> Option<AcceptedReceipt> {
        let limits = OpenLimits { token: LONGEST, inflated: 0, depth: 8, ..OpenLimits::default() };
        let claims = signed::verify(token, ACCEPTED_TYPE, self.issuer_keys, &limits)?;
        let issued = signed::seconds(&claims, "iat")?;
        if issued > self.now.after(self.leeway).unix_seconds() {
            return None;
        }
        let entries = claims.get("entries")?.as_array()?.iter().map(AcceptedEntry::of_claims);
        Some(AcceptedReceipt {
            issuer: claims.get("iss")?.as_str()?.to_owned(),
            audience: claims.get("aud")?.as_str()?.to_owned(),
            issued_at: Timestamp::from_unix_seconds(issued),
            incarnation: match claims.get("incarnation") {
                None => 1,
                Some(incarnation) => incarnation.as_u64().filter(|number| *number > 0)?,
            },
            tree: serde_json::from_value(claims.get("tree")?.clone()).ok()?,
            entries: entries.collect::<Option<_>>()?,
        })
    }
}
