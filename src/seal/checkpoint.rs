//! Checkpoints: a signed statement of how far a subscription has come, so that silence is evidence.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::event::{AskedDigest, ChainValue, EventId, GatewayAsk, SubscriptionId, Timestamp};
use crate::keys::{KeyFailure, NextIssuer, SigningKey, VerifyingKeys};
use crate::seal::open::check_parties;
use crate::seal::signed;
use crate::seal::{ClaimFault, OpenError, OpenLimits};
use crate::transparency::TreeHead;

const CHECKPOINT_TYPE: &str = "checkpoint+jwt";
/// A place of the past, in a bundle; it says nothing about how far a subscription has come.
const PLACE_TYPE: &str = "place+jwt";

/// How far a subscription has come at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// `iss`: the gateway.
    pub issuer: String,
    /// `issuer_next`: what it will be called, and from when on; nothing if it keeps its name.
    pub issuer_next: Option<NextIssuer>,
    /// `aud`: the consumer.
    pub audience: String,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// `sub_id`: the subscription.
    pub subscription: SubscriptionId,
    /// `seq`: the sequence number of the last event that was for this subscription; zero before
    /// the first.
    pub sequence: u64,
    /// `chain`: the chain value after that event.
    pub chain: ChainValue,
    /// `head`: the last event of the log that was considered; nothing if there is none yet.
    pub head: Option<EventId>,
    /// `ended`: publications that the consumer could hear and cannot any more, oldest first.
    pub ended: Vec<AccessEnd>,
    /// `ending`: publications that the consumer hears until a moment that is near.
    pub ending: Vec<ComingAccessEnd>,
    /// `closing`: there is nothing left that this subscription may hear.
    pub closing: bool,
    /// `tree`: the tree over the log when this was signed, which has every event up to `head`; nothing
    /// where a gateway of before has signed.
    pub tree: Option<TreeHead>,
    /// `incarnation`: which one of the log it was; the first where a gateway of before has signed.
    pub incarnation: u64,
    /// `sub_digest`: what the subscription asks for, in a place at that place; nothing where a gateway of
    /// before has signed.
    pub sub_digest: Option<AskedDigest>,
    /// `asked`: what of that does not stand in the consumer's own document; nothing in a place.
    pub asked: Option<GatewayAsk>,
}

/// A publication that the consumer of a checkpoint cannot hear any more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccessEnd {
    /// Its name, `domain/event`.
    pub publication: String,
    /// `expired`, `recalled` or `closed`.
    pub reason: String,
    /// From when on nothing of it begins, in whole seconds.
    pub at: i64,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A publication that the consumer of a checkpoint hears until a moment that is near.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ComingAccessEnd {
    /// Its name, `domain/event`.
    pub publication: String,
    /// From when on nothing of it begins unless it is extended, in whole seconds.
    pub at: i64,
}

/// Signs a checkpoint as a compact JWS with the `typ` `checkpoint+jwt`; it holds no event, so it
/// is not encrypted.
///
/// # Errors
///
/// Ours: the cryptographic library failed.
pub fn sign_checkpoint(checkpoint: &Checkpoint, key: &SigningKey) -> Result<String, KeyFailure> {
    sign(CHECKPOINT_TYPE, checkpoint, key)
}

/// Signs where an evidence bundle begins or ends, with the claims of a checkpoint and the `typ`
/// `place+jwt`: an old place must not pass for how far the subscription has come today.
///
/// # Errors
///
/// Ours: the cryptographic library failed.
pub fn sign_place(place: &Checkpoint, key: &SigningKey) -> Result<String, KeyFailure> {
    sign(PLACE_TYPE, place, key)
}

fn sign(kind: &str, checkpoint: &Checkpoint, key: &SigningKey) -> Result<String, KeyFailure> {
    let mut claims = json!({
        "iss": checkpoint.issuer,
        "aud": checkpoint.audience,
        "iat": checkpoint.issued_at.unix_seconds(),
        "sub_id": {"format": "opaque", "id": checkpoint.subscription},
        "seq": checkpoint.sequence,
        "chain": checkpoint.chain.to_string(),
        "head": checkpoint.head.map(|head| head.to_string()),
        "incarnation": checkpoint.incarnation,
    });
    if let Some(claims) = claims.as_object_mut() {
        if let Some(next) = &checkpoint.issuer_next {
            let next = json!({ "issuer": next.issuer, "at": next.at.unix_seconds() });
            claims.insert("issuer_next".to_owned(), next);
        }
        // What says nothing is left out, as it was before there were grants.
        if !checkpoint.ended.is_empty() {
            claims.insert("ended".to_owned(), json!(checkpoint.ended));
        }
        if !checkpoint.ending.is_empty() {
            claims.insert("ending".to_owned(), json!(checkpoint.ending));
        }
        if checkpoint.closing {
            claims.insert("closing".to_owned(), true.into());
        }
        if let Some(tree) = checkpoint.tree {
            claims.insert("tree".to_owned(), json!(tree));
        }
        if let Some(digest) = checkpoint.sub_digest {
            claims.insert("sub_digest".to_owned(), json!(digest));
        }
        if let Some(asked) = &checkpoint.asked {
            claims.insert("asked".to_owned(), json!(asked));
        }
    }
    key.sign(kind, claims.to_string().as_bytes())
}

/// What a consumer expects of its checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointReader<'a> {
    /// The issuer's public keys.
    pub issuer_keys: &'a VerifyingKeys,
    /// The only `iss` that is accepted.
    pub issuer: &'a str,
    /// The consumer's own name.
    pub audience: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How far the clocks of both sides may differ.
    pub leeway: Duration,
}

/// What a claim holds, if it is there; an error if it holds something else.
fn held<T: DeserializeOwned>(
    claims: &Map<String, Value>,
    name: &str,
) -> Result<Option<T>, serde_json::Error> {
    claims.get(name).map(|held| serde_json::from_value(held.clone())).transpose()
}

/// What a claim lists; nothing if it lists something else.
fn listed<T: DeserializeOwned>(claims: &Map<String, Value>, name: &str) -> Option<Vec<T>> {
    match claims.get(name) {
        None => Some(Vec::new()),
        Some(listed) => serde_json::from_value(listed.clone()).ok(),
    }
}

impl CheckpointReader<'_> {
    /// Verifies a checkpoint.
    ///
    /// # Errors
    ///
    /// The sender's turn: this is not a checkpoint that the consumer may believe.
    pub fn read(&self, token: &str) -> Result<Checkpoint, OpenError> {
        self.believed(CHECKPOINT_TYPE, token)
    }

    /// Verifies a place of an evidence bundle.
    ///
    /// # Errors
    ///
    /// The sender's turn: this is not a place that whoever reads may believe.
    pub fn read_place(&self, token: &str) -> Result<Checkpoint, OpenError> {
        self.believed(PLACE_TYPE, token)
    }

    fn believed(&self, kind: &str, token: &str) -> Result<Checkpoint, OpenError> {
        let checkpoint = self.verified(kind, token).ok_or(OpenError(None))?;
        if checkpoint.issued_at > self.now.after(self.leeway) {
            return Err(OpenError(Some(ClaimFault::Future)));
        }
        Ok(checkpoint)
    }

    fn verified(&self, kind: &str, token: &str) -> Option<Checkpoint> {
        let limits = OpenLimits::default();
        let claims = signed::verify(token, kind, self.issuer_keys, &limits)?;
        check_parties(&claims, self.issuer, self.audience)?;
        let (issued_at, subscription) = signed::statement(&claims)?;
        let head = match claims.get("head")? {
            Value::Null => None,
            Value::String(head) => Some(head.parse().ok()?),
            _ => return None,
        };
        Some(Checkpoint {
            issuer: self.issuer.to_owned(),
            issuer_next: match claims.get("issuer_next") {
                None => None,
                Some(next) => Some(NextIssuer {
                    issuer: next.get("issuer")?.as_str()?.to_owned(),
                    at: Timestamp::from_unix_seconds(next.get("at")?.as_i64()?),
                }),
            },
            audience: self.audience.to_owned(),
            issued_at,
            subscription,
            sequence: claims.get("seq")?.as_u64()?,
            chain: claims.get("chain")?.as_str()?.parse().ok()?,
            head,
            ended: listed(&claims, "ended")?,
            ending: listed(&claims, "ending")?,
            closing: claims.get("closing").is_some_and(|closing| *closing == Value::Bool(true)),
            tree: held(&claims, "tree").ok()?,
            sub_digest: held(&claims, "sub_digest").ok()?,
            asked: held(&claims, "asked").ok()?,
            incarnation: signed::number_or_first(&claims, "incarnation")?,
        })
    }
}
