//! Everything that a gateway does at once: producers, consumers of several tempers, operators.
//!
//! A workload is added as an [`Activity`], or as a consumer in [`Load::subscribe`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use sealway::ambient::{Clock as _, SystemClock, Tasks};
use sealway::event::{ChainValue, EventId, EventSource, EventType, Subject};
use sealway::identify::Content;
use sealway::seal::{ChainCheck, Link, Opened, Place};

use crate::harness::{Arrival, Process, Receiver, Reply, eventually, order_created};

/// Settings of delivery under which a failing sink is tried again within a test.
pub const PROMPT_RETRIES: &str = ", retries: [200ms, 200ms, 300ms, 400ms, 500ms], timeout: 5s, \
                                  breaker: { pause: 200ms, longest-pause: 1s }";

/// Someone with a key who calls a gateway that may die at any moment.
#[derive(Clone)]
pub struct Caller {
    issuer: String,
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
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// Reads what is there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.call((Method::GET, path), None).await?;
        (status == 200).then_some(body)
    }

    /// Publishes an order; nothing if no whole answer came, or the status and the event's id.
    async fn publish(&self, number: u64) -> Option<(u16, Option<EventId>)> {
        let event = order_created(&format!("order-{number}"), number);
        let request = self.http.post(format!("{}/events", self.issuer)).bearer_auth(&self.key);
        let request = request.header("content-type", "application/cloudevents+json");
        let answer = request.body(event.to_string()).send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        let id = body["events"][0]["eventIds"][0].as_str();
        Some((status, id.map(|id| id.parse().unwrap())))
    }
}

/// What operators and consumers do beside the traffic.
#[derive(Clone, Copy, Debug)]
pub enum Activity {
    /// The events of the last seconds are replayed.
    Replay,
    /// All dead letters are delivered again.
    Redrive,
    /// Lists are read page by page.
    Read,
}

impl Activity {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Replay, Self::Redrive, Self::Read];

    /// Does it once; whatever fails, fails because the gateway is gone.
    async fn act(self, caller: &Caller) {
        match self {
            Self::Replay => {
                let now = u64::try_from(SystemClock.now().unix_ms()).unwrap();
                let from = EventId::first_of(now - 2000).to_string();
                let wish = json!({ "from": from, "rate": 200 });
                caller.call((Method::POST, "/subscriptions/steady/replays"), Some(&wish)).await;
            }
            Self::Redrive => {
                let path = "/subscriptions/failing/dead-letters/redrive";
                caller.call((Method::POST, path), Some(&json!({}))).await;
            }
            Self::Read => {
                caller.get("/subscriptions/slow/attempts?limit=50").await;
                caller.get("/subscriptions/failing/dead-letters?limit=50").await;
            }
        }
    }
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
}

impl Produced {
    fn extend(&mut self, other: Self) {
        self.promised.extend(other.promised);
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
        self.unanswered += other.unanswered;
    }
}

/// Producers and operators at work, until they are told to end.
pub struct Working {
    enough: Arc<AtomicBool>,
    producers: Vec<JoinHandle<Produced>>,
    operators: Vec<JoinHandle<()>>,
}

impl Working {
    /// Ends, and gives what was promised.
    pub async fn end(self) -> Produced {
        self.enough.store(true, Ordering::Relaxed);
        let mut produced = Produced::default();
        for producer in self.producers {
            produced.extend(producer.await.unwrap());
        }
        for operator in self.operators {
            operator.await.unwrap();
        }
        produced
    }
}

/// One arrival, without its content.
#[derive(Clone, Copy)]
pub struct Seen {
    /// The event.
    pub id: EventId,
    /// Its place in the chain; nothing in a replay.
    pub link: Option<Link>,
    /// When it arrived.
    pub at: Instant,
    /// When it was answered with yes.
    pub taken: Option<Instant>,
}

impl Seen {
    fn of(arrival: &Arrival) -> Self {
        let yes = arrival.status.is_some_and(|status| status < 300);
        Self {
            id: arrival.id().parse().unwrap(),
            link: link_of(&arrival.opened),
            at: arrival.at,
            taken: arrival.answered.filter(|_| yes),
        }
    }
}

fn link_of(opened: &Opened) -> Option<Link> {
    let (place, event) = (opened.place()?, opened.event());
    let text = |name: &str| event[name].as_str();
    let content = Content::of(
        &EventSource::new(text("source")?).ok()?,
        &EventType::new(text("type")?).ok()?,
        text("subject").and_then(|subject| Subject::new(subject).ok()).as_ref(),
        &event["data"],
    );
    Some(Link { id: opened.id().parse().ok()?, place, digest: content.ok()?.digest() })
}

/// A consumer and everything that it has seen.
pub struct Consumer {
    /// Where it listens.
    pub receiver: Receiver,
    /// In the order in which it was answered.
    pub seen: Vec<Seen>,
    /// The last event that it has fetched, if it fetches and has no sink.
    fetched: Option<String>,
}

impl Consumer {
    /// Fetches a page, if it is one that fetches; says whether there may be more.
    async fn fetch(&mut self, caller: &Caller) -> bool {
        let Some(after) = &self.fetched else { return false };
        let after = if after.is_empty() { String::new() } else { format!("&after={after}") };
        let path = format!("/subscriptions/{}/events?limit=100{after}", self.receiver.name());
        let Some(page) = caller.get(&path).await else { return false };
        for event in page["events"].as_array().unwrap() {
            let opened = self.receiver.open(event["token"].as_str().unwrap()).await.unwrap();
            let (id, now) = (opened.id().to_owned(), Instant::now());
            let link = link_of(&opened);
            self.seen.push(Seen { id: id.parse().unwrap(), link, at: now, taken: Some(now) });
            self.fetched = Some(id);
        }
        page["events"] != json!([])
    }

    /// The events that it has said yes to.
    pub fn taken(&self) -> BTreeSet<EventId> {
        self.seen.iter().filter(|seen| seen.taken.is_some()).map(|seen| seen.id).collect()
    }

    /// For each time that a live event came again after a yes: how long before a kill the yes was
    /// said, or nothing if no kill lies between. A kill is the moment, and that of the next start:
    /// what arrives between was sent before.
    pub fn repeats(&self, kills: &[(Instant, Instant)]) -> Vec<Option<Duration>> {
        let mut arrivals: BTreeMap<EventId, Vec<&Seen>> = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| seen.link.is_some()) {
            arrivals.entry(seen.id).or_default().push(seen);
        }
        let mut repeats = Vec::new();
        for seen in arrivals.values_mut() {
            seen.sort_by_key(|seen| seen.at);
            for (one, next) in seen.iter().zip(seen.iter().skip(1)) {
                let Some(taken) = one.taken else { continue };
                let kill = kills.iter().find(|(_, start)| (one.at..next.at).contains(start));
                repeats.push(kill.map(|(moment, _)| moment.saturating_duration_since(taken)));
            }
        }
        repeats
    }
}

/// Producers, consumers and operators of one gateway.
pub struct Load {
    /// The operators' and producers' key.
    pub caller: Caller,
    /// `steady` says yes at once, `slow` says so late, `failing` seldom; `fetching` has no sink.
    pub consumers: Vec<Consumer>,
    /// What was promised so far, in all lives of the gateway.
    pub produced: Produced,
    /// How long operators rest between two acts.
    pub rest: Duration,
    numbers: Arc<AtomicU64>,
}

impl Load {
    /// Nobody yet.
    pub fn on(caller: Caller) -> Self {
        let numbers = Arc::new(AtomicU64::new(1));
        let rest = Duration::from_millis(400);
        Self { caller, consumers: Vec::new(), produced: Produced::default(), rest, numbers }
    }

    /// Subscribes one that says yes at once, one that is slow, one that fails, and one that fetches.
    pub async fn subscribe_all(&mut self) {
        self.subscribe("steady", json!({}), Reply::Status(204)).await;
        let slow = Reply::After(Duration::from_millis(120));
        self.subscribe("slow", json!({ "config": { "parallel": 32 } }), slow).await;
        let few = json!({ "config": { "maximumRetryAttempts": 1, "parallel": 32 } });
        self.subscribe("failing", few, Reply::Seldom(2)).await;
        let fetching = json!({ "sink": null, "protocol": "PULL" });
        self.subscribe("fetching", fetching, Reply::Status(204)).await;
        if let Some(consumer) = self.consumers.last_mut() {
            consumer.fetched = Some(String::new());
        }
    }

    /// Subscribes a consumer and waits until it has proved itself.
    pub async fn subscribe(&mut self, name: &str, wish: Value, reply: Reply) {
        let receiver = Receiver::listening(name, &self.caller.issuer, Arc::new(SystemClock)).await;
        receiver.answer(reply);
        let document = receiver.document(wish);
        let made = self.caller.call((Method::POST, "/subscriptions"), Some(&document)).await;
        assert_eq!(made.as_ref().unwrap().0, 201, "{made:?}");
        let path = format!("/subscriptions/{name}");
        eventually(format!("{name} becomes active"), async || {
            (self.caller.get(&path).await?["state"] == "active").then_some(())
        })
        .await;
        self.consumers.push(Consumer { receiver, seen: Vec::new(), fetched: None });
    }

    /// Begins to publish on so many connections, each with a pause between two events, and to act.
    pub fn work(&self, producers: usize, pause: Duration, activities: &[Activity]) -> Working {
        let (tasks, enough) = (Tasks::new(), Arc::new(AtomicBool::new(false)));
        let producers = (0..producers).map(|_| {
            let (caller, numbers) = (self.caller.clone(), Arc::clone(&self.numbers));
            tasks.spawn(produce(caller, numbers, Arc::clone(&enough), pause))
        });
        let producers = producers.collect();
        let operators = activities.iter().map(|activity| {
            let (activity, caller, enough) = (*activity, self.caller.clone(), Arc::clone(&enough));
            let rest = self.rest;
            tasks.spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    activity.act(&caller).await;
                    tokio::time::sleep(rest).await;
                }
            })
        });
        let operators = operators.collect();
        Working { enough, producers, operators }
    }

    /// Adds what was promised.
    pub fn add(&mut self, produced: Produced) {
        self.produced.extend(produced);
    }

    /// Takes down what has arrived since, and lets its content go; consumers that fetch do so.
    pub async fn collect(&mut self) {
        for consumer in &mut self.consumers {
            let arrivals = consumer.receiver.take_arrivals();
            consumer.seen.extend(arrivals.iter().map(Seen::of));
            while consumer.fetch(&self.caller).await {}
        }
    }

    /// Says what was promised and is not in the log, or is there with other content.
    pub async fn missing_in_log(&self, promised: &Promised) -> Vec<EventId> {
        let mut missing = Vec::new();
        for (id, promise) in promised {
            let found = self.caller.get(&format!("/events/{id}")).await;
            if !found.is_some_and(|shown| shown["event"]["data"]["orderId"] == promise.number) {
                missing.push(*id);
            }
        }
        missing
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
            let lost = self.produced.promised.iter().filter(|(id, _)| !taken.contains(id));
            faults.extend(lost.map(|(id, Promise { number, at })| {
                format!("{name}: {id}, order {number}, was promised {:?} ago", at.elapsed())
            }));
            let start = Place { sequence: 1, previous: ChainValue::start(&name.parse().unwrap()) };
            let links = consumer.seen.iter().filter_map(|seen| seen.link);
            let check = ChainCheck::of(start, links);
            faults.extend(check.findings.iter().map(|finding| format!("{name}: {finding}")));
            let shown = self.caller.get(&format!("/subscriptions/{name}")).await.unwrap();
            let (sequence, chain) =
                (check.next.sequence.saturating_sub(1), check.next.previous.to_string());
            if shown["progress"]["sequence"] != sequence || shown["progress"]["chain"] != chain {
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

/// Publishes order after order on a connection of its own, also while the gateway is away.
async fn produce(
    caller: Caller,
    numbers: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
    pause: Duration,
) -> Produced {
    let mut produced = Produced::default();
    while !enough.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        match caller.publish(number).await {
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

/// A number that the environment gives, for longer runs and other dice.
pub fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    let given = std::env::vars_os().find(|(key, _)| key == name);
    let wrong = |_| panic!("{name} in the environment is not a number");
    given.map_or(otherwise, |(_, text)| text.to_string_lossy().parse().unwrap_or_else(wrong))
}
