//! What is kept beside the entries: quarantine and the registry's documents.

use std::time::Duration;

use futures_util::future::join_all;

use crate::eventlog::conformance::fixture::{START, engines};
use crate::eventlog::{
    EventLog, LogError, LogLimits, NewQuarantined, Page, QuarantineCount, QuarantineId,
    QuarantineQuery, RecordKey, Revision,
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

async fn kept(log: &dyn EventLog, after: u64, items: usize) -> Vec<(u64, String)> {
    let page = Page { items, ..Page::default() };
    let query = QuarantineQuery { after: QuarantineId(after), ..QuarantineQuery::default() };
    let listed = log.quarantined(&query, page).await.unwrap();
    listed.into_iter().map(|kept| (kept.id.0, kept.event.received)).collect()
}

#[tokio::test]
async fn a_quarantined_event_waits_until_it_is_taken_out() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        let ids = log.quarantine(vec![broken("a"), broken("b"), broken("c")]).await.unwrap();
        assert_eq!(ids, [QuarantineId(1), QuarantineId(2), QuarantineId(3)]);
        assert_eq!(log.quarantine(vec![]).await.unwrap(), []);

        assert_eq!(kept(log, 0, 10).await.len(), 3);
        assert_eq!(kept(log, 1, 1).await, [(2, broken("b").received)]);
        let first =
            &log.quarantined(&QuarantineQuery::default(), Page::default()).await.unwrap()[0];
        assert_eq!((first.at, &*first.event.publication), (START, "tests/happened"));

        assert!(log.unquarantine(QuarantineId(3)).await.unwrap());
        assert!(!log.unquarantine(QuarantineId(3)).await.unwrap());
        assert_eq!(log.quarantine(vec![broken("d")]).await.unwrap(), [QuarantineId(4)]);
        assert_eq!(kept(log, 2, 10).await, [(4, broken("d").received)]);
    }
}

#[tokio::test]
async fn quarantined_events_are_found_by_the_id_on_their_bus_and_counted_by_code() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        let other = NewQuarantined {
            publication: "tests/other".into(),
            codes: "patch-failed".into(),
            ..broken("a")
        };
        log.quarantine(vec![broken("a"), broken("b"), other]).await.unwrap();
        let found = async |query: QuarantineQuery| {
            let listed = log.quarantined(&query, Page::default()).await.unwrap();
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
            log.count_quarantined().await.unwrap(),
            [count("tests/happened", "required,type", 2), count("tests/other", "patch-failed", 1)]
        );
    }
}

#[tokio::test]
async fn quarantined_events_expire_oldest_first_and_a_few_at_a_time() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        log.quarantine(vec![broken("a"), broken("b"), broken("c")]).await.unwrap();
        fixture.clock.advance(Duration::from_secs(10));
        log.quarantine(vec![broken("d")]).await.unwrap();
        let before = START.after(Duration::from_secs(1));

        assert!(log.expire_quarantined(START, 10).await.unwrap().is_empty());
        assert_eq!(log.expire_quarantined(before, 2).await.unwrap().len(), 2);
        assert_eq!(log.expire_quarantined(before, 2).await.unwrap(), ["tests/happened".into()]);
        assert!(log.expire_quarantined(before, 2).await.unwrap().is_empty());
        assert_eq!(kept(log, 0, 10).await, [(4, broken("d").received)]);
    }
}

fn key(kind: &'static str, id: &str) -> RecordKey {
    RecordKey { kind, id: id.to_owned() }
}

#[tokio::test]
async fn a_document_is_written_only_over_the_revision_that_its_writer_saw() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        let orders = key("subscription", "orders");
        assert!(log.get(&orders).await.unwrap().is_none());

        let first = log.put(&orders, None, "one".to_owned()).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        let second = log.put(&orders, Some(first), "two".to_owned()).await.unwrap();
        assert_eq!((first, second), (Revision(1), Revision(2)));

        for expected in [None, Some(first), Some(Revision(3))] {
            let refused = log.put(&orders, expected, "late".to_owned()).await;
            assert!(
                matches!(refused, Err(LogError::Stale { expected: e, found }) if e == expected && found == Some(second)),
                "{refused:?}"
            );
        }
        let record = log.get(&orders).await.unwrap().unwrap();
        assert_eq!((record.revision, &*record.body), (second, "two"));
        assert_eq!(record.changed, START.after(Duration::from_secs(1)));

        assert!(matches!(log.remove(&orders, first).await, Err(LogError::Stale { .. })));
        log.remove(&orders, second).await.unwrap();
        assert!(log.get(&orders).await.unwrap().is_none());
        let gone = log.remove(&orders, second).await;
        assert!(matches!(gone, Err(LogError::Stale { found: None, .. })));
    }
}

#[tokio::test]
async fn a_document_that_is_written_anew_is_not_taken_for_the_one_before() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        let orders = key("subscription", "orders");
        let old = log.put(&orders, None, "old".to_owned()).await.unwrap();
        log.remove(&orders, old).await.unwrap();

        let new = log.put(&orders, None, "new".to_owned()).await.unwrap();

        assert!(new > old);
        let late = log.put(&orders, Some(old), "late".to_owned()).await;
        assert!(matches!(late, Err(LogError::Stale { .. })), "{late:?}");
        let late = log.remove(&orders, old).await;
        assert!(matches!(late, Err(LogError::Stale { .. })), "{late:?}");
        assert_eq!(log.get(&orders).await.unwrap().unwrap().body, "new");
    }
}

#[tokio::test]
async fn documents_are_listed_by_name_within_their_kind() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        for (kind, id) in [("b", "2"), ("a", "9"), ("b", "1"), ("c", "0")] {
            log.put(&key(kind, id), None, format!("{kind}{id}")).await.unwrap();
        }

        let bodies: Vec<_> = log.list("b").await.unwrap().into_iter().map(|r| r.body).collect();

        assert_eq!(bodies, ["b1", "b2"]);
        assert!(log.list("none").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn of_writers_who_saw_the_same_revision_one_wins() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.log;
        let orders = key("subscription", "orders");

        let attempts = (0..8).map(|n| log.put(&orders, None, n.to_string()));
        let answers = join_all(attempts).await;

        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    }
}
