//! A filter that is too much work holds up its own subscription alone, and an event that nobody can
//! decide about is a dead letter in its place: across crashes, counted in steps and never in time.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::SystemClock;
use sealway::config::Config;
use sealway::route::PatternConfig;

use crate::harness::{ACCESS_SECRET, Answer, Arrival, Process, Receiver, TestGateway, eventually};

const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels:
  shop:
    address: shop
    messages:
      Order.Placed:
        payload:
          type: object
          properties:
            lines:
              type: array
              items:
                type: object
                properties:
                  a: { type: integer }
                  p: { type: object, properties: { a: { type: integer } } }
                  q: { type: object, properties: { a: { type: integer } } }
operations:
  publish: { action: send, channel: { $ref: '#/channels/shop' } }
";

const PUBLICATIONS: &str = "domain: shop
contract: asyncapi/shop.yaml
source: /shop
publications:
  - event: Order.Placed
    when: { source: [till], detail-type: [OrderPlaced] }
    patch:
      - { op: copy, from: /detail/lines, path: /data/lines }
";

/// What a filter may take: little at once, so that tests need no large events.
const PATTERNS: PatternConfig = PatternConfig { steps_at_once: 2_000, steps: 100_000 };

fn let_orders_cross(config: &mut Config) {
    fs::write(config.contracts.join("shop.yaml"), CONTRACT).unwrap();
    fs::write(config.publications.join("shop.yaml"), PUBLICATIONS).unwrap();
}

async fn shop() -> TestGateway {
    TestGateway::with(None, |config| {
        let_orders_cross(config);
        config.patterns = PATTERNS;
    })
    .await
}

/// An order with lines that match no combination but the one of this number, if any. All that any
/// combination asks for is there, and nowhere together.
fn order(id: &str, lines: usize, matching: Option<usize>) -> Value {
    let line = |a: Value| json!({"a": a, "p": {"a": 0}, "q": {"a": 0}});
    let mut all = vec![line(json!(-1)); lines];
    all.extend((0..9).flat_map(|n| [json!({"a": n}), json!({"p": {"a": n}, "q": {"a": n}})]));
    all.extend(matching.map(|number| line(json!(number))));
    json!({
        "specversion": "1.0", "id": id, "source": "till", "type": "OrderPlaced",
        "data": {"lines": all},
    })
}

/// What is asked of lines by three `$or` lists: each of the combinations has to be looked for in each
/// line.
fn asked_of_lines(each: usize) -> Value {
    let list = || (0..each).map(|n| json!({"a": [n]})).collect::<Value>();
    json!({"$or": list(), "p": {"$or": list()}, "q": {"$or": list()}})
}

fn combinations(each: usize) -> Value {
    json!([{"pattern": {"data": {"lines": asked_of_lines(each)}}}])
}

fn numbers(arrivals: &[Arrival]) -> Vec<u64> {
    let mut numbers: Vec<u64> = arrivals.iter().filter_map(Arrival::sequence).collect();
    numbers.sort_unstable();
    numbers
}

async fn letters(gateway: &TestGateway, of: &str, count: usize) -> Vec<Value> {
    let path = format!("/subscriptions/{of}/dead-letters");
    eventually(format!("{count} dead letters of {of}"), async || {
        let letters = gateway.get(&path).await["deadLetters"].as_array().unwrap().clone();
        (letters.len() == count).then_some(letters)
    })
    .await
}

#[tokio::test]
async fn what_is_too_much_work_is_a_dead_letter_in_its_place_and_neighbors_have_it() {
    let mut gateway = shop().await;
    let heavy = Receiver::start(&gateway, "heavy").await;
    gateway.subscribe(&heavy, json!({"filters": combinations(5)})).await;
    let light = Receiver::subscribed(&gateway, "light").await;
    gateway.publish(&order("one", 1, Some(1))).await;
    let large = gateway.publish(&order("two", 500, None)).await.remove(0);
    gateway.publish(&order("three", 2, Some(4))).await;

    assert_eq!(numbers(&light.wait_for_delivered(3).await), [1, 2, 3]);
    assert_eq!(numbers(&heavy.wait_for_delivered(2).await), [1, 3]);

    let letter = letters(&gateway, "heavy", 1).await.remove(0);
    assert_eq!((&letter["event"], &letter["reason"]), (&json!(large), &json!("undecided")));
    assert_eq!((&letter["attempts"], &letter["sequence"]), (&json!(0), &json!(2)), "{letter}");
    let trace = gateway.get(&format!("/events/{large}/trace")).await;
    let of = |name: &str| {
        let mut all = trace["deliveries"].as_array().unwrap().iter();
        all.find(|one| one["subscription"] == name).unwrap().clone()
    };
    assert_eq!(
        (&of("heavy")["state"], &of("heavy")["sequence"]),
        (&json!("dead-letter"), &json!(2))
    );
    assert_eq!(of("light")["state"], "delivered");

    // The same log gives the same numbers, and nothing is given up twice.
    gateway.restart().await;
    gateway.publish(&order("four", 3, Some(1))).await;
    assert_eq!(numbers(&heavy.wait_for_delivered(3).await), [1, 3, 4]);
    letters(&gateway, "heavy", 1).await;
    gateway.post("/subscriptions/heavy/dead-letters/redrive", &json!({})).await;
    heavy.wait_for_delivered(4).await;
    assert_eq!(heavy.chain().0, 4, "its number and its link were its own");
}

#[tokio::test]
async fn what_is_decided_at_length_is_delivered_in_its_place() {
    let gateway = shop().await;
    let heavy = Receiver::start(&gateway, "heavy").await;
    gateway.subscribe(&heavy, json!({"filters": combinations(3)})).await;
    let lines = [1, 400, 2, 300, 3, 350];
    for (index, lines) in lines.into_iter().enumerate() {
        gateway.publish(&order(&format!("matching-{index}"), lines, Some(2))).await;
        gateway.publish(&order(&format!("other-{index}"), lines, None)).await;
    }

    let arrivals = heavy.wait_for_delivered(lines.len()).await;

    assert_eq!(numbers(&arrivals), [1, 2, 3, 4, 5, 6]);
    assert_eq!(heavy.chain().0, 6);
    let by_number = |number| arrivals.iter().find(|one| one.sequence() == Some(number)).unwrap();
    for (number, lines) in (1..).zip(lines) {
        assert_eq!(by_number(number).data()["lines"].as_array().unwrap().len(), lines + 19);
    }
    letters(&gateway, "heavy", 0).await;
}

#[tokio::test]
async fn who_fetches_is_not_handed_what_was_given_up_and_need_not_acknowledge_it() {
    let mut gateway = shop().await;
    let heavy = Receiver::start(&gateway, "heavy").await;
    let wish = json!({"sink": null, "protocol": "PULL", "filters": combinations(5)});
    gateway.subscribe(&heavy, wish).await;
    let first = gateway.publish(&order("one", 1, Some(1))).await.remove(0);
    gateway.publish(&order("two", 500, None)).await;
    let third = gateway.publish(&order("three", 1, Some(1))).await.remove(0);
    letters(&gateway, "heavy", 1).await;

    let poll = async |gateway: &TestGateway, said: Value| {
        let polled = gateway.post("/subscriptions/heavy/poll", &said).await;
        let mut ids: Vec<String> = polled["sets"].as_object().unwrap().keys().cloned().collect();
        ids.sort();
        ids
    };
    let now = json!({"returnImmediately": true});
    eventually("both can be fetched", async || {
        (poll(&gateway, now.clone()).await == [&*first, &*third]).then_some(())
    })
    .await;
    gateway.restart().await;
    letters(&gateway, "heavy", 1).await;
    let acknowledged = json!({"ack": [first, third], "returnImmediately": true});
    assert_eq!(poll(&gateway, acknowledged).await, Vec::<String>::new());
    let shown = gateway.get("/subscriptions/heavy").await;
    assert_eq!(shown["waiting"].as_u64().unwrap_or(0), 0, "{shown}");
}

/// A process with the shop's contract and publications, and its admin.
struct Served {
    process: Process,
    key: String,
}

impl Served {
    async fn with(patterns: &str) -> Self {
        let mut process = Process::prepare().with_settings(patterns);
        write(&process.directory().join("asyncapi"), CONTRACT);
        write(&process.directory().join("publications"), PUBLICATIONS);
        let key = process.add_caller("admin", "admin");
        process.serve().await;
        Self { process, key }
    }

    async fn receiver(&self, name: &str) -> Receiver {
        Receiver::listening(name, self.process.issuer(), std::sync::Arc::new(SystemClock)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.process.call_as(&self.key, (method, path), body.as_ref()).await
    }

    async fn get(&self, path: &str) -> Value {
        self.process.get(&self.key, path).await
    }

    async fn subscribe(&self, document: Value) {
        let created = self.call(Method::POST, "/subscriptions", Some(document)).await;
        assert_eq!(created.status, 201, "{}", created.body);
    }

    async fn publish(&self, event: Value) {
        self.process.publish(&self.key, &event).await;
    }

    /// Steps that filters took at some place since the start.
    async fn steps(&self, place: &str) -> u64 {
        let name = format!("sealway_filter_steps_total{{place=\"{place}\"}} ");
        let metrics = self.get("/metrics").await;
        let mut lines = metrics.as_str().unwrap().lines();
        lines.find_map(|line| line.strip_prefix(&*name)).unwrap().parse().unwrap()
    }

    async fn kill_and_serve(&mut self) {
        self.process.kill();
        self.process.serve().await;
    }

    async fn stop_and_verify(mut self) {
        assert!(self.process.stop().await.success());
        let verified = self.process.run(&["log", "verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_decision_changes_no_number() {
    let mut gateway = Served::with("patterns: { steps-at-once: 2000, steps: 3000000 }").await;
    let receiver = gateway.receiver("heavy").await;
    gateway.subscribe(receiver.document(json!({"filters": combinations(9)}))).await;
    gateway.publish(order("one", 1, Some(1))).await;
    receiver.wait_for_delivered(1).await;
    gateway.publish(order("two", 1_400, None)).await;
    gateway.publish(order("three", 1, Some(8))).await;
    // While it is decided, others are answered.
    gateway.get("/health/live").await;

    gateway.kill_and_serve().await;

    let arrivals = receiver.wait_for_delivered(2).await;
    assert_eq!(numbers(&arrivals), [1, 3]);
    let listed = eventually("the dead letter is there", async || {
        let listed = gateway.get("/subscriptions/heavy/dead-letters").await;
        let is_there = listed["deadLetters"].as_array().is_some_and(|all| !all.is_empty());
        is_there.then_some(listed)
    })
    .await;
    let letters = listed["deadLetters"].as_array().unwrap();
    assert_eq!(letters.len(), 1, "{listed}");
    assert_eq!((&letters[0]["reason"], &letters[0]["sequence"]), (&json!("undecided"), &json!(2)));
    gateway.stop_and_verify().await;
}

/// Filters that each keep just under what a filter may take of every event, whoever waits.
const FLOOD: usize = 300;

/// A subscription of the flood, which fetches all orders without a line of its number.
fn all_but(receiver: &Receiver, number: usize) -> Value {
    let filter = json!({"not": {"pattern": {"data": {"lines": {"a": [1_000 + number]}}}}});
    let wish = json!({"id": format!("flood-{number:03}"), "protocol": "PULL", "filters": [filter]});
    let mut document = receiver.document(wish);
    document.as_object_mut().unwrap().remove("sink");
    document
}

#[tokio::test]
async fn many_cheap_filters_of_one_consumer_slow_nobody_else_and_are_all_decided() {
    const ORDERS: usize = 8;
    let mut gateway = Served::with("patterns: { steps-at-once: 2000, steps: 1000000 }").await;
    let (flood, other) = (gateway.receiver("flood").await, gateway.receiver("other").await);
    for number in 0..FLOOD {
        gateway.subscribe(all_but(&flood, number)).await;
    }
    gateway.subscribe(other.document(json!({"types": ["Order.Placed"]}))).await;
    let publish = async |gateway: &Served, numbers: std::ops::Range<usize>| {
        for number in numbers {
            let event = order(&format!("order-{number}"), 400, Some(1_000 + number));
            gateway.publish(event).await;
        }
    };
    publish(&gateway, 0..ORDERS / 2).await;
    other.wait_for_delivered(ORDERS / 2).await;
    let per_order = gateway.steps("following").await / (ORDERS / 2) as u64;
    // Twice what one filter may take, and once more what a filter has of the other consumer.
    assert!(per_order <= 6_000, "{per_order} steps of each order, while all wait");

    gateway.kill_and_serve().await;
    publish(&gateway, ORDERS / 2..ORDERS).await;

    // What was on its way when the gateway died may come twice.
    let arrivals = eventually("the other consumer has every order", async || {
        let mut arrived = numbers(&other.delivered());
        arrived.dedup();
        (arrived.len() == ORDERS).then_some(arrived)
    })
    .await;
    assert_eq!(arrivals, (1..=ORDERS as u64).collect::<Vec<_>>());
    for number in 0..FLOOD {
        // The first ones have each left out the order with their number.
        let expected = ORDERS - usize::from(number < ORDERS);
        let path = format!("/subscriptions/flood-{number:03}");
        eventually(format!("{expected} orders wait for {number}"), async || {
            let under_way = gateway.get(&path).await["progress"]["underWay"].as_u64();
            (under_way == Some(expected as u64)).then_some(())
        })
        .await;
    }
    assert!(gateway.steps("following").await <= 6_000 * ORDERS as u64);
    assert!(gateway.steps("reading").await > 500_000, "all of it was decided, and elsewhere");
    for number in [0, ORDERS / 2, FLOOD - 1] {
        let page = gateway.get(&format!("/subscriptions/flood-{number:03}/events")).await;
        let mut expected = 0;
        for event in page["events"].as_array().unwrap() {
            let opened = flood.open(event["token"].as_str().unwrap()).await.unwrap();
            expected += 1;
            assert_eq!(opened.place().unwrap().sequence, expected, "{number}");
            let lines = opened.event()["data"]["lines"].to_string();
            assert!(!lines.contains(&format!("{}", 1_000 + number)), "{number}");
        }
        assert_eq!(expected, (ORDERS - usize::from(number < ORDERS)) as u64);
    }
    gateway.stop_and_verify().await;
}

fn write(folder: &Path, text: &str) {
    fs::write(folder.join("shop.yaml"), text).unwrap();
}

/// 124 fields in a thousand combinations, and an event of 8,000 items.
fn thousand_combinations() -> (Value, Value) {
    let absent: serde_json::Map<String, Value> =
        (0..120).map(|n| (n.to_string(), json!([{"exists": false}]))).collect();
    let list = || (0..10).map(|n| json!({"c": [n]})).collect::<Value>();
    let pattern = json!({"detail": {
        "b": ["z"], "a": absent, "$or": list(), "x": {"$or": list()}, "y": {"$or": list()},
    }});
    let items = vec![json!({}); 8_000];
    let event = json!({
        "id": "e", "account": "", "source": "s", "time": "2024-01-02T03:04:05Z", "region": "",
        "detail-type": "t", "detail": {"b": "z", "a": items, "c": -1, "x": {"c": -1}, "y": {"c": -1}},
    });
    (pattern, event)
}

#[tokio::test]
async fn a_pattern_that_costs_too_much_is_refused_with_its_price_wherever_it_is_made() {
    let gateway = shop().await;
    let receiver = Receiver::start(&gateway, "heavy").await;
    let (pattern, event) = thousand_combinations();
    let document = receiver.document(json!({"filters": [{"pattern": pattern.clone()}]}));

    let refused = gateway.call(Method::POST, "/subscriptions", Some(&document)).await;

    assert_eq!((refused.status, refused.code()), (422, "invalid"), "{}", refused.body);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("124000") && detail.contains("20000"), "{detail}");
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let test = |pattern: &Value| {
        client.test_event_pattern().event(event.to_string()).event_pattern(pattern.to_string())
    };
    let refused = test(&pattern).send().await.unwrap_err();
    assert_eq!(code(&refused), Some("InvalidEventPatternException"), "{refused:?}");
    let within = json!({"detail": {"a": asked_of_lines(10)}});
    let refused = test(&within).send().await.unwrap_err();
    assert_eq!(code(&refused), Some("ValidationException"), "{refused:?}");

    let offline = Process::prepare();
    let file = offline.directory().join("pattern.json");
    fs::write(&file, pattern.to_string()).unwrap();
    let event_file = offline.directory().join("event.json");
    fs::write(&event_file, event.to_string()).unwrap();
    let arguments = ["pattern", "test", "--pattern", file.to_str().unwrap(), "--event"];
    let told = offline.run(&[&arguments[..], &[event_file.to_str().unwrap()]].concat());
    assert!(!told.status.success());
    assert!(String::from_utf8_lossy(&told.stderr).contains("124000"), "{told:?}");
    let publications = PUBLICATIONS
        .replace("{ source: [till], detail-type: [OrderPlaced] }", &pattern.to_string());
    write(&offline.directory().join("asyncapi"), CONTRACT);
    write(&offline.directory().join("publications"), &publications);
    let told = offline.run(&["check"]);
    assert!(!told.status.success());
    let said = [told.stdout, told.stderr].concat();
    assert!(
        String::from_utf8_lossy(&said).contains("124000"),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

fn code<E: aws_sdk_eventbridge::error::ProvideErrorMetadata>(error: &E) -> Option<&str> {
    error.code()
}

#[tokio::test]
async fn an_event_that_is_too_much_work_for_a_publication_is_refused_or_set_aside() {
    let gateway = TestGateway::with(None, |config| {
        let_orders_cross(config);
        let when = json!({"source": ["till"], "detail": {"lines": asked_of_lines(5)}});
        let text = PUBLICATIONS
            .replace("{ source: [till], detail-type: [OrderPlaced] }", &when.to_string());
        fs::write(config.publications.join("shop.yaml"), text).unwrap();
        config.patterns = PATTERNS;
    })
    .await;

    let small = gateway.publish(&order("one", 1, Some(4))).await;
    let at_length = gateway.publish(&order("two", 100, Some(3))).await;
    let refused = gateway.send(&order("three", 500, None)).await;
    let media_type = "application/cloudevents+json";
    let path = "/events?manner=asynchronous";
    let aside = gateway.send_text(path, media_type, order("four", 500, None).to_string()).await;

    assert_eq!((small.len(), at_length.len()), (1, 1));
    assert_eq!((refused.status, refused.code()), (422, "undecided"), "{}", refused.body);
    assert_eq!(aside.body["events"][0]["outcome"], "quarantined", "{}", aside.body);
    let kept = gateway.get("/quarantine?kind=event").await["quarantined"].clone();
    assert_eq!(
        (&kept[0]["publication"], kept.as_array().unwrap().len()),
        (&json!("shop/Order.Placed"), 1)
    );
    let tried = gateway
        .send_text("/events?dryRun=true", media_type, order("five", 500, None).to_string())
        .await;
    assert_eq!(tried.body["events"][0]["outcome"], "refused", "{}", tried.body);
}
