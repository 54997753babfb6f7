//! What retention may drop, what it never drops, and what a reader sees of the hole.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::ManualClock;
use crate::event::{ChainValue, EventId, SubscriptionId};
use crate::eventlog::conformance::fixture::{
    START, draft, engines, low_watermark, open, trim, words,
};
use crate::eventlog::{
    Appended, Changes, Cursor, DeliveryKey, DeliveryState, DiskLevel, Draft, Log, LogLimits,
    LowWatermark, Page, Position, Retention, Retry,
};

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };
const DAY: Duration = Duration::from_hours(24);

/// Everything that is older than a day goes, as far as nobody holds it.
fn older_than_a_day(clock: &ManualClock) -> Retention {
    use crate::ambient::Clock as _;
    let before = Some(clock.now().before(DAY));
    Retention { before, hold: Position(u64::MAX), ..Retention::default() }
}

async fn positions(log: &dyn Log) -> Vec<u64> {
    let entries = log.read(Position::START, ALL).await.unwrap();
    entries.iter().map(|entry| entry.position.0).collect()
}

async fn settle(state: &dyn DeliveryState, name: &str, position: u64) {
    let id: SubscriptionId = name.parse().unwrap();
    let cursors = vec![(id.clone(), Cursor::starting(&id, Position(position)))];
    state.commit(Changes { cursors, ..Changes::default() }).await.unwrap();
}

fn retry(name: &str, event: EventId, position: u64) -> Retry {
    let subscription: SubscriptionId = name.parse().unwrap();
    Retry {
        link: Some((1, ChainValue::start(&subscription))),
        key: DeliveryKey { subscription, replay: None, event },
        position: Position(position),
        attempts: 1,
        first_attempt: START,
        due: START,
        redriven: false,
    }
}

#[tokio::test]
async fn an_envelope_is_forgotten_with_its_events() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let of = |envelope: &str| Draft { envelope_id: envelope.into(), ..draft("a") };
        for number in 0..40 {
            log.append(vec![of("one"), of(&number.to_string())]).await.unwrap();
        }
        fixture.clock.advance(DAY + Duration::from_secs(1));
        let kept = log.append(vec![of("one")]).await.unwrap()[0].id();

        assert_eq!(trim(log, &older_than_a_day(&fixture.clock)).await, 80);

        let found = log.of_envelope("one", Position::START, ALL).await.unwrap();
        assert_eq!(found.iter().map(|one| one.event.id).collect::<Vec<_>>(), [kept]);
        assert!(log.of_envelope("7", Position::START, ALL).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn entries_go_when_they_are_too_old_and_not_before() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let old = log.append(words("abc")).await.unwrap();
        fixture.clock.advance(DAY);
        log.append(words("de")).await.unwrap();
        assert_eq!(trim(log, &older_than_a_day(&fixture.clock)).await, 0, "a day is not older");
        assert_eq!(low_watermark(log).await, LowWatermark::START);

        fixture.clock.advance(Duration::from_secs(1));
        assert_eq!(trim(log, &older_than_a_day(&fixture.clock)).await, 3);

        assert_eq!(positions(log).await, [4, 5]);
        assert_eq!(
            low_watermark(log).await,
            LowWatermark { position: Position(3), id: old[2].id() }
        );
        assert_eq!(log.find(&[old[0].id()]).await.unwrap(), [None]);
        assert_eq!(trim(log, &Retention::default()).await, 0, "nothing is asked for");
    }
}

#[tokio::test]
async fn what_a_log_tells_at_once_is_never_ahead_and_is_as_new_as_the_last_question() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        log.append(words("abc")).await.unwrap();
        assert!(log.head() <= Position(3));
        assert_eq!(log.fresh_head().await.unwrap(), Position(3));
        assert_eq!(log.head(), Position(3));

        fixture.clock.advance(2 * DAY);
        trim(log, &older_than_a_day(&fixture.clock)).await;
        assert!(log.low_watermark().position <= Position(3));
        log.fresh_head().await.unwrap();
        assert_eq!(log.low_watermark().position, Position(3));
        assert_eq!(log.disk(), DiskLevel::Enough);
    }
}

#[tokio::test]
async fn the_oldest_go_first_when_the_log_is_too_large() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        for _ in 0..60 {
            log.append((0..20).map(|n| draft(&"x".repeat(1_000 + n))).collect()).await.unwrap();
        }
        let hold = Position(u64::MAX);
        // What is left is more than a slice, which may drop too many because it counts data alone.
        let most = Retention { bytes: Some(1_200_000), hold, ..Retention::default() };

        let dropped = trim(log, &most).await;

        assert!((100..1200).contains(&dropped), "{dropped} of 1200 were dropped");
        assert_eq!(positions(log).await, (dropped + 1..=1200).collect::<Vec<_>>());
        assert_eq!(trim(log, &most).await, 0, "it is small enough now");
        assert_eq!(trim(log, &Retention { bytes: Some(0), ..most }).await, 1200 - dropped);
    }
}

#[tokio::test]
async fn nothing_goes_that_is_not_settled_or_held_or_waits_for_an_attempt() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let ids = log.append(words("abcdefgh")).await.unwrap();
        settle(&*fixture.store.state, "slow", 6).await;
        settle(&*fixture.store.state, "quick", 8).await;
        settle(&*fixture.store.state, "closed", 1).await;
        let retries = vec![retry("quick", ids[1].id(), 2), retry("closed", ids[2].id(), 3)];
        fixture
            .store
            .state
            .commit(Changes { retries: retries.clone(), ..Changes::default() })
            .await
            .unwrap();
        fixture.clock.advance(2 * DAY);
        let all = older_than_a_day(&fixture.clock);

        let extent = log.extent(&all.released).await.unwrap();
        assert_eq!(extent.settled, Position(1));
        let extent = log.extent(&["closed".parse().unwrap()].into()).await.unwrap();
        assert_eq!(extent.settled, Position(6));
        assert!(extent.bytes > 0);

        assert_eq!(trim(log, &all).await, 1, "the closed one is counted like the others");
        let released = [retries[1].key.subscription.clone()].into();
        let held = Retention { released, hold: Position(4), ..all };
        assert_eq!(trim(log, &held).await, 2);
        assert_eq!(positions(log).await, [2, 5, 6, 7, 8]);
        assert_eq!(low_watermark(log).await.position, Position(4));
        let kept = log.find(&[ids[1].id()]).await.unwrap();
        assert!(kept[0].is_some(), "what waits for another attempt is readable");

        let free = Retention { hold: Position(u64::MAX), ..held };
        assert_eq!(trim(log, &free).await, 2);
        assert_eq!(positions(log).await, [2, 7, 8]);
        let settled = vec![retries[0].key.clone()];
        fixture.store.state.commit(Changes { settled, ..Changes::default() }).await.unwrap();
        assert_eq!(trim(log, &free).await, 1);
        assert_eq!(positions(log).await, [7, 8]);
    }
}

#[tokio::test]
async fn an_id_is_sought_across_the_hole() {
    for limits in [LogLimits::default(), LogLimits { tail_bytes: 1, ..LogLimits::default() }] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            let old = log.append(words("abc")).await.unwrap();
            fixture.clock.advance(2 * DAY);
            let new = log.append(words("de")).await.unwrap();
            trim(log, &older_than_a_day(&fixture.clock)).await;

            for from in [EventId::MIN, old[0].id(), old[2].id(), new[0].id()] {
                assert_eq!(log.seek(from).await.unwrap(), Position(3));
            }
            assert_eq!(log.seek(EventId::MAX).await.unwrap(), Position(5));
            assert_eq!(log.read(Position(1), ALL).await.unwrap().len(), 2);

            fixture.clock.advance(2 * DAY);
            trim(log, &older_than_a_day(&fixture.clock)).await;
            assert_eq!(positions(log).await, [0_u64; 0]);
            assert_eq!(log.seek(EventId::MIN).await.unwrap(), Position(5));
            assert_eq!(log.seek(EventId::MAX).await.unwrap(), Position(5));
            assert_eq!(log.read(Position::START, ALL).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn a_content_is_forgotten_with_its_event_and_a_newer_one_is_not() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let once = || vec![Draft { deduplicate: Some(100 * DAY), ..draft("a") }];
        let first = log.append(once()).await.unwrap()[0].id();
        fixture.clock.advance(2 * DAY);
        assert_eq!(log.append(once()).await.unwrap(), [Appended::Duplicate { of: first }]);
        trim(log, &older_than_a_day(&fixture.clock)).await;

        let second = log.append(once()).await.unwrap()[0];
        assert!(matches!(second, Appended::New { position: Position(2), .. }), "{second:?}");

        log.append(words("b")).await.unwrap();
        fixture.clock.advance(2 * DAY);
        log.append(words("b")).await.unwrap();
        trim(log, &older_than_a_day(&fixture.clock)).await;
        let repeat = Draft { deduplicate: Some(DAY), ..draft("b") };
        let repeat = log.append(vec![repeat]).await.unwrap()[0];
        assert!(matches!(repeat, Appended::Duplicate { .. }), "{repeat:?}");
    }
}

#[tokio::test]
async fn an_event_that_is_gone_is_in_conflict_with_none_and_one_that_waits_still_is() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let clash = |word: &str, of: &str| {
            let (draft, of) = (draft(word), draft(of));
            Draft { idempotency_key: of.idempotency_key, ..draft }
        };
        let appended = log.append(words("ab")).await.unwrap();
        let waits = retry("s", appended[1].id(), 2);
        settle(&*fixture.store.state, "s", 2).await;
        fixture
            .store
            .state
            .commit(Changes { retries: vec![waits], ..Changes::default() })
            .await
            .unwrap();
        fixture.clock.advance(2 * DAY);
        assert_eq!(trim(log, &older_than_a_day(&fixture.clock)).await, 1);
        assert_eq!(low_watermark(log).await.position, Position(2));

        let clashes = log.append(vec![clash("c", "a"), clash("d", "b")]).await.unwrap();
        assert!(matches!(clashes[0], Appended::New { conflict: None, .. }), "{clashes:?}");
        let held = appended[1].id();
        assert!(
            matches!(clashes[1], Appended::New { conflict: Some(of), .. } if of == held),
            "{clashes:?}"
        );
        let repeat = Draft { deduplicate: Some(100 * DAY), ..draft("b") };
        assert_eq!(log.append(vec![repeat]).await.unwrap(), [Appended::Duplicate { of: held }]);
    }
}

#[tokio::test]
async fn ids_and_positions_go_on_after_everything_was_dropped_and_a_restart() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let last = log.append(words("abc")).await.unwrap()[2].id();
    clock.advance(2 * DAY);
    assert_eq!(trim(&*log, &older_than_a_day(&clock)).await, 3);
    log.close().await.unwrap();

    clock.set(START.before(DAY));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();

    assert_eq!(log.head(), Position(3));
    assert_eq!(log.low_watermark(), LowWatermark { position: Position(3), id: last });
    let next = log.append(words("d")).await.unwrap()[0];
    assert!(matches!(next, Appended::New { position: Position(4), .. }), "{next:?}");
    assert!(next.id() > last);
}

#[tokio::test]
async fn a_crash_between_two_slices_leaves_a_low_watermark_and_everything_above_it() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    for _ in 0..3 {
        log.append(words(&"abcdefghij".repeat(40))).await.unwrap();
    }
    clock.advance(2 * DAY);
    let retention = older_than_a_day(&clock);
    let mut slices = 0;
    loop {
        let trimmed = log.trim(&retention).await.unwrap();
        slices += 1;
        let left = TempDir::new().unwrap();
        for name in ["sealway.db", "sealway.db-wal"] {
            std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
        }
        let after: Arc<_> = open(left.path(), LogLimits::default(), &clock).unwrap();
        assert_eq!(after.low_watermark(), log.low_watermark());
        assert_eq!(
            positions(&*after).await,
            (log.low_watermark().position.0 + 1..=1200).collect::<Vec<_>>()
        );
        if !trimmed.more {
            break;
        }
    }
    assert!(slices > 3, "{slices} slices");
}

#[tokio::test]
async fn the_contents_of_what_is_gone_are_swept_as_more_goes() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let look = Connection::open(directory.path().join("sealway.db")).unwrap();
    let mut longest = 0;
    for round in 0..40 {
        let batch = (0..200).map(|n| draft(&format!("{round}-{n}")));
        log.append(batch.collect()).await.unwrap();
        clock.advance(DAY / 3);
        trim(&*log, &older_than_a_day(&clock)).await;
        let all = "SELECT count(*) FROM
                     (SELECT idempotency_key, digest, publication FROM contents
                      UNION SELECT idempotency_key, digest, publication FROM recent)";
        let contents: u32 = look.query_row(all, [], |row| row.get(0)).unwrap();
        let contents = u64::from(contents);
        assert!(contents >= log.head().0 - log.low_watermark().position.0);
        longest = longest.max(contents);
    }
    assert_eq!(log.head().0 - log.low_watermark().position.0, 600, "three rounds are a day");
    assert!(longest < 1_100, "{longest} contents of 600 entries");
}

#[tokio::test]
async fn the_file_stops_growing_while_as_much_is_dropped_as_comes() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let hold = Position(u64::MAX);
    let most = Retention { bytes: Some(2_000_000), hold, ..Retention::default() };
    let mut sizes = Vec::new();
    for round in 0..60 {
        let batch = (0..50).map(|n| draft(&format!("{round}-{n}-{}", "x".repeat(2_000))));
        log.append(batch.collect()).await.unwrap();
        trim(&*log, &most).await;
        let look = Connection::open(directory.path().join("sealway.db")).unwrap();
        let pages: i64 = look.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        sizes.push(pages);
    }

    assert!(sizes[59] <= sizes[30] + sizes[30] / 10, "{sizes:?} pages");
}
