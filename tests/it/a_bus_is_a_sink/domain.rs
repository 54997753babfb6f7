//! A gateway as a process of its own with AWS at a stub or an emulator, and the consumer `shop`, whose
//! sink is a bus.

use std::process::Output;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::keys::OpeningKeyKind;

use crate::harness::aws::{AwsStub, StubBus, StubRole};
use crate::harness::{Answer, Process, SinkKey, answer, eventually, order_created};

/// The bus of the consumer, in its account.
pub const BUS: &str = "arn:aws:events:eu-west-1:444455556666:event-bus/partner";
/// The role that is taken to put events there.
pub const ROLE: &str = "arn:aws:iam::444455556666:role/sealway-deliver";
/// The access key of the gateway itself, in another account.
pub const KEY: &str = "AKIAGATEWAY";
/// Whose key that is.
pub const OWN: &str = "arn:aws:iam::111122223333:user/AKIAGATEWAY";
/// Delays that no test waits for long.
const RETRIES: &str = "retries: [100ms, 100ms, 100ms, 100ms]";

/// A gateway whose operator lets `shop` name [`BUS`] with [`ROLE`], and its consumer.
pub struct Domain {
    pub process: Process,
    pub key: Arc<SinkKey>,
    admin: String,
}

impl Domain {
    /// Starts it where AWS is at this address.
    pub async fn start(url: &str) -> Self {
        Self::start_with(url, &format!("{{ consumer: shop, bus: '{BUS}', role: '{ROLE}' }}")).await
    }

    /// Starts it with this list of buses, members of a YAML flow sequence.
    pub async fn start_with(url: &str, buses: &str) -> Self {
        Self::start_as(Self::prepare(url, buses)).await
    }

    /// Settings with AWS at this address and this list of buses; starts nothing.
    pub fn prepare(url: &str, buses: &str) -> Process {
        let delivery = format!(", event-buses: [{buses}], {RETRIES}");
        Process::prepare_with(&delivery).with_aws(url, KEY)
    }

    /// Starts what was prepared.
    pub async fn start_as(mut process: Process) -> Self {
        let admin = process.add_caller("admin", "admin");
        process.serve().await;
        let key = SinkKey::of_process(&process, OpeningKeyKind::X25519).await;
        Self { process, key, admin }
    }

    /// Starts it with a stub that has the bus, and the role for whoever shows the consumer's external
    /// id.
    pub async fn with_stub() -> (Self, AwsStub, StubBus, StubRole) {
        let stub = AwsStub::start().await;
        let (bus, role) = (stub.bus(BUS), stub.role(ROLE));
        let domain = Self::start(stub.url()).await;
        let role = role.trusting(OWN).with_external_id(&domain.external_id("shop").await);
        (domain, stub, bus, role)
    }

    /// The same, where orders are heard by grant only.
    pub async fn closed() -> (Self, AwsStub, StubBus, StubRole) {
        let stub = AwsStub::start().await;
        let (bus, role) = (stub.bus(BUS), stub.role(ROLE));
        let buses = format!("{{ consumer: shop, bus: '{BUS}', role: '{ROLE}' }}");
        let process = Self::prepare(stub.url(), &buses);
        let file = process.directory().join("publications/orders.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\naccess: public\n", "\naccess: grant\n")).unwrap();
        let domain = Self::start_as(process).await;
        let role = role.trusting(OWN).with_external_id(&domain.external_id("shop").await);
        (domain, stub, bus, role)
    }

    /// The same, with an active subscription of this configuration.
    pub async fn subscribed(config: Value) -> (Self, AwsStub, StubBus, StubRole) {
        let (domain, stub, bus, role) = Self::with_stub().await;
        domain.subscribe(config).await;
        let challenge = bus.wait_for(1).await.remove(0);
        domain.answer_challenge(&challenge.detail).await;
        (domain, stub, bus, role)
    }

    /// Calls as someone.
    pub async fn call_as(&self, key: &str, to: (Method, &str), body: Option<&Value>) -> Answer {
        self.process.call_as(key, to, body).await
    }

    /// Calls as an administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call_as(&self.admin, (method, path), body).await
    }

    /// Reads what is there.
    pub async fn get(&self, path: &str) -> Value {
        self.process.get(&self.admin, path).await
    }

    pub async fn external_id(&self, consumer: &str) -> String {
        let shown = self.get(&format!("/external-ids/{consumer}")).await;
        assert_eq!(shown["consumer"], consumer);
        shown["externalId"].as_str().unwrap().to_owned()
    }

    /// The subscription of the consumer, with a configuration beside its key.
    pub fn document(&self, config: Value) -> Value {
        self.document_of("shop", config)
    }

    /// The same of any consumer, with its name as id.
    fn document_of(&self, consumer: &str, config: Value) -> Value {
        let mut document = json!({
            "id": consumer, "consumer": consumer, "protocol": "EVENTBRIDGE", "sink": BUS,
            "config": { "keys": { "jwks": { "keys": [self.key.public] } } },
        });
        let Value::Object(config) = config else { panic!("a configuration is an object") };
        document["config"].as_object_mut().unwrap().extend(config);
        document
    }

    /// Subscribes the consumer's bus to everything.
    pub async fn subscribe(&self, config: Value) -> Value {
        self.subscribe_as("shop", config).await
    }

    /// Subscribes the bus for any consumer.
    pub async fn subscribe_as(&self, consumer: &str, config: Value) -> Value {
        let document = self.document_of(consumer, config);
        let created = self.call(Method::POST, "/subscriptions", Some(&document)).await;
        assert_eq!(created.status, 201, "{}", created.body);
        created.body
    }

    /// Finds the nonce in the detail of a challenge, and tells the gateway.
    pub async fn answer_challenge(&self, detail: &Value) {
        self.answer_challenge_of("shop", detail).await;
    }

    /// The same for the subscription of any consumer.
    pub async fn answer_challenge_of(&self, consumer: &str, detail: &Value) {
        let (_, nonce) = self.key.challenge(detail["data"].as_str().unwrap());
        let said = json!({ "challenge": nonce });
        let path = format!("/subscriptions/{consumer}/verify");
        let told = self.call(Method::POST, &path, Some(&said)).await;
        assert_eq!((told.status, &told.body["state"]), (200, &json!("active")), "{}", told.body);
    }

    /// Publishes orders with these numbers at once, and gives the ids of their events.
    pub async fn orders(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
        let orders = numbers.into_iter().map(|n| order_created(&format!("order-{n}"), n));
        let batch: Value = orders.collect();
        let request = self.process.request(Method::POST, "/events");
        let request = request.bearer_auth(&self.admin).body(batch.to_string());
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let taken = answer(request).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
        let events = taken.body["events"].as_array().unwrap().iter();
        events.map(|one| one["eventIds"][0].as_str().unwrap().to_owned()).collect()
    }

    /// Runs a command as an administrator.
    pub fn operator(&self, arguments: &[&str]) -> Output {
        let mut command = self.process.command(arguments);
        command.env("SEALWAY_GATEWAY", self.process.issuer());
        command.env("SEALWAY_CALLER_KEY", &self.admin).output().unwrap()
    }

    /// The newest attempts, once there are so many.
    pub async fn attempts(&self, count: usize) -> Vec<Value> {
        eventually(format!("{count} attempts"), async || {
            let listed = self.get("/subscriptions/shop/attempts?limit=1000").await;
            let attempts = listed["attempts"].as_array().unwrap().clone();
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    }

    /// The dead letters, once there are so many.
    pub async fn dead_letters(&self, count: usize) -> Vec<Value> {
        eventually(format!("{count} dead letters"), async || {
            let listed = self.get("/subscriptions/shop/dead-letters").await;
            let letters = listed["deadLetters"].as_array().unwrap().clone();
            (letters.len() == count).then_some(letters)
        })
        .await
    }
}
