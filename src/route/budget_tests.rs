//! What holds of the work of filters, whatever the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::route::budget::{Budget, LEAST_STEPS, MatchOutcome, StepAllowance};
use crate::route::evaluate::Evaluation;
use crate::route::filter::BoundedFilter;
use crate::route::{EventTree, Filter, OwnedFilter, Pattern, Table, Undecided, strategies};

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
    let allowance = StepAllowance { each: 50_000, owner: 100_000, whole: 200_000 };

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

/// Lines that are no one's, and a filter of just under two thousand steps of them that wants all in
/// which no line has this number.
fn lines() -> Value {
    json!({"type": "T", "data": {"lines": vec![json!({"a": 0}); 450]}})
}

fn all_but(number: usize) -> Arc<Filter> {
    let filter = json!({"not": {"pattern": {"data": {"lines": {"a": [number]}}}}});
    Arc::new(Filter::new(&[], &[filter]).unwrap())
}

fn owned(owner: &str, filter: Arc<Filter>) -> OwnedFilter {
    OwnedFilter { owner: Some(owner.parse().unwrap()), asked: filter.into() }
}

#[test]
fn cheap_filters_of_one_owner_take_no_more_together_than_two_expensive_ones() {
    let event = lines();
    let (each, _) = steps_of(&all_but(1), &event);
    assert!((1_700..LEAST_STEPS).contains(&each), "{each}");
    let allowance = StepAllowance { each: 10_000, owner: 20_000, whole: 40_000 };
    let flood = (0..900).map(|n| (format!("flood-{n:03}"), owned("flood", all_but(n))));
    let table: Table<String> = flood.collect();
    // Some are in the small index of late changes.
    table
        .extend((0..100).map(|n| (format!("flood-late-{n:02}"), owned("flood", all_but(n + 900)))));
    let of_type = |name: &str| Arc::new(Filter::new(&[name.to_owned()], &[]).unwrap());
    for n in 0..20 {
        let name = if n % 2 == 0 { "T" } else { "U" };
        table.insert(format!("another-{n:02}"), owned("another", of_type(name)));
    }
    table.insert("one".to_owned(), owned("one", all_but(7)));
    table.insert("zero".to_owned(), owned("one", all_but(0)));

    let routed = table.route(&event, allowance);

    let of_others = |one: &&String| !one.starts_with("flood");
    let expected: Vec<String> =
        (0..20).step_by(2).map(|n| format!("another-{n:02}")).chain(["one".to_owned()]).collect();
    assert_eq!(routed.matching.iter().filter(of_others).cloned().collect::<Vec<_>>(), expected);
    assert_eq!(routed.undecided.iter().filter(of_others).count(), 0);
    let decided = routed.matching.len() - expected.len();
    assert!((5..15).contains(&decided), "{decided} of a thousand fit");
    let differing = usize::from(!routed.undecided.contains(&"flood-000".to_owned()));
    assert_eq!(routed.undecided.len(), 1_000 - decided - differing, "and no other is left out");
    assert!(routed.steps <= allowance.owner + 2 * LEAST_STEPS + 20 * 20, "{}", routed.steps);
    assert!(routed.matching.is_sorted() && routed.undecided.is_sorted());
}

#[test]
fn equal_filters_are_asked_once_whoever_has_them() {
    let (event, filter) = (lines(), all_but(1));
    let (once, _) = steps_of(&filter, &event);
    let allowance = StepAllowance { each: 10_000, owner: 20_000, whole: 40_000 };
    let owners = ["one", "two", "three"];
    let with = |filter: &Arc<Filter>, n: usize| (n, owned(owners[n % 3], Arc::clone(filter)));
    for count in [3, 900] {
        let table: Table<usize> = (0..count).map(|n| with(&filter, n)).collect();
        let routed = table.route(&event, allowance);
        assert_eq!(routed.matching, (0..count).collect::<Vec<_>>());
        assert_eq!((routed.undecided.len(), routed.steps), (0, once));
    }

    // Who has nothing left is served by who has.
    let table: Table<usize> = (0..300).map(|n| (n, owned("one", all_but(n + 1)))).collect();
    table.extend([(300, owned("one", all_but(500))), (301, owned("two", all_but(500)))]);
    let routed = table.route(&event, allowance);
    assert!(routed.undecided.contains(&299), "the first has nothing left");
    let shared = table.get(&300).unwrap();
    assert!(!shared.is_same(&table.get(&301).unwrap()), "these are two in memory");
    assert!(routed.matching.contains(&301));
    let same: Table<usize> = (0..300).map(|n| (n, owned("one", all_but(n + 1)))).collect();
    same.extend([(300, owned("one", Arc::clone(&shared.filter)))]);
    same.extend([(301, owned("two", shared.filter))]);
    let routed = same.route(&event, allowance);
    assert!(routed.matching.ends_with(&[300, 301]), "{:?}", routed.matching);
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
        holders in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4), 1..24),
        event in any_event(),
        each in prop_oneof![0_u64..60, Just(u64::MAX)],
        owner in prop_oneof![0_u64..200, Just(u64::MAX)],
    ) {
        let owners = [None, Some("one"), Some("two"), Some("three")];
        let owners = owners.map(|owner| owner.map(|owner| owner.parse().unwrap()));
        let held: Vec<OwnedFilter> = holders.iter().map(|(index, owner)| {
            let (filter, steps) = index.get(&filters);
            let asked = BoundedFilter { filter: Arc::clone(filter), budget: Budget(*steps) };
            OwnedFilter { owner: owners[*owner].clone(), asked }
        }).collect();
        let table: Table<usize> = held.iter().take(10).cloned().enumerate().collect();
        table.extend(held.iter().cloned().enumerate().skip(10));
        let tree = EventTree::of(&event);
        let counted = held.iter().all(|one| one.owner.is_some());

        let routed = table.route(&event, StepAllowance { each, owner, whole: each });

        for (key, OwnedFilter { asked, .. }) in held.iter().enumerate() {
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
            prop_assert!(each.min(owner) < u64::MAX || told == alone);
        }
        prop_assert!(!counted || routed.steps <= owner.saturating_mul(3));
        prop_assert!(routed.matching.is_sorted() && routed.undecided.is_sorted());
    }
}
