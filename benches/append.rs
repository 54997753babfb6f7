//! What it costs to make events durable, by batch size and number of producers, as ratios to a
//! plain SQLite loop that inserts one event per transaction.
//!
//! CPU is that of all threads of this process, producers included, as Linux counts it; elsewhere
//! the column is empty.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::{Connection, params};
use sealway::ambient::{Entropy, SeededEntropy, SystemClock, SystemDisk, SystemEntropy, Tasks};
use sealway::event::{
    ContentDigest, Data, EventId, EventSource, EventType, IdempotencyKey, Salt, Subject, Timestamp,
};
use sealway::eventlog::{
    Draft, Entry, Log, LogLimits, Origin, Position, Protection, SqliteLog, Tailed,
};
use sealway::telemetry::Metrics;
use tempfile::TempDir;
use tokio::time::Instant;

/// The size of the data of an event.
const DATA_BYTES: usize = 1024;

/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(3);

/// One measured row.
struct Row {
    name: String,
    events: u64,
    syncs: u64,
    wall: Duration,
    cpu: Option<Duration>,
    /// Sorted spans from asking to answer.
    waits: Vec<Duration>,
}

#[tokio::main]
async fn main() {
    let plain = plain_loop();
    let mut rows = Vec::new();
    for (batch, producers) in [(1, 1), (1, 16), (1, 128), (16, 1), (16, 16), (128, 1), (128, 16)] {
        rows.push(log(batch, producers).await);
    }
    rows.push(paced(500).await);

    let mut table = format!(
        "{:<28}{:>10}{:>14}{:>13}{:>10}{:>10}{:>13}{:>12}\n",
        "1 KiB events",
        "events/s",
        "CPU us/event",
        "events/sync",
        "p50 ms",
        "p99 ms",
        "rate ratio",
        "CPU ratio"
    );
    for row in std::iter::once(&plain).chain(&rows) {
        row.print(&plain, &mut table);
    }
    println!("{table}");
    written().await;
    println!("{:.2} us of it for the salt and the digest under it", digest_cost());
    println!("ratios: against the plain loop; higher is better for the rate, lower for the CPU");
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
    fn print(&self, plain: &Self, table: &mut String) {
        let rate = |row: &Self| row.events as f64 / row.wall.as_secs_f64();
        let cpu = |row: &Self| row.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / row.events as f64);
        let wait = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of a length is within it"
            )]
            let at = (self.waits.len() as f64 * part) as usize;
            self.waits.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
        };
        let per_sync = self.events as f64 / self.syncs.max(1) as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{:<28}{:>10.0}{:>14.1}{:>13.1}{:>10.2}{:>10.2}{:>12.2}x{:>11.2}x",
            self.name,
            rate(self),
            cpu(self).unwrap_or(f64::NAN),
            per_sync,
            wait(0.5),
            wait(0.99),
            rate(self) / rate(plain),
            cpu(self).zip(cpu(plain)).map_or(f64::NAN, |(own, plain)| own / plain),
        );
    }
}

/// Inserts one event per transaction, with the same settings and one table.
fn plain_loop() -> Row {
    let directory = TempDir::new().unwrap();
    let connection = Connection::open(directory.path().join("plain.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE events (position INTEGER PRIMARY KEY, id BLOB UNIQUE, data TEXT);",
        )
        .unwrap();
    let (text, entropy) = (data(), SeededEntropy::new(1));
    let (begun, cpu) = (Instant::now(), cpu());
    let mut waits = Vec::new();
    while begun.elapsed() < SPAN {
        let asked = Instant::now();
        connection
            .prepare_cached("INSERT INTO events (id, data) VALUES (?, ?)")
            .unwrap()
            .execute(params![entropy.next_u128().to_be_bytes(), text])
            .unwrap();
        waits.push(asked.elapsed());
    }
    let events = waits.len() as u64;
    finish("plain loop, 1 per sync".to_owned(), events, events, begun, cpu, waits)
}

/// Appends batches from some producers at once, each waiting for its answer.
async fn log(batch: usize, producers: u64) -> Row {
    let (directory, metrics) = (TempDir::new().unwrap(), Metrics::new());
    let log = open(&directory, &metrics);
    let events = Arc::new(AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), cpu());
    let producer = |seed: u64| {
        let (log, events) = (Arc::clone(&log), Arc::clone(&events));
        async move {
            let mut draft = drafts(seed);
            let mut waits = Vec::new();
            while begun.elapsed() < SPAN {
                let drafts = (0..batch).map(|_| draft()).collect();
                let asked = Instant::now();
                log.append(drafts).await.unwrap();
                waits.push(asked.elapsed());
                events.fetch_add(batch as u64, Relaxed);
            }
            waits
        }
    };
    let waits = join_all((0..producers).map(producer)).await.into_iter().flatten().collect();
    let name = format!("{producers} x batch of {batch}");
    let row = finish(name, events.load(Relaxed), syncs(&metrics), begun, cpu, waits);
    log.close().await.unwrap();
    row
}

/// Prints what goes to the disk for each of many events in groups, as a ratio to one plain table with the
/// same columns. The log has three orders of keys to keep beside it.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
async fn written() {
    const EVENTS: usize = 200_000;
    const GROUP: usize = 64;
    let Some(before) = written_bytes() else { return };
    plain_groups(EVENTS, GROUP);
    let plain = written_bytes().unwrap_or(before) - before;
    let before = plain + before;
    let (directory, metrics) = (TempDir::new().unwrap(), Metrics::new());
    let log = open(&directory, &metrics);
    let mut draft = drafts(7);
    for _ in 0..EVENTS / GROUP {
        log.append((0..GROUP).map(|_| draft()).collect()).await.unwrap();
    }
    log.close().await.unwrap();
    let own = written_bytes().unwrap_or(before) - before;
    let each = |bytes: u64| bytes as f64 / EVENTS as f64 / 1024.0;
    println!(
        "{EVENTS} events in groups of {GROUP}: {:.1} KiB written for each, {:.1} KiB by one plain table: {:.2}x\n",
        each(own),
        each(plain),
        own as f64 / plain as f64,
    );
}

/// Inserts events in groups into one table with the columns of the log.
fn plain_groups(events: usize, group: usize) {
    let directory = TempDir::new().unwrap();
    let mut connection = Connection::open(directory.path().join("plain.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 2048;
             CREATE TABLE events (position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,
               source TEXT, type TEXT, subject TEXT, time INTEGER, idempotency_key BLOB,
               digest BLOB, data TEXT, accepted INTEGER, publication TEXT, envelope_id TEXT);",
        )
        .unwrap();
    let mut draft = drafts(7);
    for number in 0..events / group {
        let transaction = connection.transaction().unwrap();
        for at in 0..group {
            let (draft, position) = (draft(), (number * group + at) as u64);
            transaction
                .prepare_cached(
                    "INSERT INTO events (id, source, type, subject, time, idempotency_key, digest,
                       data, accepted, publication, envelope_id)
                     VALUES (?, ?, ?, ?, 0, ?, ?, ?, 0, ?, ?)",
                )
                .unwrap()
                .execute(params![
                    EventId::first_of(position).to_bytes(),
                    draft.source.as_str(),
                    draft.event_type.as_str(),
                    draft.subject.as_ref().map(Subject::as_str),
                    draft.idempotency_key.to_bytes(),
                    [draft.digest.to_bytes(), draft.digest.to_bytes()].concat().get(..48),
                    draft.data.text(),
                    draft.publication,
                    draft.envelope_id,
                ])
                .unwrap();
        }
        transaction.commit().unwrap();
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// What this process has written to files, as Linux counts it.
fn written_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Appends single events at a steady rate, as many quiet producers do, none waiting for another.
async fn paced(rate: u32) -> Row {
    let (directory, metrics) = (TempDir::new().unwrap(), Metrics::new());
    let log = open(&directory, &metrics);
    let mut draft = drafts(1);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let tasks = Tasks::new();
    let (begun, cpu) = (Instant::now(), cpu());
    let mut appends = Vec::new();
    while begun.elapsed() < 4 * SPAN {
        let (due, log, draft) = (ticks.tick().await, Arc::clone(&log), draft());
        appends.push(tasks.spawn(async move {
            log.append(vec![draft]).await.unwrap();
            due.elapsed()
        }));
    }
    let waits: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    let name = format!("{rate} per second, from due");
    let row = finish(name, waits.len() as u64, syncs(&metrics), begun, cpu, waits);
    log.close().await.unwrap();
    row
}

fn finish(
    name: String,
    events: u64,
    syncs: u64,
    begun: Instant,
    cpu_before: Option<Duration>,
    mut waits: Vec<Duration>,
) -> Row {
    let (wall, cpu) = (begun.elapsed(), cpu());
    let cpu = cpu.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    waits.sort_unstable();
    Row { name, events, syncs, wall, cpu, waits }
}

fn open(directory: &TempDir, metrics: &Metrics) -> Arc<dyn Log> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let machine = (clock as _, entropy as _, Arc::new(SystemDisk) as _);
    let log = SqliteLog::open(directory.path(), LogLimits::default(), machine, metrics).unwrap();
    Tailed::over(log, LogLimits::default().tail_bytes)
}

/// What a salt and the digest of an event under it take, in microseconds: the least of ten rounds.
fn digest_cost() -> f64 {
    const DIGESTS: u32 = 20_000;
    let schema = "https://events.example.com/schemas/payments/Payment.Authorised/1.0.0";
    let draft = Draft { dataschema: Some(schema.into()), ..drafts(1)() };
    let event = Entry::new(draft, EventId::first_of(1), Position(1), Timestamp::EPOCH).event;
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..DIGESTS {
            let salt = Salt::from_bytes(SystemEntropy.next_u128().to_be_bytes());
            black_box(event.salted_digest(salt));
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(DIGESTS)
    };
    (0..10).map(round).fold(f64::INFINITY, f64::min)
}

/// Makes drafts with distinct content, cheaply.
fn drafts(seed: u64) -> impl FnMut() -> Draft {
    let entropy = SeededEntropy::new(seed << 32);
    let source = EventSource::new("/payments").unwrap();
    let event_type = EventType::new("Payment.Authorised").unwrap();
    let subject = Subject::new("Payment.Authorised").unwrap();
    let publication = Arc::from("payments/Payment.Authorised");
    let data = Data::from_text(data());
    move || {
        let mut bytes = [0; 64];
        entropy.fill(&mut bytes);
        let (key, rest) = bytes.split_first_chunk::<16>().unwrap();
        let (digest, origin) = rest.split_first_chunk::<32>().unwrap();
        Draft {
            source: source.clone(),
            event_type: event_type.clone(),
            subject: Some(subject.clone()),
            time: Timestamp::EPOCH.into(),
            dataschema: None,
            idempotency_key: IdempotencyKey::from_bytes(*key),
            digest: ContentDigest::from_bytes(*digest),
            trace: None,
            context: None,
            data: data.clone(),
            publication: Arc::clone(&publication),
            envelope_id: format!("{:032x}", u128::from_be_bytes(*key)).into(),
            origin: Some(Origin(origin.try_into().unwrap())),
            deduplicate: None,
            observed: None,
            protection: Protection::default(),
        }
    }
}

fn data() -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(DATA_BYTES - 11))
}

/// How many groups were synced, by the log's own count.
fn syncs(metrics: &Metrics) -> u64 {
    let text = metrics.render();
    let count =
        text.lines().find_map(|line| line.strip_prefix("sealway_append_group_events_count "));
    count.unwrap().parse().unwrap()
}

/// The CPU time of every living thread of this process.
fn cpu() -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(spent.sum()))
}
