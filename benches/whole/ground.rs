//! The settings of a gateway that is measured, and its operator, who subscribes consumers.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use reqwest::Method;
use sealway::ambient::{Clock as _, SystemClock};
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opening, open};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::CountingSink;

/// A directory with everything that a gateway is started with, and its address.
pub struct Ground {
    directory: TempDir,
    issuer: String,
    address: String,
}

impl Ground {
    /// Writes settings, one contract and the publication that lets its event cross.
    pub fn prepare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ground = Self {
            directory,
            issuer: format!("http://127.0.0.1:{port}"),
            address: format!("127.0.0.1:{port}"),
        };
        let at = ground.path();
        for folder in ["asyncapi", "publications"] {
            fs::create_dir(at.join(folder)).unwrap();
        }
        fs::write(at.join("asyncapi/orders.json"), contract().to_string()).unwrap();
        fs::write(at.join("publications/orders.yaml"), PUBLICATION).unwrap();
        let settings = format!("issuer: {}\nlisten: {}\n{SETTINGS}", ground.issuer, ground.address);
        fs::write(ground.settings(), settings).unwrap();
        ground
    }

    /// The directory of settings and data.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.path().join("gateway.yaml")
    }

    /// Where the gateway listens.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Whoever may change everything.
pub struct Operator {
    runtime: Runtime,
    client: reqwest::Client,
    issuer: String,
    key: String,
}

impl Operator {
    /// One with this key of the gateway on this ground.
    pub fn of(ground: &Ground, key: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Between two calls nothing runs that would hear of the end of a connection.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let (issuer, key) = (ground.issuer.clone(), key.to_owned());
        Self { runtime, client, issuer, key }
    }

    /// Waits until the gateway is ready, for at most a minute.
    pub fn wait_until_ready(&self) {
        let ready = format!("{}/health/ready", self.issuer);
        let asked = async || match self.client.get(&ready).send().await {
            Ok(answer) => answer.status().is_success(),
            Err(_) => false,
        };
        let waited = async {
            while !asked().await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let minute = std::time::Duration::from_mins(1);
        self.runtime.block_on(async { tokio::time::timeout(minute, waited).await.unwrap() });
    }

    /// Subscribes one more consumer with a sealing key of its own, and has its sink proved.
    pub fn subscribe(&self, name: &str, sink: &CountingSink) {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let document = json!({
            "consumer": "partner",
            "name": name,
            "sink": sink.url(),
            "config": { "keys": { "jwks": { "keys": [key.public_jwk()] } } },
        });
        let created = self.call(Method::POST, "/subscriptions", Some(&document));
        let id = created["id"].as_str().unwrap().to_owned();
        let token = sink.challenge();
        let jwks = self.call(Method::GET, "/.well-known/jwks.json", None);
        let issuer_keys = VerifyingKeys::from_json(jwks.to_string().as_bytes()).unwrap();
        let keys = OpeningKeys::from_json(key.private_jwk().expose().as_bytes()).unwrap();
        let opening = Opening::new(&keys, &issuer_keys, &self.issuer, "partner", SystemClock.now());
        let opened = open(&token, &opening).unwrap();
        let nonce = opened.event()["data"]["challenge"].as_str().unwrap().to_owned();
        let path = format!("/subscriptions/{id}/verify");
        self.call(Method::POST, &path, Some(&json!({ "challenge": nonce })));
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request =
            self.client.request(method, self.issuer.clone() + path).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or_default()
        })
    }
}

const SETTINGS: &str = "data-dir: data
publications: publications
contracts: asyncapi
subscriptions: subscriptions
keys: { directory: keys }
delivery:
  parallel: 64
  egress: { allow: [127.0.0.0/8], plain-http: [127.0.0.0/8] }
api: { caller-rate: 100000000 }
logging: { filter: error }
";

/// Most of the event crosses; what is internal stays.
const PUBLICATION: &str = "domain: orders
contract: asyncapi/orders.json
source: /orders
access: public
publications:
  - event: Order.Placed
    when: { source: [order-service], detail-type: [OrderPlaced] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/amount, path: /data/amount }
      - { op: copy, from: /detail/currency, path: /data/currency }
      - { op: copy, from: /detail/lines, path: /data/lines }
      - { op: copy, from: /time, path: /data/createdAt }
      - { op: add, path: /data/status, value: created }
";

fn contract() -> Value {
    let text = |most: u32| json!({ "type": "string", "maxLength": most });
    let line = json!({
        "type": "object",
        "required": ["sku", "quantity", "price"],
        "properties": {
            "sku": text(32),
            "quantity": { "type": "integer", "minimum": 1 },
            "price": { "type": "number" },
        },
    });
    let payload = json!({
        "type": "object",
        "required": ["orderId", "amount", "lines", "createdAt", "status"],
        "properties": {
            "orderId": { "type": "integer", "minimum": 1 },
            "amount": { "type": "number", "minimum": 0 },
            "currency": text(3),
            "createdAt": { "type": "string", "format": "date-time" },
            "status": { "enum": ["created", "changed"] },
            "lines": { "type": "array", "maxItems": 100, "items": line },
        },
    });
    let reference = |to: &str| json!({ "$ref": to });
    json!({
        "asyncapi": "3.0.0",
        "info": { "title": "Orders", "version": "1.0.0" },
        "channels": { "orders": {
            "address": "orders",
            "messages": { "Order.Placed": reference("#/components/messages/Order.Placed") },
        } },
        "operations": { "publish": {
            "action": "send", "channel": reference("#/channels/orders"),
        } },
        "components": { "messages": { "Order.Placed": {
            "name": "Order.Placed", "payload": payload,
        } } },
    })
}
