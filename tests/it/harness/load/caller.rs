//! Someone with a key, and what producers are promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use sealway::event::EventId;

use crate::harness::Process;

/// Orders are about so many things, one after the other: that is their subject.
const SUBJECTS: u64 = 8;

/// Someone with a key who calls a gateway that may die at any moment.
#[derive(Clone)]
pub struct Caller {
    pub(super) issuer: String,
    key: String,
    http: reqwest::Client,
}

impl Caller {
    /// An administrator of a gateway that does not serve yet.
    pub fn of(gateway: &Process) -> Self {
        let key = gateway.add_caller("admin", "admin");
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { issuer: gateway.issuer().to_owned(), key, http }
    }

    /// Calls with a JSON body or none; nothing if no whole answer came.
    pub async fn call(
        &self,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.issuer));
        let request = request.bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Reads what is there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.call((Method::GET, path), None).await?;
        (status == 200).then_some(body)
    }

    /// Publishes an order; nothing if no whole answer came, or the status and the event's id.
    async fn publish(&self, number: u64) -> Option<(u16, Option<EventId>)> {
        let event = json!({
            "specversion": "1.0", "id": format!("order-{number}"), "source": "order-service",
            "type": "OrderCreated",
            "data": { "id": 1 + number % SUBJECTS, "amount": number, "customer": "confidential" },
        });
        let request = self.http.post(format!("{}/events", self.issuer)).bearer_auth(&self.key);
        let request = request.header("content-type", "application/cloudevents+json");
        let answer = request.body(event.to_string()).send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        let id = body["events"][0]["eventIds"][0].as_str();
        Some((status, id.map(|id| id.parse().unwrap())))
    }
}

/// The number of an order, as it arrives.
pub fn number_of(event: &Value) -> Option<u64> {
    event["data"]["amount"].as_u64()
}

/// What producers were promised, by the event's id.
pub type Promised = BTreeMap<EventId, Promise>;

/// One event that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// The order's number.
    pub number: u64,
    /// When the producer heard yes.
    pub at: Instant,
}

/// What producers were answered.
#[derive(Default)]
pub struct Produced {
    /// What was taken.
    pub promised: Promised,
    /// How often it was refused, by status.
    pub refused: BTreeMap<u16, u64>,
    /// How often no answer came.
    pub unanswered: u64,
    /// From when to when each request waited for its answer.
    pub waits: Vec<(Instant, Instant)>,
}

impl Produced {
    pub(super) fn extend(&mut self, other: Self) {
        self.promised.extend(other.promised);
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.waits.extend(other.waits);
    }
}

/// The statuses that producers were answered with so far.
pub(super) type Heard = Arc<Mutex<BTreeSet<u16>>>;

/// Publishes order after order on a connection of its own, also while the gateway is away.
pub(super) async fn produce(
    caller: Caller,
    (numbers, heard): (Arc<AtomicU64>, Heard),
    enough: CancellationToken,
    pause: Duration,
) -> Produced {
    let mut produced = Produced::default();
    while !enough.is_cancelled() {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let answer = caller.publish(number).await;
        produced.waits.push((begun, Instant::now()));
        heard.lock().unwrap().extend(answer.map(|(status, _)| status));
        match answer {
            Some((202, Some(id))) => {
                produced.promised.insert(id, Promise { number, at: Instant::now() });
            }
            Some((status, _)) => *produced.refused.entry(status).or_default() += 1,
            // Without a whole answer nothing was promised.
            None => {
                produced.unanswered += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        tokio::time::sleep(pause).await;
    }
    produced
}
