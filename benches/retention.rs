//! What producers feel of retention: the wait of an append while old entries are dropped, against
//! the same load on the same log while nothing is.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sealway::ambient::{Entropy, SeededEntropy, SystemClock, SystemDisk, SystemEntropy, Tasks};
use sealway::event::{ContentDigest, Data, EventSource, EventType, IdempotencyKey, Timestamp};
use sealway::eventlog::{Draft, EventLog, Limits, Position, Retention, SqliteLog};
use sealway::telemetry::Metrics;
use tempfile::TempDir;
use tokio::time::Instant;

/// Entries that are there before anything is measured.
const FILLED: u64 = 300_000;
/// How many of them are dropped while appends go on.
const DROPPED: u64 = 200_000;
/// Single events per second that are appended meanwhile.
const RATE: u32 = 500;
/// The size of the data of an event.
const DATA_BYTES: usize = 1024;

#[tokio::main]
async fn main() {
    let directory = TempDir::new().unwrap();
    let machine =
        (Arc::new(SystemClock) as _, Arc::new(SystemEntropy) as _, Arc::new(SystemDisk) as _);
    let log =
        SqliteLog::open(directory.path(), Limits::default(), machine, &Metrics::new()).unwrap();
    let mut draft = drafts();
    for _ in 0..FILLED / 1000 {
        log.append((0..1000).map(|_| draft()).collect()).await.unwrap();
    }

    let tasks = Tasks::new();
    let begun = Instant::now();
    let trimming = tasks.spawn(drop_old(Arc::clone(&log)));
    let during = appends(&log, &tasks, &mut draft, || trimming.is_finished()).await;
    let (slices, longest) = trimming.await.unwrap();
    let took = begun.elapsed();
    let until = Instant::now() + took.max(Duration::from_secs(5));
    let alone = appends(&log, &tasks, &mut draft, || Instant::now() >= until).await;

    let part = |waits: &[Duration], part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a length is within it"
        )]
        let at = ((waits.len() - 1) as f64 * part) as usize;
        waits.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    println!(
        "{:<34}{:>9}{:>10}{:>10}{:>10}",
        format!("{RATE} appends/s of 1 KiB"),
        "appends",
        "p50 ms",
        "p99 ms",
        "max ms"
    );
    for (name, waits) in [("while nothing is dropped", &alone), ("while old entries go", &during)] {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|at| part(waits, at));
        println!("{name:<34}{:>9}{p50:>10.2}{p99:>10.2}{max:>10.2}", waits.len());
    }
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|at| part(&during, at) / part(&alone, at));
    println!("{:<34}{:>9}{p50:>9.2}x{p99:>9.2}x{max:>9.2}x", "ratio", "");
    println!(
        "{DROPPED} of {FILLED} entries dropped in {:.1} s, {slices} slices, the longest answer {:.1} ms",
        took.as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
    log.close().await.unwrap();
}

/// Drops the oldest entries; says in how many slices, and how long the slowest took with its sync.
async fn drop_old(log: Arc<SqliteLog>) -> (u64, Duration) {
    let retention = Retention { bytes: Some(0), hold: Position(DROPPED), ..Retention::default() };
    let (mut slices, mut longest) = (0, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let trimmed = log.trim(&retention).await.unwrap();
        longest = longest.max(asked.elapsed());
        slices += 1;
        if !trimmed.more {
            return (slices, longest);
        }
    }
}

/// Appends single events at a steady rate, none waiting for another; gives their waits, sorted.
async fn appends(
    log: &Arc<SqliteLog>,
    tasks: &Tasks,
    draft: &mut impl FnMut() -> Draft,
    mut done: impl FnMut() -> bool,
) -> Vec<Duration> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut waiting = Vec::new();
    while !done() {
        let (due, log, draft) = (ticks.tick().await, Arc::clone(log), draft());
        waiting.push(tasks.spawn(async move {
            log.append(vec![draft]).await.unwrap();
            due.elapsed()
        }));
    }
    let mut waits: Vec<_> = join_all(waiting).await.into_iter().map(Result::unwrap).collect();
    waits.sort_unstable();
    waits
}

/// Makes drafts with distinct content, cheaply.
fn drafts() -> impl FnMut() -> Draft {
    let dice = SeededEntropy::new(1);
    let source = EventSource::new("/payments").unwrap();
    let event_type = EventType::new("Payment.Authorised").unwrap();
    let (publication, envelope_id) = (Arc::from("payments/Payment.Authorised"), Arc::from("e-1"));
    let data = Data::from_text(format!("{{\"text\":\"{}\"}}", "x".repeat(DATA_BYTES - 11)));
    move || {
        let mut bytes = [0; 48];
        dice.fill(&mut bytes);
        let (key, digest) = bytes.split_first_chunk::<16>().unwrap();
        Draft {
            source: source.clone(),
            event_type: event_type.clone(),
            subject: None,
            time: Timestamp::EPOCH,
            dataschema: None,
            idempotency_key: IdempotencyKey::from_bytes(*key),
            digest: ContentDigest::from_bytes(digest.try_into().unwrap()),
            trace: None,
            data: data.clone(),
            publication: Arc::clone(&publication),
            envelope_id: Arc::clone(&envelope_id),
            origin: None,
            deduplicate: None,
            observed: None,
        }
    }
}
