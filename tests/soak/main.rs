//! A bounded mixed load on the real program, with a restart and a kill in the middle; prints figures
//! and fails when anything that was acknowledged is lost.
//!
//! `MINUTES` says how long (a fraction is allowed), `RATE` how many events per second.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks to whoever runs it, and says what is wrong by panicking"
)]

#[expect(dead_code, reason = "only its chain is recomputed here")]
#[path = "../it/consumer_in_rust.rs"]
mod consumer_in_rust;
#[expect(dead_code, unused_imports, reason = "the promises need more of it than this load")]
#[path = "../it/harness/mod.rs"]
mod harness;

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use harness::{Activity, Load, PROMPT_RETRIES, Process, number_from_environment};
use sealway::event::EventId;

const PRODUCERS: u64 = 4;
/// The log that is kept; retention drops what is older and settled.
const LOG: &str = "size: 16 MiB";

/// What the process has used, over all its lives.
#[derive(Default)]
struct Usage {
    ended: Duration,
}

impl Usage {
    /// Notes what a process has used that is about to end.
    fn end(&mut self, gateway: &Process) {
        self.ended += cpu(gateway.id());
    }
}

/// The processor time of a process (proc(5), `stat`; the kernel counts in hundredths).
fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(12) + ticks(13)))
}

/// The resident memory of a process in KiB.
fn memory(gateway: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// The files of the log and their sizes in KiB.
fn files(gateway: &Process) -> String {
    let files = fs::read_dir(gateway.directory().join("data")).unwrap().map(Result::unwrap);
    let shown = files.map(|file| {
        let size = file.metadata().map_or(0, |metadata| metadata.len() / 1024);
        format!("{} {size} KiB", file.file_name().to_string_lossy())
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown.join(", ")
}

/// How long events took from their acknowledgement to their first arrival at a consumer, sorted.
fn latencies(load: &Load, consumer: usize) -> Vec<Duration> {
    let mut first: HashMap<EventId, Instant> = HashMap::new();
    for seen in load.consumers[consumer].seen.iter().filter(|seen| seen.link.is_some()) {
        let known = first.entry(seen.id).or_insert(seen.at);
        *known = seen.at.min(*known);
    }
    let promised = load.produced.promised.iter();
    let took = promised
        .filter_map(|(id, promise)| Some(first.get(id)?.saturating_duration_since(promise.at)));
    let mut took: Vec<_> = took.collect();
    took.sort_unstable();
    took
}

/// The value below which so many percent lie.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn minutes() -> f64 {
    let given = std::env::vars_os().find(|(name, _)| name == "MINUTES");
    given.map_or(10.0, |(_, text)| text.to_str().and_then(|text| text.parse().ok()).unwrap())
}

async fn prepare() -> (Process, Load) {
    let mut gateway = Process::prepare_with(PROMPT_RETRIES).keeping(LOG);
    let mut load = Load::on(&gateway).await;
    load.rest = Duration::from_secs(3);
    gateway.serve().await;
    load.subscribe_all().await;
    (gateway, load)
}

/// Takes down what arrives until a moment.
async fn collect_until(end: Instant, load: &mut Load) {
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(500)).await;
        load.collect().await;
    }
}

fn report(load: &Load, faults: &[String]) {
    let produced = &load.produced;
    println!(
        "accepted {}, refused {:?}, without an answer {}",
        produced.promised.len(),
        produced.refused,
        produced.unanswered
    );
    for (number, consumer) in load.consumers.iter().enumerate() {
        let taken = consumer.taken();
        let lost = produced.promised.keys().filter(|id| !taken.contains_key(id)).count();
        let live = consumer.seen.iter().filter(|seen| seen.taken.is_some() && seen.link.is_some());
        let replayed = consumer.seen.iter().filter(|seen| seen.link.is_none()).count();
        let took = latencies(load, number);
        println!(
            "{}: delivered {}, repeated {}, replayed {replayed}, lost {lost}; accepted to arrival \
             p50 {:?}, p99 {:?}",
            consumer.receiver.name(),
            taken.len(),
            live.count().saturating_sub(taken.len()),
            percentile(&took, 50),
            percentile(&took, 99),
        );
    }
    println!("faults {}", faults.len());
    for fault in faults {
        println!("  {fault}");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let span = Duration::from_secs_f64(minutes() * 60.0);
    let rate = number_from_environment("RATE", 40);
    println!("{span:?} of mixed load at {rate} events per second");
    let (mut gateway, mut load) = prepare().await;
    let (begun, mut usage) = (Instant::now(), Usage::default());
    println!("memory at the start {} KiB", memory(&gateway));

    // Producers go on whether there is a gateway or not.
    let pause = Duration::from_millis(PRODUCERS * 1000 / rate.max(1));
    let working = load.work(usize::try_from(PRODUCERS).unwrap(), pause, &Activity::ALL);
    collect_until(begun + span / 3, &mut load).await;
    println!("memory when warm, after a third, {} KiB; {}", memory(&gateway), files(&gateway));
    usage.end(&gateway);
    let status = gateway.stop().await;
    println!("stopped: {status}");
    gateway.serve().await;
    collect_until(begun + span * 2 / 3, &mut load).await;
    println!("memory after two thirds {} KiB; {}", memory(&gateway), files(&gateway));
    usage.end(&gateway);
    gateway.kill();
    println!("killed");
    gateway.serve().await;
    println!("memory after the kill {} KiB", memory(&gateway));
    collect_until(begun + span, &mut load).await;
    let produced = working.end().await;
    load.add(produced);

    println!("memory at the end {} KiB; {}", memory(&gateway), files(&gateway));
    let letters = load.caller.get("/subscriptions/failing/dead-letters?limit=1000").await;
    let letters = letters.and_then(|listed| listed["deadLetters"].as_array().map(Vec::len));
    println!("dead letters of the failing sink at the end {letters:?}, all redriven now");
    load.settle().await;
    let faults = load.faults().await;
    usage.end(&gateway);
    println!("processor time {:?} in {:?}", usage.ended, begun.elapsed());
    report(&load, &faults);
    let stopped = gateway.stop().await;
    if faults.is_empty() && stopped.success() && !load.produced.promised.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
