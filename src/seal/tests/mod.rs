//! Tokens made and opened: every combination, every refusal, and the crates' own readers.

mod accepted;
mod agreement_with_crates;
mod checkpoints;
mod evidence;
mod receipts;
mod refusal_words;
mod refusals;
mod round_trips;
mod vectors;

use serde_json::{Value, json};

use crate::ambient::SystemEntropy;
use crate::event::{ChainValue, EventId, SubscriptionId, Timestamp};
use crate::keys::{
    ContentEncryption, OpeningKey, OpeningKeyKind, OpeningKeys, SealingKey, SharedSecret,
    SigningAlgorithm, SigningKey, VerifyingKey, VerifyingKeys,
};
use crate::seal::{Claims, Opening, Options, PlaceClaims, cloudevent_type, seal};

const ISSUER: &str = "https://events.example.com";
const AUDIENCE: &str = "https://shop.example.net/hook";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_282_931);

/// A gateway and one consumer, with their keys.
struct Parties {
    signing: SigningKey,
    issuer_keys: VerifyingKeys,
    sealing: SealingKey,
    keys: OpeningKeys,
}

impl Parties {
    fn new(algorithm: SigningAlgorithm, kind: OpeningKeyKind) -> Self {
        let signing = SigningKey::generate(algorithm).unwrap();
        let verifying = VerifyingKey::from_jwk(signing.public_jwk().unwrap()).unwrap();
        let opening = OpeningKey::generate(kind).unwrap();
        Self {
            issuer_keys: VerifyingKeys::from_iter([verifying]),
            sealing: SealingKey::from_jwk(opening.public_jwk().unwrap()).unwrap(),
            keys: OpeningKeys::from_iter([opening]),
            signing,
        }
    }

    fn sharing_a_secret() -> Self {
        let secret = SharedSecret::generate(&SystemEntropy);
        Self {
            signing: secret.signing_key(),
            issuer_keys: VerifyingKeys::from_iter([secret.verifying_key()]),
            sealing: secret.sealing_key(),
            keys: OpeningKeys::from_iter([secret.opening_key()]),
        }
    }

    fn usual() -> Self {
        Self::new(SigningAlgorithm::ES256, OpeningKeyKind::X25519)
    }

    fn opening(&self) -> Opening<'_> {
        Opening::new(&self.keys, &self.issuer_keys, ISSUER, AUDIENCE, NOW)
    }

    fn token(&self, event: &Value, options: Options) -> String {
        let event = event.to_string();
        let event_type = cloudevent_type(ISSUER);
        let subscription: SubscriptionId = "orders".parse().unwrap();
        let claims = claims_of(&event, &event_type, &subscription);
        seal(&claims, &self.signing, &self.sealing, &options).unwrap().into_token()
    }
}

fn claims_of<'a>(
    event: &'a str,
    event_type: &'a str,
    subscription: &'a SubscriptionId,
) -> Claims<'a> {
    Claims {
        issuer: ISSUER,
        audience: AUDIENCE,
        issued_at: NOW,
        expires_at: Timestamp::from_unix_seconds(1_795_369_331),
        id: EventId::from_parts(1_795_282_931_000, 42),
        transaction: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        occurred_at: u64::try_from(NOW.unix_seconds()).ok(),
        subscription,
        place: Some(PlaceClaims { sequence: 7, previous: ChainValue::start(subscription) }),
        replay: None,
        salted: None,
        incarnation: 1,
        event_type,
        event,
    }
}

fn with(content_encryption: ContentEncryption) -> Options {
    Options { content_encryption, compress: false }
}

fn event() -> Value {
    json!({
        "specversion": "1.0", "id": "01", "data": {"orderId": "101", "amount": 100},
        "dataschema": "https://events.example.com/schemas/shop/Order/1.0.0",
    })
}
