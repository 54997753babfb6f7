//! How entries are read: pages, ids, places, and the news of a moved head.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use crate::event::{Data, EventId, Subject};
use crate::eventlog::conformance::fixture::{START, context, draft, engines, head, words};
use crate::eventlog::{
    Changes, CommitError, Draft, Entry, Log, LogError, LogLimits, Page, Position, Protection,
};

/// Every bound of memory so small that most reads go to the disk.
fn short_tail() -> LogLimits {
    LogLimits { tail_bytes: 1, ..LogLimits::default() }
}

fn read_words(entries: &[Arc<Entry>]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.envelope_id).collect()
}

async fn read(log: &dyn Log, after: u64, items: usize, bytes: usize) -> Vec<Arc<Entry>> {
    log.read(Position(after), Page { items, bytes }).await.unwrap()
}

#[tokio::test]
async fn pages_begin_after_the_position_and_end_at_the_first_bound() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            log.append(words("abcdef")).await.unwrap();
            let weight = draft("a").weight();

            assert_eq!(
                read_words(&read(log, 0, 10, usize::MAX).await),
                ["a", "b", "c", "d", "e", "f"]
            );
            assert_eq!(read_words(&read(log, 4, 10, usize::MAX).await), ["e", "f"]);
            assert_eq!(read_words(&read(log, 1, 2, usize::MAX).await), ["b", "c"]);
            assert_eq!(read_words(&read(log, 1, 10, weight * 3).await), ["b", "c", "d"]);
            assert_eq!(read_words(&read(log, 1, 10, 1).await), ["b"], "always one");
            assert_eq!(read(log, 6, 10, usize::MAX).await, []);
            assert_eq!(read(log, 600, 10, usize::MAX).await, []);
        }
    }
}

#[tokio::test]
async fn every_attribute_comes_back() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            let given = Draft {
                subject: Some(Subject::new("order 7").unwrap()),
                dataschema: Some("https://gw.example/schemas/a/1".into()),
                trace: Some(
                    "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01".parse().unwrap(),
                ),
                time: START.before(Duration::from_nanos(1)).into(),
                data: Data::from_text("{\"name\":\"Zoë\"}".to_owned()),
                protection: Protection { data_key: Some("tenant-7".into()) },
                ..draft("a")
            };
            let id = log.append(vec![given.clone(), draft("b")]).await.unwrap()[0].id();

            let read = read(log, 0, 1, usize::MAX).await;
            let salt = read[0].event.salt.unwrap();
            let expected = Entry::new(given, id, Position(1), START).salted(salt);
            assert_eq!(*read[0], expected);
            assert_eq!(log.find(&[id]).await.unwrap()[0].as_deref(), Some(&expected));
        }
    }
}

#[tokio::test]
async fn the_word_of_a_producer_on_the_time_comes_back_as_it_was() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            let times = [
                "0000-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z",
                "2026-11-21T21:17:00+01:00",
                "2026-11-21T20:17:00.250Z",
                "1969-12-31T23:59:59.5Z",
                "2016-12-31T23:59:60Z",
            ];
            let drafts = times.map(|time| Draft { time: time.parse().unwrap(), ..draft(time) });
            log.append(drafts.into()).await.unwrap();

            let kept = read(log, 0, 10, usize::MAX).await;
            let kept: Vec<_> = kept.iter().map(|entry| entry.event.time.to_string()).collect();
            assert_eq!(kept, times);
        }
    }
}

#[tokio::test]
async fn what_a_publication_decided_beside_the_core_attributes_comes_back() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            let decided = Draft { context: Some(context()), ..draft("a") };
            log.append(vec![decided, draft("b")]).await.unwrap();

            let kept = read(log, 0, 10, usize::MAX).await;
            let kept: Vec<_> = kept.iter().map(|entry| entry.event.context.clone()).collect();
            assert_eq!(kept, [Some(context()), None]);
        }
    }
}

#[tokio::test]
async fn events_are_found_by_id_in_the_order_asked() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let appended = fixture.store.log.append(words("abc")).await.unwrap();
            let [a, b, c] = [appended[0].id(), appended[1].id(), appended[2].id()];

            let found = fixture.store.log.find(&[c, EventId::MIN, a, b, a]).await.unwrap();

            let found: Vec<_> = found.iter().map(|e| e.as_ref().map(|e| e.event.id)).collect();
            assert_eq!(found, [Some(c), None, Some(a), Some(b), Some(a)]);
        }
    }
}

#[tokio::test]
async fn the_events_of_an_envelope_are_found_by_its_id_page_by_page() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            let of = |envelope: &str, word: &str| Draft {
                envelope_id: envelope.into(),
                deduplicate: Some(Duration::from_mins(1)),
                ..draft(word)
            };
            let drafts = vec![of("one", "a"), of("two", "b"), of("one", "c"), of("three", "b")];
            log.append(drafts).await.unwrap();
            log.append(vec![of("two", "b")]).await.unwrap();

            let found = async |envelope: &str, after: u64, items: usize| {
                let page = Page { items, ..Page::default() };
                let found = log.of_envelope(envelope, Position(after), page).await.unwrap();
                found.iter().map(|entry| entry.position.0).collect::<Vec<_>>()
            };
            assert_eq!(found("one", 0, 10).await, [1, 3]);
            assert_eq!(found("one", 0, 1).await, [1]);
            assert_eq!(found("one", 1, 10).await, [3]);
            assert_eq!(found("two", 0, 10).await, [2], "a repeat is noted once");
            assert_eq!(found("three", 0, 10).await, [2], "its content was there already");
            assert_eq!(found("ONE", 0, 10).await, [] as [u64; 0]);
            assert_eq!(found("", 0, 10).await, [] as [u64; 0]);
        }
    }
}

#[tokio::test]
async fn an_id_is_sought_by_its_place_whether_or_not_it_is_there() {
    for limits in [LogLimits::default(), short_tail()] {
        for fixture in engines(limits) {
            let log = &*fixture.store.log;
            assert_eq!(log.seek(EventId::MIN).await.unwrap(), Position::START);
            assert_eq!(log.seek(EventId::MAX).await.unwrap(), Position::START);
            log.append(words("ab")).await.unwrap();
            fixture.clock.advance(Duration::from_secs(2));
            let third = log.append(words("c")).await.unwrap()[0].id();
            let between = EventId::first_of(third.unix_ms() - 1_000);

            assert_eq!(log.seek(EventId::MIN).await.unwrap(), Position::START);
            assert_eq!(log.seek(between).await.unwrap(), Position(2));
            assert_eq!(log.seek(third).await.unwrap(), Position(2));
            assert_eq!(log.seek(third.successor().unwrap()).await.unwrap(), Position(3));
        }
    }
}

#[tokio::test]
async fn followers_hear_of_a_head_that_they_can_read_up_to() {
    for fixture in engines(LogLimits::default()) {
        let log = Arc::clone(&fixture.store.log);
        let follower = async {
            let mut news = log.watch();
            let mut seen = Position::START;
            while seen < Position(30) {
                news.wait_for(|head| *head > seen).await.unwrap();
                let head = *news.borrow();
                let entries = read(&*log, seen.0, 100, usize::MAX).await;
                assert!(entries.last().unwrap().position >= head, "the head was read");
                assert_eq!(entries[0].position.0, seen.0 + 1);
                seen = entries.last().unwrap().position;
            }
        };
        let producer = async {
            for _ in 0..10 {
                log.append(words("abc")).await.unwrap();
            }
            // A log that is late tells what it hears when it asks.
            head(&*log).await;
        };
        join(follower, producer).await;
    }
}

#[tokio::test]
async fn a_closed_log_has_kept_what_it_took_and_refuses_the_rest() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        let (taken, ()) = tokio::join!(log.append(words("abc")), async {
            log.close().await.unwrap();
        });

        assert_eq!(taken.unwrap().len(), 3);
        assert!(matches!(log.append(words("d")).await, Err(LogError::Closed)));
        assert!(matches!(
            fixture.store.state.commit(Changes::default()).await,
            Err(CommitError::Failed(LogError::Closed))
        ));
        log.close().await.unwrap();
    }
}
