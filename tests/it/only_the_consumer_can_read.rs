//! Promise 3: only the consumer can read, and anyone with the gateway's public key can check.

use std::collections::BTreeSet;
use std::time::Duration;

use sealway::ambient::{Clock as _, SystemClock, SystemEntropy};
use sealway::event::{ChainValue, EventId, SubscriptionId, Timestamp};
use sealway::keys::{
    ContentEncryption, OpeningKey, OpeningKeyKind, OpeningKeys, SealingKey, SharedSecret,
    SigningAlgorithm, SigningKey, VerifyingKeys,
};
use sealway::seal::{Claims, Opening, Options, PlaceClaims, cloudevent_type, open, seal};
use serde_json::{Value, json};

use crate::other_ecosystems::Library;

const ISSUER: &str = "https://events.example.com";
const AUDIENCE: &str = "shop";

/// A consumer with the keys that it needs to read, and what a gateway needs to write to it.
struct Consumer {
    name: &'static str,
    private: Value,
    public: Value,
    sealing: SealingKey,
    /// In shared-secret mode, the key that signs.
    shared: Option<(SigningKey, Value)>,
}

impl Consumer {
    fn with_pair(name: &'static str, pair: &OpeningKey) -> Self {
        let public = pair.public_jwk().unwrap().clone();
        let sealing = SealingKey::from_jwk(&public).unwrap();
        let private = serde_json::from_str(pair.private_jwk().expose()).unwrap();
        Self { name, private, public, sealing, shared: None }
    }

    fn with_shared_secret() -> Self {
        let secret = SharedSecret::generate(&SystemEntropy);
        let jwks: Value = serde_json::from_str(secret.to_jwks().expose()).unwrap();
        let [mac, wrap] = ["HS256", "A256KW"].map(|alg| {
            jwks["keys"].as_array().unwrap().iter().find(|key| key["alg"] == alg).unwrap().clone()
        });
        Self {
            name: "shared secret",
            private: wrap.clone(),
            public: wrap,
            sealing: secret.sealing_key(),
            shared: Some((secret.signing_key(), mac)),
        }
    }

    /// One consumer for each kind of key that is offered.
    fn of_every_kind() -> Vec<Self> {
        let long = include_bytes!("../vectors/jose/rsa-3072.json");
        Self::of_every_kind_with(&OpeningKey::from_json(long).unwrap())
    }

    /// Others with keys of the same kinds; of RSA only the length differs once.
    fn strangers() -> Vec<Self> {
        Self::of_every_kind_with(&OpeningKey::generate(OpeningKeyKind::Rsa2048).unwrap())
    }

    fn of_every_kind_with(long: &OpeningKey) -> Vec<Self> {
        let pair = |name, kind| Self::with_pair(name, &OpeningKey::generate(kind).unwrap());
        vec![
            pair("P-256", OpeningKeyKind::P256),
            pair("P-384", OpeningKeyKind::P384),
            pair("P-521", OpeningKeyKind::P521),
            pair("X25519", OpeningKeyKind::X25519),
            pair("RSA-2048", OpeningKeyKind::Rsa2048),
            Self::with_pair("RSA-3072", long),
            Self::with_shared_secret(),
        ]
    }

    /// What it opens with, under a name that may be another's.
    fn opening_keys(&self, name: &Value) -> OpeningKeys {
        let mut key = self.private.clone();
        key["kid"] = name.clone();
        OpeningKeys::from_json(key.to_string().as_bytes()).unwrap()
    }

    fn of_same_kind<'a>(&self, others: &'a [Self]) -> &'a Self {
        others.iter().find(|other| other.name == self.name).unwrap()
    }

    fn management(&self) -> &'static str {
        self.sealing.management().name()
    }
}

/// The gateway's signing keys, one for each algorithm that needs no shared secret.
fn signers() -> Vec<SigningKey> {
    SigningAlgorithm::ALL
        .into_iter()
        .filter(|algorithm| *algorithm != SigningAlgorithm::HS256)
        .map(|algorithm| SigningKey::generate(algorithm).unwrap())
        .collect()
}

/// A consumer, the key that signs for it and its public part, and how its tokens are made.
struct Combination<'a> {
    name: String,
    consumer: &'a Consumer,
    signer: SigningKey,
    /// What checks the signature: a public key, or the shared one.
    verifier: Value,
    options: Options,
}

/// Every combination that is offered: a shared secret goes with HS256 and nothing else.
fn combinations<'a>(consumers: &'a [Consumer], signers: &[SigningKey]) -> Vec<Combination<'a>> {
    let mut all = Vec::new();
    for consumer in consumers {
        let pairs = match &consumer.shared {
            Some((signer, mac)) => vec![(signer.clone(), mac.clone())],
            None => signers
                .iter()
                .map(|signer| (signer.clone(), signer.public_jwk().unwrap().clone()))
                .collect(),
        };
        for (signer, verifier) in pairs {
            for content_encryption in ContentEncryption::ALL {
                for compress in [false, true] {
                    let deflate = if compress { "DEF" } else { "plain" };
                    let (algorithm, kind) = (signer.algorithm(), consumer.name);
                    all.push(Combination {
                        name: format!("{algorithm} for {kind}, {content_encryption}, {deflate}"),
                        consumer,
                        signer: signer.clone(),
                        verifier: verifier.clone(),
                        options: Options { content_encryption, compress },
                    });
                }
            }
        }
    }
    all
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// An event that is worth compressing, with text and numbers that a careless codec would change.
fn event() -> String {
    let crab = '\u{1F980}';
    let lines = vec![r#"{"sku":"A-1"}"#; 200].join(",");
    format!(
        r#"{{"specversion":"1.0","id":"01KAQ8X7YT0000000000000007","source":"/orders",
"type":"Order.Created","time":"2026-11-21T20:17:00.25Z","data":{{"note":"naïve {crab} \"quoted\" \\ /",
"zero":0.1,"id":1152921506151679042,"digits":0.12345678901234568,"large":1e+21,"lines":[{lines}]}}}}"#
    )
    .replace('\n', "")
}

fn sealed(combination: &Combination<'_>) -> String {
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let text = event();
    let claims = Claims {
        issuer: ISSUER,
        audience: AUDIENCE,
        issued_at: now(),
        expires_at: now().after(Duration::from_hours(1)),
        id: EventId::from_parts(1_795_282_931_000, 7),
        transaction: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        // The second of its `time`.
        occurred_at: Some(1_795_292_220),
        subscription: &subscription,
        place: Some(PlaceClaims { sequence: 1, previous: ChainValue::start(&subscription) }),
        replay: None,
        salted: None,
        incarnation: 1,
        event_type: &cloudevent_type(ISSUER),
        event: &text,
    };
    let Combination { consumer, signer, options, .. } = combination;
    seal(&claims, signer, &consumer.sealing, options).unwrap().into_token()
}

/// What a program needs to open a token as `reader`.
fn case(combination: &Combination<'_>, token: &str, reader: &Value) -> Value {
    json!({
        "name": combination.name, "token": token, "consumer": reader,
        "jwks": { "keys": [combination.verifier] }, "issuer": ISSUER, "audience": AUDIENCE,
        "signing": combination.signer.algorithm().name(),
        "management": combination.consumer.management(),
        "content": combination.options.content_encryption.name(),
    })
}

#[test]
fn every_library_opens_every_offered_combination() {
    let (consumers, signers) = (Consumer::of_every_kind(), signers());
    let combinations = combinations(&consumers, &signers);
    assert_eq!(combinations.len(), (6 * 4 + 1) * 3 * 2);
    let cases: Vec<_> = combinations
        .iter()
        .map(|combination| case(combination, &sealed(combination), &combination.consumer.private))
        .collect();

    for library in Library::ALL {
        let answers = library.run("open", &cases);
        for combination in &combinations {
            let name = &combination.name;
            let answer = &answers[name];
            assert_eq!(answer["ok"], true, "{library:?}, {name}: {}", answer["error"]);
            let claims = answer["claims"].as_str().unwrap();
            assert!(claims.contains(&event()), "{library:?}, {name}: {claims}");
            let claims: Value = serde_json::from_str(claims).unwrap();
            assert_eq!((&claims["seq"], &claims["aud"]), (&json!(1), &json!(AUDIENCE)));
            assert!(claims["events"][cloudevent_type(ISSUER)].is_object());
            assert_eq!(answer["kid"], combination.signer.kid());
            if combination.consumer.shared.is_none() {
                assert_eq!(answer["thumbprint"], combination.signer.kid(), "{library:?}, {name}");
            }
            assert_eq!(header_members(&answer["outer"]), expected_members(combination), "{name}");
        }
    }
}

fn header_members(header: &Value) -> BTreeSet<&str> {
    header.as_object().unwrap().keys().map(String::as_str).collect()
}

fn expected_members(combination: &Combination<'_>) -> BTreeSet<&'static str> {
    let mut members = BTreeSet::from(["alg", "enc", "kid", "cty"]);
    if combination.consumer.management() == "ECDH-ES" {
        members.insert("epk");
    }
    if combination.options.compress {
        members.insert("zip");
    }
    members
}

#[test]
fn sealway_opens_what_every_library_mints_for_every_offered_combination() {
    let (consumers, signers) = (Consumer::of_every_kind(), signers());
    let strangers = Consumer::strangers();
    let combinations = combinations(&consumers, &signers);
    let event: Value = serde_json::from_str(&event()).unwrap();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now().unix_seconds(),
        "exp": now().unix_seconds() + 3600, "jti": "01KAQ8X7YT0000000000000007",
        "toe": 1_795_292_220,
        "events": { cloudevent_type(ISSUER): event },
    });
    let claims = claims.to_string();
    let cases: Vec<_> = combinations
        .iter()
        .map(|combination| {
            json!({
                "name": combination.name, "consumer": combination.consumer.public,
                "shared": combination.consumer.shared.as_ref().map(|(_, mac)| mac), "claims": claims,
                "signing": combination.signer.algorithm().name(),
                "management": combination.consumer.management(),
                "content": combination.options.content_encryption.name(),
                "compressed": combination.options.compress,
            })
        })
        .collect();

    for library in Library::ALL {
        let answers = library.run("mint", &cases);
        for combination in &combinations {
            let name = &combination.name;
            let answer = &answers[name];
            assert_eq!(answer["ok"], true, "{library:?}, {name}: {}", answer["error"]);
            let verifiers = answer["signer"].to_string();
            let verifiers = VerifyingKeys::from_json_with_secrets(verifiers.as_bytes()).unwrap();
            let token = answer["token"].as_str().unwrap();

            let consumer = combination.consumer;
            let keys = consumer.opening_keys(&consumer.public["kid"]);
            let opening = Opening::new(&keys, &verifiers, ISSUER, AUDIENCE, now());
            let opened = open(token, &opening);
            let opened = opened.unwrap_or_else(|_| panic!("{library:?}, {name}: {token}"));
            assert_eq!(opened.claims()["events"][cloudevent_type(ISSUER)], event);

            let stranger = consumer.of_same_kind(&strangers);
            let stranger = stranger.opening_keys(&consumer.public["kid"]);
            let opening = Opening { keys: &stranger, ..opening };
            assert!(open(token, &opening).is_err(), "{library:?}, {name}: a stranger reads it");
        }
    }
}

#[test]
fn no_library_opens_a_token_with_another_consumers_key() {
    let (consumers, strangers) = (Consumer::of_every_kind(), Consumer::strangers());
    let signers = [SigningKey::generate(SigningAlgorithm::ES256).unwrap()];
    let combinations = combinations(&consumers, &signers);
    let cases: Vec<_> = combinations
        .iter()
        .map(|combination| {
            let stranger = combination.consumer.of_same_kind(&strangers);
            case(combination, &sealed(combination), &stranger.private)
        })
        .collect();

    for library in Library::ALL {
        for (name, answer) in library.run("open", &cases) {
            assert_eq!(answer["ok"], false, "{library:?}, {name}: a stranger reads it");
        }
    }
}
