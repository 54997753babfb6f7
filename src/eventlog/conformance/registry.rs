//! Small documents, and the revisions that their writers name.

use std::time::Duration;

use futures_util::future::join_all;

use crate::eventlog::conformance::fixture::{START, engines};
use crate::eventlog::{LogError, LogLimits, RecordKey, Revision};

fn key(kind: &'static str, id: &str) -> RecordKey {
    RecordKey { kind, id: id.to_owned() }
}

#[tokio::test]
async fn a_document_is_written_only_over_the_revision_that_its_writer_saw() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let orders = key("subscription", "orders");
        assert!(store.registry.get(&orders).await.unwrap().is_none());

        let first = store.registry.put(&orders, None, "one".to_owned()).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        let second = store.registry.put(&orders, Some(first), "two".to_owned()).await.unwrap();
        assert_eq!((first, second), (Revision(1), Revision(2)));

        for expected in [None, Some(first), Some(Revision(3))] {
            let refused = store.registry.put(&orders, expected, "late".to_owned()).await;
            assert!(
                matches!(refused, Err(LogError::Stale { expected: e, found }) if e == expected && found == Some(second)),
                "{refused:?}"
            );
        }
        let record = store.registry.get(&orders).await.unwrap().unwrap();
        assert_eq!((record.revision, &*record.body), (second, "two"));
        assert_eq!(record.changed, START.after(Duration::from_secs(1)));

        assert!(matches!(store.registry.remove(&orders, first).await, Err(LogError::Stale { .. })));
        store.registry.remove(&orders, second).await.unwrap();
        assert!(store.registry.get(&orders).await.unwrap().is_none());
        let gone = store.registry.remove(&orders, second).await;
        assert!(matches!(gone, Err(LogError::Stale { found: None, .. })));
    }
}

#[tokio::test]
async fn a_document_that_is_written_anew_is_not_taken_for_the_one_before() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let orders = key("subscription", "orders");
        let old = store.registry.put(&orders, None, "old".to_owned()).await.unwrap();
        store.registry.remove(&orders, old).await.unwrap();

        let new = store.registry.put(&orders, None, "new".to_owned()).await.unwrap();

        assert!(new > old);
        let late = store.registry.put(&orders, Some(old), "late".to_owned()).await;
        assert!(matches!(late, Err(LogError::Stale { .. })), "{late:?}");
        let late = store.registry.remove(&orders, old).await;
        assert!(matches!(late, Err(LogError::Stale { .. })), "{late:?}");
        assert_eq!(store.registry.get(&orders).await.unwrap().unwrap().body, "new");
    }
}

#[tokio::test]
async fn documents_are_listed_by_name_within_their_kind() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        for (kind, id) in [("b", "2"), ("a", "9"), ("b", "1"), ("c", "0")] {
            store.registry.put(&key(kind, id), None, format!("{kind}{id}")).await.unwrap();
        }

        let bodies: Vec<_> =
            store.registry.list("b").await.unwrap().into_iter().map(|r| r.body).collect();

        assert_eq!(bodies, ["b1", "b2"]);
        assert!(store.registry.list("none").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn of_writers_who_saw_the_same_revision_one_wins() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let orders = key("subscription", "orders");

        let attempts = (0..8).map(|n| store.registry.put(&orders, None, n.to_string()));
        let answers = join_all(attempts).await;

        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    }
}
