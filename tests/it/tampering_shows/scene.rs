//! A gateway, a consumer and three events, and a bundle of them whose every part can be written otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use sealway::contract::Catalog;
use sealway::event::{
    ChainValue, DocumentAsk, EventDigest, EventId, GatewayAsk, Salt, SubscriptionAsk,
    SubscriptionId, Timestamp, TokenDigest,
};
use sealway::keys::{
    OpeningKey, OpeningKeyKind, OpeningKeys, SealingKey, SigningAlgorithm, SigningKey,
    VerifyingKeys,
};
use sealway::seal::{Claims, Options, PlaceClaims, SaltedClaims, cloudevent_type, seal};
use sealway::transparency::{LeafData, TreeHash};

pub const ISSUER: &str = "https://events.example.com";
pub const AUDIENCE: &str = "shop";
pub const SUBSCRIPTION: &str = "orders";
/// When everything is exported and verified.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_282_931);
/// A date that is no true one.
pub const LONG_AGO: i64 = 1_577_836_800;
/// Events were there before the tree.
pub const FIRST_LEAF: u64 = 7;
const SALT: Salt = Salt::from_bytes([5; 16]);
pub const DATASCHEMA: &str = "https://events.example.com/schemas/shop/created/1.0.0";

pub const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Orders, version: 1.0.0 }
channels:
  orders:
    address: orders
    messages:
      created:
        payload: { type: object, required: [n], properties: { n: { type: integer, minimum: 1 } } }
";

/// What whoever verifies has from elsewhere.
#[derive(Clone, Copy)]
pub struct Trusted {
    /// The gateway's keys.
    pub issuer: bool,
    /// The consumer's private keys.
    pub opening: bool,
    /// The consumer's keys for receipts.
    pub receipts: bool,
}

impl Trusted {
    pub const ALL: Self = Self { issuer: true, opening: true, receipts: true };
    /// A third party, which cannot open tokens.
    pub const OUTSIDE: Self = Self { opening: false, ..Self::ALL };
    /// Nothing but the file.
    pub const NOTHING: Self = Self { issuer: false, opening: false, receipts: false };
}

/// The keys that are trusted.
pub struct TrustedKeys {
    pub issuer: Option<VerifyingKeys>,
    pub opening: Option<OpeningKeys>,
    pub receipts: Option<VerifyingKeys>,
    pub issuers: Vec<String>,
}

/// Everybody's keys.
pub struct Scene {
    pub signing: SigningKey,
    /// A key that nobody knows.
    pub stranger: SigningKey,
    /// The consumer's key for receipts.
    pub pen: SigningKey,
    own: String,
    sealing: SealingKey,
    pub schema: Value,
}

/// What a token says beside the event.
#[derive(Clone, Copy)]
pub struct Said {
    pub issued: i64,
    pub salted: bool,
    pub occurred_at: Option<u64>,
    pub version: &'static str,
    pub replay: Option<&'static str>,
    pub incarnation: u64,
}

impl Said {
    pub const USUAL: Self = Self {
        issued: NOW.unix_seconds(),
        salted: true,
        occurred_at: None,
        version: "1.0.0",
        replay: None,
        incarnation: 1,
    };
}

/// One event of a bundle.
#[derive(Clone)]
pub struct EventPart {
    pub id: EventId,
    pub sequence: u64,
    pub previous: ChainValue,
    pub digest: EventDigest,
    pub token: String,
    pub receipts: Vec<String>,
    /// Whether its line proves that it is in the tree.
    pub is_proved: bool,
}

/// A bundle before it is written.
#[derive(Clone)]
pub struct BundleParts {
    pub header: Value,
    pub keys: Value,
    pub receipt_keys: Value,
    pub first: Map<String, Value>,
    pub contract: Value,
    pub events: Vec<EventPart>,
    pub last: Map<String, Value>,
    /// `iat` of the closing line.
    pub closed: i64,
    /// The tree over the log, which holds these events alone.
    pub tree: Option<LogTree>,
    /// What was asked for and what became of the events; nothing in a bundle of before that was said.
    pub told: Option<ToldParts>,
    /// Lines between the last place and the closing line.
    pub notes: Vec<Value>,
    /// Who signs checkpoints and the closing line.
    pub signing: SigningKey,
}

/// What a bundle tells of its subscription and of the ends of its events.
#[derive(Clone)]
pub struct ToldParts {
    /// What is asked for from the beginning on.
    pub asked: SubscriptionAsk,
    /// What is asked for else, each before the event of an index.
    pub changes: Vec<(usize, SubscriptionAsk)>,
    /// The members that say what became of each event.
    pub states: Vec<Value>,
}

impl ToldParts {
    /// What is asked for in front of an event.
    fn before(&self, index: usize) -> &SubscriptionAsk {
        let begun = self.changes.iter().rev().find(|(before, _)| *before < index);
        begun.map_or(&self.asked, |(_, asked)| asked)
    }
}

fn public(key: &SigningKey) -> Value {
    json!({ "keys": [key.public_jwk().unwrap()] })
}

fn subscription() -> SubscriptionId {
    SUBSCRIPTION.parse().unwrap()
}

/// The id of an event, counted from 0; it was accepted an hour before the export.
pub fn id(index: u64) -> EventId {
    let accepted = NOW.before(Duration::from_hours(1)).unix_ms();
    EventId::from_parts(u64::try_from(accepted).unwrap() + index, 7)
}

/// What is asked for from a position on.
pub fn asked(epoch: u64, wanted: &str) -> SubscriptionAsk {
    document(wanted).with(&GatewayAsk { epoch, grants: None })
}

/// The same as the consumer has written it.
pub fn document(wanted: &str) -> DocumentAsk {
    let (audience, filters) = (AUDIENCE.to_owned(), vec![json!({ "prefix": { "source": "/" } })]);
    DocumentAsk { audience, filters, types: vec![wanted.to_owned()] }
}

/// The event as it stands in the token.
pub fn event(index: u64, n: i64) -> Value {
    json!({
        "specversion": "1.0", "id": id(index).to_string(), "source": "/orders",
        "type": "Order.Created", "dataschema": DATASCHEMA, "data": { "n": n },
    })
}

impl Scene {
    pub fn new() -> Self {
        let generate = || SigningKey::generate(SigningAlgorithm::ES256).unwrap();
        let consumer = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let files = BTreeMap::from([("orders.yaml".to_owned(), CONTRACT.to_owned())]);
        let catalog = Catalog::load(&files);
        let message = catalog.document("orders.yaml").unwrap().messages().next().unwrap();
        let mut schema = message.schema_json().clone();
        schema["$id"] = json!(DATASCHEMA);
        Self {
            signing: generate(),
            stranger: generate(),
            pen: generate(),
            own: consumer.private_jwk().expose().to_owned(),
            sealing: SealingKey::from_jwk(consumer.public_jwk().unwrap()).unwrap(),
            schema,
        }
    }

    pub fn trusted(&self, trusted: Trusted) -> TrustedKeys {
        let set = |key: &SigningKey| {
            VerifyingKeys::from_json(public(key).to_string().as_bytes()).unwrap()
        };
        TrustedKeys {
            issuer: trusted.issuer.then(|| set(&self.signing)),
            opening: trusted.opening.then(|| OpeningKeys::from_json(self.own.as_bytes()).unwrap()),
            receipts: trusted.receipts.then(|| set(&self.pen)),
            issuers: vec![ISSUER.to_owned()],
        }
    }

    /// Seals an event for the consumer.
    pub fn token(&self, event: &Value, at: (EventId, PlaceClaims), issued: i64) -> String {
        self.token_that_says(event, at, Said { issued, ..Said::USUAL })
    }

    /// The same with other claims beside it.
    pub fn token_that_says(
        &self,
        event: &Value,
        (id, place): (EventId, PlaceClaims),
        said: Said,
    ) -> String {
        let replay = said.replay.map(|replay| replay.parse().unwrap());
        let (event, subscription) = (event.to_string(), subscription());
        let claims = Claims {
            issuer: ISSUER,
            audience: AUDIENCE,
            issued_at: Timestamp::from_unix_seconds(said.issued),
            expires_at: Timestamp::from_unix_seconds(said.issued + 86_400),
            id,
            transaction: None,
            occurred_at: said.occurred_at,
            subscription: &subscription,
            place: Some(place),
            replay: replay.as_ref(),
            salted: said
                .salted
                .then_some(SaltedClaims { salt: SALT, publication_version: Some(said.version) }),
            incarnation: said.incarnation,
            event_type: &cloudevent_type(ISSUER),
            event: &event,
        };
        let sealed = seal(&claims, &self.signing, &self.sealing, &Options::default());
        sealed.unwrap().into_token()
    }

    /// Three events as they were sent, each with its receipt.
    pub fn events(&self) -> Vec<EventPart> {
        self.events_of(&[(0, 1), (1, 2), (2, 3)])
    }

    /// Events by index and content, chained as if they were all.
    pub fn events_of(&self, events: &[(u64, i64)]) -> Vec<EventPart> {
        let events: Vec<_> =
            events.iter().map(|(index, n)| (*index, event(*index, *n), true)).collect();
        self.chained(&events)
    }

    /// The first events, with what stands in their tokens.
    pub fn events_saying(&self, events: &[Value]) -> Vec<EventPart> {
        let events: Vec<_> =
            (0..).zip(events).map(|(index, event)| (index, event.clone(), true)).collect();
        self.chained(&events)
    }

    /// The same, each with a digest that is salted or not.
    pub fn events_in_form(&self, events: &[(Value, bool)]) -> Vec<EventPart> {
        let events: Vec<_> =
            (0..).zip(events).map(|(at, (event, salted))| (at, event.clone(), *salted)).collect();
        self.chained(&events)
    }

    fn chained(&self, events: &[(u64, Value, bool)]) -> Vec<EventPart> {
        let mut previous = ChainValue::start(&subscription());
        let mut parts = Vec::new();
        for (sequence, (index, event, salted)) in (1..).zip(events) {
            let salt = salted.then_some((SALT, Some("1.0.0")));
            let digest = EventDigest::of_token(event, salt).unwrap();
            let place = PlaceClaims { sequence, previous };
            let said = Said { salted: *salted, ..Said::USUAL };
            let token = self.token_that_says(event, (id(*index), place), said);
            let after = previous.next(id(*index), digest);
            let claims = receipt_claims(id(*index), sequence, after, &token);
            let receipts = vec![sign_receipt(&self.pen, &claims)];
            parts.push(EventPart {
                id: id(*index),
                sequence,
                previous,
                digest,
                token,
                receipts,
                is_proved: true,
            });
            previous = after;
        }
        parts
    }

    /// The receipt for an event, with claims written otherwise.
    pub fn receipt(&self, index: usize, alter: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims_of_receipt(index);
        alter(&mut claims);
        sign_receipt(&self.pen, &claims)
    }

    /// The same under a key that nobody knows.
    pub fn receipt_of_another_key(&self, index: usize) -> String {
        sign_receipt(&self.stranger, &self.claims_of_receipt(index))
    }

    fn claims_of_receipt(&self, index: usize) -> Map<String, Value> {
        let event = self.events().swap_remove(index);
        let after = event.previous.next(event.id, event.digest);
        receipt_claims(event.id, event.sequence, after, &event.token)
    }

    /// A true bundle that says what was asked for, and what became of its events.
    pub fn telling_bundle(&self) -> BundleParts {
        let told = ToldParts {
            asked: asked(0, "Order.*"),
            changes: Vec::new(),
            states: vec![json!({ "state": "taken" }); 3],
        };
        BundleParts { told: Some(told), ..self.bundle() }
    }

    /// A true bundle.
    pub fn bundle(&self) -> BundleParts {
        self.bundle_of(self.events())
    }

    /// A bundle of these events, with places that agree with them.
    pub fn bundle_of(&self, events: Vec<EventPart>) -> BundleParts {
        let start = ChainValue::start(&subscription());
        let after = events.last().map_or(start, |last| last.previous.next(last.id, last.digest));
        let head = events.last().map(|last| last.id);
        let leaves =
            events.iter().map(|event| TreeHash::of_leaf(&LeafData::new(event.id, event.digest)));
        let tree = LogTree { first: FIRST_LEAF, leaves: leaves.collect() };
        let count = events.last().map_or(0, |last| last.sequence);
        BundleParts {
            header: json!({
                "kind": "evidence", "version": 1, "issuer": ISSUER, "audience": AUDIENCE,
                "subscription": SUBSCRIPTION, "from": null, "to": null, "at": NOW,
            }),
            keys: json!({ "kind": "keys", "jwks": public(&self.signing) }),
            receipt_keys: json!({
                "kind": "receipt-keys", "jwks": public(&self.pen), "fetched": false,
            }),
            first: place(0, start, None),
            contract: json!({
                "kind": "contract", "dataschema": DATASCHEMA, "schema": self.schema,
                "document": CONTRACT, "sha256": TokenDigest::of(CONTRACT).to_string(),
            }),
            events,
            last: place(count, after, head),
            closed: NOW.unix_seconds(),
            tree: Some(tree),
            told: None,
            notes: Vec::new(),
            signing: self.signing.clone(),
        }
    }
}

/// The claims of a place.
pub fn place(sequence: u64, chain: ChainValue, head: Option<EventId>) -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW.unix_seconds(),
        "sub_id": { "format": "opaque", "id": SUBSCRIPTION }, "seq": sequence,
        "chain": chain.to_string(), "head": head.map(|head| head.to_string()),
    });
    claims.as_object().unwrap().clone()
}

fn receipt_claims(
    id: EventId,
    sequence: u64,
    after: ChainValue,
    token: &str,
) -> Map<String, Value> {
    let claims = json!({
        "iss": AUDIENCE, "aud": ISSUER, "iat": NOW.unix_seconds(), "jti": id.to_string(),
        "sub_id": { "format": "opaque", "id": SUBSCRIPTION }, "seq": sequence,
        "token_sha256": TokenDigest::of(token).to_string(), "chain": after.to_string(),
    });
    claims.as_object().unwrap().clone()
}

fn sign_receipt(key: &SigningKey, claims: &Map<String, Value>) -> String {
    key.sign("receipt+jwt", json!(claims).to_string().as_bytes()).unwrap()
}

/// A tree over the log.
#[derive(Clone)]
pub struct LogTree {
    pub first: u64,
    pub leaves: Vec<TreeHash>,
}

impl LogTree {
    pub fn head(&self) -> Value {
        json!({ "first": self.first, "size": self.leaves.len(), "root": root(&self.leaves) })
    }

    fn inclusion(&self, index: usize) -> Value {
        json!({ "index": index, "proof": path(&self.leaves, index) })
    }
}

/// The larger half of a tree comes first and is full (RFC 6962, section 2.1).
pub fn halves(leaves: &[TreeHash]) -> (&[TreeHash], &[TreeHash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

pub fn root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::of_nothing(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = halves(leaves);
            TreeHash::of_node(root(left), root(right))
        }
    }
}

fn path(leaves: &[TreeHash], index: usize) -> Vec<TreeHash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = halves(leaves);
    let (mut below, beside) = match index.checked_sub(left.len()) {
        None => (path(left, index), root(right)),
        Some(index) => (path(right, index), root(left)),
    };
    below.push(beside);
    below
}

impl BundleParts {
    /// Writes the bundle and signs it.
    pub fn lines(&self) -> Vec<String> {
        let head = self.tree.as_ref().map(LogTree::head);
        let place = |claims: &Map<String, Value>, asked: Option<&SubscriptionAsk>| {
            let mut claims = claims.clone();
            claims.extend(head.clone().map(|head| ("tree".to_owned(), head)));
            if let Some(asked) = asked {
                claims.entry("sub_digest").or_insert(json!(asked.digest()));
            }
            let token = self.signing.sign("place+jwt", json!(claims).to_string().as_bytes());
            token.unwrap()
        };
        let checkpoint =
            |claims, asked| json!({ "kind": "checkpoint", "token": place(claims, asked) });
        let mut header = self.header.clone();
        if let Some(head) = &head {
            header["tree"] = head.clone();
        }
        let told = self.told.as_ref();
        if let Some(told) = told {
            header["asked"] = json!(told.asked);
            header["sub_digest"] = json!(told.asked.digest());
        }
        let mut values = vec![
            header,
            self.keys.clone(),
            self.receipt_keys.clone(),
            checkpoint(&self.first, told.map(|told| &told.asked)),
            self.contract.clone(),
        ];
        for (index, event) in self.events.iter().enumerate() {
            for (_, asked) in
                told.iter().flat_map(|told| &told.changes).filter(|(at, _)| *at == index)
            {
                let before = index.checked_sub(1).and_then(|before| self.events.get(before));
                let head = before.map(|before| before.id);
                let here = self::place(event.sequence - 1, event.previous, head);
                let token = place(&here, Some(asked));
                values.push(json!({ "kind": "subscription", "asked": asked, "token": token }));
            }
            let mut line = json!({
                "kind": "event", "id": event.id.to_string(), "seq": event.sequence,
                "prv": event.previous.to_string(), "digest": event.digest.to_string(),
                "token_sha256": TokenDigest::of(&event.token).to_string(), "token": event.token,
                "receipts": event.receipts,
            });
            if let (Some(tree), true) = (&self.tree, event.is_proved) {
                line["inclusion"] = tree.inclusion(index);
            }
            if let Some(state) = told.and_then(|told| told.states.get(index)) {
                line.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
            }
            values.push(line);
        }
        values.push(checkpoint(&self.last, told.map(|told| told.before(usize::MAX))));
        values.extend(self.notes.clone());
        self.close(values.iter().map(|value| format!("{value}\n")).collect())
    }

    /// Signs lines as they are: whoever holds the key can.
    pub fn close(&self, mut lines: Vec<String>) -> Vec<String> {
        let hash = Sha256::digest(lines.concat());
        let claims = json!({
            "iss": self.header["issuer"], "aud": AUDIENCE, "iat": self.closed,
            "sub_id": { "format": "opaque", "id": SUBSCRIPTION }, "lines": lines.len(),
            "sha256": base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash),
        });
        let token = self.signing.sign("evidence+jwt", claims.to_string().as_bytes()).unwrap();
        lines.push(format!("{}\n", json!({ "kind": "closing", "token": token })));
        lines
    }
}
