//! Violations that a publication lets pass: they come, stay and go with their event.

use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::event::Violation;
use crate::eventlog::conformance::fixture::{START, draft, engines, open, trim};
use crate::eventlog::{
    Appended, Draft, Log, LogError, LogLimits, Observed, Origin, Position, Retention,
};

fn observed(pointer: &str) -> Option<Observed> {
    let (pointer, code) = (pointer.to_owned(), "maximum".to_owned());
    Observed::of(vec![Violation { pointer, code, message: "is above 10".to_owned() }; 3])
}

fn breaking(word: &str, pointer: &str) -> Draft {
    Draft { observed: observed(pointer), ..draft(word) }
}

async fn of(log: &dyn Log, position: u64) -> Option<Observed> {
    log.observed(Position(position)).await.unwrap()
}

#[tokio::test]
async fn violations_are_kept_with_their_event_and_with_no_other() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        log.append(vec![draft("a"), breaking("b", "/b"), breaking("c", "/c")]).await.unwrap();

        assert_eq!(of(log, 1).await, None);
        assert_eq!(of(log, 2).await, observed("/b"));
        assert_eq!(of(log, 3).await, observed("/c"));
        assert_eq!(of(log, 4).await, None);
    }
}

#[tokio::test]
async fn a_repeat_leaves_the_violations_of_the_first_as_they_are() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let origin = Some(Origin([1; 16]));
        log.append(vec![Draft { origin, ..breaking("a", "/first") }]).await.unwrap();

        let again = log.append(vec![Draft { origin, ..breaking("a", "/again") }]).await.unwrap();

        assert!(matches!(again[0], Appended::Duplicate { .. }), "{again:?}");
        assert_eq!(of(log, 1).await, observed("/first"));
        assert_eq!(of(log, 2).await, None);
    }
}

#[tokio::test]
async fn violations_go_with_their_event_and_not_before() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        log.append(vec![breaking("a", "/a"), draft("b")]).await.unwrap();
        fixture.clock.advance(Duration::from_hours(1));
        log.append(vec![breaking("c", "/c")]).await.unwrap();
        let before = Some(fixture.clock.now());
        let retention = Retention { before, hold: Position(u64::MAX), ..Retention::default() };

        assert_eq!(trim(log, &retention).await, 2);

        assert_eq!(of(log, 1).await, None);
        assert_eq!(of(log, 3).await, observed("/c"));
    }
}

#[tokio::test]
async fn violations_outlive_a_restart() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.append(vec![breaking("a", "/a")]).await.unwrap();
    log.close().await.unwrap();

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    assert_eq!(of(&*log, 1).await, observed("/a"));
}

#[tokio::test]
async fn violations_count_against_what_may_wait() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let limits = LogLimits { waiting_bytes: draft("a").weight() * 2 + 10, ..LogLimits::default() };
    let log = open(directory.path(), limits, &clock).unwrap();
    let other = Connection::open(directory.path().join("sealway.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let mut first = std::pin::pin!(log.append(vec![draft("a")]));
    assert!(futures_util::poll!(&mut first).is_pending());
    let refused = log.append(vec![breaking("b", "/b")]).await;
    let mut second = std::pin::pin!(log.append(vec![draft("b")]));
    assert!(futures_util::poll!(&mut second).is_pending());
    other.execute_batch("ROLLBACK").unwrap();

    assert!(matches!(refused, Err(LogError::Busy { .. })), "{refused:?}");
    assert!(first.await.is_ok() && second.await.is_ok());
}
