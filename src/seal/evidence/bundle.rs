//! Writes an evidence bundle: JSON objects, one in each line, and a signature over them all.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::event::{
    ChainValue, EventDigest, EventId, SubscriptionAsk, SubscriptionId, Timestamp, TokenDigest,
};
use crate::keys::{KeyFailure, SigningKey};
use crate::seal::PlaceClaims;
use crate::seal::evidence::{BUNDLE_TYPE, EventState};
use crate::transparency::{LeafProof, SignedNote, TreeHash, TreeHead};

/// The bundle before another one of its series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PreviousBundle {
    /// The SHA-256 of its bytes, all of them.
    pub sha256: TokenDigest,
    /// The sequence number at its last place.
    pub sequence: u64,
    /// The chain there.
    pub chain: ChainValue,
    /// Why the first place of the next bundle is a later one; nothing where it is the same.
    pub gap: Option<SeriesGap>,
}

/// Why events stand in no bundle of a series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeriesGap {
    /// They were dropped from the log before they could be exported.
    Dropped,
    /// The consumer may not hear them any more.
    Withheld,
}

impl SeriesGap {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Withheld => "withheld",
        }
    }

    /// Reads the stable word.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Dropped, Self::Withheld].into_iter().find(|gap| gap.word() == word)
    }
}

/// Where a bundle stands in a series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeriesPlace {
    /// It is the first.
    First,
    /// It comes after another one.
    After(PreviousBundle),
}

impl SeriesPlace {
    fn to_json(self) -> Value {
        let Self::After(previous) = self else { return Value::Null };
        let mut members = json!({
            "sha256": previous.sha256.to_string(), "sequence": previous.sequence,
            "chain": previous.chain.to_string(),
        });
        if let (Some(gap), Some(members)) = (previous.gap, members.as_object_mut()) {
            members.insert("gap".to_owned(), json!(gap.word()));
        }
        members
    }
}

/// What a bundle is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The gateway, the `iss` of its tokens.
    pub issuer: String,
    /// The `aud` of the tokens.
    pub audience: String,
    /// Whose events they are.
    pub subscription: SubscriptionId,
    /// The first event id that was asked for; nothing: from the start.
    pub from: Option<EventId>,
    /// The last event id that was asked for; nothing: up to the newest.
    pub to: Option<EventId>,
    /// When the bundle was begun.
    pub at: Timestamp,
    /// The tree over the log then; nothing in a bundle of before there was one.
    pub tree: Option<TreeHead>,
    /// Where it stands in a series that is written by schedule; nothing if it is in none.
    pub series: Option<SeriesPlace>,
    /// What the gateway was called before: receipts to these names count.
    pub aliases: Vec<String>,
    /// What the subscription asked for at the first place; nothing in a bundle of before that was said.
    pub asked: Option<SubscriptionAsk>,
}

/// An event of a bundle.
#[derive(Clone, Copy, Debug)]
pub struct EventLine<'a> {
    /// The event id.
    pub id: EventId,
    /// Its place in the subscription.
    pub place: PlaceClaims,
    /// Its digest.
    pub digest: EventDigest,
    /// The token, sealed for the consumer.
    pub token: &'a str,
    /// The receipts that the consumer has signed.
    pub receipts: &'a [&'a str],
    /// That it is in the tree of the header; nothing for an event from before there was one.
    pub inclusion: Option<&'a LeafProof>,
    /// What became of it; nothing in a bundle of before that was said.
    pub state: Option<&'a EventState>,
}

/// A bundle that is being written; each function gives a line with its end.
#[derive(Clone, Debug, Default)]
pub struct EvidenceBundle {
    hash: Sha256,
    lines: u64,
}

impl EvidenceBundle {
    fn line(&mut self, value: &Value) -> String {
        let line = format!("{value}\n");
        self.hash.update(&line);
        self.lines += 1;
        line
    }

    /// The first line: what the bundle is about.
    pub fn header(&mut self, header: &Header) -> String {
        let mut line = json!({
            "kind": "evidence", "version": 1, "issuer": header.issuer,
            "audience": header.audience, "subscription": header.subscription,
            "from": header.from.map(|id| id.to_string()),
            "to": header.to.map(|id| id.to_string()), "at": header.at,
        });
        if let (Some(tree), Some(members)) = (header.tree, line.as_object_mut()) {
            members.insert("tree".to_owned(), json!(tree));
        }
        if let (false, Some(members)) = (header.aliases.is_empty(), line.as_object_mut()) {
            members.insert("aliases".to_owned(), json!(header.aliases));
        }
        if let (Some(series), Some(members)) = (header.series, line.as_object_mut()) {
            members.insert("previous".to_owned(), series.to_json());
        }
        if let (Some(asked), Some(members)) = (&header.asked, line.as_object_mut()) {
            members.insert("asked".to_owned(), json!(asked));
            members.insert("sub_digest".to_owned(), json!(asked.digest()));
        }
        self.line(&line)
    }

    /// The second line, and again before the first token by a key that was not there: the gateway's
    /// public keys, a JWK Set.
    pub fn keys(&mut self, jwks: &Value) -> String {
        self.line(&json!({"kind": "keys", "jwks": jwks}))
    }

    /// The consumer's public keys for receipts, a JWK Set, or why they could not be had; `fetched`
    /// says whether the gateway had them from an address of the consumer's.
    pub fn receipt_keys(&mut self, jwks: Result<&Value, &str>, fetched: bool) -> String {
        self.line(&match jwks {
            Ok(jwks) => json!({"kind": "receipt-keys", "jwks": jwks, "fetched": fetched}),
            Err(problem) => json!({"kind": "receipt-keys", "jwks": null, "problem": problem}),
        })
    }

    /// Keys under which receipts of the subscription were checked and which are not in a set before, a JWK
    /// Set in which each has a name of its own.
    pub fn kept_receipt_keys(&mut self, jwks: &Value) -> String {
        self.line(&json!({"kind": "receipt-keys", "jwks": jwks, "kept": true}))
    }

    /// A signed checkpoint, before the first event and after the last.
    pub fn checkpoint(&mut self, token: &str) -> String {
        self.line(&json!({"kind": "checkpoint", "token": token}))
    }

    /// What the subscription asks for from here on, with this place signed; before the events that it is
    /// for.
    pub fn change(&mut self, asked: &SubscriptionAsk, token: &str) -> String {
        self.line(&json!({"kind": "subscription", "asked": asked, "token": token}))
    }

    /// The contract of a `dataschema`, before its first event; nothing if it is not kept any more.
    pub fn contract(&mut self, dataschema: &str, contract: Option<(&str, &Value)>) -> String {
        let (document, schema) = contract.unzip();
        let digest = document.map(|text| TokenDigest::of(text).to_string());
        self.line(&json!({
            "kind": "contract", "dataschema": dataschema, "schema": schema,
            "document": document, "sha256": digest,
        }))
    }

    /// An event.
    pub fn event(&mut self, event: &EventLine<'_>) -> String {
        let mut line = json!({
            "kind": "event", "id": event.id.to_string(), "seq": event.place.sequence,
            "prv": event.place.previous.to_string(), "digest": event.digest.to_string(),
            "token_sha256": TokenDigest::of(event.token).to_string(), "token": event.token,
            "receipts": event.receipts,
        });
        if let (Some(proof), Some(members)) = (event.inclusion, line.as_object_mut()) {
            members.insert("inclusion".to_owned(), json!(proof));
        }
        if let (Some(state), Some(members)) = (event.state, line.as_object_mut()) {
            state.write(members);
        }
        self.line(&line)
    }

    /// That the tree of the last place begins with that of the header; before the last place.
    pub fn consistency(&mut self, proof: &[TreeHash]) -> String {
        self.line(&json!({"kind": "consistency", "proof": proof}))
    }

    /// A checkpoint of the log that witnesses have cosigned, after the last place, and that its tree begins
    /// with that of the last place, or the other way round.
    pub fn note(&mut self, note: &SignedNote, proof: &[TreeHash]) -> String {
        self.line(&json!({"kind": "note", "note": note.to_string(), "proof": proof}))
    }

    /// The last line: a signature over all lines before it.
    ///
    /// # Errors
    ///
    /// Ours: the cryptographic library failed.
    pub fn close(
        self,
        header: &Header,
        now: Timestamp,
        key: &SigningKey,
    ) -> Result<String, KeyFailure> {
        let claims = json!({
            "iss": header.issuer, "aud": header.audience, "iat": now.unix_seconds(),
            "sub_id": {"format": "opaque", "id": header.subscription},
            "lines": self.lines,
            "sha256": base64_simd::URL_SAFE_NO_PAD.encode_to_string(self.hash.finalize()),
        });
        let token = key.sign(BUNDLE_TYPE, claims.to_string().as_bytes())?;
        Ok(format!("{}\n", json!({"kind": "closing", "token": token})))
    }
}
