//! Ages count the time in which the store was open, and no leap of a clock.

use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::event::{EventId, Timestamp};
use crate::eventlog::conformance::fixture::{START, draft, engines, open, words};
use crate::eventlog::conformance::makers::{
    attempt, commit, dead_letter, key, receipt, subscription,
};
use crate::eventlog::conformance::quarantine::{AMPLE, broken};
use crate::eventlog::{
    ActionQuery, Changes, KeptReceipt, LogLimits, NewAction, Page, Position, ReceiptId, RecordKey,
    Store,
};

const DAY: Duration = Duration::from_hours(24);
const LEAP: Duration = Duration::from_hours(24 * 365 * 10);

/// The moments that a clock shows which leaps far ahead, far back and home again.
fn leaps(now: Timestamp) -> [Timestamp; 3] {
    [now.after(LEAP), now.before(LEAP), now]
}

async fn aged(store: &Store, age: Duration) -> u64 {
    store.log.aged(age).await.unwrap().position.0
}

async fn expired(store: &Store, age: Duration) -> (usize, usize) {
    let letters = store.dead_letters.expire_dead_letters(age, 100).await.unwrap();
    let quarantined = store.quarantine.expire_quarantined(age, 100).await.unwrap();
    (letters.len(), quarantined.len())
}

#[tokio::test]
async fn a_leap_makes_nothing_old_and_keeps_nothing_longer_than_its_age() {
    for fixture in engines(LogLimits::default()) {
        let (store, clock) = (&fixture.store, &fixture.clock);
        let mut expected = 0;
        for (number, moment) in leaps(START).into_iter().enumerate() {
            // What comes in the leap is as old as the rest.
            store.log.append(vec![draft("a")]).await.unwrap();
            let letter = dead_letter(key("orders", number as u64), None);
            commit(store, Changes { dead_letters: vec![letter], ..Changes::default() }).await;
            store.quarantine.quarantine(vec![broken("a")], AMPLE).await.unwrap();
            expected += 1;
            clock.set(moment);
            clock.advance(Duration::from_secs(5));
            assert_eq!(aged(store, DAY).await, 0, "{moment}");
            assert_eq!(expired(store, DAY).await, (0, 0), "{moment}");
        }

        clock.advance(DAY);

        assert_eq!(aged(store, DAY).await, expected);
        assert_eq!(expired(store, DAY).await, (3, 3));
    }
}

#[tokio::test]
async fn everything_up_to_its_age_is_told_and_nothing_newer() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let mut documents = Vec::new();
        for hour in 0..100_u64 {
            store.log.append(words("ab")).await.unwrap();
            let key = RecordKey { kind: "job", id: format!("{hour:03}") };
            store.registry.put(&key, None, String::new()).await.unwrap();
            fixture.clock.advance(Duration::from_hours(1));
            documents = store.registry.list("job").await.unwrap();
        }
        for hours in [1, 2, 24, 47, 99, 100] {
            let age = Duration::from_hours(hours);
            let aged = store.log.aged(age).await.unwrap();
            assert_eq!(aged.position, Position(2 * (100 - hours)), "{hours}");
            let old = documents.iter().filter(|document| aged.has(document)).count();
            assert_eq!(old as u64, 100 - hours, "{hours}");
        }
        assert_eq!(aged(store, Duration::from_hours(101)).await, 0);
    }
}

#[tokio::test]
async fn a_nightly_batch_is_told_before_the_next_but_one_comes() {
    for fixture in engines(LogLimits::default()) {
        let (store, clock) = (&fixture.store, &fixture.clock);
        for _ in 0..2 {
            for _ in 0..50 {
                store.log.append(vec![draft("a")]).await.unwrap();
                clock.advance(Duration::from_secs(1));
            }
            // 86,350 seconds.
            clock.advance(DAY * 1727 / 1728);
        }

        assert_eq!(aged(store, DAY + DAY / 2).await, 50);
        assert_eq!(aged(store, 2 * DAY).await, 0);
        clock.advance(DAY);
        assert_eq!(aged(store, DAY + DAY / 2).await, 100);
    }
}

#[tokio::test]
async fn attempts_receipts_and_actions_are_as_old_as_the_time_that_passed() {
    let limits = LogLimits { receipt_age: DAY, action_age: DAY, ..LogLimits::default() };
    for fixture in engines(limits) {
        let (store, clock) = (&fixture.store, &fixture.clock);
        let many = async || {
            let at = clock.now();
            let receipts = (0..256).map(|n| KeptReceipt { at, ..receipt(key("orders", n), "a") });
            let attempts = (0..256).map(|n| attempt(key("orders", n), 1)).collect();
            let changes = Changes { receipts: receipts.collect(), attempts, ..Changes::default() };
            commit(store, changes).await;
            for _ in 0..256 {
                let action = NewAction { at, ..super::actions::pause("ops", "orders") };
                store.actions.begin_action(action).await.unwrap();
            }
        };
        let page = Page { items: usize::MAX, bytes: usize::MAX };
        let counted = async || {
            let of = subscription("orders");
            let receipts = store.receipts.receipts(&of, None, ReceiptId(0), page).await.unwrap();
            let actions = store.actions.actions(&ActionQuery::default(), page).await.unwrap();
            (receipts.len(), actions.len())
        };
        many().await;
        for moment in leaps(clock.now()) {
            clock.set(moment);
            many().await;
        }
        assert_eq!(counted().await, (4 * 256, 4 * 256));

        clock.advance(DAY + Duration::from_secs(1));
        many().await;
        many().await;
        assert_eq!(counted().await, (2 * 256, 2 * 256));
        assert_eq!(store.attempts.attempts(None, None, page).await.unwrap().len(), 6 * 256);
    }
}

#[tokio::test]
async fn the_time_in_which_nobody_ran_is_no_age_and_what_ran_before_a_crash_counts() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    store.log.append(words("ab")).await.unwrap();
    clock.advance(DAY / 2);
    store.log.append(words("c")).await.unwrap();
    store.log.close().await.unwrap();

    // Another process, on another day, whose clock begins anew.
    let clock = ManualClock::at(START.after(90 * DAY));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    assert_eq!(aged(&store, DAY).await, 0);
    clock.advance(DAY / 2 + Duration::from_secs(1));
    assert_eq!(aged(&store, DAY).await, 2);
    clock.advance(DAY / 2);
    assert_eq!(aged(&store, DAY).await, 3);
}

#[tokio::test]
async fn what_was_there_before_ages_were_counted_is_as_old_as_its_time_says() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    let keep = async |event: u64| {
        store.log.append(words("a")).await.unwrap();
        let letter = dead_letter(key("orders", event), None);
        let letter = crate::eventlog::DeadLetter { at: clock.now(), ..letter };
        commit(&store, Changes { dead_letters: vec![letter], ..Changes::default() }).await;
        store.quarantine.quarantine(vec![broken("a")], AMPLE).await.unwrap();
    };
    keep(1).await;
    clock.advance(DAY / 2);
    keep(2).await;
    store.log.close().await.unwrap();
    // As a gateway of before has left it.
    let database = Connection::open(directory.path().join("sealway.db")).unwrap();
    database.execute_batch("DELETE FROM running_time; DELETE FROM running_marks").unwrap();
    drop(database);

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    clock.set(START.after(LEAP));
    assert_eq!((aged(&store, DAY).await, expired(&store, DAY).await), (0, (0, 0)));
    clock.advance(DAY / 2 + Duration::from_secs(1));
    assert_eq!((aged(&store, DAY).await, expired(&store, DAY).await), (1, (1, 1)));
    clock.advance(DAY / 2);
    assert_eq!((aged(&store, DAY).await, expired(&store, DAY).await), (2, (1, 1)));
    assert_eq!(store.log.find(&[EventId::MIN]).await.unwrap(), [None]);
}

#[tokio::test]
async fn the_marks_of_years_are_few() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let store = Store::of(&log);
    for _ in 0..2_000 {
        store.log.append(words("a")).await.unwrap();
        clock.advance(Duration::from_mins(10));
    }
    store.log.close().await.unwrap();

    let database = Connection::open(directory.path().join("sealway.db")).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let marks = count("SELECT count(*) FROM running_marks");
    // A hundred hours of six each, and one for each hour before.
    assert!((600 + 225..600 + 245).contains(&marks), "{marks}");
    assert_eq!(count("SELECT ran / 1000000000 FROM running_time"), 2_000 * 600);
}
