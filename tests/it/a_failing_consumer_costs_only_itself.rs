//! A consumer that never answers, answers slowly, resets, answers garbage, redirects or sends
//! endless bodies costs only itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock, Tasks};
use sealway::event::EventId;
use sealway::keys::{OpeningKey, OpeningKeyKind, OpeningKeys, VerifyingKeys};
use sealway::seal::{Opening, open};

use crate::harness::{Receiver, Reply, TestGateway, eventually, never_within, order_created};

/// Sinks of each of the two sorts.
const SINKS: usize = 50;
/// Sinks of both sorts are in so many groups, and each event is for one group: two sinks of a sort at
/// a time. A machine with few cores would otherwise mostly measure how long it takes to seal for a
/// hundred at once.
const GROUPS: u64 = 25;
/// Events of one measurement.
const EVENTS: u64 = 120;
/// The time between two events.
const EVERY: Duration = Duration::from_millis(20);
/// A p99 below this is the scheduler's: it says nothing that a ratio could be taken of.
const NOISE: Duration = Duration::from_millis(5);
/// So many times slower may healthy sinks be beside hostile ones.
const MOST: f64 = 2.0;
/// Pairs of measurements, beside healthy and beside hostile sinks, whose times count together: at least
/// and at most. Both of a pair are made at the same time, so that a busy machine slows down both, and
/// in more pairs a stall that has met one of them alone is less than one in a hundred.
const PAIRS: std::ops::RangeInclusive<usize> = 3..=15;

/// How a sink behaves once it has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Healthy,
    /// Healthy, and not measured.
    Neighbor,
    Silent,
    Slow,
    Resetting,
    Garbage,
    Redirecting,
    Endless,
}

const HOSTILE: [Manner; 6] = [
    Manner::Silent,
    Manner::Slow,
    Manner::Resetting,
    Manner::Garbage,
    Manner::Redirecting,
    Manner::Endless,
];

/// Many sinks that share one key pair and open challenges only.
struct Crowd {
    public: Value,
    keys: OpeningKeys,
    issuer: String,
    issuer_keys: VerifyingKeys,
    /// What has come to healthy sinks, and when.
    arrivals: Mutex<Vec<(EventId, Instant)>>,
    tasks: Tasks,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

impl Crowd {
    async fn new(gateway: &TestGateway) -> Arc<Self> {
        let key = OpeningKey::generate(OpeningKeyKind::X25519).unwrap();
        let jwks = gateway.get("/.well-known/jwks.json").await.to_string();
        Arc::new(Self {
            public: key.public_jwk().unwrap().clone(),
            keys: OpeningKeys::from_json(key.private_jwk().expose().as_bytes()).unwrap(),
            issuer: gateway.issuer(),
            issuer_keys: VerifyingKeys::from_json(jwks.as_bytes()).unwrap(),
            arrivals: Mutex::default(),
            tasks: Tasks::new(),
        })
    }

    /// Starts a sink, subscribes it, and waits until it has proved itself.
    async fn join(
        self: &Arc<Self>,
        gateway: &TestGateway,
        (sort, n): (&str, usize),
        response_mode: Manner,
    ) {
        let name = format!("{sort}-{n}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = format!("http://{}/", listener.local_addr().unwrap());
        let (crowd, stop) = (Arc::downgrade(self), self.tasks.stopping().clone());
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let Some(crowd) = crowd.upgrade() else { return };
                let stop = stop.clone();
                tasks.spawn(async move {
                    stop.run_until_cancelled(serve(&crowd, stream, response_mode)).await;
                });
            }
        });
        let keys = json!({ "jwks": { "keys": [self.public] } });
        let group = u64::try_from(n).unwrap() % GROUPS + 1;
        let filters = json!([{ "pattern": { "data": { "orderId": [group] } } }]);
        let document = json!({
            "id": name, "consumer": "crowd", "filters": filters, "sink": sink,
            "config": { "keys": keys },
        });
        gateway.post("/subscriptions", &document).await;
        eventually(format!("{name} becomes active"), async || {
            let shown = gateway.get(&format!("/subscriptions/{name}")).await;
            (shown["state"] == "active").then_some(())
        })
        .await;
    }

    fn nonce(&self, token: &str) -> Value {
        let now = SystemClock.now();
        let opening = Opening::new(&self.keys, &self.issuer_keys, &self.issuer, "crowd", now);
        open(token, &opening).unwrap().event()["data"]["challenge"].clone()
    }

    /// Starts the healthy sinks that are measured, and as many others beside them.
    async fn join_all(self: &Arc<Self>, gateway: &TestGateway, others: &[Manner]) {
        join_all((0..SINKS).map(|n| self.join(gateway, ("healthy", n), Manner::Healthy))).await;
        let others = others.iter().cycle().take(SINKS).enumerate();
        join_all(others.map(|(n, manner)| self.join(gateway, ("other", n), *manner))).await;
    }

    /// Publishes at the same pace as always, and gives the times from acceptance to arrival at healthy
    /// sinks.
    async fn measure(&self, gateway: &TestGateway, first: u64) -> Vec<Duration> {
        self.arrivals.lock().unwrap().clear();
        let mut accepted = BTreeMap::new();
        let mut pace = tokio::time::interval(EVERY);
        // A stall of the disk is not made good by a flood.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in first..first + EVENTS {
            pace.tick().await;
            let order = order_created(&format!("order-{number}"), number % GROUPS + 1);
            let id = gateway.publish(&order).await.remove(0);
            accepted.insert(id.parse::<EventId>().unwrap(), Instant::now());
        }
        // Two of each group, and what is tried again comes once.
        let all = 2 * usize::try_from(EVENTS).unwrap();
        eventually(format!("{all} arrivals at healthy sinks"), async || {
            (self.arrivals.lock().unwrap().len() >= all).then_some(())
        })
        .await;
        let arrivals = self.arrivals.lock().unwrap();
        // It may arrive before the producer has read its answer.
        let took = |(id, at): &(EventId, Instant)| at.saturating_duration_since(accepted[id]);
        arrivals.iter().map(took).collect()
    }
}

/// A gateway whose sinks are all healthy, in a thread and a runtime of its own: it has as much to do as
/// the one with hostile sinks, and shares nothing with it but the machine.
struct Peaceful {
    asks: mpsc::UnboundedSender<(u64, oneshot::Sender<Vec<Duration>>)>,
}

impl Peaceful {
    fn start() -> Self {
        let (asks, mut asked) = mpsc::unbounded_channel::<(u64, oneshot::Sender<_>)>();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let gateway = gateway().await;
                let crowd = Crowd::new(&gateway).await;
                crowd.join_all(&gateway, &[Manner::Neighbor]).await;
                while let Some((first, answer)) = asked.recv().await {
                    answer.send(crowd.measure(&gateway, first).await).unwrap();
                }
            });
        });
        Self { asks }
    }

    /// Measures as [`Crowd::measure`] does.
    async fn measure(&self, first: u64) -> Vec<Duration> {
        let (answer, answered) = oneshot::channel();
        self.asks.send((first, answer)).unwrap();
        answered.await.unwrap()
    }
}

async fn gateway() -> TestGateway {
    TestGateway::with(None, |config| {
        config.delivery.timeout = HumanDuration(Duration::from_secs(2));
    })
    .await
}

/// Reads a request; gives its head and body.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= header(head, "content-length").unwrap_or("0").parse().unwrap()
        {
            return Some((head.to_owned(), body.to_owned()));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Answers what comes over one connection, until it ends.
async fn serve(crowd: &Crowd, mut stream: TcpStream, response_mode: Manner) -> Option<()> {
    loop {
        let (head, body) = request(&mut stream).await?;
        let answer = if head.starts_with("OPTIONS") {
            "HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n".to_owned()
        } else if header(&head, "ce-type") == Some("sealway.subscription.challenge") {
            let nonce = json!({ "challenge": crowd.nonce(&body) }).to_string();
            format!("HTTP/1.1 200 Yes\r\ncontent-length: {}\r\n\r\n{nonce}", nonce.len())
        } else {
            behave(crowd, &mut stream, response_mode, &head).await?
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// Answers an event as its manner is; nothing if the connection is to end.
async fn behave(
    crowd: &Crowd,
    stream: &mut TcpStream,
    response_mode: Manner,
    head: &str,
) -> Option<String> {
    match response_mode {
        Manner::Healthy => {
            let id: EventId = header(head, "ce-id").unwrap().parse().unwrap();
            crowd.arrivals.lock().unwrap().push((id, Instant::now()));
            Some("HTTP/1.1 204 Yes\r\n\r\n".to_owned())
        }
        Manner::Neighbor => Some("HTTP/1.1 204 Yes\r\n\r\n".to_owned()),
        Manner::Silent => std::future::pending().await,
        Manner::Slow => {
            for byte in b"HTTP/1.1 204 Yes\r\n" {
                stream.write_all(&[*byte]).await.ok()?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Some("\r\n".to_owned())
        }
        Manner::Resetting => {
            stream.set_zero_linger().unwrap();
            None
        }
        Manner::Garbage => {
            stream.write_all(b"\x00\xff\x16 this is no HTTP\r\n\r\n").await.ok()?;
            None
        }
        Manner::Redirecting => {
            Some("HTTP/1.1 307 There\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_owned())
        }
        Manner::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 Yes\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
                .ok()?;
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            loop {
                stream.write_all(chunk.as_bytes()).await.ok()?;
                // Endless, and yet no hog of the machine that the test runs on.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_healthy_sinks_hardly_notice_fifty_hostile_ones() {
    let (peaceful, gateway) = (Peaceful::start(), gateway().await);
    let crowd = Crowd::new(&gateway).await;
    crowd.join_all(&gateway, &HOSTILE).await;
    let all_hostile = async |step: &str| {
        join_all((0..SINKS).map(async |n| {
            let path = format!("/subscriptions/other-{n}/{step}");
            assert!(gateway.call(Method::POST, &path, None).await.status < 300, "{path}");
        }))
        .await;
    };
    let pair = async |first| join(peaceful.measure(first), crowd.measure(&gateway, first)).await;
    // The first measurement warms everything up.
    pair(1).await;

    let (mut times, mut told) = ([Vec::new(), Vec::new()], Vec::new());
    for made in 1..=*PAIRS.end() {
        // What waits for another attempt is made at once, and breakers that are open are closed.
        all_hostile("pause").await;
        all_hostile("resume").await;
        let (healthy, hostile) = pair(made as u64 * 10_000).await;
        times[0].extend(healthy);
        times[1].extend(hostile);
        let [healthy, hostile] = times.each_mut().map(|times| p99(times));
        told.push((healthy, hostile));
        if PAIRS.contains(&made) && hostile <= healthy.max(NOISE).mul_f64(MOST) {
            println!("p99 beside healthy and beside hostile sinks, so far: {told:?}");
            return are_dealt_with(&gateway).await;
        }
    }
    panic!("p99 beside healthy and beside hostile sinks, so far: {told:?}");
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Waits until each hostile sink is dealt with by its manner.
async fn are_dealt_with(gateway: &TestGateway) {
    for (n, response_mode) in HOSTILE.iter().enumerate() {
        let left_alone =
            matches!(response_mode, Manner::Silent | Manner::Resetting | Manner::Garbage);
        eventually(format!("the breaker of a sink that is {response_mode:?}"), async || {
            let shown = gateway.get(&format!("/subscriptions/other-{n}")).await;
            ((shown["progress"]["breaker"] != "closed") == left_alone).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_sink_that_fails_is_left_alone_and_found_again() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(500));
    gateway.orders(1..=20).await;

    let progress = eventually("the breaker opens", async || {
        let progress = gateway.get("/subscriptions/shop").await["progress"].clone();
        (progress["breaker"] == "open").then_some(progress)
    })
    .await;
    assert!(progress["heldUntil"].is_string() && progress["failingSince"].is_string());
    let metrics = gateway.call(Method::GET, "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("sealway_breaker_state{subscription=\"shop\"} 2"), "{metrics}");
    assert!(metrics.contains("sealway_sinks_left_alone_total{subscription=\"shop\"} 1"));
    // Four may be in flight at once, so that some may have begun before the fifth had failed.
    let made = receiver.arrivals().len();
    assert!((5..=8).contains(&made), "{made}");
    let more = async || receiver.arrivals().get(made).cloned();
    never_within(Duration::from_millis(100), "it is left alone", more).await;

    // One attempt after the pause, which fails.
    clock.advance(Duration::from_secs(7));
    receiver.wait_for_arrivals(made + 1).await;
    let more = async || receiver.arrivals().get(made + 1).cloned();
    never_within(Duration::from_millis(100), "one attempt finds out", more).await;

    receiver.answer(Reply::Status(204));
    clock.advance(Duration::from_secs(13));
    eventually("everything is delivered", async || {
        clock.advance(Duration::from_secs(10));
        (receiver.delivered().len() >= 20).then_some(())
    })
    .await;
    let shown = gateway.get("/subscriptions/shop").await;
    assert_eq!(shown["progress"]["breaker"], "closed");
    assert!(shown["progress"].get("failingSince").is_none(), "{shown}");
    assert_eq!(receiver.chain().0, 20);
}

#[tokio::test]
async fn what_is_over_is_not_shown_of_a_paused_subscription_nor_of_one_that_was() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(500));
    gateway.orders(1..=20).await;
    let shown = async || gateway.get("/subscriptions/shop").await;
    eventually("the sink is left alone, and no attempt is in flight", async || {
        let progress = &shown().await["progress"];
        (progress["heldUntil"].is_string() && progress["underWay"] == 0).then_some(())
    })
    .await;

    gateway.post("/subscriptions/shop/pause", &json!({})).await;
    clock.advance(Duration::from_secs(7));
    let paused = shown().await;
    assert_eq!(paused["reason"], "by caller admin");
    assert!(paused["progress"].get("heldUntil").is_none(), "{paused}");

    gateway.post("/subscriptions/shop/resume", &json!({})).await;
    assert!(shown().await.get("reason").is_none());
}

#[tokio::test]
async fn attempts_keep_to_the_rate() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "rate": 2 } })).await;
    gateway.orders(1..=6).await;

    for (count, span) in [(2, 0), (3, 500), (5, 1000), (6, 500)] {
        clock.advance(Duration::from_millis(span));
        receiver.wait_for_arrivals(count).await;
        let more = async || receiver.arrivals().get(count).cloned();
        never_within(Duration::from_millis(100), "it came too early", more).await;
    }
    let refused = receiver.document(json!({ "id": "other", "config": { "rate": 0 } }));
    let answer = gateway.call(Method::POST, "/subscriptions", Some(&refused)).await;
    assert_eq!((answer.status, answer.code()), (422, "invalid"), "{}", answer.body);
}
