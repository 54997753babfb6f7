//! Events that broke their contract, and bytes that could not be read: kept, found, counted and dropped.

use std::cell::Cell;
use std::time::Duration;

use crate::event::{EventProducer, ProducerKind, Timestamp};
use crate::eventlog::conformance::fixture::{START, engines};
use crate::eventlog::{
    KeptEntry, LogLimits, NewQuarantined, Page, QuarantineCount, QuarantineId, QuarantineKind,
    QuarantineQuery, QuarantineQuota, QuarantinedContent, Store, UnreadBytes,
};

/// Room for all that a test keeps.
pub(super) const AMPLE: QuarantineQuota =
    QuarantineQuota { entries: 100, bytes: 1_000_000, total: None };

pub(super) fn broken(word: &str) -> NewQuarantined {
    NewQuarantined {
        producer: None,
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        codes: "required,type".into(),
        received: format!("{{\"word\":\"{word}\"}}"),
        violations: "[]".to_owned(),
        identity: None,
    }
}

pub(super) fn unread(producer: &str, body: &[u8]) -> UnreadBytes {
    UnreadBytes {
        producer: EventProducer { kind: ProducerKind::Caller, name: producer.into() },
        identity: [body.len().to_le_bytes()[0]; 32],
        envelope_id: "lost".into(),
        codes: "invalid-event".into(),
        violations: "[]".to_owned(),
        headers: "{}".to_owned(),
        body: body.to_vec(),
    }
}

pub(super) fn new(number: u64) -> KeptEntry {
    KeptEntry::New(QuarantineId(number))
}

pub(super) fn already(number: u64) -> KeptEntry {
    KeptEntry::Already(QuarantineId(number))
}

/// The numbers of what is kept of a kind, or of a producer.
pub(super) async fn numbers(store: &Store, query: QuarantineQuery) -> Vec<u64> {
    let listed = store.quarantine.quarantined(&query, Page::default()).await.unwrap();
    listed.into_iter().map(|kept| kept.id.0).collect()
}

async fn kept(store: &Store, after: u64, items: usize) -> Vec<(u64, String)> {
    let page = Page { items, ..Page::default() };
    let query = QuarantineQuery { after: QuarantineId(after), ..QuarantineQuery::default() };
    let listed = store.quarantine.quarantined(&query, page).await.unwrap();
    let received = |content| match content {
        QuarantinedContent::Event(event) => event.received,
        QuarantinedContent::Bytes(bytes) => String::from_utf8_lossy(&bytes.body).into_owned(),
    };
    listed.into_iter().map(|kept| (kept.id.0, received(kept.content))).collect()
}

#[tokio::test]
async fn bytes_that_could_not_be_read_come_back_as_they_were_sent_and_are_found_by_their_producer()
{
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let sent = UnreadBytes { body: vec![0, 0xff, b'{'], ..unread("shop", b"") };
        store.quarantine.quarantine(vec![broken("a")], AMPLE).await.unwrap();
        let batch = vec![sent.clone(), unread("depot", b"[")];
        let ids = store.quarantine.quarantine_bytes(batch, AMPLE).await.unwrap();
        assert_eq!(ids, [new(2), new(3)]);
        assert_eq!(store.quarantine.quarantine_bytes(vec![], AMPLE).await.unwrap(), []);

        let all = QuarantineQuery::default;
        let bytes = QuarantineQuery { kind: Some(QuarantineKind::Bytes), ..all() };
        let listed = store.quarantine.quarantined(&bytes, Page::default()).await.unwrap();
        assert_eq!((listed.len(), listed[0].at, listed[0].publication()), (2, START, None));
        assert!(matches!(&listed[0].content, QuarantinedContent::Bytes(kept) if *kept == sent));
        let events = QuarantineQuery { kind: Some(QuarantineKind::Event), ..all() };
        assert_eq!(numbers(store, events).await, [1]);
        let of = QuarantineQuery { producer: Some("depot".into()), ..all() };
        assert_eq!(numbers(store, of).await, [3]);
        let lost = QuarantineQuery { envelope_id: Some("lost".into()), ..all() };
        assert_eq!(numbers(store, lost).await, [2, 3]);

        let counts = store.quarantine.count_quarantined().await.unwrap();
        let counted = counts.iter().find(|count| count.publication.is_empty()).unwrap();
        assert_eq!((&*counted.codes, counted.count), ("invalid-event", 2));
        assert!(store.quarantine.unquarantine(QuarantineId(2)).await.unwrap());
        assert_eq!(numbers(store, all()).await, [1, 3]);
    }
}

#[tokio::test]
async fn a_producer_keeps_no_more_unread_bytes_than_its_quota_and_harms_no_other() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let bytes = unread("shop", b"1234").bytes_on_disk();
        let few = QuarantineQuota { entries: 2, ..AMPLE };
        let keep = async |batch: Vec<UnreadBytes>, quota: QuarantineQuota| {
            let ids = store.quarantine.quarantine_bytes(batch, quota).await.unwrap();
            ids.iter().map(|kept| *kept != KeptEntry::OverQuota).collect::<Vec<_>>()
        };
        let number = Cell::new(0);
        let four = |producer: &str| {
            number.set(number.get() + 1);
            UnreadBytes { identity: [number.get(); 32], ..unread(producer, b"1234") }
        };

        let batch = vec![four("shop"), four("shop"), four("shop"), four("depot")];
        assert_eq!(keep(batch, few).await, [true, true, false, true]);
        assert_eq!(keep(vec![four("shop")], few).await, [false]);
        assert!(store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert_eq!(keep(vec![four("shop")], few).await, [true]);

        let full = QuarantineQuota { bytes: 3 * bytes, ..AMPLE };
        assert_eq!(
            keep(vec![UnreadBytes { body: b"12345".to_vec(), ..four("shop") }, four("shop")], full)
                .await,
            [false, true]
        );
        assert_eq!(keep(vec![UnreadBytes { body: vec![], ..four("shop") }], full).await, [false]);
        let key = EventProducer { kind: ProducerKind::AccessKey, name: "shop".into() };
        assert_eq!(keep(vec![UnreadBytes { producer: key, ..four("") }], full).await, [true]);
        store.quarantine.quarantine(vec![broken("a")], AMPLE).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_producer_sends_again_is_named_and_not_kept_twice_also_over_its_quota() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let one = QuarantineQuota { entries: 1, ..AMPLE };
        let keep = async |bytes: Vec<UnreadBytes>| {
            store.quarantine.quarantine_bytes(bytes, one).await.unwrap()
        };

        let twice = vec![unread("shop", b"{"), unread("shop", b"{")];
        assert_eq!(keep(twice).await, [new(1), already(1)]);
        assert_eq!(keep(vec![unread("shop", b"{")]).await, [already(1)]);
        assert_eq!(keep(vec![unread("shop", b"{{")]).await, [KeptEntry::OverQuota]);
        assert_eq!(keep(vec![unread("depot", b"{")]).await, [new(2)]);
        assert!(store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert_eq!(keep(vec![unread("shop", b"{")]).await, [new(3)]);
    }
}

#[tokio::test]
async fn an_event_that_comes_again_is_named_and_not_kept_twice_until_its_entry_is_gone() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let keep = async |names: &[u8]| {
            let event = |name: &u8| NewQuarantined { identity: Some([*name; 32]), ..broken("a") };
            store.quarantine.quarantine(names.iter().map(event).collect(), AMPLE).await.unwrap()
        };
        let already = |number| KeptEntry::Already(QuarantineId(number));

        assert_eq!(keep(&[7, 7, 8]).await, [new(1), already(1), new(2)]);
        assert_eq!(keep(&[7]).await, [already(1)]);
        let nameless =
            store.quarantine.quarantine(vec![broken("a"), broken("a")], AMPLE).await.unwrap();
        assert_eq!(nameless, [3, 4].map(new));
        let page = Page { items: 1, ..Page::default() };
        let first =
            &store.quarantine.quarantined(&QuarantineQuery::default(), page).await.unwrap()[0];
        assert!(matches!(
            &first.content,
            QuarantinedContent::Event(event) if event.identity == Some([7; 32])
        ));

        assert!(store.quarantine.unquarantine(QuarantineId(1)).await.unwrap());
        assert_eq!(keep(&[7, 8]).await, [new(5), already(2)]);
        let age = Duration::from_secs(1);
        fixture.clock.advance(2 * age);
        assert_eq!(store.quarantine.expire_quarantined(age, 10).await.unwrap().len(), 4);
        assert_eq!(keep(&[8, 7]).await, [6, 7].map(new));
    }
}

#[tokio::test]
async fn unread_bytes_expire_with_the_events_around_them_and_free_the_quota() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let one = QuarantineQuota { entries: 1, ..AMPLE };
        let bytes = || vec![unread("shop", b"{")];
        store.quarantine.quarantine_bytes(bytes(), one).await.unwrap();
        store.quarantine.quarantine(vec![broken("a")], AMPLE).await.unwrap();
        let age = Duration::from_secs(1);
        fixture.clock.advance(2 * age);

        let expired = store.quarantine.expire_quarantined(age, 10).await.unwrap();
        assert_eq!(expired.len(), 2);
        assert!(expired.contains(&"".into()) && expired.contains(&"tests/happened".into()));
        let again = store.quarantine.quarantine_bytes(bytes(), one).await.unwrap();
        assert_eq!(again, [new(3)]);
    }
}

#[tokio::test]
async fn a_quarantined_event_waits_until_it_is_taken_out() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let ids = store
            .quarantine
            .quarantine(vec![broken("a"), broken("b"), broken("c")], AMPLE)
            .await
            .unwrap();
        assert_eq!(ids, [1, 2, 3].map(new));
        assert_eq!(store.quarantine.quarantine(vec![], AMPLE).await.unwrap(), []);

        assert_eq!(kept(store, 0, 10).await.len(), 3);
        assert_eq!(kept(store, 1, 1).await, [(2, broken("b").received)]);
        let first = &store
            .quarantine
            .quarantined(&QuarantineQuery::default(), Page::default())
            .await
            .unwrap()[0];
        assert_eq!((first.at, &**first.publication().unwrap()), (START, "tests/happened"));

        assert!(store.quarantine.unquarantine(QuarantineId(3)).await.unwrap());
        assert!(!store.quarantine.unquarantine(QuarantineId(3)).await.unwrap());
        assert_eq!(store.quarantine.quarantine(vec![broken("d")], AMPLE).await.unwrap(), [new(4)]);
        assert_eq!(kept(store, 2, 10).await, [(4, broken("d").received)]);
    }
}

#[tokio::test]
async fn quarantined_events_are_found_by_the_id_on_their_bus_and_counted_by_code() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let other = NewQuarantined {
            publication: "tests/other".into(),
            codes: "patch-failed".into(),
            ..broken("a")
        };
        store.quarantine.quarantine(vec![broken("a"), broken("b"), other], AMPLE).await.unwrap();
        let found = async |query: QuarantineQuery| {
            let listed = store.quarantine.quarantined(&query, Page::default()).await.unwrap();
            listed.into_iter().map(|kept| kept.id.0).collect::<Vec<_>>()
        };
        let query = QuarantineQuery { envelope_id: Some("a".into()), ..QuarantineQuery::default() };

        assert_eq!(found(query.clone()).await, [1, 3]);
        assert_eq!(found(QuarantineQuery { after: QuarantineId(1), ..query.clone() }).await, [3]);
        let query = QuarantineQuery { publication: Some("tests/happened".into()), ..query };
        assert_eq!(found(query).await, [1]);
        let coded =
            |code: &str| QuarantineQuery { code: Some(code.into()), ..QuarantineQuery::default() };
        assert_eq!(found(coded("required")).await, [1, 2]);
        assert_eq!(found(coded("patch-failed")).await, [3]);
        for part in ["", "require", "required,type", ",", "%"] {
            assert!(found(coded(part)).await.is_empty(), "{part}");
        }
        let all = Page::default();
        let at =
            store.quarantine.quarantined(&QuarantineQuery::default(), all).await.unwrap()[0].at;
        let within = |from: Option<Timestamp>, to: Option<Timestamp>| QuarantineQuery {
            from,
            to,
            ..QuarantineQuery::default()
        };
        assert_eq!(found(within(Some(at), Some(at))).await, [1, 2, 3]);
        let (before, after) = (at.before(Duration::from_secs(1)), at.after(Duration::from_secs(1)));
        assert!(found(within(Some(after), None)).await.is_empty());
        assert!(found(within(None, Some(before))).await.is_empty());
        let of = |domains: &[&str]| QuarantineQuery {
            domains: Some(domains.iter().map(|name| (*name).into()).collect()),
            ..QuarantineQuery::default()
        };
        assert_eq!(found(of(&["tests", "x"])).await, [1, 2, 3]);
        assert!(found(of(&["test"])).await.is_empty() && found(of(&[])).await.is_empty());
        let count = |publication: &str, codes: &str, count| QuarantineCount {
            publication: publication.into(),
            codes: codes.into(),
            count,
        };
        assert_eq!(
            store.quarantine.count_quarantined().await.unwrap(),
            [count("tests/happened", "required,type", 2), count("tests/other", "patch-failed", 1)]
        );
    }
}

#[tokio::test]
async fn quarantined_events_expire_oldest_first_and_a_few_at_a_time() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        store
            .quarantine
            .quarantine(vec![broken("a"), broken("b"), broken("c")], AMPLE)
            .await
            .unwrap();
        fixture.clock.advance(Duration::from_secs(10));
        store.quarantine.quarantine(vec![broken("d")], AMPLE).await.unwrap();
        let (long, age) = (Duration::from_secs(11), Duration::from_secs(5));

        assert!(store.quarantine.expire_quarantined(long, 10).await.unwrap().is_empty());
        assert_eq!(store.quarantine.expire_quarantined(age, 2).await.unwrap().len(), 2);
        assert_eq!(
            store.quarantine.expire_quarantined(age, 2).await.unwrap(),
            ["tests/happened".into()]
        );
        assert!(store.quarantine.expire_quarantined(age, 2).await.unwrap().is_empty());
        assert_eq!(kept(store, 0, 10).await, [(4, broken("d").received)]);
    }
}
