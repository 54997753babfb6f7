//! A queue of the stub, and a gateway of its own process that reads it.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::aws::{AwsStub, StubQueue};
use crate::harness::{Answer, Process, eventually};

pub const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
pub const FIFO: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-in.fifo";
pub const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:gateway-dead";

/// An order as a rule on the team's bus sends it.
pub fn envelope(id: &str, number: u64) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "OrderCreated", "source": "order-service",
        "account": "111122223333", "time": "2026-11-21T20:17:00Z", "region": "eu-west-1",
        "resources": [], "detail": { "id": number, "amount": 100 },
    })
}

/// A stub, a queue of it, and who reads the queue.
pub struct Scene {
    pub stub: AwsStub,
    pub queue: StubQueue,
    pub gateway: Process,
    /// The operator's key.
    pub key: String,
}

impl Scene {
    /// A queue and a gateway that does not run yet; `settings` are members of a YAML flow mapping, each
    /// with a comma in front.
    pub async fn prepared(arn: &str, settings: &str) -> Self {
        let stub = AwsStub::start().await;
        let queue = stub.queue(arn);
        let gateway = reader(stub.url(), arn, settings);
        let key = gateway.add_caller("operator", "admin");
        Self { stub, queue, gateway, key }
    }

    /// The same, with the gateway at work.
    pub async fn with(arn: &str, settings: &str) -> Self {
        let mut scene = Self::prepared(arn, settings).await;
        scene.gateway.serve().await;
        scene
    }

    /// Calls the API as an operator.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.gateway.call_as(&self.key, (method, path), body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.gateway.get(&self.key, path).await
    }

    /// Every event of the log, in its order.
    pub async fn events(&self) -> Vec<Value> {
        events(&self.gateway, &self.key).await
    }

    /// Every event of the log, once there are so many.
    pub async fn wait_for_events(&self, count: usize) -> Vec<Value> {
        let enough = async || Some(self.events().await).filter(|events| events.len() >= count);
        eventually(format!("{count} events in the log"), enough).await
    }

    /// What is in quarantine, once there is so much.
    pub async fn wait_for_quarantine(&self, count: usize) -> Vec<Value> {
        eventually(format!("{count} entries in quarantine"), async || {
            let entries = self.get("/quarantine").await["quarantined"].as_array().unwrap().clone();
            (entries.len() >= count).then_some(entries)
        })
        .await
    }

    /// The whole numbers among the gateway's metrics, by their names and labels.
    pub async fn metrics(&self) -> HashMap<String, u64> {
        let text = self.get("/metrics").await;
        let lines = text.as_str().unwrap().lines().filter_map(|line| line.rsplit_once(' '));
        lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
    }

    /// A series of the queue, with more labels or none.
    pub async fn metric(&self, name: &str, labels: &str) -> u64 {
        let arn = if self.gateway.settings_text().contains(FIFO) { FIFO } else { QUEUE };
        let name = format!("sealway_queue_{name}{{queue=\"{arn}\"{labels}}}");
        self.metrics().await.get(&name).copied().unwrap_or_default()
    }
}

/// A gateway that reads a queue at an address, and does not run yet.
pub fn reader(url: &str, arn: &str, settings: &str) -> Process {
    let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/eda-demo";
    Process::prepare().with_aws(url, "AKIAGATEWAY").with_settings(&format!(
        "source: {{ queues: [{{ arn: '{arn}', buses: ['{bus}']{settings} }}] }}"
    ))
}

/// Every event of a gateway's log, in its order.
pub async fn events(gateway: &Process, key: &str) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("/events?limit=1000{from}");
        let mut page = gateway.get(key, &path).await;
        events.append(page["events"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(next) => from = format!("&from={next}"),
            None => return events,
        }
    }
}

/// The numbers of orders, in the order of their events.
pub fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["data"]["orderId"].as_u64().unwrap()).collect()
}
