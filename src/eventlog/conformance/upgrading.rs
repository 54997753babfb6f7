//! What becomes of the tables of other versions.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::event::{EventProducer, ProducerKind};
use crate::eventlog::conformance::fixture::{START, context, draft, open, trim, words};
use crate::eventlog::conformance::makers::{commit, dead_letter, in_replay, key, retry};
use crate::eventlog::{
    Changes, DeadLetter, DeadLetterId, DeadLetters as _, DeliveryState as _, Draft, GivenUp,
    Log as _, LogLimits, LogOpenError, LogTree as _, NewQuarantined, Page, Position, ProducerUsage,
    Quarantine as _, QuarantineId, QuarantineQuota, QuarantineSize, Retention, Retry, Schemas as _,
    SqliteLog, Store, UnreadBytes,
};
use crate::transparency::{LeafData, TreeHash, TreeHead, TreeRoot};

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };

fn directory() -> (TempDir, ManualClock) {
    (TempDir::new().unwrap(), ManualClock::at(START))
}

#[tokio::test]
async fn tables_of_a_newer_gateway_are_refused_and_left_alone() {
    let (directory, clock) = directory();
    drop(open(directory.path(), LogLimits::default(), &clock).unwrap());
    let path = directory.path().join("sealway.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7000).unwrap();

    let refused = open(directory.path(), LogLimits::default(), &clock).err().unwrap();

    assert!(matches!(refused, LogOpenError::Newer { found: 7000, .. }), "{refused}");
    assert!(refused.to_string().contains("run that sealway or a newer one"), "{refused}");
}

#[tokio::test]
async fn tables_of_the_version_before_are_brought_up_to_date_with_what_they_hold() {
    let (directory, clock) = directory();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.append(words("ab")).await.unwrap();
    let before = log.read(Position::START, ALL).await.unwrap();
    log.close().await.unwrap();
    let older = Connection::open(directory.path().join("sealway.db")).unwrap();
    older.execute_batch("DROP TABLE protections; DROP TABLE envelopes; DROP TABLE unread").unwrap();
    older.execute_batch("DROP TABLE quarantined_events").unwrap();
    drop_sizes(&older);
    drop_letter_sizes(&older);
    let times = "DROP TABLE times; ALTER TABLE dead_letters DROP COLUMN time_text";
    older.execute_batch(times).unwrap();
    let schemas = "DROP TABLE schemas; DROP TABLE schema_names; DROP TABLE kept_texts";
    older.execute_batch(schemas).unwrap();
    older.execute_batch("DROP TABLE old_schemas").unwrap();
    let contexts = "DROP TABLE contexts; ALTER TABLE dead_letters DROP COLUMN context";
    older.execute_batch(contexts).unwrap();
    older.execute_batch("DROP TABLE signatures; DROP TABLE actions; DROP TABLE log_size").unwrap();
    drop_tree(&older);
    older.pragma_update(None, "user_version", 8).unwrap();
    drop(older);

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    log.append(words("c")).await.unwrap();
    let after = log.read(Position::START, ALL).await.unwrap();
    assert_eq!((&after[..2], after.len()), (&before[..], 3));
    let of = async |id| log.of_envelope(id, Position::START, ALL).await.unwrap().len();
    assert_eq!((of("a").await, of("c").await), (0, 1), "old events have no such name");
    assert!(log.lacks_old_schemas().await.unwrap());
}

/// A gateway of before counts no ages.
const DROP_AGES: &str =
    "DROP TABLE running_time; DROP TABLE running_marks; DROP INDEX dead_letters_waiting";

fn drop_tree(older: &Connection) {
    older.execute_batch("DROP TABLE given_up; DROP TABLE receipt_keys; DROP TABLE recent").unwrap();
    older.execute_batch(DROP_AGES).unwrap();
    let tables =
        "DROP TABLE tree; DROP TABLE tree_leaves; DROP TABLE tree_nodes; DROP TABLE tree_entries";
    older.execute_batch(tables).unwrap();
}

#[tokio::test]
async fn what_was_given_up_before_the_upgrade_is_known_after_it() {
    let (directory, clock) = directory();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let letters = vec![
        DeadLetter { reason: "sink-gone".into(), ..dead_letter(key("orders", 1), None) },
        dead_letter(in_replay(key("orders", 2)), None),
    ];
    let at = letters[0].at;
    log.commit(Changes { dead_letters: letters, ..Changes::default() }).await.unwrap();
    log.close().await.unwrap();
    let older = Connection::open(directory.path().join("sealway.db")).unwrap();
    older.execute_batch("DROP TABLE given_up; DROP TABLE recent").unwrap();
    older.execute_batch(DROP_AGES).unwrap();
    older.pragma_update(None, "user_version", 23).unwrap();
    drop(older);

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    let known = GivenUp { reason: "sink-gone".into(), at };
    assert_eq!(log.given_up(&key("orders", 1)).await.unwrap(), Some(known));
    assert_eq!(log.given_up(&key("orders", 2)).await.unwrap(), None, "it is a replay");
}

#[tokio::test]
async fn the_tree_over_an_old_log_begins_with_the_first_event_after_the_upgrade() {
    for dropped in [false, true] {
        let (directory, clock) = directory();
        let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
        log.append(words("ab")).await.unwrap();
        if dropped {
            clock.advance(Duration::from_hours(1));
            let hold = Position(u64::MAX);
            let all = Retention { before: Some(clock.now()), hold, ..Retention::default() };
            trim(&*log, &all).await;
        }
        log.close().await.unwrap();
        let older = Connection::open(directory.path().join("sealway.db")).unwrap();
        drop_tree(&older);
        older.pragma_update(None, "user_version", 21).unwrap();
        drop(older);

        let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

        let empty = TreeHead { first: 3, tree: TreeRoot::empty() };
        assert_eq!(log.tree_head().await.unwrap(), empty);
        log.append(words("c")).await.unwrap();
        let head = log.tree_head().await.unwrap();
        let entry = log.read(Position(2), ALL).await.unwrap().remove(0);
        let leaf = LeafData::new(entry.event.id, entry.event.digest);
        assert_eq!((head.first, head.tree.size), (3, 1));
        assert_eq!(head.tree.root, TreeHash::of_leaf(&leaf));
        assert_eq!(log.tree_leaves(0..1).await.unwrap(), Some(vec![leaf]));
    }
}

fn drop_sizes(older: &Connection) {
    let tables =
        "DROP TABLE quarantine_sizes; DROP TABLE quarantine_usage; DROP TABLE quarantine_total";
    older.execute_batch(tables).unwrap();
}

fn drop_letter_sizes(older: &Connection) {
    let counting = "DROP TRIGGER dead_letter_comes; DROP TRIGGER dead_letter_is_redriven;
        DROP TRIGGER dead_letter_goes; DROP TABLE dead_letter_sizes;
        ALTER TABLE dead_letters DROP COLUMN bytes; ALTER TABLE dead_letters DROP COLUMN texts";
    older.execute_batch(counting).unwrap();
}

/// Makes the tables those of the version before sizes were counted.
fn take_back_sizes(directory: &Path) {
    let older = Connection::open(directory.join("sealway.db")).unwrap();
    drop_sizes(&older);
    drop_letter_sizes(&older);
    older.execute_batch("DROP TABLE log_size").unwrap();
    drop_tree(&older);
    older.execute_batch(include_str!("../sqlite/step_17_quarantine_sizes.sql")).unwrap();
    older.pragma_update(None, "user_version", 19).unwrap();
}

#[tokio::test]
async fn what_there_is_already_is_counted_at_the_upgrade_and_nothing_is_left_of_it() {
    let (directory, clock) = directory();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    let event = |number: usize| draft(&format!("{number}-{}", "x".repeat(2000)));
    log.append((0..100).map(event).collect()).await.unwrap();
    let dead_letters = (1..6).map(|event| dead_letter(key("orders", event), None)).collect();
    commit(&store, Changes { dead_letters, ..Changes::default() }).await;
    let retry = Retry { redriven: true, ..retry(key("orders", 2), 0) };
    log.revive(vec![(DeadLetterId(2), retry)]).await.unwrap();
    let long = NewQuarantined {
        producer: None,
        publication: "tests/happened".into(),
        envelope_id: "i".repeat(900).into(),
        codes: "required".into(),
        received: "{}".repeat(3000),
        violations: "[]".to_owned(),
        identity: None,
    };
    let quota = QuarantineQuota { entries: 9, bytes: u64::MAX, total: None };
    log.quarantine(vec![long], quota).await.unwrap();
    let sizes = async |log: &SqliteLog| {
        let usage = log.dead_letter_usage().await.unwrap();
        (usage, log.quarantine_size(9).await.unwrap())
    };
    let bytes = async |log: &SqliteLog| log.extent(&BTreeSet::new()).await.unwrap().bytes;
    let (before, events) = (sizes(&log).await, bytes(&log).await);
    log.close().await.unwrap();
    drop((store, log));
    take_back_sizes(directory.path());

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    assert_eq!(sizes(&log).await, before);
    // All else that the database holds, which is little here but for empty tables, is their share.
    let share = bytes(&log).await;
    assert!((events / 2..events * 5 / 2).contains(&share), "{share}, not {events}");
    log.append((100..110).map(event).collect()).await.unwrap();
    let grown = bytes(&log).await - share;
    assert!(grown.abs_diff(events / 10) < 100, "{grown} of {events}");
    let most = Retention { bytes: Some(grown), hold: Position(u64::MAX), ..Retention::default() };
    trim(&*log, &most).await;
    assert_eq!((log.low_watermark().position, bytes(&log).await), (Position(100), grown));
}

#[tokio::test]
async fn what_is_in_quarantine_already_counts_once_its_tables_are_new() {
    let (directory, clock) = directory();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let producer = EventProducer { kind: ProducerKind::Caller, name: "shop".into() };
    let quota = QuarantineQuota { entries: 9, bytes: 99_999, total: None };
    let event = |word: &str| NewQuarantined {
        producer: Some(producer.clone()),
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        codes: "required".into(),
        received: "{}".repeat(2000),
        violations: "[]".to_owned(),
        identity: None,
    };
    log.quarantine(vec![event("a"), event("b")], quota).await.unwrap();
    let unread = UnreadBytes {
        producer: producer.clone(),
        identity: [7; 32],
        envelope_id: "".into(),
        codes: "invalid-event".into(),
        violations: "[]".to_owned(),
        headers: "{}".to_owned(),
        body: b"{".to_vec(),
    };
    log.quarantine_bytes(vec![unread], quota).await.unwrap();
    let before = log.quarantine_size(9).await.unwrap();
    log.close().await.unwrap();
    let older = Connection::open(directory.path().join("sealway.db")).unwrap();
    drop_sizes(&older);
    drop_letter_sizes(&older);
    older.execute_batch("DROP TABLE actions; DROP TABLE log_size").unwrap();
    drop_tree(&older);
    older.pragma_update(None, "user_version", 16).unwrap();
    drop(older);

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    let after = log.quarantine_size(9).await.unwrap();
    assert_eq!(after.total.entries, 3);
    assert_eq!(after.total.bytes, before.total.bytes);
    let nobody = ProducerUsage { producer: None, ..before.largest[0].clone() };
    assert_eq!(after.largest, [nobody, before.largest[1].clone()]);
    for id in 1..=3 {
        assert!(log.unquarantine(QuarantineId(id)).await.unwrap());
    }
    assert_eq!(log.quarantine_size(9).await.unwrap(), QuarantineSize::default());
}

#[tokio::test]
async fn the_text_of_a_time_and_what_was_decided_go_with_their_event() {
    let (directory, clock) = directory();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let time = "9999-12-31T23:59:59Z".parse().unwrap();
    let decided = Draft { time, context: Some(context()), ..draft("b") };
    log.append(vec![draft("a"), decided]).await.unwrap();
    let reader = Connection::open(directory.path().join("sealway.db")).unwrap();
    let texts = || -> i64 {
        let both = "SELECT (SELECT count(*) FROM times) * (SELECT count(*) FROM contexts)";
        reader.query_row(both, [], |row| row.get(0)).unwrap()
    };
    let contexts = || -> i64 {
        reader.query_row("SELECT count(*) FROM contexts", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(texts(), 1);

    clock.advance(Duration::from_hours(1));
    let all =
        Retention { before: Some(clock.now()), hold: Position(u64::MAX), ..Retention::default() };
    assert_eq!(trim(&*log, &all).await, 2);

    assert_eq!((texts(), contexts()), (0, 0));
}
