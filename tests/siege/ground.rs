//! A gateway to be besieged, and those who call it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ACCESS_KEY, Process, eventually};
use sealway::keys::{OpeningKey, OpeningKeyKind};

/// The consumer that has a key of its own.
const CONSUMER: &str = "consumer-7";

/// A gateway of its own for each load.
pub struct Ground {
    pub gateway: Process,
    caller: Caller,
    consumer: Caller,
    key: Value,
}

/// Someone with a key.
#[derive(Clone)]
pub struct Caller {
    issuer: String,
    key: String,
    http: reqwest::Client,
}

/// An order that crosses.
pub fn order(number: u64) -> Value {
    json!({
        "specversion": "1.0", "id": format!("order-{number}"), "source": "order-service",
        "type": "OrderCreated", "data": { "id": number, "amount": 100 },
    })
}

/// A parcel of the depot, all of whose data crosses.
pub fn parcel(id: &str, data: &Value) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "depot", "type": "ParcelMoved", "data": data })
}

impl Ground {
    /// A gateway as an operator would have it: the settings' own bounds, an access key, a depot.
    pub async fn take() -> Self {
        Self::take_with(|process| process).await
    }

    /// A gateway with other settings.
    pub async fn take_with(change: impl FnOnce(Process) -> Process) -> Self {
        let access = format!("{{ id: {ACCESS_KEY}, secret: {{ file: access-key.secret }} }}");
        let process =
            Process::prepare().with_settings(&format!("source: {{ access-keys: [{access}] }}"));
        let mut gateway = change(process);
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/siege/depot");
        for (file, to) in [("asyncapi.yaml", "asyncapi"), ("publications.yaml", "publications")] {
            let to = gateway.directory().join(to).join("depot.yaml");
            fs::copy(from.join(file), to).unwrap();
        }
        let key = gateway.add_caller("admin", "admin");
        let consumer = gateway.add_caller(CONSUMER, &format!("consume:{CONSUMER}"));
        gateway.serve().await;
        let caller = Caller::new(gateway.issuer(), key);
        let consumer = Caller::new(gateway.issuer(), consumer);
        let opening = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        Self { gateway, caller, consumer, key: opening.public_jwk().unwrap().clone() }
    }

    /// The administrator, on connections of its own.
    pub fn caller(&self) -> Caller {
        Caller::new(&self.caller.issuer, self.caller.key.clone())
    }

    /// One of the consumers.
    pub fn consumer(&self) -> Caller {
        Caller::new(&self.consumer.issuer, self.consumer.key.clone())
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.gateway.issuer().trim_start_matches("http://").to_owned()
    }

    /// A subscription that fetches; `wish` adds to it.
    pub fn pulled(&self, id: &str, consumer: &str, wish: Value) -> Value {
        let mut document = json!({
            "id": id, "consumer": consumer, "protocol": "PULL",
            "config": { "keys": { "jwks": { "keys": [self.key] } } },
        });
        let Value::Object(wish) = wish else { panic!("a wish is an object") };
        document.as_object_mut().unwrap().extend(wish);
        document
    }

    /// Calls as the administrator and expects to be served.
    pub async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.caller.call(method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Publishes events in batches and expects each to be taken.
    pub async fn publish_all(&self, events: &[Value]) {
        for batch in events.chunks(50) {
            let (status, answer) = self.caller.publish(batch).await;
            assert_eq!(status, 202, "{answer}");
        }
    }

    /// Waits until a subscription is served.
    pub async fn active(&self, id: &str) {
        eventually(format!("{id} is active"), async || {
            let shown = self.must(Method::GET, &format!("/subscriptions/{id}"), None).await;
            (shown["state"] == "active").then_some(())
        })
        .await;
    }
}

impl Caller {
    fn new(issuer: &str, key: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        Self { issuer: issuer.to_owned(), key, http }
    }

    /// The caller's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Calls; status 0 if no whole answer came.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.http.request(method.clone(), format!("{}{path}", self.issuer));
        let mut request = request.bearer_auth(&self.key);
        if method == Method::PUT {
            request = request.header("if-match", "*");
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    /// Publishes a batch of events.
    pub async fn publish(&self, events: &[Value]) -> (u16, Value) {
        let request = self.http.post(format!("{}/events", self.issuer)).bearer_auth(&self.key);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        answer(request.body(Value::from(events.to_vec()).to_string())).await
    }

    /// Publishes an event as an EventBridge bus does: what breaks its contract is quarantined.
    pub async fn publish_to_quarantine(&self, event: &Value) -> u16 {
        let request = self.http.post(format!("{}/events?manner=asynchronous", self.issuer));
        let request = request.bearer_auth(&self.key);
        let request = request.header("content-type", "application/cloudevents+json");
        answer(request.body(event.to_string())).await.0
    }

    /// The status of a path; 0 if no whole answer came.
    pub async fn status(&self, path: &str) -> u16 {
        self.call(Method::GET, path, None).await.0
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let Ok(answer) = request.send().await else { return (0, Value::Null) };
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap_or_default();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
