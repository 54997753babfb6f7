//! What sealing costs per token, against the bare primitives and against the crates as they come.
//!
//! `cargo bench --bench sealing`. The three candidates take turns in short rounds and the least time
//! of each counts, which on a busy machine is the time that nothing disturbed. Two limits are
//! printed with their outcome: at least 95 % of the primitives' rate, and at least three times the
//! rate of `jsonwebtoken` and `josekit` with their own keys.
#![expect(clippy::print_stdout, reason = "a benchmark reports to a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark ends when its set-up is wrong")]

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_128, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicKeyComponents};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaEncoding, RsaKeyPair};
use aws_lc_rs::{digest, hmac, rand};
use base64_simd::URL_SAFE_NO_PAD;
use criterion::measurement::{Measurement, WallTime};
use josekit::jwe::{self, JweEncrypter, JweHeader};
use josekit::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sealway::ambient::SystemEntropy;
use sealway::event::{ChainValue, EventId, SubscriptionId, Timestamp};
use sealway::keys::{
    ContentEncryption, OpeningKey, OpeningKeyKind, SealingKey, SharedSecret, SigningAlgorithm,
    SigningKey,
};
use sealway::seal::{Claims, Options, PlaceClaims, cloudevent_type, seal};
use serde_json::{Value, json};

const ISSUER: &str = "https://events.example.com";
const ROUND: Duration = Duration::from_micros(1500);
const ROUNDS: usize = 250;
const SMALL: usize = 1024;
const LARGE: usize = 16 * 1024;

/// A combination of algorithms.
struct Case {
    name: &'static str,
    signing: SigningAlgorithm,
    /// Nothing: the shared secret.
    sealing: Option<OpeningKeyKind>,
    content: ContentEncryption,
    /// Whether DESIGN.md sets limits for it.
    limited: bool,
}

const CASES: [Case; 8] = [
    case("ES256 + ECDH-ES X25519", SigningAlgorithm::ES256, Some(OpeningKeyKind::X25519), true),
    case("ES256 + ECDH-ES P-256", SigningAlgorithm::ES256, Some(OpeningKeyKind::P256), true),
    case("EdDSA + ECDH-ES X25519", SigningAlgorithm::EdDSA, Some(OpeningKeyKind::X25519), false),
    case("PS256 + ECDH-ES X25519", SigningAlgorithm::PS256, Some(OpeningKeyKind::X25519), false),
    case("RS256 + ECDH-ES X25519", SigningAlgorithm::RS256, Some(OpeningKeyKind::X25519), false),
    case("ES256 + RSA-OAEP-256", SigningAlgorithm::ES256, Some(OpeningKeyKind::Rsa2048), false),
    case("HS256 + A256KW", SigningAlgorithm::HS256, None, false),
    Case {
        name: "ES256 + ECDH-ES X25519, CBC",
        content: ContentEncryption::A128CbcHs256,
        ..case("", SigningAlgorithm::ES256, Some(OpeningKeyKind::X25519), false)
    },
];

const fn case(
    name: &'static str,
    signing: SigningAlgorithm,
    sealing: Option<OpeningKeyKind>,
    limited: bool,
) -> Case {
    Case { name, signing, sealing, content: ContentEncryption::A256GCM, limited }
}

/// The keys of both sides, for each candidate in its own form.
struct Keys {
    signing: SigningKey,
    sealing: SealingKey,
    stock_signing: EncodingKey,
    stock_sealing: Box<dyn JweEncrypter>,
    bare_signing: BareSigning,
    bare_sealing: BareSealing,
}

enum BareSigning {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Hmac(Box<hmac::Key>),
}

enum BareSealing {
    Agreement(&'static agreement::Algorithm, ParsedPublicKey),
    Rsa(OaepPublicEncryptingKey),
    Wrap(Vec<u8>),
}

fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(jwk.get(member).and_then(Value::as_str).unwrap()).unwrap()
}

impl Keys {
    fn of(case: &Case) -> Self {
        let Some(kind) = case.sealing else { return Self::shared() };
        let signing = SigningKey::generate(case.signing).unwrap();
        let der = signing.to_pkcs8().unwrap().unwrap();
        let (stock_signing, bare_signing) = match case.signing {
            SigningAlgorithm::EdDSA => (
                EncodingKey::from_ed_der(&der),
                BareSigning::Ed25519(Ed25519KeyPair::from_pkcs8(&der).unwrap()),
            ),
            SigningAlgorithm::PS256 | SigningAlgorithm::RS256 => {
                let encoding: &'static dyn RsaEncoding = match case.signing {
                    SigningAlgorithm::PS256 => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
                // The crate wants RSA keys in the form of PKCS #1.
                let stock = josekit::jwk::alg::rsa::RsaKeyPair::from_der(&*der).unwrap();
                let stock = EncodingKey::from_rsa_der(&stock.to_raw_private_key());
                (stock, BareSigning::Rsa(pair, encoding))
            }
            _ => {
                let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(kind, &der).unwrap();
                (EncodingKey::from_ec_der(&der), BareSigning::Ecdsa(pair))
            }
        };
        let opening = OpeningKey::generate(kind).unwrap();
        let public = opening.public_jwk().unwrap();
        let stock = Jwk::from_bytes(public.to_string()).unwrap();
        let (stock_sealing, bare_sealing): (Box<dyn JweEncrypter>, _) =
            if kind == OpeningKeyKind::Rsa2048 {
                let parts = PublicKeyComponents { n: bytes(public, "n"), e: bytes(public, "e") };
                let key = OaepPublicEncryptingKey::new(parts.try_into().unwrap()).unwrap();
                let stock = jwe::RSA_OAEP_256.encrypter_from_jwk(&stock).unwrap();
                (Box::new(stock), BareSealing::Rsa(key))
            } else {
                let (algorithm, point) = if kind == OpeningKeyKind::X25519 {
                    (&agreement::X25519, bytes(public, "x"))
                } else {
                    let point = [vec![4], bytes(public, "x"), bytes(public, "y")].concat();
                    (&agreement::ECDH_P256, point)
                };
                let key = UnparsedPublicKey::new(algorithm, point).try_into().unwrap();
                let stock = jwe::ECDH_ES.encrypter_from_jwk(&stock).unwrap();
                (Box::new(stock), BareSealing::Agreement(algorithm, key))
            };
        let sealing = SealingKey::from_jwk(public).unwrap();
        Self { signing, sealing, stock_signing, stock_sealing, bare_signing, bare_sealing }
    }

    fn shared() -> Self {
        let secret = SharedSecret::generate(&SystemEntropy);
        let jwks: Value = serde_json::from_str(secret.to_jwks().expose()).unwrap();
        let half = |at: &str| bytes(jwks.pointer(at).unwrap(), "k");
        let (mac, wrap) = (half("/keys/0"), half("/keys/1"));
        Self {
            signing: secret.signing_key(),
            sealing: secret.sealing_key(),
            stock_signing: EncodingKey::from_secret(&mac),
            stock_sealing: Box::new(jwe::A256KW.encrypter_from_bytes(&wrap).unwrap()),
            bare_signing: BareSigning::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &mac))),
            bare_sealing: BareSealing::Wrap(wrap),
        }
    }

    /// The cryptography of one token and nothing else, over as many bytes as the token has.
    fn primitives(&self, encryption: ContentEncryption, signed: &[u8], content: &mut Vec<u8>) {
        let random = rand::SystemRandom::new();
        match &self.bare_signing {
            BareSigning::Ecdsa(pair) => drop(black_box(pair.sign(&random, signed))),
            BareSigning::Ed25519(pair) => drop(black_box(pair.try_sign(signed))),
            BareSigning::Rsa(pair, encoding) => {
                let mut signature = [0; 256];
                pair.sign(*encoding, &random, signed, &mut signature).unwrap();
                black_box(signature);
            }
            BareSigning::Hmac(key) => drop(black_box(hmac::sign(key, signed))),
        }
        let mut key = [0; 32];
        match &self.bare_sealing {
            BareSealing::Agreement(algorithm, peer) => {
                let mine = agreement::PrivateKey::generate(algorithm).unwrap();
                black_box(mine.compute_public_key().unwrap());
                let derived = agreement::agree(&mine, peer.clone(), (), |secret| {
                    Ok(digest::digest(&digest::SHA256, secret))
                });
                key.copy_from_slice(derived.unwrap().as_ref());
            }
            BareSealing::Rsa(public) => {
                rand::fill(&mut key).unwrap();
                let mut wrapped = [0; 256];
                public.encrypt(&OAEP_SHA256_MGF1SHA256, &key, &mut wrapped, None).unwrap();
                black_box(wrapped);
            }
            BareSealing::Wrap(secret) => {
                rand::fill(&mut key).unwrap();
                let mut wrapped = [0; 40];
                let kek = AesKek::new(&AES_256, secret).unwrap();
                black_box(kek.wrap(&key, &mut wrapped).unwrap());
            }
        }
        encrypt(encryption, &key, content);
    }
}

/// The content encryption and nothing else; the content has the same length afterwards.
fn encrypt(encryption: ContentEncryption, key: &[u8; 32], content: &mut Vec<u8>) {
    if encryption == ContentEncryption::A128CbcHs256 {
        let (mac, cipher) = key.split_at(16);
        let length = content.len();
        let cipher = UnboundCipherKey::new(&AES_128, cipher).unwrap();
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).unwrap();
        let _ = black_box(cipher.encrypt(content).unwrap());
        black_box(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, mac), content));
        content.truncate(length);
        return;
    }
    let mut iv = [0; 12];
    rand::fill(&mut iv).unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce = Nonce::assume_unique_for_key(iv);
    let _ = black_box(cipher.seal_in_place_separate_tag(nonce, Aad::empty(), content).unwrap());
}

/// The crates as they come: keys parsed by `jsonwebtoken` per token, everything by OpenSSL beyond.
fn stock(keys: &Keys, case: &Case, header: &Header, claims: &Value) -> String {
    let inner = jsonwebtoken::encode(header, claims, &keys.stock_signing).unwrap();
    let mut header = JweHeader::new();
    header.set_content_encryption(case.content.name());
    header.set_content_type("JWT");
    header.set_key_id(keys.sealing.kid());
    jwe::serialize_compact(inner.as_bytes(), &header, &*keys.stock_sealing).unwrap()
}

fn event(size: usize) -> String {
    let event = |text: &str| {
        json!({
            "specversion": "1.0", "id": EventId::MAX.to_string(), "source": "/payments",
            "type": "Payment.Authorised", "subject": "Payment.Authorised",
            "time": "2026-11-21T17:42:11Z", "datacontenttype": "application/json",
            "idempotencykey": "0800fc577294c34e0b28ad2839435945", "data": {"text": text},
        })
        .to_string()
    };
    let frame = event("").len();
    event(&"payment authorised, ".repeat(size).chars().take(size - frame).collect::<String>())
}

/// The least time of one call of each candidate, in microseconds, over rounds in which they take
/// turns.
fn least<const N: usize>(mut candidates: [&mut dyn FnMut(); N]) -> [f64; N] {
    let clock = WallTime;
    let time = |call: &mut dyn FnMut(), calls: u32| {
        let start = clock.start();
        for _ in 0..calls {
            call();
        }
        clock.end(start)
    };
    let mut calls = [1; N];
    for (call, calls) in candidates.iter_mut().zip(&mut calls) {
        while time(*call, *calls) < ROUND {
            *calls *= 2;
        }
    }
    let mut least = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for ((call, calls), least) in candidates.iter_mut().zip(calls).zip(&mut least) {
            let spent = time(*call, calls).as_secs_f64() * 1e6 / f64::from(calls);
            *least = least.min(spent);
        }
    }
    least
}

fn measure(case: &Case, size: usize) {
    let keys = Keys::of(case);
    let (event, event_type) = (event(size), cloudevent_type(ISSUER));
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let claims = Claims {
        issuer: ISSUER,
        audience: "https://shop.example.net/hook",
        issued_at: Timestamp::from_unix_seconds(1_795_282_931),
        expires_at: Timestamp::from_unix_seconds(1_795_369_331),
        id: EventId::MAX,
        transaction: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        occurred_at: Some(1_795_282_900),
        subscription: &subscription,
        place: Some(PlaceClaims { sequence: 123_456, previous: ChainValue::start(&subscription) }),
        replay: None,
        salted: None,
        incarnation: 1,
        event_type: &event_type,
        event: &event,
    };
    let tree = json!({
        "iss": ISSUER, "aud": claims.audience, "iat": 1_795_282_931, "exp": 1_795_369_331,
        "jti": EventId::MAX.to_string(), "txn": claims.transaction, "toe": 1_795_282_900,
        "sub_id": {"format": "opaque", "id": "orders"}, "seq": 123_456,
        "prv": ChainValue::start(&subscription).to_string(),
        "events": {event_type.as_str(): serde_json::from_str::<Value>(&event).unwrap()},
    });
    let algorithm: Algorithm = case.signing.name().parse().unwrap();
    let mut header = Header::new(algorithm);
    header.typ = Some("secevent+jwt".to_owned());
    header.kid = Some(keys.signing.kid().to_owned());
    let inner = jsonwebtoken::encode(&header, &tree, &keys.stock_signing).unwrap();
    let (signed, _) = inner.rsplit_once('.').unwrap();
    let mut content = inner.clone().into_bytes();
    let options = Options { content_encryption: case.content, compress: false };

    let [ours, bare, stock] = least([
        &mut || drop(black_box(seal(&claims, &keys.signing, &keys.sealing, &options))),
        &mut || keys.primitives(case.content, signed.as_bytes(), &mut content),
        &mut || drop(black_box(stock(&keys, case, &header, &tree))),
    ]);
    let (of_bare, over_stock) = (bare / ours * 100.0, stock / ours);
    println!(
        "{:<28} {size:>6} {ours:>9.1} {bare:>9.1} {stock:>9.1} {of_bare:>8.1} % {over_stock:>6.1} x",
        case.name
    );
    if case.limited && size == SMALL {
        let word = |held: bool| if held { "holds" } else { "DOES NOT HOLD" };
        println!(
            "{:<28} limits: 95 % of the primitives {}, 3 x stock {}",
            "",
            word(of_bare >= 95.0),
            word(over_stock >= 3.0)
        );
    }
}

fn main() {
    sealway::keys::install();
    println!(
        "{:<28} {:>6} {:>9} {:>9} {:>9} {:>10} {:>8}",
        "microseconds per token", "event", "ours", "bare", "stock", "of bare", "of stock"
    );
    for size in [SMALL, LARGE] {
        for case in &CASES {
            measure(case, size);
        }
    }
}
