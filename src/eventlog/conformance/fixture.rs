//! Drafts and engines for the tests.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::ambient::{ManualClock, ManualDisk, SeededEntropy, SystemEntropy};
use crate::event::{
    AttributeName, AttributeValue, ContentDigest, Data, EventContext, EventSource, EventType,
    IdempotencyKey, Timestamp,
};
use crate::eventlog::sqlite::Database;
use crate::eventlog::{
    Draft, Log, LogLimits, LogOpenError, LowWatermark, MemoryLog, Position, Protection,
    RemoteStore, Retention, SqliteLog, Store,
};
use crate::telemetry::Metrics;

/// A draft whose content is one word: equal words have equal keys and digests.
pub(in crate::eventlog) fn draft(word: &str) -> Draft {
    let digest: [u8; 32] = Sha256::digest(word).into();
    Draft {
        source: EventSource::new("/tests").unwrap(),
        event_type: EventType::new("Test.Happened").unwrap(),
        subject: None,
        time: Timestamp::EPOCH.into(),
        dataschema: None,
        idempotency_key: IdempotencyKey::from_bytes(digest[..16].try_into().unwrap()),
        digest: ContentDigest::from_bytes(digest),
        trace: None,
        context: None,
        data: Data::from_text(format!("{{\"word\":\"{word}\"}}")),
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        origin: None,
        deduplicate: None,
        observed: None,
        protection: Protection::default(),
    }
}

/// What a publication may have decided about an event.
pub(super) fn context() -> Arc<EventContext> {
    let tenant: AttributeName = "tenant".parse().unwrap();
    Arc::new(EventContext {
        name: Some(EventType::new("Test.Named").unwrap()),
        extensions: [
            (tenant.clone(), AttributeValue::text("eu").unwrap()),
            ("tries".parse().unwrap(), AttributeValue::Integer(-3)),
            ("again".parse().unwrap(), AttributeValue::Boolean(true)),
        ]
        .into(),
        clear: [tenant].into(),
        subject_sealed: true,
    })
}

/// A store on a manual clock, and what has to outlive it.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) clock: ManualClock,
    _directory: Option<TempDir>,
}

/// The moment at which every fixture starts.
pub(super) const START: Timestamp = Timestamp::from_unix_seconds(1_795_282_931);

/// Makes a store of each kind.
pub(super) fn engines(limits: LogLimits) -> Vec<Fixture> {
    vec![memory(limits), sqlite(limits), remote(limits)]
}

fn memory(limits: LogLimits) -> Fixture {
    let clock = ManualClock::at(START);
    let log = MemoryLog::new(limits, Arc::new(clock.clone()), Arc::new(SeededEntropy::new(1)));
    Fixture { store: Store::of(&log), clock, _directory: None }
}

/// Another node's view of a store, which is late and takes a while.
fn remote(limits: LogLimits) -> Fixture {
    let clock = ManualClock::at(START);
    let log = MemoryLog::new(limits, Arc::new(clock.clone()), Arc::new(SeededEntropy::new(1)));
    let store = RemoteStore::over(log).store().tailed(limits.tail_bytes);
    Fixture { store, clock, _directory: None }
}

fn sqlite(limits: LogLimits) -> Fixture {
    let clock = ManualClock::at(START);
    let directory = TempDir::new().unwrap();
    let log = open(directory.path(), limits, &clock).unwrap();
    Fixture { store: Store::of(&log).tailed(limits.tail_bytes), clock, _directory: Some(directory) }
}

/// Opens a SQLite log.
pub(super) fn open(
    directory: &Path,
    limits: LogLimits,
    clock: &ManualClock,
) -> Result<Arc<SqliteLog>, LogOpenError> {
    SqliteLog::open(
        directory,
        limits,
        (Arc::new(clock.clone()), Arc::new(SystemEntropy), Arc::new(ManualDisk::empty())),
        &Metrics::new(),
    )
}

/// A draft for each character.
pub(super) fn words(text: &str) -> Vec<Draft> {
    text.chars().map(|word| draft(&word.to_string())).collect()
}

/// Drops until there is nothing more to drop, as many slices as a slow machine takes for it; says how many entries went.
pub(super) async fn trim(log: &dyn Log, retention: &Retention) -> u64 {
    let mut dropped = 0;
    loop {
        let trimmed = log.trim(retention).await.unwrap();
        dropped += trimmed.dropped;
        if !trimmed.more {
            return dropped;
        }
    }
}

/// How far the log has come.
pub(super) async fn head(log: &dyn Log) -> Position {
    log.fresh_head().await.unwrap()
}

/// How far the log was dropped.
pub(super) async fn low_watermark(log: &dyn Log) -> LowWatermark {
    head(log).await;
    log.low_watermark()
}

/// Opens a SQLite log of a database with bounds of its own.
pub(super) fn open_database(
    database: &Database,
    clock: &ManualClock,
) -> Result<Arc<SqliteLog>, LogOpenError> {
    SqliteLog::open_database(
        database,
        LogLimits::default(),
        (Arc::new(clock.clone()), Arc::new(SystemEntropy), Arc::new(ManualDisk::empty())),
        &Metrics::new(),
    )
}
