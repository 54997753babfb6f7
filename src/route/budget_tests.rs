//! What holds of the work of filters, whatever the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::route::budget::{Budget, LEAST_STEPS, MatchOutcome, StepAllowance};
use crate::route::evaluate::Evaluation;
use crate::route::filter::BoundedFilter;
use crate::route::{EventTree, Filter, Pattern, Table, Undecided, strategies};

/// The steps that a filter takes, and what comes of it.
fn steps_of(filter: &Filter, event: &Value) -> (u64, MatchOutcome) {
    let mut evaluation = Evaluation::allowing(u64::MAX);
    let holds = filter.holds(&EventTree::of(event), &mut evaluation);
    (evaluation.taken(), if holds.unwrap() { MatchOutcome::Matches } else { MatchOutcome::Differs })
}

fn of_pattern(pattern: &Value) -> Filter {
    Filter::new(&[], &[json!({ "pattern": pattern })]).unwrap()
}

/// A pattern of many fields that may be absent and `$or` lists that multiply, and an event of many
/// items: asked one by one, each combination looked for each field in each item.
fn many_times_many(items: usize) -> (Value, Value) {
    let absent: serde_json::Map<String, Value> =
        (0..120).map(|n| (n.to_string(), json!([{"exists": false}]))).collect();
    let list = || (0..10).map(|n| json!({"c": [n]})).collect::<Value>();
    let pattern = json!({"detail": {
        "b": ["z"], "a": absent, "$or": list(), "x": {"$or": list()}, "y": {"$or": list()},
    }});
    let event = json!({"detail": {
        "b": "z", "a": vec![json!({}); items], "c": -1, "x": {"c": -1}, "y": {"c": -1},
    }});
    (pattern, event)
}

/// Three `$or` lists within the items of an array, which have to be asked for each combination.
fn within_items(each: usize) -> Value {
    let list = || (0..each).map(|n| json!({"b": [n]})).collect::<Value>();
    json!({"data": {"a": {"d": ["x"], "$or": list(), "p": {"$or": list()}, "q": {"$or": list()}}}})
}

#[test]
fn what_combinations_have_in_common_is_asked_once() {
    let (pattern, event) = many_times_many(8_000);

    let (steps, outcome) = steps_of(&of_pattern(&pattern), &event);

    assert_eq!(outcome, MatchOutcome::Differs);
    assert!(steps < 50_000, "{steps} steps, and a thousand million without that");
    let explained = of_pattern(&pattern).explain(&event, 3_000_000).unwrap();
    assert_eq!(explained.len(), 3, "{explained:?}");
    assert_eq!(of_pattern(&pattern).explain(&event, 30_000), Err(Undecided));
}

#[test]
fn nothing_exponential_hides_below_one_name() {
    let levels = 28;
    let path = |depth: usize| vec!["a"; depth].join(".");
    let mut pattern: serde_json::Map<String, Value> =
        (1..levels).map(|depth| (path(depth), json!([1, {"exists": false}]))).collect();
    pattern.insert(format!("{}.b", path(levels)), json!([2]));
    let event = (0..levels).fold(json!({"b": 3}), |inner, _| json!({"a": [1, inner]}));

    let (steps, outcome) = steps_of(&of_pattern(&pattern.into()), &event);

    assert_eq!(outcome, MatchOutcome::Differs);
    assert!(steps < 100_000, "{steps} steps");
}

#[test]
fn a_filter_that_is_made_has_a_price() {
    let priced = |patterns: &[&Value]| {
        let filters: Vec<Value> = patterns.iter().map(|one| json!({ "pattern": one })).collect();
        Filter::priced(&[], &filters)
    };
    let refused = priced(&[&many_times_many(1).0]).unwrap_err();
    assert!(refused.message.contains("124000, and may be 20000"), "{refused}");
    assert_eq!(refused.place, "filters[0].pattern");
    let text = many_times_many(1).0.to_string();
    assert!(Pattern::priced(&text).unwrap_err().message.contains("124000"), "{text}");
    assert_eq!(Pattern::parse(&text).unwrap().price(), 124_000, "what is kept is read");

    let some = within_items(7);
    assert_eq!(priced(&[&some, &some]).unwrap().price(), 2 * 4 * 343);
    let wide: serde_json::Map<String, Value> =
        (0..190).map(|n| (n.to_string(), json!([1]))).collect();
    let list: Vec<Value> = (0..60).map(|n| json!({"x": [n]})).collect();
    let wide = json!({"a": wide, "$or": list});
    assert_eq!(priced(&[&wide]).unwrap().price(), 11_460);
    let refused = priced(&[&wide, &wide]).unwrap_err();
    assert!(refused.message.contains("11460, and may be 8540"), "{refused}");
    let both = json!({"all": [{"exact": {"type": "a", "source": "b"}}, {"prefix": {"id": "c"}}]});
    assert_eq!(Filter::new(&["T".to_owned()], &[both]).unwrap().price(), 4);
}

#[test]
fn an_expensive_filter_takes_nothing_from_others() {
    // All that is asked for is there, and nowhere together.
    let any = json!([0, 1, 2, 3, 4, 5]);
    let mut items = vec![json!({"d": "x", "b": -1}); 1_000];
    items.push(json!({"b": any, "p": {"b": any}, "q": {"b": any}}));
    let event = json!({"type": "T", "data": {"a": items}});
    let table = Table::new();
    for key in 0..40 {
        let cheap = Filter::new(&[if key % 4 == 0 { "T" } else { "U" }.to_owned()], &[]).unwrap();
        table.insert(2 * key, Arc::new(cheap));
        table.insert(2 * key + 1, Arc::new(of_pattern(&within_items(6))));
    }
    let allowance = StepAllowance { each: 50_000, whole: 200_000 };

    let routed = table.route(&event, allowance);

    let expected: Vec<u32> = (0..40).filter(|key| key % 4 == 0).map(|key| 2 * key).collect();
    assert_eq!(routed.matching, expected);
    assert_eq!(routed.undecided, (0..40).map(|key| 2 * key + 1).collect::<Vec<u32>>());
    assert!(
        routed.steps <= allowance.whole + 80 * LEAST_STEPS + allowance.each,
        "{}",
        routed.steps
    );
}

#[derive(Deserialize)]
struct Counted {
    name: String,
    pattern: Value,
    event: Value,
    matches: bool,
    steps: u64,
}

/// Numbers of deliveries hang on these counts: a change of them needs a new way of counting beside the
/// old one, which stays for the filters of before.
#[test]
fn steps_are_counted_as_they_always_were() {
    let text = include_str!("../../tests/vectors/patterns/steps.json");
    let vectors: Vec<Counted> = serde_json::from_str(text).unwrap();
    let counted: BTreeMap<String, (bool, u64)> = vectors
        .iter()
        .map(|one| {
            let (steps, outcome) = steps_of(&of_pattern(&one.pattern), &one.event);
            (one.name.clone(), (outcome == MatchOutcome::Matches, steps))
        })
        .collect();
    let kept = vectors.iter().map(|one| (one.name.clone(), (one.matches, one.steps))).collect();
    assert_eq!(counted, kept);
}

fn any_event() -> impl Strategy<Value = Value> {
    prop_oneof![strategies::event(), strategies::dense_event()]
}

proptest! {
    #[test]
    fn a_budget_changes_no_answer_and_is_kept(
        filter in strategies::filter(),
        event in any_event(),
        budget in 0_u64..200,
    ) {
        let (steps, truth) = steps_of(&filter, &event);
        let mut evaluation = Evaluation::allowing(budget);
        let holds = filter.holds(&EventTree::of(&event), &mut evaluation);

        prop_assert!(evaluation.taken() <= budget);
        let outcome = filter.decide(&EventTree::of(&event), budget);
        prop_assert_eq!(outcome, if steps <= budget { truth } else { MatchOutcome::Undecided });
        prop_assert_eq!(holds.is_ok(), steps <= budget);
        prop_assert_eq!(filter.decide(&EventTree::of(&event), steps), truth);
    }

    #[test]
    fn no_filter_takes_more_steps_than_it_is_bound_to(
        filter in strategies::filter(),
        event in any_event(),
    ) {
        let (steps, _) = steps_of(&filter, &event);
        let tree = EventTree::of(&event);
        prop_assert!(steps == 0 || filter.bound().may_exceed(steps - 1, &tree), "{}", steps);
    }

    #[test]
    fn a_table_says_nothing_that_a_filter_alone_would_not(
        filters in prop::collection::vec((strategies::filter(), 0_u64..400), 1..12),
        event in any_event(),
        each in prop_oneof![0_u64..60, Just(u64::MAX)],
    ) {
        let bounded = |(filter, steps): &(Arc<Filter>, u64)| BoundedFilter {
            filter: Arc::clone(filter),
            budget: Budget(*steps),
        };
        let filters: Vec<BoundedFilter> = filters.iter().map(bounded).collect();
        let table: Table<usize> = filters.iter().cloned().enumerate().collect();
        let tree = EventTree::of(&event);

        let routed = table.route(&event, StepAllowance { each, whole: each });

        for (key, asked) in filters.iter().enumerate() {
            let alone = asked.decide(&tree);
            let told = if routed.matching.contains(&key) {
                MatchOutcome::Matches
            } else if routed.undecided.contains(&key) {
                MatchOutcome::Undecided
            } else {
                MatchOutcome::Differs
            };
            prop_assert!(told == alone || told == MatchOutcome::Undecided, "{:?} {:?}", told, alone);
            // With all the work in the world, only what is given up is undecided.
            prop_assert!(each < u64::MAX || told == alone);
        }
    }
}
