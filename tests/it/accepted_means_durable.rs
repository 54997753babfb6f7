//! After the producer hears yes, the event survives the death of the process at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use sealway::ambient::{Entropy as _, SeededEntropy, SystemClock, Tasks};

use crate::harness::{Process, Receiver, eventually, order_created};

const ROUNDS: usize = 20;
const PRODUCERS: usize = 4;
const SEED: u64 = 0x5ea1_3a7e;

/// What producers were promised, by the event's id: the number of the order.
type Promised = BTreeMap<String, u64>;

/// Publishes order after order on a connection of its own until the gateway dies or `enough` is
/// said; gives what was acknowledged.
async fn produce(
    events: String,
    key: String,
    numbers: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
) -> Promised {
    let client = reqwest::Client::new();
    let mut promised = Promised::new();
    while !enough.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let event = order_created(&format!("order-{number}"), number);
        let request = client.post(&events).bearer_auth(&key);
        let request = request.header("content-type", "application/cloudevents+json");
        // Without a whole answer nothing was promised.
        let Ok(answer) = request.body(event.to_string()).send().await else { break };
        assert_eq!(answer.status().as_u16(), 202);
        let Ok(answer) = answer.json::<Value>().await else { break };
        promised.insert(answer["events"][0]["eventIds"][0].as_str().unwrap().to_owned(), number);
    }
    promised
}

/// Publishes on several connections and kills the gateway at a moment that the dice choose.
async fn round(
    gateway: &mut Process,
    key: &str,
    numbers: &Arc<AtomicU64>,
    span: Duration,
) -> Promised {
    let (tasks, enough) = (Tasks::new(), Arc::new(AtomicBool::new(false)));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let events = format!("{}/events", gateway.issuer());
            let (numbers, enough) = (Arc::clone(numbers), Arc::clone(&enough));
            tasks.spawn(produce(events, key.to_owned(), numbers, enough))
        })
        .collect();
    tokio::time::sleep(span).await;
    gateway.kill();
    enough.store(true, Ordering::Relaxed);
    let mut promised = Promised::new();
    for producer in producers {
        promised.extend(producer.await.unwrap());
    }
    promised
}

async fn get(gateway: &Process, key: &str, path: &str) -> (u16, Value) {
    let address = format!("{}{path}", gateway.issuer());
    let answer = reqwest::Client::new().get(address).bearer_auth(key).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_twenty_kills_and_reaches_its_consumer() {
    let mut gateway = Process::prepare();
    let key = gateway.add_caller("admin", "admin");
    gateway.serve().await;
    let receiver = Receiver::listening("audit", gateway.issuer(), Arc::new(SystemClock)).await;
    let subscriptions = format!("{}/subscriptions", gateway.issuer());
    let document = receiver.document(json!({}));
    let client = reqwest::Client::new();
    let created = client.post(subscriptions).bearer_auth(&key).json(&document).send();
    assert_eq!(created.await.unwrap().status().as_u16(), 201);
    eventually("the subscription becomes active", async || {
        let (_, shown) = get(&gateway, &key, "/subscriptions/audit").await;
        (shown["state"] == "active").then_some(())
    })
    .await;

    let (dice, numbers) = (SeededEntropy::new(SEED), Arc::new(AtomicU64::new(1)));
    let mut promised = Promised::new();
    for number in 0..ROUNDS {
        if number > 0 {
            gateway.serve().await;
        }
        let span = Duration::from_millis(20 + dice.next_u64() % 300);
        promised.extend(round(&mut gateway, &key, &numbers, span).await);
    }
    gateway.serve().await;

    // Everything promised is in the log, with the content that was promised.
    assert!(promised.len() >= ROUNDS, "only {} events were acknowledged", promised.len());
    for (id, number) in &promised {
        let (status, found) = get(&gateway, &key, &format!("/events/{id}")).await;
        assert_eq!(status, 200, "event {id} was acknowledged and is not in the log");
        assert_eq!(found["event"]["data"]["orderId"], json!(number));
    }
    // It reaches the consumer, and so does whatever the log took without being able to say so.
    eventually("everything promised is delivered", async || {
        let delivered: BTreeSet<_> = receiver.delivered_ids().into_iter().collect();
        promised.keys().all(|id| delivered.contains(id)).then_some(())
    })
    .await;
    let (sequence, chain) = eventually("the gateway has settled", async || {
        let (_, shown) = get(&gateway, &key, "/subscriptions/audit").await;
        let progress = &shown["progress"];
        let settled = progress["behind"] == 0 && progress["underWay"] == 0;
        let sequence = progress["sequence"].as_u64().filter(|_| settled)?;
        Some((sequence, progress["chain"].as_str().unwrap().to_owned()))
    })
    .await;
    // One numbering and one chain across all lives of the process.
    let (received, recomputed) = receiver.chain();
    assert!(received >= promised.len() as u64);
    assert_eq!((received, recomputed.to_string()), (sequence, chain));
}
