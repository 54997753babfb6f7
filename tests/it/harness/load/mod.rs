//! Everything that a gateway does at once: producers, consumers of several tempers, operators.
//!
//! A workload is added as an [`Activity`], or as a consumer in [`Load::subscribe_all`].

mod caller;
mod consumer;
mod copying;
mod working;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{SystemClock, Tasks};
use sealway::event::EventId;

use crate::harness::{Process, Receiver, Reply, TokenEndpoint, eventually, order_by_number};

pub use caller::{Caller, Produced, Promise, Promised};
pub use consumer::Consumer;
pub use copying::Copying;
pub use working::{Activity, Working};

/// Settings of delivery under which a failing sink is tried again within a test.
pub const PROMPT_RETRIES: &str = ", retries: [200ms, 200ms, 300ms, 400ms, 500ms], timeout: 5s, \
                                  breaker: { pause: 200ms, longest-pause: 1s }";

/// Settings of retention under which events are dropped within the shortest life.
pub const EAGER_RETENTION: &str = "every: 100ms, age: 500ms, size: 4 MiB";

/// Producers, consumers and operators of one gateway.
pub struct Load {
    /// The operators' and producers' key.
    pub caller: Caller,
    /// `steady` says yes at once, `slow` says so late, `failing` seldom; `fetching` has no sink;
    /// `ordered` wants the events of a subject in order; `guarded` lets in who shows a token.
    pub consumers: Vec<Consumer>,
    /// What was promised so far, in all lives of the gateway.
    pub produced: Produced,
    /// How long operators rest between two acts.
    pub rest: Duration,
    /// Where the gateway asks for the token of `guarded`.
    pub tokens: TokenEndpoint,
    numbers: Arc<AtomicU64>,
}

impl Load {
    /// Nobody yet, on a gateway that does not serve yet.
    pub async fn on(gateway: &Process) -> Self {
        order_by_number(&gateway.directory().join("publications"));
        Self {
            caller: Caller::of(gateway),
            consumers: Vec::new(),
            produced: Produced::default(),
            rest: Duration::from_millis(400),
            tokens: TokenEndpoint::start(None).await,
            numbers: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Subscribes one of each temper.
    pub async fn subscribe_all(&mut self) {
        self.subscribe("steady", json!({}), Reply::Status(204)).await;
        let slow = Reply::After(Duration::from_millis(40));
        self.subscribe("slow", json!({ "config": { "parallel": 32 } }), slow).await;
        let few = json!({ "config": { "maximumRetryAttempts": 1, "parallel": 32 } });
        self.subscribe("failing", few, Reply::Mostly(3)).await;
        let fetching = json!({ "sink": null, "protocol": "PULL" });
        self.subscribe("fetching", fetching, Reply::Status(204)).await.fetching();
        let config = json!({ "ordering": "subject", "maximumRetryAttempts": 1, "parallel": 32 });
        let ordered = json!({ "config": config });
        self.subscribe("ordered", ordered, Reply::Mostly(7)).await.in_order = true;
        let credential = self.tokens.credential(&json!({}));
        let guarded = json!({ "sinkcredential": credential });
        self.subscribe("guarded", guarded, Reply::Status(204)).await;
    }

    /// Subscribes a consumer and waits until it has proved itself. Whoever has a credential must show
    /// its newest token.
    pub async fn subscribe(&mut self, name: &str, wish: Value, reply: Reply) -> &mut Consumer {
        let receiver = Receiver::listening(name, &self.caller.issuer, Arc::new(SystemClock)).await;
        receiver.answer(reply);
        if wish.get("sinkcredential").is_some() {
            receiver.admit(self.tokens.shows_newest());
        }
        let document = receiver.document(wish);
        let made = self.caller.call((Method::POST, "/subscriptions"), Some(&document)).await;
        assert_eq!(made.as_ref().unwrap().0, 201, "{made:?}");
        let path = format!("/subscriptions/{name}");
        eventually(format!("{name} becomes active"), async || {
            (self.caller.get(&path).await?["state"] == "active").then_some(())
        })
        .await;
        self.consumers.push(Consumer::new(receiver));
        self.consumers.last_mut().unwrap()
    }

    /// Begins to publish on so many connections, each with a pause between two events, and to act.
    pub fn work(&self, producers: usize, pause: Duration, activities: &[Activity]) -> Working {
        let (tasks, heard) = (Tasks::new(), caller::Heard::default());
        let enough = tasks.stopping();
        let producers = (0..producers).map(|_| {
            let shared = (Arc::clone(&self.numbers), Arc::clone(&heard));
            tasks.spawn(caller::produce(self.caller.clone(), shared, enough.clone(), pause))
        });
        let producers = producers.collect();
        let fetchers: Vec<_> =
            self.consumers.iter().filter_map(|consumer| consumer.fetcher.clone()).collect();
        let operators = activities.iter().map(|activity| {
            let (activity, caller, rest) = (*activity, self.caller.clone(), self.rest);
            let (fetchers, enough) = (fetchers.clone(), enough.clone());
            tasks.spawn(async move {
                while !enough.is_cancelled() {
                    activity.act(&caller, rest, &fetchers).await;
                    enough.run_until_cancelled(tokio::time::sleep(rest)).await;
                }
            })
        });
        let operators = operators.collect();
        Working { heard, tasks, producers, operators }
    }

    /// Adds what was promised.
    pub fn add(&mut self, produced: Produced) {
        self.produced.extend(produced);
    }

    /// Waits until every consumer has read what a gateway had sent before it died.
    pub async fn hear_out(&self) {
        for consumer in &self.consumers {
            consumer.receiver.hear_out().await;
        }
    }

    /// Takes down what has arrived since, and lets its content go; consumers that fetch do so.
    pub async fn collect(&mut self) {
        for consumer in &mut self.consumers {
            consumer.collect(&self.caller).await;
        }
    }

    /// The newest event that retention has dropped, if it has dropped any.
    pub async fn low_watermark(&self) -> Option<EventId> {
        let wish = json!({ "from": EventId::MIN.to_string(), "dryRun": true });
        let path = "/subscriptions/steady/replays";
        let (_, counted) = self.caller.call((Method::POST, path), Some(&wish)).await.unwrap();
        counted["droppedThrough"].as_str().map(|id| id.parse().unwrap())
    }

    /// The numbers of the orders that the log shows, by the event's id.
    pub async fn kept(&self) -> BTreeMap<EventId, Option<u64>> {
        let mut kept = BTreeMap::new();
        let mut from = Some(EventId::MIN.to_string());
        while let Some(first) = from {
            let path = format!("/events?limit=1000&from={first}");
            let page = self.caller.get(&path).await.unwrap();
            let events = page["events"].as_array().unwrap().iter();
            kept.extend(events.map(|event| {
                (event["id"].as_str().unwrap().parse().unwrap(), caller::number_of(event))
            }));
            from = page["next"].as_str().map(str::to_owned);
        }
        kept
    }

    /// Says what was promised and is neither in the log, with its content, nor dropped by retention.
    pub async fn missing_in_log(&self, promised: &Promised) -> Vec<EventId> {
        let kept = self.kept().await;
        let low_watermark = self.low_watermark().await;
        let is_missing = |id: &EventId, promise: &Promise| match kept.get(id) {
            Some(number) => *number != Some(promise.number),
            None => Some(*id) > low_watermark,
        };
        let missing = promised.iter().filter(|(id, promise)| is_missing(id, promise));
        missing.map(|(id, _)| *id).collect()
    }

    /// Has every sink say yes, and waits until nothing is left to deliver.
    pub async fn settle(&mut self) {
        for consumer in &self.consumers {
            consumer.receiver.answer(Reply::Status(204));
        }
        for name in self.names() {
            let letters = format!("/subscriptions/{name}/dead-letters");
            eventually(format!("{name} has everything"), async || {
                self.collect().await;
                let shown = self.caller.get(&format!("/subscriptions/{name}")).await?;
                let progress = &shown["progress"];
                let rest = ["behind", "underWay", "retrying"].map(|rest| progress[rest] == 0);
                if self.caller.get(&letters).await?["deadLetters"] != json!([]) {
                    let path = format!("{letters}/redrive");
                    self.caller.call((Method::POST, &path), Some(&json!({}))).await;
                    return None;
                }
                (rest == [true; 3]).then_some(())
            })
            .await;
        }
        self.collect().await;
    }

    /// Says what is wrong with what the consumers have, in words; nothing if all is well.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for consumer in &self.consumers {
            let name = consumer.receiver.name();
            let taken = consumer.taken();
            let lost = self.produced.promised.iter().filter(|(id, promise)| {
                taken.get(id).is_none_or(|number| *number != Some(promise.number))
            });
            faults.extend(lost.map(|(id, Promise { number, at })| {
                format!("{name}: {id}, order {number}, was promised {:?} ago", at.elapsed())
            }));
            let (found, sequence, chain) = consumer.faults();
            faults.extend(found.iter().map(|finding| format!("{name}: {finding}")));
            let shown = self.caller.get(&format!("/subscriptions/{name}")).await.unwrap();
            let progress = &shown["progress"];
            if progress["sequence"] != sequence || progress["chain"] != chain.to_string() {
                faults.push(format!("{name}: received {sequence} {chain}, not {shown}"));
            }
        }
        faults
    }

    fn names(&self) -> Vec<String> {
        let names = self.consumers.iter().map(|consumer| consumer.receiver.name().to_owned());
        names.collect()
    }
}

/// A number that the environment gives, for longer runs and other seeds.
pub fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    let given = std::env::vars_os().find(|(key, _)| key == name);
    let wrong = |_| panic!("{name} in the environment is not a number");
    given.map_or(otherwise, |(_, text)| text.to_string_lossy().parse().unwrap_or_else(wrong))
}
