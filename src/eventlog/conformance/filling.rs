//! A disk that has no room: what is refused, what waits, and that nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::ambient::{Clock, ManualClock, ManualDisk, Room, SystemEntropy};
use crate::event::SubscriptionId;
use crate::eventlog::conformance::fixture::{START, draft, open, open_database, words};
use crate::eventlog::sqlite::Database;
use crate::eventlog::{
    Attempt, Attempts as _, Changes, CommitError, Cursor, DeliveryKey, DeliveryState as _,
    DiskLevel, Log as _, LogError, LogLimits, Page, Position, Retention, SqliteLog,
};
use crate::telemetry::Metrics;

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };

fn directory() -> (TempDir, ManualClock) {
    (TempDir::new().unwrap(), ManualClock::at(START))
}

#[tokio::test]
async fn a_disk_that_fills_up_within_a_write_loses_nothing_and_is_written_again_when_it_has_room() {
    let (directory, clock) = directory();
    let mut database = Database::of(directory.path()).unwrap();
    database.most_pages = Some(140);
    let machine = || {
        let disk = Arc::new(ManualDisk::empty());
        (Arc::new(clock.clone()) as _, Arc::new(SystemEntropy) as _, disk as _)
    };
    let log = SqliteLog::open_database(&database, LogLimits::default(), machine(), &Metrics::new())
        .unwrap();
    let large = || vec![draft(&"x".repeat(20_000))];
    let mut taken = Vec::new();
    let refused = loop {
        match log.append(large()).await {
            Ok(appended) => taken.push(appended[0].id()),
            Err(error) => break error,
        }
    };

    assert!(matches!(refused, LogError::Full { .. }), "{refused:?}");
    assert_eq!(log.disk(), DiskLevel::Full);
    assert!(taken.len() > 5, "{} were taken", taken.len());
    let subscription: SubscriptionId = "orders".parse().unwrap();
    let cursors = vec![(subscription.clone(), Cursor::starting(&subscription, Position(1)))];
    let attempts = vec![Attempt {
        key: DeliveryKey { subscription, replay: None, event: taken[0] },
        number: 1,
        at: START,
        duration_ms: 1,
        status: None,
        verdict: "retry".into(),
        detail: "y".repeat(200_000).into(),
        receipt: None,
    }];
    let changes = Changes { cursors, attempts, ..Changes::default() };
    let refused = log.commit(changes).await;
    let Err(CommitError::NoRoom { error: LogError::Full { .. }, changes }) = refused else {
        panic!("{refused:?}")
    };
    let hold = log.head();
    clock.advance(Duration::from_hours(1));
    log.aged(Duration::from_mins(30)).await.expect("whoever makes room asks what is old");
    let retention = Retention { before: Some(clock.now()), hold, ..Retention::default() };
    eventually_trimmed(&log, &retention).await;

    log.commit(*changes).await.unwrap();
    assert_eq!(log.attempts(None, None, ALL).await.unwrap().len(), 1);
    let head = log.head();
    assert_eq!(head, Position(taken.len() as u64), "nothing that was refused was kept");
    log.close().await.unwrap();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    assert_eq!(log.head(), head);
    let next = log.append(words("a")).await.unwrap()[0];
    assert!(next.id() > *taken.last().unwrap());
}

/// Drops old entries as soon as the disk lets it.
async fn eventually_trimmed(log: &SqliteLog, retention: &Retention) {
    loop {
        match log.trim(retention).await {
            Ok(trimmed) if trimmed.more || trimmed.dropped > 0 => {}
            Ok(_) => return,
            Err(error) => assert!(matches!(error, LogError::Full { .. }), "{error:?}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn events_are_refused_from_a_percentage_on_until_there_is_room_again() {
    let (directory, clock) = directory();
    let room = |used: u64| Room { free: (1000 - used) << 30, total: 1000 << 30 };
    for (used, level) in [
        (799, DiskLevel::Enough),
        (800, DiskLevel::Low),
        (919, DiskLevel::Low),
        (920, DiskLevel::Full),
        (1000, DiskLevel::Full),
    ] {
        let disk = ManualDisk::with(room(used));
        let machine =
            (Arc::new(clock.clone()) as _, Arc::new(SystemEntropy) as _, Arc::new(disk) as _);
        let log = SqliteLog::open(directory.path(), LogLimits::default(), machine, &Metrics::new());
        let log = log.unwrap();

        assert_eq!(log.disk(), level, "{used} of 1000");
        assert_eq!(log.append(words("a")).await.is_ok(), level != DiskLevel::Full);
        log.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_closes_though_another_process_holds_its_database_for_ever() {
    let (directory, clock) = directory();
    let mut database = Database::of(directory.path()).unwrap();
    database.patience = Duration::from_millis(20);
    let log = open_database(&database, &clock).unwrap();
    let kept = log.append(words("a")).await.unwrap()[0].id();
    let other = rusqlite::Connection::open(directory.path().join("sealway.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let (waiting, closed) = tokio::join!(log.append(words("b")), async {
        // It waits for as long as the gateway runs, and no longer.
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::time::timeout(Duration::from_secs(10), log.close()).await
    });

    assert!(matches!(waiting, Err(LogError::Closed)), "{waiting:?}");
    assert!(matches!(closed, Ok(Err(LogError::Broken))), "{closed:?}");
    drop((log, other));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let found = log.find(&[kept]).await.unwrap();
    assert!(found[0].is_some() && log.head() == Position(1), "nothing was written in between");
}
