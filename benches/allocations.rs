//! How often and how much the gateway allocates for an event, with bounds: `cargo test` fails where it
//! grows.
//!
//! The whole gateway runs in this process, and an event of 1 KiB comes in and goes out over loopback.
//! Its producer and its sinks allocate nothing, so that every allocation is the gateway's. An allocation
//! that is moved to another size counts as one more.
//!
//! `cargo bench --bench allocations`. With `PLACES=file` it also writes where they are made, which
//! the viewer of DHAT shows.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]
#![expect(clippy::indexing_slicing, reason = "a benchmark that cannot run has nothing to say")]

#[expect(dead_code, unused_imports, reason = "another benchmark needs more of it")]
mod whole;

use std::process::ExitCode;
use std::sync::Arc;

use dhat::{HeapStats, Profiler};
use sealway::ambient::{ManualDisk, Tasks};
use sealway::api::Scope;
use sealway::config;
use sealway::gateway::{Machine, build};
use tokio::runtime::Runtime;
use whole::{CountingSink, Ground, Operator, Producer};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

/// Events that are sent before anything is counted, so that buffers have their size.
const WARM_UP: u64 = 60;
/// Events that are counted.
const COUNTED_EVENTS: u64 = 200;
/// To how many consumers an event goes in the end.
const FAN_OUT: u64 = 5;

/// What may be allocated, for one event or for one delivery.
struct Bound {
    what: &'static str,
    allocations: f64,
    bytes: f64,
}

/// From the bytes of a request to its answer, durable.
const WAY_IN: Bound = Bound { what: "way in, per event", allocations: 375.0, bytes: 55_000.0 };
/// From an entry of the log to what is recorded of its delivery.
const DELIVERY: Bound = Bound { what: "way out, per delivery", allocations: 85.0, bytes: 45_000.0 };

/// What was allocated for each of some events.
#[derive(Clone, Copy)]
struct Count {
    allocations: f64,
    bytes: f64,
}

fn main() -> ExitCode {
    let places = std::env::vars_os().find(|(name, _)| name == "PLACES").map(|(_, path)| path);
    let profiler = match &places {
        Some(path) => Profiler::builder().file_name(path).trim_backtraces(Some(40)).build(),
        None => Profiler::builder().testing().trim_backtraces(Some(4)).build(),
    };
    let ground = Ground::prepare();
    let (runtime, key) = start(&ground);
    let operator = Operator::of(&ground, &key);
    operator.wait_until_ready();
    let mut load = Load { producer: Producer::connect(&ground, &key), sent: 0, sinks: Vec::new() };

    load.send(WARM_UP);
    let way_in = load.counted();
    let subscribe = |load: &mut Load| {
        let sink = CountingSink::start();
        operator.subscribe(&format!("consumer-{}", load.sinks.len()), &sink);
        load.sinks.push((sink, load.sent));
    };
    subscribe(&mut load);
    load.send(WARM_UP);
    let one = load.counted();
    while (load.sinks.len() as u64) < FAN_OUT {
        subscribe(&mut load);
    }
    load.send(WARM_UP);
    let all = load.counted();
    let delivery = all.less(one).per(FAN_OUT - 1);

    println!("{:<28}{:>14}{:>14}", "1 KiB events", "allocations", "bytes");
    let first = Bound { what: "way out, first delivery", ..DELIVERY };
    for (bound, count) in [(&WAY_IN, way_in), (&first, one.less(way_in)), (&DELIVERY, delivery)] {
        println!("{:<28}{:>14.1}{:>14.0}", bound.what, count.allocations, count.bytes);
    }
    drop(profiler);
    drop(runtime);
    let kept = [WAY_IN.holds(way_in), DELIVERY.holds(delivery)];
    if kept == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A gateway on threads of its own, and the key of its administrator.
fn start(ground: &Ground) -> (Runtime, String) {
    let config = config::load(&ground.settings()).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let key = runtime.block_on(async {
        let machine = Machine { disk: Arc::new(ManualDisk::empty()), ..Machine::default() };
        let entropy = Arc::clone(&machine.entropy);
        let stop = machine.tasks.stopping().clone().cancelled_owned();
        let gateway = build(config, machine).await.unwrap();
        let callers = Arc::clone(&gateway.services().callers);
        let key = callers.add(&"bench".parse().unwrap(), vec![Scope::Admin], &*entropy).await;
        Tasks::new().spawn(gateway.run(stop));
        key.unwrap().expose().to_owned()
    });
    (runtime, key)
}

/// Events on their way, one at a time.
struct Load {
    producer: Producer,
    sent: u64,
    /// Each with how many events had been sent before it was there.
    sinks: Vec<(CountingSink, u64)>,
}

impl Load {
    /// Sends so many events, each once the one before it has arrived everywhere.
    fn send(&mut self, events: u64) {
        for _ in 0..events {
            self.sent += 1;
            assert_eq!(self.producer.post(self.sent), 202);
            for (sink, before) in &self.sinks {
                sink.wait_for(self.sent - before);
            }
        }
    }

    fn counted(&mut self) -> Count {
        let before = HeapStats::get();
        self.send(COUNTED_EVENTS);
        let after = HeapStats::get();
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
        let count = |after: u64, before: u64| (after - before) as f64;
        let total = Count {
            allocations: count(after.total_blocks, before.total_blocks),
            bytes: count(after.total_bytes, before.total_bytes),
        };
        total.per(COUNTED_EVENTS)
    }
}

impl Count {
    fn less(self, other: Self) -> Self {
        let (allocations, bytes) = (self.allocations - other.allocations, self.bytes - other.bytes);
        Self { allocations, bytes }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    fn per(self, events: u64) -> Self {
        let events = events as f64;
        Self { allocations: self.allocations / events, bytes: self.bytes / events }
    }
}

impl Bound {
    fn holds(&self, count: Count) -> bool {
        let holds = count.allocations <= self.allocations && count.bytes <= self.bytes;
        if !holds {
            let Self { what, allocations, bytes } = self;
            println!("{what}: over the bound of {allocations} allocations and {bytes} bytes");
        }
        holds
    }
}
