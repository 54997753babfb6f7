//! What the durable engine adds: crashes, damage, second gateways, and processes beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock, Entropy, ManualClock, SeededEntropy};
use crate::event::{EventId, EventProducer, ProducerKind, SubscriptionId};
use crate::eventlog::conformance::fixture::{START, draft, open, words};
use crate::eventlog::{
    Appended, Attempt, Changes, CommitError, Cursor, DeliveryKey, DeliveryState as _, Draft,
    Log as _, LogError, LogLimits, LogOpenError, NewQuarantined, Origin, Page, Position,
    Quarantine as _, QuarantineQuery, QuarantineQuota, RecordKey, Registry, Revision, SqliteLog,
    SqliteRegistry, UnreadBytes,
};

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };

fn directory() -> (TempDir, ManualClock) {
    (TempDir::new().unwrap(), ManualClock::at(START))
}

fn reopen(directory: &Path, clock: &ManualClock) -> Arc<SqliteLog> {
    open(directory, LogLimits::default(), clock).unwrap()
}

/// What a crash leaves: the files as they are while the log is open.
fn crash(directory: &Path) -> TempDir {
    let left = TempDir::new().unwrap();
    for name in ["sealway.db", "sealway.db-wal"] {
        fs::copy(directory.join(name), left.path().join(name)).unwrap();
    }
    left
}

fn orders_key() -> RecordKey {
    RecordKey { kind: "subscription", id: "orders".to_owned() }
}

#[tokio::test]
async fn everything_acknowledged_survives_a_crash() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    let repeatable = Draft { origin: Some(Origin([7; 16])), ..draft("a") };
    let first = log.append(vec![repeatable.clone(), draft("b")]).await.unwrap()[0].id();
    let subscription = "orders".parse().unwrap();
    let cursor = (subscription, Cursor::starting(&"orders".parse().unwrap(), Position(1)));
    log.commit(Changes { cursors: vec![cursor.clone()], ..Changes::default() }).await.unwrap();
    let kept = NewQuarantined {
        producer: Some(EventProducer { kind: ProducerKind::Queue, name: "orders".into() }),
        publication: "tests/happened".into(),
        envelope_id: "e1".into(),
        codes: "".into(),
        received: "{}".to_owned(),
        violations: "[]".to_owned(),
        identity: Some([7; 32]),
    };
    let quota = QuarantineQuota { entries: 1, bytes: 1000, total: None };
    log.quarantine(vec![kept], quota).await.unwrap();
    let unread = UnreadBytes {
        producer: EventProducer { kind: ProducerKind::Caller, name: "shop".into() },
        identity: [7; 32],
        envelope_id: "".into(),
        codes: "invalid-event".into(),
        violations: "[]".to_owned(),
        headers: "{}".to_owned(),
        body: b"{".to_vec(),
    };
    log.quarantine_bytes(vec![unread], quota).await.unwrap();
    log.put(&orders_key(), None, "one".to_owned()).await.unwrap();
    let before = log.read(Position::START, ALL).await.unwrap();
    let size = log.quarantine_size(9).await.unwrap();
    assert_eq!((size.total.entries, size.largest.len()), (2, 2));

    let left = crash(directory.path());
    let log = reopen(left.path(), &clock);

    assert_eq!(log.head(), Position(2));
    assert_eq!(log.read(Position::START, ALL).await.unwrap(), before);
    assert_eq!(log.load().await.unwrap().cursors, [cursor]);
    assert_eq!(log.quarantined(&QuarantineQuery::default(), ALL).await.unwrap().len(), 2);
    assert_eq!(log.quarantine_size(9).await.unwrap(), size);
    assert_eq!(log.get(&orders_key()).await.unwrap().unwrap().body, "one");
    let repeated = log.append(vec![repeatable]).await.unwrap();
    assert_eq!(repeated, [Appended::Duplicate { of: first }]);
}

#[tokio::test]
async fn ids_go_on_growing_after_a_restart_with_a_clock_that_went_back() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    let before = log.append(words("ab")).await.unwrap()[1].id();
    log.close().await.unwrap();

    clock.set(START.before(Duration::from_hours(1)));
    let log = reopen(directory.path(), &clock);
    let after = log.append(words("c")).await.unwrap()[0];

    assert!(after.id() > before);
    assert!(matches!(after, Appended::New { position: Position(3), .. }));
}

/// A power cut may leave any part of the newest writes. Whatever of the WAL is torn away or
/// garbled, batches are there whole, and from the first to some last.
#[tokio::test]
async fn a_torn_write_leaves_whole_batches_and_no_hole() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    for batch in ["abc", "def", "ghi", "jkl"] {
        log.append(words(batch)).await.unwrap();
    }
    let whole = crash(directory.path());
    let wal = fs::read(whole.path().join("sealway.db-wal")).unwrap();
    let entropy = SeededEntropy::new(11);
    let mut heads = BTreeSet::new();

    for number in 0..30 {
        // Most of it is the tables; the batches are at its end.
        let within = if number % 2 == 0 { wal.len() } else { wal.len() / 5 };
        let back = usize::try_from(entropy.next_u64() % within as u64).unwrap();
        let at = wal.len() - 1 - back;
        for garble in [false, true] {
            let torn = TempDir::new().unwrap();
            fs::copy(whole.path().join("sealway.db"), torn.path().join("sealway.db")).unwrap();
            let mut bytes = wal.clone();
            if garble {
                bytes[at] ^= 0x55;
            } else {
                bytes.truncate(at);
            }
            fs::write(torn.path().join("sealway.db-wal"), bytes).unwrap();

            let log = reopen(torn.path(), &clock);
            let entries = log.read(Position::START, ALL).await.unwrap();

            assert_eq!(entries.len() % 3, 0, "a batch is whole");
            assert_eq!(log.head().0, entries.len() as u64);
            let read: String = entries.iter().map(|entry| &*entry.envelope_id).collect();
            assert!("abcdefghijkl".starts_with(&read), "{read}");
            heads.insert(entries.len());
        }
    }
    assert!(heads.len() > 2, "the cuts reached different groups: {heads:?}");
}

#[tokio::test]
async fn a_second_gateway_is_refused_until_the_first_has_closed() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);

    let refused = open(directory.path(), LogLimits::default(), &clock).err().unwrap();
    assert!(matches!(refused, LogOpenError::InUse { .. }));
    assert!(refused.to_string().contains(directory.path().to_str().unwrap()), "{refused}");

    log.close().await.unwrap();
    reopen(directory.path(), &clock);
}

#[tokio::test]
async fn a_dropped_log_lets_go_of_its_directory() {
    let (directory, clock) = directory();
    drop(reopen(directory.path(), &clock));
    reopen(directory.path(), &clock);
}

#[tokio::test]
async fn a_file_that_is_no_log_is_called_damaged() {
    let (directory, clock) = directory();
    fs::write(directory.path().join("sealway.db"), vec![b'x'; 16_384]).unwrap();

    let refused = open(directory.path(), LogLimits::default(), &clock).err().unwrap();

    assert!(matches!(refused, LogOpenError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("restore it from a backup"), "{refused}");
}

#[tokio::test]
async fn after_one_failed_write_nothing_more_is_taken() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    log.append(words("a")).await.unwrap();
    let other = Connection::open(directory.path().join("sealway.db")).unwrap();
    other.execute_batch("DROP TABLE origins").unwrap();
    let repeatable = || vec![Draft { origin: Some(Origin([1; 16])), ..draft("b") }];

    let failed = log.append(repeatable()).await;
    other.execute_batch("CREATE TABLE origins (origin, event, accepted)").unwrap();

    assert!(matches!(failed, Err(LogError::Storage { action: "write", .. })), "{failed:?}");
    assert!(matches!(log.append(words("c")).await, Err(LogError::Broken)));
    assert!(matches!(
        log.commit(Changes::default()).await,
        Err(CommitError::Failed(LogError::Broken))
    ));
    assert_eq!(log.head(), Position(1));
    assert_eq!(log.read(Position::START, ALL).await.unwrap().len(), 1, "what is there is readable");
    assert!(matches!(log.close().await, Err(LogError::Broken)));
}

#[tokio::test]
async fn producers_hear_busy_while_the_disk_cannot_keep_up() {
    let (directory, clock) = directory();
    let limits = LogLimits { waiting_bytes: draft("a").weight() * 3, ..LogLimits::default() };
    let log = open(directory.path(), limits, &clock).unwrap();
    let other = Connection::open(directory.path().join("sealway.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let mut waiting = std::pin::pin!(log.append(words("ab")));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let refused = log.append(words("cd")).await;
    // What is over the limit by itself waits for no one: it comes again.
    let larger = log.append(words("cdef")).await;
    other.execute_batch("ROLLBACK").unwrap();

    assert!(matches!(refused, Err(LogError::Busy { .. })), "{refused:?}");
    assert!(matches!(larger, Err(LogError::Busy { .. })), "{larger:?}");
    assert_eq!(waiting.await.unwrap().len(), 2);
    assert_eq!(log.append(words("cdef")).await.unwrap().len(), 4);
    assert_eq!(log.head(), Position(6));
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_still_keeps_the_delivery_state() {
    let (directory, clock) = directory();
    let limits = LogLimits { reserve_bytes: u64::MAX, ..LogLimits::default() };
    let log = open(directory.path(), limits, &clock).unwrap();

    let refused = log.append(words("a")).await;

    assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
    let cursor = Cursor::starting(&"orders".parse().unwrap(), Position::START);
    let cursors = vec![("orders".parse().unwrap(), cursor)];
    log.commit(Changes { cursors, ..Changes::default() }).await.unwrap();
    assert_eq!(log.load().await.unwrap().cursors.len(), 1);
}

#[tokio::test]
async fn a_process_beside_the_gateway_shares_its_documents() {
    let (directory, clock) = directory();
    let beside = SqliteRegistry::open(directory.path(), Arc::new(clock.clone())).unwrap();
    let first = beside.put(&orders_key(), None, "one".to_owned()).await.unwrap();
    let log = reopen(directory.path(), &clock);
    log.append(words("a")).await.unwrap();

    assert_eq!(log.get(&orders_key()).await.unwrap().unwrap().body, "one");
    let second = log.put(&orders_key(), Some(first), "two".to_owned()).await.unwrap();
    assert_eq!(beside.list("subscription").await.unwrap()[0].body, "two");
    let stale = beside.put(&orders_key(), Some(first), "three".to_owned()).await;
    assert!(matches!(stale, Err(LogError::Stale { found: Some(Revision(2)), .. })), "{stale:?}");
    beside.remove(&orders_key(), second).await.unwrap();
    assert!(log.get(&orders_key()).await.unwrap().is_none());
}

/// The gateway that runs goes by the tables that it knows.
#[tokio::test]
async fn a_newer_process_beside_a_gateway_leaves_older_tables_alone_until_it_has_stopped() {
    let (directory, clock) = directory();
    let beside = || SqliteRegistry::open(directory.path(), Arc::new(clock.clone()));
    let other = Connection::open(directory.path().join("sealway.db")).unwrap();
    other.execute_batch(include_str!("../sqlite/schema.sql")).unwrap();
    other.pragma_update(None, "user_version", 1).unwrap();
    let version =
        || other.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let held = fs::File::create(directory.path().join("lock")).unwrap();
    held.lock().unwrap();

    let refused = beside().err().unwrap();
    assert!(matches!(refused, LogOpenError::Older { found: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("start this sealway's gateway on it"), "{refused}");
    assert_eq!(version(), 1);

    drop(held);
    beside().unwrap().put(&orders_key(), None, "one".to_owned()).await.unwrap();
    assert!(version() > 1);
    let log = reopen(directory.path(), &clock);
    beside().unwrap().remove(&orders_key(), Revision(1)).await.unwrap();
    assert!(log.get(&orders_key()).await.unwrap().is_none(), "beside one of the same version");
}

#[tokio::test]
async fn no_revision_comes_again_after_a_restart_or_beside_the_gateway() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    let first = log.put(&orders_key(), None, "one".to_owned()).await.unwrap();
    log.remove(&orders_key(), first).await.unwrap();
    log.close().await.unwrap();

    let log = reopen(directory.path(), &clock);
    let second = log.put(&orders_key(), None, "two".to_owned()).await.unwrap();
    log.remove(&orders_key(), second).await.unwrap();
    let beside = SqliteRegistry::open(directory.path(), Arc::new(clock.clone())).unwrap();
    let third = beside.put(&orders_key(), None, "three".to_owned()).await.unwrap();

    assert!(first < second && second < third, "{first:?}, {second:?}, {third:?}");
}

#[tokio::test]
async fn expired_origins_and_old_attempts_are_swept_out() {
    let (directory, clock) = directory();
    let log = reopen(directory.path(), &clock);
    let subscription: SubscriptionId = "orders".parse().unwrap();
    for day in 0..12_u8 {
        let drafts = (0..=255_u8).map(|n| {
            let mut origin = [n; 16];
            origin[1] = day;
            Draft { origin: Some(Origin(origin)), ..draft("a") }
        });
        log.append(drafts.collect()).await.unwrap();
        let attempts = (0..256).map(|n| Attempt {
            key: DeliveryKey {
                subscription: subscription.clone(),
                replay: None,
                event: EventId::first_of(n),
            },
            number: 1,
            at: clock.now(),
            duration_ms: 1,
            status: None,
            verdict: "delivered".into(),
            detail: "".into(),
            receipt: None,
        });
        let changes = Changes { attempts: attempts.collect(), ..Changes::default() };
        log.commit(changes).await.unwrap();
        clock.advance(Duration::from_hours(24));
    }

    let look = Connection::open(directory.path().join("sealway.db")).unwrap();
    let count = |sql: &str| look.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let all = "SELECT count(*) FROM
                 (SELECT origin FROM origins UNION SELECT origin FROM recent)";
    let origins = count(all);
    assert!((256..=3 * 256).contains(&origins), "{origins} origins are left of {}", 12 * 256);
    assert_eq!(count("SELECT count(*) FROM attempts"), 8 * 256, "seven days and today");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let (directory, clock) = directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let log = reopen(&directory.path().join("new"), &clock);
    log.append(words("a")).await.unwrap();
    let beside = reopen(directory.path(), &clock);
    beside.append(words("a")).await.unwrap();

    let mode = |name: &str| {
        fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("new"), 0o700);
    assert_eq!((mode("sealway.db"), mode("sealway.db-wal")), (0o600, 0o600));
}
