//! A key pair of a consumer whose sink answers as a test tells it.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock, SystemClock};
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opened, Opening, open};

use crate::harness::{Posted, Process, Said, TestGateway, answer};

/// A key of the consumer `shop` that opens what is posted.
pub struct SinkKey {
    opening: OpeningKeys,
    /// Its public part, as a JWK.
    pub public: Value,
    issuer: String,
    issuer_keys: VerifyingKeys,
    clock: Arc<dyn Clock>,
}

impl SinkKey {
    /// Makes one, for what this gateway seals.
    pub async fn generate(gateway: &TestGateway, kind: OpeningKeyKind) -> Arc<Self> {
        let jwks = gateway.get("/.well-known/jwks.json").await;
        Self::of(&gateway.issuer(), &jwks, kind, gateway.clock())
    }

    /// Makes one, for what the gateway of a process seals.
    pub async fn of_process(gateway: &Process, kind: OpeningKeyKind) -> Arc<Self> {
        let known = gateway.request(Method::GET, "/.well-known/jwks.json");
        Self::of(gateway.issuer(), &answer(known).await.body, kind, Arc::new(SystemClock))
    }

    fn of(issuer: &str, jwks: &Value, kind: OpeningKeyKind, clock: Arc<dyn Clock>) -> Arc<Self> {
        let key = OpeningKey::generate(kind).unwrap();
        Arc::new(Self {
            opening: OpeningKeys::from_json(key.private_jwk().expose().as_bytes()).unwrap(),
            public: key.public_jwk().unwrap().clone(),
            issuer: issuer.to_owned(),
            issuer_keys: VerifyingKeys::from_json(jwks.to_string().as_bytes()).unwrap(),
            clock,
        })
    }

    /// Takes the shared secret that a gateway has shown.
    pub fn shared(gateway: &TestGateway, secret: &Value) -> Arc<Self> {
        let secret = secret.to_string();
        Arc::new(Self {
            opening: OpeningKeys::from_json(secret.as_bytes()).unwrap(),
            public: Value::Null,
            issuer: gateway.issuer(),
            issuer_keys: VerifyingKeys::from_json_with_secrets(secret.as_bytes()).unwrap(),
            clock: gateway.clock(),
        })
    }

    /// Opens a token.
    pub fn open(&self, token: &str) -> Option<Opened> {
        let (keys, issuer_keys, now) = (&self.opening, &self.issuer_keys, self.clock.now());
        open(token, &Opening::new(keys, issuer_keys, &self.issuer, "shop", now)).ok()
    }

    /// The id and the nonce of a challenge.
    pub fn challenge(&self, token: &str) -> (String, String) {
        let opened = self.open(token).unwrap();
        let nonce = opened.event()["data"]["challenge"].as_str().unwrap();
        (opened.id().to_owned(), nonce.to_owned())
    }

    /// Answers a challenge with its nonce, and everything else with yes.
    pub fn answer(&self, posted: &Posted) -> Said {
        match self.open(&posted.body) {
            None => (if posted.method == Method::OPTIONS { 405 } else { 400 }, None, String::new()),
            Some(opened) => {
                let nonce = opened.event()["data"]["challenge"].as_str().unwrap_or_default();
                (200, None, json!({ "challenge": nonce }).to_string())
            }
        }
    }
}
