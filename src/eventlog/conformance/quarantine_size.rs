//! How much is in quarantine: each producer's quota of events, the size of the whole, and who has most.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::{EventProducer, ProducerKind};
use crate::eventlog::conformance::fixture::engines;
use crate::eventlog::conformance::quarantine::{AMPLE, already, broken, new, numbers, unread};
use crate::eventlog::{
    KeptEntry, LogLimits, NewQuarantined, ProducerUsage, QuarantineId, QuarantineKind,
    QuarantineQuery, QuarantineQuota, QuarantineUsage, Store,
};

/// An event of a producer's own, which weighs what it is asked to.
fn weighing(producer: &str, word: &str, weight: usize) -> NewQuarantined {
    let producer = EventProducer { kind: ProducerKind::Caller, name: producer.into() };
    let received = "x".repeat(weight - "[]".len());
    NewQuarantined { producer: Some(producer), received, ..broken(word) }
}

#[tokio::test]
async fn a_producer_keeps_no_more_broken_events_than_its_quota_and_harms_no_other() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let keep = async |batch: Vec<NewQuarantined>, quota: QuarantineQuota| {
            let ids = store.quarantine.quarantine(batch, quota).await.unwrap();
            ids.iter().map(|kept| *kept != KeptEntry::OverQuota).collect::<Vec<_>>()
        };
        let shop = || weighing("shop", "a", 100);
        let few = QuarantineQuota { entries: 2, ..AMPLE };

        let batch = vec![shop(), shop(), shop(), weighing("depot", "a", 100), broken("nobody's")];
        assert_eq!(keep(batch, few).await, [true, true, false, true, true]);
        assert_eq!(keep(vec![shop()], few).await, [false]);
        // What could not be read has a quota of its own.
        let unread = vec![unread("shop", b"1"), unread("shop", b"12")];
        let unread = store.quarantine.quarantine_bytes(unread, few).await.unwrap();
        assert_eq!(unread, [new(5), new(6)]);
        assert!(store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert_eq!(keep(vec![shop(), shop()], few).await, [true, false]);

        let two = weighing("shop", "b", 50).bytes_on_disk() + shop().bytes_on_disk();
        let full = QuarantineQuota { bytes: shop().bytes_on_disk() + two, ..AMPLE };
        let batch = vec![weighing("shop", "b", 51), weighing("shop", "b", 50), shop()];
        assert_eq!(keep(batch, full).await, [false, true, false]);
        let of = QuarantineQuery { producer: Some("shop".into()), ..QuarantineQuery::default() };
        assert_eq!(numbers(store, of).await, [2, 5, 6, 7, 8]);
    }
}

#[tokio::test]
async fn the_quarantine_has_a_size_of_its_own_and_has_room_again_for_what_leaves() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let event = |word: &str| weighing("shop", word, 5000);
        let (of_event, of_bytes) =
            (event("a").bytes_on_disk(), unread("depot", b"").bytes_on_disk());
        let quota = QuarantineQuota { total: Some(2 * of_event + of_bytes), ..AMPLE };
        let keep = async |word: &str| {
            store.quarantine.quarantine(vec![event(word)], quota).await.unwrap()[0]
        };
        let keep_bytes = async |body: &[u8]| {
            let batch = vec![unread("depot", body)];
            store.quarantine.quarantine_bytes(batch, quota).await.unwrap()[0]
        };

        assert_eq!((keep("a").await, keep("b").await), (new(1), new(2)));
        assert_eq!(keep("c").await, KeptEntry::Full);
        assert_eq!(keep_bytes(b"").await, new(3));
        assert_eq!(keep_bytes(b"1").await, KeptEntry::Full);
        assert_eq!(keep_bytes(b"").await, already(3), "what is there takes no more room");
        assert_eq!(total(store).await, (3, 2 * of_event + of_bytes));

        assert!(store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert!(!store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert_eq!(total(store).await, (2, of_event + of_bytes));
        assert_eq!(keep("c").await, new(4));
        let age = Duration::from_secs(1);
        fixture.clock.advance(2 * age);
        assert_eq!(store.quarantine.expire_quarantined(age, 10).await.unwrap().len(), 3);
        assert_eq!(total(store).await, (0, 0));
        assert_eq!(keep("d").await, new(5));
    }
}

#[tokio::test]
async fn long_names_are_charged_to_their_producer_as_they_are_to_the_whole() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let long = |number: usize| NewQuarantined {
            envelope_id: format!("{number}-{}", "i".repeat(250)).into(),
            publication: format!("domain/{}", "p".repeat(250)).into(),
            ..weighing("shop", "a", 60)
        };
        let quota = QuarantineQuota { bytes: 100_000, ..AMPLE };
        store.quarantine.quarantine((0..100).map(long).collect(), quota).await.unwrap();

        let size = store.quarantine.quarantine_size(1).await.unwrap();
        assert!(size.total.entries < 100 && size.total.bytes <= 100_000, "{:?}", size.total);
        assert_eq!(size.largest[0].usage, size.total, "it is all the producer's");
    }
}

#[tokio::test]
async fn what_is_in_quarantine_does_not_count_as_the_log() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let extent = async || store.log.extent(&BTreeSet::new()).await.unwrap().bytes;
        let before = extent().await;

        let sizes = [50, 800, 1400, 2100, 3000, 4050, 4100, 6000, 9000, 20_000];
        let event = |number: usize| weighing("shop", &format!("word {number}"), sizes[number % 10]);
        for batch in 0..10 {
            let events = (batch * 20..(batch + 1) * 20).map(event).collect();
            let ample = QuarantineQuota { entries: 1000, bytes: u64::MAX, total: None };
            store.quarantine.quarantine(events, ample).await.unwrap();
        }

        let (entries, bytes) = total(store).await;
        assert!((entries, bytes > 1_000_000) == (200, true), "{entries} entries, {bytes} bytes");
        assert_eq!(extent().await, before);
    }
}

async fn total(store: &Store) -> (u64, u64) {
    let size = store.quarantine.quarantine_size(0).await.unwrap();
    assert!(size.largest.is_empty());
    (size.total.entries, size.total.bytes)
}

#[tokio::test]
async fn the_producers_that_have_most_in_quarantine_are_named_first() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let events = vec![
            weighing("shop", "a", 100),
            weighing("shop", "b", 200),
            weighing("depot", "a", 9000),
            NewQuarantined { received: "x".repeat(48), ..broken("a") },
        ];
        let sizes: Vec<u64> = events.iter().map(NewQuarantined::bytes_on_disk).collect();
        store.quarantine.quarantine(events, AMPLE).await.unwrap();
        let sent = unread("shop", b"what could not be read");
        let unreadable = sent.bytes_on_disk();
        store.quarantine.quarantine_bytes(vec![sent], AMPLE).await.unwrap();

        let named = async |most| {
            let size = store.quarantine.quarantine_size(most).await.unwrap();
            let name = |one: &ProducerUsage| {
                let producer = one.producer.as_ref().map(ToString::to_string);
                (producer.unwrap_or_default(), one.kind, one.usage)
            };
            size.largest.iter().map(name).collect::<Vec<_>>()
        };
        let usage = |entries, bytes| QuarantineUsage { entries, bytes };
        let (shop, depot) = ("caller `shop`".to_owned(), "caller `depot`".to_owned());
        let (event, bytes) = (QuarantineKind::Event, QuarantineKind::Bytes);
        assert_eq!(
            named(9).await,
            [
                (depot, event, usage(1, sizes[2])),
                (shop.clone(), event, usage(2, sizes[0] + sizes[1])),
                (String::new(), event, usage(1, sizes[3])),
                (shop, bytes, usage(1, unreadable)),
            ]
        );
        assert_eq!(named(2).await.len(), 2);
    }
}
