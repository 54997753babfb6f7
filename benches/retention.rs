//! What producers feel of the log's upkeep: the wait of an append while old entries are dropped, and
//! while a backup is made, against the same load on the same log while nothing else is done.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sealway::ambient::{Entropy, SeededEntropy, SystemClock, SystemDisk, SystemEntropy, Tasks};
use sealway::event::{ContentDigest, Data, EventSource, EventType, IdempotencyKey, Timestamp};
use sealway::eventlog::{
    Draft, Log, LogLimits, Position, Protection, Retention, SqliteLog, Tailed, Trimmed, back_up,
};
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
    let limits = LogLimits::default();
    let log = SqliteLog::open(directory.path(), limits, machine, &Metrics::new()).unwrap();
    let log: Arc<dyn Log> = Tailed::over(log, limits.tail_bytes);
    let mut draft = drafts();
    for _ in 0..FILLED / 1000 {
        log.append((0..1000).map(|_| draft()).collect()).await.unwrap();
    }

    let tasks = Tasks::new();
    let for_seconds = |seconds| {
        let until = Instant::now() + Duration::from_secs(seconds);
        move || Instant::now() >= until
    };
    // What filling has left to the disk is written before anything is measured.
    appends(&log, &tasks, &mut draft, for_seconds(4)).await;
    let alone = appends(&log, &tasks, &mut draft, for_seconds(8)).await;
    let begun = Instant::now();
    let trimming = tasks.spawn(drop_old(Arc::clone(&log)));
    let dropping = appends(&log, &tasks, &mut draft, || trimming.is_finished()).await;
    let (slices, longest) = trimming.await.unwrap();
    let dropped_in = begun.elapsed();
    let begun = Instant::now();
    let (place, copy) = (directory.path().to_owned(), directory.path().join("copy.db"));
    let copying =
        tokio::task::spawn_blocking(move || back_up(&place, &copy, |_, _| {}).map(|()| copy));
    let copying_while = appends(&log, &tasks, &mut draft, || copying.is_finished()).await;
    let copy = copying.await.unwrap().unwrap();
    let copied_in = begun.elapsed();

    println!(
        "{:<34}{:>9}{:>10}{:>10}{:>10}",
        format!("{RATE} appends/s of 1 KiB"),
        "appends",
        "p50 ms",
        "p99 ms",
        "max ms"
    );
    print_waits("while nothing else is done", &alone, None);
    print_waits("while old entries go", &dropping, Some(&alone));
    print_waits("while a backup is made", &copying_while, Some(&alone));
    println!(
        "{DROPPED} of {FILLED} entries dropped in {:.1} s, {slices} slices, the longest answer {:.1} ms",
        dropped_in.as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
    println!(
        "{} MiB copied in {:.1} s",
        copy.metadata().unwrap().len() >> 20,
        copied_in.as_secs_f64()
    );
    log.close().await.unwrap();
}

/// Prints how long appends waited and, on the next line, how many times as long as others did.
fn print_waits(name: &str, waits: &[Duration], others: Option<&[Duration]>) {
    let part = |waits: &[Duration], part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a length is within it"
        )]
        let at = (waits.len().saturating_sub(1) as f64 * part) as usize;
        waits.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    };
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|at| part(waits, at));
    println!("{name:<34}{:>9}{p50:>10.2}{p99:>10.2}{max:>10.2}", waits.len());
    if let Some(others) = others {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|at| part(waits, at) / part(others, at));
        println!("{:<34}{:>9}{p50:>9.2}x{p99:>9.2}x{max:>9.2}x", "  ratio", "");
    }
}

/// Drops the oldest entries as the gateway does; says in how many slices, and how long the slowest took with its sync.
async fn drop_old(log: Arc<dyn Log>) -> (u64, Duration) {
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
        tokio::time::sleep(Trimmed::PAUSE).await;
    }
}

/// Appends single events at a steady rate, none waiting for another; gives their waits, sorted.
async fn appends(
    log: &Arc<dyn Log>,
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
    let entropy = SeededEntropy::new(1);
    let source = EventSource::new("/payments").unwrap();
    let event_type = EventType::new("Payment.Authorised").unwrap();
    let (publication, envelope_id) = (Arc::from("payments/Payment.Authorised"), Arc::from("e-1"));
    let data = Data::from_text(format!("{{\"text\":\"{}\"}}", "x".repeat(DATA_BYTES - 11)));
    move || {
        let mut bytes = [0; 48];
        entropy.fill(&mut bytes);
        let (key, digest) = bytes.split_first_chunk::<16>().unwrap();
        Draft {
            source: source.clone(),
            event_type: event_type.clone(),
            subject: None,
            time: Timestamp::EPOCH.into(),
            dataschema: None,
            idempotency_key: IdempotencyKey::from_bytes(*key),
            digest: ContentDigest::from_bytes(digest.try_into().unwrap()),
            trace: None,
            context: None,
            data: data.clone(),
            publication: Arc::clone(&publication),
            envelope_id: Arc::clone(&envelope_id),
            origin: None,
            deduplicate: None,
            observed: None,
            protection: Protection::default(),
        }
    }
}
