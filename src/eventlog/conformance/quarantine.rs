//! Events that broke their contract: kept, found, counted and dropped.

use std::time::Duration;

use crate::eventlog::conformance::fixture::{START, engines};
use crate::eventlog::{
    LogLimits, NewQuarantined, Page, QuarantineCount, QuarantineId, QuarantineQuery, Store,
};

fn broken(word: &str) -> NewQuarantined {
    NewQuarantined {
        publication: "tests/happened".into(),
        envelope_id: word.into(),
        codes: "required,type".into(),
        received: format!("{{\"word\":\"{word}\"}}"),
        violations: "[]".to_owned(),
    }
}

async fn kept(store: &Store, after: u64, items: usize) -> Vec<(u64, String)> {
    let page = Page { items, ..Page::default() };
    let query = QuarantineQuery { after: QuarantineId(after), ..QuarantineQuery::default() };
    let listed = store.quarantine.quarantined(&query, page).await.unwrap();
    listed.into_iter().map(|kept| (kept.id.0, kept.event.received)).collect()
}

#[tokio::test]
async fn a_quarantined_event_waits_until_it_is_taken_out() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let ids =
            store.quarantine.quarantine(vec![broken("a"), broken("b"), broken("c")]).await.unwrap();
        assert_eq!(ids, [QuarantineId(1), QuarantineId(2), QuarantineId(3)]);
        assert_eq!(store.quarantine.quarantine(vec![]).await.unwrap(), []);

        assert_eq!(kept(store, 0, 10).await.len(), 3);
        assert_eq!(kept(store, 1, 1).await, [(2, broken("b").received)]);
        let first = &store
            .quarantine
            .quarantined(&QuarantineQuery::default(), Page::default())
            .await
            .unwrap()[0];
        assert_eq!((first.at, &*first.event.publication), (START, "tests/happened"));

        assert!(store.quarantine.unquarantine(QuarantineId(3)).await.unwrap());
        assert!(!store.quarantine.unquarantine(QuarantineId(3)).await.unwrap());
        assert_eq!(
            store.quarantine.quarantine(vec![broken("d")]).await.unwrap(),
            [QuarantineId(4)]
        );
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
        store.quarantine.quarantine(vec![broken("a"), broken("b"), other]).await.unwrap();
        let found = async |query: QuarantineQuery| {
            let listed = store.quarantine.quarantined(&query, Page::default()).await.unwrap();
            listed.into_iter().map(|kept| kept.id.0).collect::<Vec<_>>()
        };
        let query = QuarantineQuery { envelope_id: Some("a".into()), ..QuarantineQuery::default() };

        assert_eq!(found(query.clone()).await, [1, 3]);
        assert_eq!(found(QuarantineQuery { after: QuarantineId(1), ..query.clone() }).await, [3]);
        let query = QuarantineQuery { publication: Some("tests/happened".into()), ..query };
        assert_eq!(found(query).await, [1]);
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
        store.quarantine.quarantine(vec![broken("a"), broken("b"), broken("c")]).await.unwrap();
        fixture.clock.advance(Duration::from_secs(10));
        store.quarantine.quarantine(vec![broken("d")]).await.unwrap();
        let before = START.after(Duration::from_secs(1));

        assert!(store.quarantine.expire_quarantined(START, 10).await.unwrap().is_empty());
        assert_eq!(store.quarantine.expire_quarantined(before, 2).await.unwrap().len(), 2);
        assert_eq!(
            store.quarantine.expire_quarantined(before, 2).await.unwrap(),
            ["tests/happened".into()]
        );
        assert!(store.quarantine.expire_quarantined(before, 2).await.unwrap().is_empty());
        assert_eq!(kept(store, 0, 10).await, [(4, broken("d").received)]);
    }
}
