//! What happens to drafts: names, order, repeats and conflicts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::event::{EventId, Timestamp};
use crate::eventlog::conformance::fixture::{START, context, draft, engines, head};
use crate::eventlog::{Appended, Draft, Log, LogLimits, Origin, Page, Position};

fn with_origin(word: &str, origin: u8) -> Draft {
    Draft { origin: Some(Origin([origin; 16])), ..draft(word) }
}

async fn append_one(log: &dyn Log, draft: Draft) -> Appended {
    let appended = log.append(vec![draft]).await.unwrap();
    assert_eq!(appended.len(), 1);
    appended[0]
}

fn position(appended: Appended) -> Option<u64> {
    match appended {
        Appended::New { position, .. } => Some(position.0),
        Appended::Duplicate { .. } => None,
    }
}

#[tokio::test]
async fn a_batch_is_named_in_order_and_read_back_as_it_was_given() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let given = vec![draft("a"), draft("b"), draft("c")];

        let appended = log.append(given.clone()).await.unwrap();

        assert_eq!(
            appended.iter().map(|a| position(*a)).collect::<Vec<_>>(),
            [Some(1), Some(2), Some(3)]
        );
        let read = log.read(Position::START, Page::default()).await.unwrap();
        assert_eq!(read.len(), 3);
        for ((entry, appended), given) in read.iter().zip(&appended).zip(given) {
            assert_eq!(entry.event.id, appended.id());
            assert_eq!(entry.accepted, START);
            assert_eq!(entry.event.data, given.data);
            assert_eq!(entry.envelope_id, given.envelope_id);
        }
        assert_eq!(head(log).await, Position(3));
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn every_event_has_a_salt_of_its_own_and_a_digest_of_form_2_under_it() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let decided = Draft { context: Some(context()), ..draft("b") };
        log.append(vec![draft("a"), draft("a"), decided]).await.unwrap();

        let read = log.read(Position::START, Page::default()).await.unwrap();
        let salts: Vec<_> = read.iter().map(|entry| entry.event.salt.unwrap()).collect();
        assert!(salts[0] != salts[1] && salts[1] != salts[2], "equal content, other salts");
        for entry in &read {
            assert_eq!(entry.event.digest, entry.event.salted_digest(entry.event.salt.unwrap()));
        }
        assert_ne!(read[0].event.digest, read[1].event.digest);
    }
}

#[tokio::test]
async fn an_empty_batch_changes_nothing() {
    for fixture in engines(LogLimits::default()) {
        assert_eq!(fixture.store.log.append(vec![]).await.unwrap(), []);
        assert_eq!(head(&*fixture.store.log).await, Position::START);
    }
}

#[tokio::test]
async fn ids_grow_with_positions_when_the_clock_steps_back() {
    for fixture in engines(LogLimits::default()) {
        let mut ids = Vec::new();
        for seconds in [0, 5, 4, -3_600, 6] {
            let moment = Timestamp::from_unix_seconds(START.unix_seconds() + seconds);
            fixture.clock.set(moment);
            ids.push(append_one(&*fixture.store.log, draft("a")).await.id());
        }

        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert_eq!(ids[4].unix_ms(), u64::try_from(START.unix_ms()).unwrap() + 6_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_leave_no_gap_and_one_order() {
    for fixture in engines(LogLimits::default()) {
        let producers = (0..8_u8).map(|producer| {
            let (log, clock) = (Arc::clone(&fixture.store.log), fixture.clock.clone());
            async move {
                for number in 0..25_u8 {
                    if number % 5 == producer % 5 {
                        clock.set(START.before(Duration::from_secs(number.into())));
                    }
                    let word = format!("{producer}-{number}");
                    let appended = log.append(vec![draft(&word), draft(&word)]).await.unwrap();
                    let first = position(appended[0]).unwrap();
                    assert_eq!(position(appended[1]), Some(first + 1), "a batch stays together");
                }
            }
        });
        join_all(producers).await;

        let all = Page { items: 1_000, bytes: usize::MAX };
        let read = fixture.store.log.read(Position::START, all).await.unwrap();
        let positions: Vec<u64> = read.iter().map(|entry| entry.position.0).collect();
        assert_eq!(positions, (1..=400).collect::<Vec<_>>());
        assert!(read.windows(2).all(|pair| pair[0].event.id < pair[1].event.id));
    }
}

#[tokio::test]
async fn a_repeat_by_the_bus_is_answered_with_the_first_id_for_a_day() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let first = append_one(log, with_origin("a", 1)).await.id();

        fixture.clock.advance(Duration::from_hours(24) - Duration::from_nanos(1));
        let repeated = append_one(log, with_origin("other content", 1)).await;
        assert_eq!(repeated, Appended::Duplicate { of: first });

        fixture.clock.set(START.before(Duration::from_hours(48)));
        let earlier = append_one(log, with_origin("a", 1)).await;
        assert_eq!(earlier, Appended::Duplicate { of: first }, "a clock gone back forgets nothing");

        fixture.clock.set(START.after(Duration::from_hours(90 * 24)));
        let later = append_one(log, with_origin("a", 1)).await;
        assert_eq!(later, Appended::Duplicate { of: first }, "nor does one that leaps ahead");

        fixture.clock.advance(Duration::from_nanos(2));
        assert_eq!(position(append_one(log, with_origin("a", 1)).await), Some(2));
        assert_eq!(head(log).await, Position(2));
    }
}

#[tokio::test]
async fn drafts_of_one_batch_with_one_origin_are_repeats_of_the_first() {
    for fixture in engines(LogLimits::default()) {
        let batch = vec![with_origin("a", 1), with_origin("b", 2), with_origin("c", 1)];

        let appended = fixture.store.log.append(batch).await.unwrap();

        assert_eq!(appended[2], Appended::Duplicate { of: appended[0].id() });
        assert_eq!(position(appended[1]), Some(2));
        assert_eq!(head(&*fixture.store.log).await, Position(2));
    }
}

#[tokio::test]
async fn drafts_of_one_group_with_one_origin_are_repeats_of_the_first() {
    for fixture in engines(LogLimits::default()) {
        let one = || fixture.store.log.append(vec![with_origin("a", 1)]);

        let answers = join_all((0..20).map(|_| one())).await;

        let ids: Vec<EventId> = answers.iter().map(|a| a.as_ref().unwrap()[0].id()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(head(&*fixture.store.log).await, Position(1));
    }
}

#[tokio::test]
async fn equal_content_is_swallowed_only_where_asked_and_within_its_window() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let minute = |word| Draft { deduplicate: Some(Duration::from_mins(1)), ..draft(word) };
        let first = append_one(log, draft("a")).await.id();

        assert_eq!(append_one(log, minute("a")).await, Appended::Duplicate { of: first });
        assert_eq!(position(append_one(log, minute("b")).await), Some(2), "other content");
        let elsewhere = Draft { publication: "tests/other".into(), ..minute("a") };
        assert_eq!(position(append_one(log, elsewhere).await), Some(3), "other publication");
        assert_eq!(position(append_one(log, draft("a")).await), Some(4), "not asked");
        fixture.clock.advance(Duration::from_mins(1));
        assert_eq!(position(append_one(log, minute("a")).await), Some(5), "too late");
    }
}

#[tokio::test]
async fn equal_content_is_not_swallowed_for_years_after_a_clock_was_set_back() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let minute = |word| Draft { deduplicate: Some(Duration::from_mins(1)), ..draft(word) };
        fixture.clock.set(START.after(Duration::from_hours(24 * 365)));
        let first = append_one(log, draft("a")).await.id();

        fixture.clock.set(START);
        fixture.clock.advance(Duration::from_secs(59));
        assert_eq!(append_one(log, minute("a")).await, Appended::Duplicate { of: first });
        fixture.clock.advance(Duration::from_secs(2));

        assert_eq!(position(append_one(log, minute("a")).await), Some(2));
    }
}

#[tokio::test]
async fn equal_keys_with_different_content_are_kept_as_a_conflict() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let first = append_one(log, draft("a")).await.id();
        let clash = Draft { idempotency_key: draft("a").idempotency_key, ..draft("b") };

        let Appended::New { id, conflict, .. } = append_one(log, clash).await else {
            panic!("a conflict was swallowed")
        };

        assert_eq!(conflict, Some(first));
        let kept = log.find(&[id]).await.unwrap();
        assert_eq!(kept[0].as_ref().unwrap().conflict, Some(first));
    }
}

#[tokio::test]
async fn one_request_that_is_over_the_limit_is_taken_while_nothing_waits() {
    let limits = LogLimits { waiting_bytes: draft("a").weight() * 2, ..LogLimits::default() };
    for fixture in engines(limits) {
        let log = &*fixture.store.log;

        log.append(vec![draft("a"), draft("b"), draft("c")]).await.unwrap();

        assert_eq!(head(log).await, Position(3));
        log.append(vec![draft("d"), draft("e"), draft("f"), draft("g")]).await.unwrap();
        assert_eq!(head(log).await, Position(7));
    }
}
