//! What the AWS edges cost beside the HTTP ones: the whole gateway, durable and sealed, with events
//! that come by a queue or by `POST /events`, and that go to an event bus or to an HTTP sink.
//!
//! Everything outside of the gateway is in this process, too, on threads of its own; their time is
//! taken off. Prints events per second, CPU time of the gateway per event, and what it wrote to the
//! disk. The gateway finds its credentials where SDKs look; `make bench` gives it some.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]
#![expect(clippy::indexing_slicing, reason = "what is not in an answer shows as null")]

mod gateway;
mod outside;

use std::fs;
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use futures_util::stream::{self, StreamExt as _};
use gateway::BenchGateway;
use outside::Outside;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Events of each line.
const EVENTS: usize = 20_000;
/// Events before the first line: they pay for what is made once.
const WARMING: usize = 1_000;
/// Requests at once of the producer over HTTP.
const CONNECTIONS: usize = 64;

/// An event of the order service, with data of about one KiB.
fn envelope(id: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "OrderCreated", "source": "order-service",
        "account": "111122223333", "time": "2026-11-29T12:00:00Z", "region": "eu-west-1",
        "resources": [], "detail": { "id": 101, "amount": 100, "note": "n".repeat(900) },
    })
}

/// What one line took.
struct Cost {
    events: usize,
    took: Duration,
    gateway: Duration,
    written: u64,
}

impl Cost {
    fn count(&self) -> f64 {
        u32::try_from(self.events).unwrap().into()
    }
}

fn main() {
    assert!(
        std::env::var_os("AWS_ACCESS_KEY_ID").is_some(),
        "no credentials for AWS: run this by `make bench`"
    );
    let mut outside = Outside::start();
    let gateway = BenchGateway::start(&outside.url());
    let mut lines = Vec::new();
    post(&outside, &gateway, "warm", WARMING);
    outside.fill(WARMING);
    outside.wait_for_deleted(WARMING);

    lines.push((
        "in by POST /events, 64 connections",
        measure(EVENTS, || {
            post(&outside, &gateway, "http", EVENTS);
        }),
    ));
    lines.push((
        "in by PutEvents, signed, 64 connections",
        measure(EVENTS, || {
            put(&outside, &gateway);
        }),
    ));
    let deleted = outside.deleted();
    lines.push((
        "in by a queue, 4 pollers",
        measure(EVENTS, || {
            outside.fill(EVENTS);
            outside.wait_for_deleted(deleted + EVENTS);
        }),
    ));
    let backlog = 3 * EVENTS + 2 * WARMING;
    for (name, sink) in [
        ("out to an HTTP sink", json!({ "sink": outside.url() + "/sink" })),
        ("out to an event bus", json!({ "sink": gateway::BUS, "protocol": "EVENTBRIDGE" })),
    ] {
        let subscription = gateway.subscribe(&mut outside, &sink);
        let arrived = outside.arrived();
        lines.push((
            name,
            measure(backlog, || {
                gateway.answer(&outside, &subscription);
                outside.wait_for_arrived(arrived + backlog);
            }),
        ));
        gateway.remove(&outside, &subscription);
    }
    let (inward, outward) = lines.split_at(3);
    print_table(inward);
    print_table(outward);
}

fn post(outside: &Outside, gateway: &BenchGateway, prefix: &str, count: usize) {
    let sent = stream::iter(0..count).map(|number| {
        let body = envelope(&format!("{prefix}-{number}")).to_string();
        async move {
            let answer = gateway.post("/events?manner=asynchronous", body).await;
            assert!(answer.is_success(), "{answer}");
        }
    });
    outside.run(sent.buffer_unordered(CONNECTIONS).for_each(|()| async {}));
}

/// One event in each call, as most producers send them.
fn put(outside: &Outside, gateway: &BenchGateway) {
    let client = gateway.producer();
    let sent = stream::iter(0..EVENTS).map(|number| {
        let detail = json!({ "id": number + 1, "amount": 100, "note": "n".repeat(900) });
        let entry = PutEventsRequestEntry::builder()
            .source("order-service")
            .detail_type("OrderCreated")
            .detail(detail.to_string())
            .build();
        let call = client.put_events().entries(entry).send();
        async move {
            let answer = call.await.unwrap();
            assert_eq!(answer.failed_entry_count(), 0, "{answer:?}");
        }
    });
    outside.run(sent.buffer_unordered(CONNECTIONS).for_each(|()| async {}));
}

fn measure(events: usize, work: impl FnOnce()) -> Cost {
    let (begun, before, written) = (Instant::now(), cpu_of_gateway(), bytes_written());
    work();
    Cost {
        events,
        took: begun.elapsed(),
        gateway: cpu_of_gateway().saturating_sub(before),
        written: bytes_written() - written,
    }
}

/// What this process has had written to disks: only the gateway writes to any.
fn bytes_written() -> u64 {
    let counts = fs::read_to_string("/proc/self/io").unwrap();
    let written = counts.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    written.unwrap().parse().unwrap()
}

/// The CPU time of all threads but those outside of the gateway.
fn cpu_of_gateway() -> Duration {
    let spent = fs::read_dir("/proc/self/task").unwrap().filter_map(|thread| {
        let path = thread.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let spent = fs::read_to_string(path.join("schedstat")).ok()?;
        let is_gateway = !name.starts_with(outside::THREADS) && !name.starts_with("aws");
        is_gateway.then(|| spent.split_whitespace().next()?.parse::<u64>().ok()).flatten()
    });
    Duration::from_nanos(spent.sum())
}

fn print_table(lines: &[(&str, Cost)]) {
    println!(
        "{:<40}{:>8}{:>9}{:>12}{:>13}{:>7}",
        "", "events", "per s", "gateway µs", "KiB written", "ratio"
    );
    let per_event = |cost: &Cost| cost.gateway.as_secs_f64() * 1e6 / cost.count();
    for (name, cost) in lines {
        println!(
            "{name:<40}{:>8}{:>9.0}{:>12.0}{:>13.1}{:>7.2}",
            cost.events,
            cost.count() / cost.took.as_secs_f64(),
            per_event(cost),
            f64::from(u32::try_from(cost.written / 1024).unwrap()) / cost.count(),
            per_event(cost) / per_event(&lines[0].1),
        );
    }
}
