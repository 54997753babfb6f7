//! Deciders: the same answer wherever it is made, and made once for all who ask the same.

use std::sync::Arc;

use serde_json::json;

use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{Decider, EntryDecision};
use crate::event::{ConsumerId, Data};
use crate::eventlog::{Entry, Position};
use crate::route::{BoundedFilter, Budget, Filter, PatternConfig};
use crate::telemetry::{Metric, Metrics};

/// As little at once as there can be.
const CONFIG: PatternConfig = PatternConfig { steps_at_once: 2_000, steps: 1_000_000 };

/// An entry with so many lines that are no one's.
async fn entry(stage: &Stage, lines: usize) -> Entry {
    let appended = stage.append(&["lines"]).await.remove(0);
    let mut entry = (*appended).clone();
    let data = json!({ "lines": vec![json!({"a": 0}); lines] });
    entry.event.data = Data::from_text(data.to_string());
    entry
}

/// Wants all in which no line has this number.
fn all_but(number: usize) -> BoundedFilter {
    let filter = json!({"not": {"pattern": {"data": {"lines": {"a": [number]}}}}});
    let filter = Arc::new(Filter::new(&[], &[filter]).unwrap());
    BoundedFilter { filter, budget: CONFIG.budget() }
}

fn steps(metrics: &Metrics, place: &str) -> u64 {
    metrics.counter(Metric::FilterSteps, &[place]).value()
}

fn consumer(name: &str) -> ConsumerId {
    name.parse().unwrap()
}

#[tokio::test]
async fn equal_filters_are_asked_once_of_an_entry_whoever_has_them() {
    let stage = Stage::new().await;
    for (lines, place) in [(400, "reading"), (4_000, "at-length")] {
        let (metrics, asked) = (Metrics::new(), all_but(1));
        let decider = Decider::new(CONFIG, stage.tasks.clone(), &metrics);
        let entry = entry(&stage, lines).await;
        decider.decide_for(&consumer("one"), &asked, &entry).await.unwrap();
        let once = steps(&metrics, place);
        assert!(once > 1_000, "{once}");
        let consumers = ["one", "two", "three"].map(consumer);
        let each = (0..300).map(|n| decider.decide_for(&consumers[n % 3], &asked, &entry));

        let decided = futures_util::future::join_all(each).await;

        assert!(decided.into_iter().all(|one| one.unwrap() == EntryDecision::Wanted));
        assert_eq!(steps(&metrics, place), once);
        let tight = BoundedFilter { budget: Budget(500), ..asked.clone() };
        let given_up = decider.decide_for(&consumers[0], &tight, &entry).await.unwrap();
        assert_eq!(given_up, EntryDecision::GivenUp, "another budget has an answer of its own");
        let mut next = entry.clone();
        (next.position, next.event.data) =
            (Position(99), Data::from_text(r#"{"lines":[{"a":1}]}"#.to_owned()));
        let unwanted = decider.decide_for(&consumers[0], &asked, &next).await.unwrap();
        assert_eq!(unwanted, EntryDecision::Unwanted, "so has another entry");
    }
}

#[tokio::test]
async fn whoever_asks_at_the_same_time_waits_for_one_answer() {
    let (stage, metrics) = (Stage::new().await, Metrics::new());
    let decider = Decider::new(CONFIG, stage.tasks.clone(), &metrics);
    let (entry, asked) = (entry(&stage, 4_000).await, all_but(1));
    let consumers = ["one", "two", "three"].map(consumer);
    let each = (0..30).map(|n| decider.decide_for(&consumers[n % 3], &asked, &entry));

    let decided = futures_util::future::join_all(each).await;

    assert!(decided.into_iter().all(|one| one.unwrap() == EntryDecision::Wanted));
    let (tree, metrics_of_one) = (entry.event.to_tree(), steps(&metrics, "at-length"));
    let (_, alone) = asked.decide_within(&crate::route::EventTree::of(&tree), u64::MAX);
    assert_eq!(metrics_of_one, alone);
}

#[tokio::test]
async fn a_filter_that_is_gone_is_not_mistaken_for_another_in_its_place() {
    let (stage, metrics) = (Stage::new().await, Metrics::new());
    let decider = Decider::new(CONFIG, stage.tasks.clone(), &metrics);
    let entry = entry(&stage, 400).await;
    for number in 0..200 {
        let (asked, consumer) = (all_but(number), consumer("one"));
        let decided = decider.decide_for(&consumer, &asked, &entry).await.unwrap();
        let expected = if number == 0 { EntryDecision::Unwanted } else { EntryDecision::Wanted };
        assert_eq!(decided, expected, "{number}");
    }
}

#[tokio::test]
async fn a_filter_of_attributes_reads_no_data() {
    let (stage, metrics) = (Stage::new().await, Metrics::new());
    let decider = Decider::new(CONFIG, stage.tasks.clone(), &metrics);
    let mut entry = entry(&stage, 1).await;
    // Whoever takes the tree first gets the one that was made, and others read the text.
    let (made, text) = (json!({"a": 1}), json!({"a": 2}));
    entry.event.data = Data::from_parts(text.to_string(), made.clone());
    let filter = Filter::new(&["Test.*".into()], &[json!({"exact": {"source": "/tests"}})]);
    let asked = BoundedFilter { filter: Arc::new(filter.unwrap()), budget: CONFIG.budget() };

    let decided = decider.decide_for(&consumer("one"), &asked, &entry).await.unwrap();

    assert_eq!((decided, entry.event.data.to_tree()), (EntryDecision::Wanted, made));
}
