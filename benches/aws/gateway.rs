//! The gateway under measurement, on a directory of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
use axum::http::StatusCode;
use reqwest::Method;
use sealway::ambient::{Clock as _, SystemClock, Tasks};
use sealway::api::Scope;
use sealway::config;
use sealway::gateway::{Machine, build};
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opening, open};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::outside::Outside;

/// The bus of the consumer.
pub const BUS: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";

/// The access key of the producer, and its secret.
const PRODUCER: &str = "AKIABENCHBENCHBENCH1";
const PRODUCER_SECRET: &str = "a secret of a benchmark, and of nothing else";

/// A gateway that runs on threads of its own.
pub struct BenchGateway {
    _directory: TempDir,
    _runtime: Runtime,
    issuer: String,
    admin: String,
    client: reqwest::Client,
}

impl BenchGateway {
    /// Starts one that reads a queue and may deliver to a bus, both at this address.
    pub fn start(aws: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let issuer = format!("http://127.0.0.1:{port}");
        let file = directory.path().join("gateway.yaml");
        fs::write(&file, settings(&issuer, port, aws)).unwrap();
        let secret = directory.path().join("producer.secret");
        fs::write(&secret, PRODUCER_SECRET).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        // The SDK finds credentials as on any machine.
        let config = config::load(&file).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("gateway")
            .enable_all()
            .build()
            .unwrap();
        let admin = runtime.block_on(async {
            let machine = Machine::default();
            let entropy = Arc::clone(&machine.entropy);
            let stop = machine.tasks.stopping().clone().cancelled_owned();
            let gateway = build(config, machine).await.unwrap();
            let callers = Arc::clone(&gateway.services().callers);
            let id = "bench".parse().unwrap();
            let key = callers.add(&id, vec![Scope::Admin], &*entropy).await.unwrap();
            Tasks::new().spawn(gateway.run(stop));
            key.expose().to_owned()
        });
        let client = reqwest::Client::new();
        Self { _directory: directory, _runtime: runtime, issuer, admin, client }
    }

    /// A client of the vendor's whose endpoint is the embedded bus.
    pub fn producer(&self) -> Client {
        let credentials = Credentials::new(PRODUCER, PRODUCER_SECRET, None, None, "bench");
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.issuer)
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials);
        Client::from_conf(config.build())
    }

    /// Posts a body with an event.
    pub async fn post(&self, path: &str, body: String) -> StatusCode {
        let request = self.client.post(self.issuer.clone() + path).bearer_auth(&self.admin);
        let request = request.header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        let status = response.status();
        response.bytes().await.unwrap();
        status
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request =
            self.client.request(method, self.issuer.clone() + path).bearer_auth(&self.admin);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// A subscription whose sink was sent its challenge; nothing is delivered before it is answered.
pub struct Waiting {
    id: String,
    nonce: String,
}

impl BenchGateway {
    /// Subscribes from the first event on, and opens the challenge.
    pub fn subscribe(&self, outside: &mut Outside, wish: &Value) -> Waiting {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let first = outside.run(self.call(Method::GET, "/events?limit=1", None));
        let mut document = json!({
            "consumer": "partner",
            "config": {
                "keys": { "jwks": { "keys": [key.public_jwk()] } },
                "start": first["events"][0]["id"],
            },
        });
        document.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let created = outside.run(self.call(Method::POST, "/subscriptions", Some(&document)));
        let id = created["id"].as_str().unwrap().to_owned();
        let token = outside.challenge();
        let jwks = outside.run(self.call(Method::GET, "/.well-known/jwks.json", None));
        let issuer_keys = VerifyingKeys::from_json(jwks.to_string().as_bytes()).unwrap();
        let keys = OpeningKeys::from_json(key.private_jwk().expose().as_bytes()).unwrap();
        let opening = Opening::new(&keys, &issuer_keys, &self.issuer, "partner", SystemClock.now());
        let opened = open(&token, &opening).unwrap();
        let nonce = opened.event()["data"]["challenge"].as_str().unwrap().to_owned();
        Waiting { id, nonce }
    }

    /// Answers the challenge, so that everything is delivered.
    pub fn answer(&self, outside: &Outside, waiting: &Waiting) {
        let path = format!("/subscriptions/{}/verify", waiting.id);
        let body = json!({ "challenge": waiting.nonce });
        outside.run(self.call(Method::POST, &path, Some(&body)));
    }

    /// Ends a subscription.
    pub fn remove(&self, outside: &Outside, waiting: &Waiting) {
        let path = format!("/subscriptions/{}", waiting.id);
        outside.run(self.call(Method::DELETE, &path, None));
    }
}

fn settings(issuer: &str, port: u16, aws: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).display();
    format!(
        r#"
issuer: {issuer}
listen: 127.0.0.1:{port}
data-dir: data
publications: {root}/config/publications
contracts: {root}/asyncapi
subscriptions: subscriptions
aws: {{ endpoint-url: "{aws}" }}
keys: {{ directory: keys }}
source:
  access-keys: [{{ id: {PRODUCER}, secret: {{ file: producer.secret }} }}]
  queues:
    - arn: arn:aws:sqs:eu-west-1:111122223333:in
      buses: [arn:aws:events:eu-west-1:111122223333:event-bus/own]
      sources: [order-service]
      pollers: 4
delivery:
  parallel: 64
  event-buses: [{{ consumer: partner, bus: "{BUS}" }}]
  egress: {{ allow: [127.0.0.0/8], plain-http: [127.0.0.0/8] }}
logging: {{ filter: error }}
"#
    )
}
