//! All subscriptions at once against a loop over them, at 1 to 10,000 subscriptions.
//!
//! `cargo bench --bench matching`. The loop asks each compiled filter about an event that is
//! prepared once, so it is the fair rival of the index. The run ends with status 1 if the index is
//! less than 5 times as quick as the loop at 1,000 filters of any kind, or clearly slower at one.
#![expect(clippy::print_stdout, reason = "a benchmark reports to a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark ends when its set-up is wrong")]
#![expect(clippy::indexing_slicing, reason = "a benchmark ends when its set-up is wrong")]

mod measuring;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use measuring::Rounds;
use sealway::ambient::{Entropy, SeededEntropy};
use sealway::route::{EventTree, Filter, MatchOutcome, Table};
use serde_json::{Value, json};

/// How long each round of a measurement lasts at least.
const ROUNDS: Rounds = Rounds { count: 7, length: Duration::from_millis(30) };
const EVENTS: usize = 200;
/// How much quicker than the loop the index is at 1,000 filters, and how much slower it may be at 1.
const LEAST_GAIN_AT_1000: f64 = 5.0;
const LEAST_GAIN_AT_1: f64 = 0.9;

struct Random(SeededEntropy);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn pick(&self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap()]
    }

    fn tenant(&self) -> String {
        format!("tenant-{:04}", self.below(1000))
    }
}

const ENTITIES: &[&str] = &[
    "Order", "Payment", "Invoice", "Customer", "Shipment", "Refund", "Policy", "Claim", "Account",
    "Card",
];
const VERBS: &[&str] = &["Created", "Changed", "Cancelled", "Authorised", "Completed", "Failed"];
const STATES: &[&str] = &["open", "paid", "failed", "refunded", "pending", "closed"];
const COUNTRIES: &[&str] = &["NL", "DE", "FR", "BE", "ES", "IT", "PL", "SE"];

/// A `CloudEvent` of about 900 bytes.
fn event(entropy: &Random) -> Value {
    let kind = format!("{}.{}", entropy.pick(ENTITIES), entropy.pick(VERBS));
    let line = || {
        let sku = format!("SKU-{:05}", entropy.below(5000));
        json!({"sku": sku, "quantity": entropy.below(9), "price": entropy.below(9000)})
    };
    json!({
        "specversion": "1.0", "id": "01KAMXP3V8S0W6Q1N4Z7T2C5RD", "source": "/commerce",
        "type": kind, "subject": kind, "time": "2026-11-21T20:17:00Z",
        "datacontenttype": "application/json", "idempotencykey": "0800fc577294c34e0b28ad2839435945",
        "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "data": {
            "tenant": entropy.tenant(), "status": entropy.pick(STATES), "amount": entropy.below(100_000),
            "currency": "EUR", "country": entropy.pick(COUNTRIES), "test": entropy.below(10) == 0,
            "ip": format!("10.{}.{}.{}", entropy.below(256), entropy.below(256), entropy.below(256)),
            "customer": {
                "id": format!("c-{:05}", entropy.below(20_000)),
                "email": format!("user{}@example.org", entropy.below(900)),
                "name": "A. Customer",
                "address": {"street": "Long Street 12", "zip": "1011AB", "city": "Amsterdam"},
            },
            "lines": [line(), line(), line()],
            "notes": "leave at the door of the neighbor", "channel": "Ecom",
        },
    })
}

/// One of every operator that selects, on different fields.
fn mixed_pattern(entropy: &Random) -> Value {
    let data = |value: Value| json!({"data": value});
    let email = |value: Value| json!({"data": {"customer": {"email": [value]}}});
    match entropy.below(8) {
        0 => data(json!({"tenant": [{"prefix": format!("tenant-{:03}", entropy.below(100))}]})),
        1 => email(json!({"suffix": format!("r{}@example.org", entropy.below(900))})),
        2 => email(json!({"wildcard": format!("user{}*org", entropy.below(900))})),
        3 => {
            let low = entropy.below(100_000);
            data(json!({"amount": [{"numeric": [">=", low, "<", low + 500]}]}))
        }
        4 => data(json!({
            "tenant": [{"equals-ignore-case": entropy.tenant().to_uppercase()}],
            "status": [{"anything-but": ["open", "failed"]}],
        })),
        5 => {
            let block = format!("10.{}.{}.0/24", entropy.below(256), entropy.below(256));
            data(json!({"ip": [{"cidr": block}]}))
        }
        6 => data(json!({"tenant": [entropy.tenant()], "coupon": [{"exists": false}]})),
        _ => data(json!({
            "tenant": [entropy.tenant()],
            "$or": [{"status": ["failed"]}, {"amount": [{"numeric": [">", 90_000]}]}],
        })),
    }
}

/// What one subscription of a kind asks for.
fn pattern(kind: &str, entropy: &Random) -> Value {
    let event = || format!("{}.{}", entropy.pick(ENTITIES), entropy.pick(VERBS));
    let customer = |value: Value| json!({"data": {"customer": value}});
    match kind {
        "exact" => customer(json!({"id": [format!("c-{:05}", entropy.below(20_000))]})),
        "mixed" => mixed_pattern(entropy),
        // Subscriptions as domains write them: a type, whose tenant, and further conditions.
        _ => {
            let mut wish = json!({"type": [event()], "data": {"tenant": [entropy.tenant()]}});
            match entropy.below(6) {
                0 => wish["data"]["status"] = json!([entropy.pick(STATES), entropy.pick(STATES)]),
                1 => {
                    wish["data"]["amount"] = json!([{"numeric": [">", entropy.below(90_000)]}]);
                }
                2 => {
                    let block = format!("10.{}.0.0/16", entropy.below(256));
                    wish["data"]["ip"] = json!([{"cidr": block}]);
                }
                3 => {
                    let sku = format!("SKU-{:05}", entropy.below(5000));
                    wish["data"] = json!({
                        "lines": {"sku": [sku], "quantity": [{"numeric": [">", 2]}]},
                    });
                }
                4 => {
                    wish = json!({
                        "type": [{"prefix": format!("{}.", entropy.pick(ENTITIES))}],
                        "data": {
                            "country": [entropy.pick(COUNTRIES)], "test": [false],
                            "amount": [{"numeric": [">", 99_000]}],
                        },
                    });
                }
                _ => {}
            }
            wish
        }
    }
}

fn once<T>(call: impl FnOnce() -> T) -> (T, f64) {
    let start = WallTime.start();
    let value = call();
    (value, WallTime.end(start).as_secs_f64() * 1e9)
}

/// Measures one kind and number of filters; gives the gain over the loop.
fn compare(kind: &str, count: u32, events: &[Value]) -> f64 {
    let entropy = Random(SeededEntropy::new(u64::from(count) + 1));
    let filters: Vec<(u32, Arc<Filter>)> = (0..count)
        .map(|n| {
            (n, Arc::new(Filter::new(&[], &[json!({"pattern": pattern(kind, &entropy)})]).unwrap()))
        })
        .collect();
    let (table, built) = once(|| filters.iter().cloned().collect::<Table<u32>>());
    let (one_by_one, inserted) = once(|| {
        let table = Table::new();
        for (key, filter) in &filters {
            table.insert(*key, Arc::clone(filter));
        }
        table
    });
    let by_loop = |event: &Value| -> Vec<u32> {
        let tree = EventTree::of(event);
        filters.iter().filter(|(_, f)| f.matches_tree(&tree)).map(|(key, _)| *key).collect()
    };
    let mut matches = 0;
    for event in events {
        let found = table.matches(event);
        assert_eq!(found, by_loop(event), "the index and the loop disagree");
        assert_eq!(found, one_by_one.matches(event), "insertion order matters");
        matches += found.len();
    }
    let mut next = events.iter().cycle();
    let index = ROUNDS.cost_of(|| table.matches(next.next().unwrap()));
    let mut next = events.iter().cycle();
    let looped = ROUNDS.cost_of(|| by_loop(next.next().unwrap()));
    let each = f64::from(count);
    println!(
        "{kind:<8} {count:>6}   loop {looped:>11.0} ns   index {index:>8.0} ns   gain {:>6.1} ×   \
         matches {:>6.2}   build {:>6.0} ns   insert {:>7.0} ns",
        looped / index,
        f64::from(u32::try_from(matches).unwrap())
            / f64::from(u32::try_from(events.len()).unwrap()),
        built / each,
        inserted / each,
    );
    looped / index
}

/// What a step of an expensive filter costs, and the whole of one whose combinations have much in
/// common.
fn price_steps() {
    const STEPS: u64 = 1_000_000;
    let list = || (0..10).map(|n| json!({"c": [n]})).collect::<Value>();
    let within = json!({"a": {"$or": list(), "x": {"$or": list()}, "y": {"$or": list()}}});
    let item = json!({"c": 0, "x": {"c": 0}, "y": {"c": -1}});
    let event = json!({"a": vec![item; 8_000]});
    let filter = Filter::new(&[], &[json!({ "pattern": within })]).unwrap();
    let tree = EventTree::of(&event);
    assert_eq!(filter.decide(&tree, STEPS), MatchOutcome::Undecided);
    let each = ROUNDS.cost_of(|| filter.decide(&tree, STEPS)) / 1e6;
    let absent: serde_json::Map<String, Value> =
        (0..120).map(|n| (n.to_string(), json!([{"exists": false}]))).collect();
    let shared =
        json!({"b": ["z"], "a": absent, "$or": list(), "x": {"$or": list()}, "y": {"$or": list()}});
    let event =
        json!({"b": "z", "a": vec![json!({}); 8_000], "c": -1, "x": {"c": -1}, "y": {"c": -1}});
    let filter = Filter::new(&[], &[json!({ "pattern": shared })]).unwrap();
    let whole = ROUNDS.cost_of(|| filter.decide(&EventTree::of(&event), u64::MAX));
    println!("a step of an expensive filter: {each:.1} ns");
    println!("a thousand combinations of 124 fields over 8,000 items: {:.2} ms\n", whole / 1e6);
}

fn main() -> ExitCode {
    let entropy = Random(SeededEntropy::new(7));
    let events: Vec<Value> = (0..EVENTS).map(|_| event(&entropy)).collect();
    let parsed =
        ROUNDS.cost_of(|| serde_json::from_str::<Value>(&black_box(events[0].to_string())));
    println!(
        "{EVENTS} events of about {} bytes; to write and parse one takes {parsed:.0} ns",
        events[0].to_string().len()
    );
    price_steps();
    println!("matches: filters satisfied by an event on average; build, insert: per filter\n");
    let mut kept = true;
    for kind in ["exact", "mixed", "domain"] {
        for count in [1, 10, 100, 1_000, 10_000] {
            let gain = compare(kind, count, &events);
            let least = match count {
                1 => LEAST_GAIN_AT_1,
                1_000 => LEAST_GAIN_AT_1000,
                _ => 0.0,
            };
            if gain < least {
                println!("         the gain must be at least {least} ×");
                kept = false;
            }
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
