//! Receipts are believed only from their consumer, for one event and one token.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::event::TokenDigest;
use crate::seal::{Delivered, Receipt, ReceiptFault, ReceiptReader};

const TOKEN: &str = "a.b.c.d.e";

fn subscription() -> SubscriptionId {
    "orders".parse().unwrap()
}

fn place() -> (u64, ChainValue) {
    (7, ChainValue::start(&subscription()))
}

fn claims() -> Value {
    json!({
        "iss": AUDIENCE, "aud": ISSUER, "iat": NOW.unix_seconds(),
        "jti": EventId::first_of(1).to_string(),
        "sub_id": {"format": "opaque", "id": "orders"},
        "seq": 7, "chain": place().1.to_string(),
        "token_sha256": TokenDigest::of(TOKEN).to_string(),
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn without(member: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

struct Signer {
    key: SigningKey,
    keys: VerifyingKeys,
}

impl Signer {
    fn of(algorithm: SigningAlgorithm) -> Self {
        let key = SigningKey::generate(algorithm).unwrap();
        let public = VerifyingKey::from_jwk(key.public_jwk().unwrap()).unwrap();
        Self { key, keys: VerifyingKeys::from_iter([public]) }
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign("receipt+jwt", claims.to_string().as_bytes()).unwrap()
    }

    fn read(&self, body: &[u8]) -> Result<Receipt, ReceiptFault> {
        let reader = ReceiptReader {
            keys: &self.keys,
            issuer: AUDIENCE,
            audience: ISSUER,
            now: NOW,
            leeway: Duration::from_mins(1),
        };
        reader.read(body)
    }

    fn check(&self, claims: &Value) -> Result<(), ReceiptFault> {
        let delivered = Delivered {
            event: EventId::first_of(1),
            subscription: &subscription(),
            place: Some(place()),
            token: TokenDigest::of(TOKEN),
        };
        self.read(self.sign(claims).as_bytes())?.answers(&delivered)
    }
}

#[test]
fn a_receipt_is_read_as_it_was_signed_with_every_algorithm() {
    for algorithm in [
        SigningAlgorithm::ES256,
        SigningAlgorithm::EdDSA,
        SigningAlgorithm::PS256,
        SigningAlgorithm::RS256,
    ] {
        let signer = Signer::of(algorithm);
        let expected = Receipt {
            event: EventId::first_of(1),
            subscription: subscription(),
            sequence: Some(7),
            token: TokenDigest::of(TOKEN),
            chain: Some(place().1),
            issued_at: NOW,
        };

        assert_eq!(signer.check(&claims()), Ok(()));
        let body = format!("\r\n {}\n", signer.sign(&claims()));
        assert_eq!(signer.read(body.as_bytes()), Ok(expected));
    }
}

#[test]
fn what_concerns_something_else_has_its_word() {
    let signer = Signer::of(SigningAlgorithm::ES256);
    let other = ChainValue::start(&"other".parse().unwrap()).to_string();
    for (claims, word) in [
        (without("chain"), None),
        (without("seq"), Some("wrong-event")),
        (with("seq", json!(8)), Some("wrong-event")),
        (with("jti", json!(EventId::first_of(2).to_string())), Some("wrong-event")),
        (with("sub_id", json!({"format": "opaque", "id": "shop"})), Some("wrong-event")),
        (with("chain", json!(other)), Some("wrong-event")),
        (with("token_sha256", json!(TokenDigest::of("other").to_string())), Some("wrong-token")),
        (with("iss", json!("another")), Some("invalid")),
        (with("aud", json!("another")), Some("invalid")),
        (with("iat", json!(NOW.unix_seconds() + 61)), Some("invalid")),
        (with("iat", json!("now")), Some("invalid")),
        (with("seq", json!(-7)), Some("invalid")),
        (with("seq", json!("7")), Some("invalid")),
        (with("chain", json!(7)), Some("invalid")),
        (with("jti", json!("order-1")), Some("invalid")),
        (with("sub_id", json!("orders")), Some("invalid")),
        (with("sub_id", json!({"format": "iss_sub", "id": "orders"})), Some("invalid")),
        (without("token_sha256"), Some("invalid")),
        (without("iat"), Some("invalid")),
    ] {
        assert_eq!(signer.check(&claims).err().map(ReceiptFault::word), word, "{claims}");
    }
}

#[test]
fn no_header_talks_the_gateway_into_anything() {
    let signer = Signer::of(SigningAlgorithm::ES256);
    let receipt = signer.sign(&claims());
    let part = |value: &Value| base64_simd::URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let (rest, signature) = receipt.rsplit_once('.').unwrap();
    let payload = rest.split_once('.').unwrap().1;
    let kid = signer.key.kid();
    let forged = |header: Value| format!("{}.{payload}.{signature}", part(&header));
    let stranger = Signer::of(SigningAlgorithm::ES256);
    let event = signer.key.sign_event(claims().to_string().as_bytes()).unwrap();
    let secret = SharedSecret::generate(&SystemEntropy).signing_key();
    let long = with("note", json!("x".repeat(8 * 1024)));

    for (body, word) in [
        (String::new(), "missing"),
        ("thank you".to_owned(), "missing"),
        (r#"{"status":"ok"}"#.to_owned(), "missing"),
        (format!("{rest}."), "invalid"),
        (format!("{receipt}.x"), "missing"),
        (forged(json!({"alg": "none", "typ": "receipt+jwt", "kid": kid})), "invalid"),
        (forged(json!({"alg": "HS256", "typ": "receipt+jwt", "kid": kid})), "invalid"),
        (forged(json!({"alg": "ES256", "typ": "receipt+jwt"})), "invalid"),
        (forged(json!({"alg": "ES256", "typ": "receipt+jwt", "kid": 7})), "invalid"),
        (forged(json!({"alg": "ES256", "typ": "JWT", "kid": kid})), "invalid"),
        (forged(json!({"alg": "ES256", "typ": "receipt+jwt", "kid": kid, "crit": []})), "invalid"),
        (event, "invalid"),
        (stranger.sign(&claims()), "unknown-key"),
        (secret.sign("receipt+jwt", claims().to_string().as_bytes()).unwrap(), "unknown-key"),
        (signer.sign(&long), "invalid"),
    ] {
        assert_eq!(signer.read(body.as_bytes()).unwrap_err().word(), word, "{body}");
    }
    assert_eq!(signer.read(&[0xff, 0xfe]).unwrap_err(), ReceiptFault::Missing);
}

proptest! {
    #[test]
    fn a_receipt_with_another_byte_is_no_receipt(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let signer = Signer::of(SigningAlgorithm::EdDSA);
        let mut body = signer.sign(&claims()).into_bytes();
        let at = at.index(body.len());
        body[at] ^= 1_u8 << bit;
        prop_assert!(signer.read(&body).is_err());
    }

    #[test]
    fn any_answer_is_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let signer = Signer::of(SigningAlgorithm::EdDSA);
        prop_assert!(signer.read(&body).is_err());
    }
}
