//! Random patterns, filters and events over a small vocabulary, so that they often meet.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::route::Filter;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[abAB]{0,3}",
        Just("10.0.0.1".to_owned()),
        Just("10.0.1.9".to_owned()),
        Just("::1".to_owned()),
        Just("0:0::1".to_owned()),
        Just("ä".to_owned()),
        Just("Äb".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3_i32..4).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(2.0), Just(-0.0)].prop_map(Value::from)
    ]
}

/// A leaf of an event, or a literal of a pattern.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        3 => number(),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn alternative() -> impl Strategy<Value = Value> {
    let affix = "[abAB]{1,2}";
    let wildcard =
        prop_oneof![Just("*"), Just("a*"), Just("*b"), Just("*a*"), Just("a*b"), Just("ab")];
    let range = (any::<bool>(), -3_i32..3, any::<bool>(), 1_i32..4).prop_map(
        |(low_open, low, high_open, width)| {
            let (low_word, high_word) =
                (if low_open { ">" } else { ">=" }, if high_open { "<" } else { "<=" });
            json!({"numeric": [low_word, low, high_word, low + width]})
        },
    );
    let bound = (prop_oneof![Just("<"), Just("<="), Just("="), Just(">="), Just(">")], -3_i32..4)
        .prop_map(|(word, at)| json!({"numeric": [word, at]}));
    let cidr =
        prop_oneof![Just("10.0.0.0/24"), Just("10.0.0.1/32"), Just("0.0.0.0/0"), Just("::/64")];
    prop_oneof![
        6 => leaf(),
        1 => affix.prop_map(|t| json!({"prefix": t})),
        1 => affix.prop_map(|t| json!({"suffix": t})),
        1 => affix.prop_map(|t| json!({"prefix": {"equals-ignore-case": t}})),
        1 => affix.prop_map(|t| json!({"suffix": {"equals-ignore-case": t}})),
        1 => text().prop_map(|t| json!({"equals-ignore-case": t})),
        1 => wildcard.clone().prop_map(|t| json!({"wildcard": t})),
        1 => range,
        1 => bound,
        1 => cidr.prop_map(|t| json!({"cidr": t})),
        2 => any::<bool>().prop_map(|there| json!({"exists": there})),
        1 => text().prop_map(|t| json!({"anything-but": t})),
        1 => prop::collection::vec(number(), 1..3).prop_map(|n| json!({"anything-but": n})),
        1 => affix.prop_map(|t| json!({"anything-but": {"prefix": t}})),
        1 => affix.prop_map(|t| json!({"anything-but": {"suffix": [t]}})),
        1 => affix.prop_map(|t| json!({"anything-but": {"equals-ignore-case": t}})),
        1 => wildcard.prop_map(|t| json!({"anything-but": {"wildcard": t}})),
    ]
}

/// The names of fields: few, some of them paths, one that sorts between a name and its path.
fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("a-"),
        Just("a.a"),
        Just("a.b"),
        Just("a.c"),
        Just("b.a"),
        Just("a.b.a"),
        Just("a.b.b"),
        Just("c"),
    ]
}

fn fields() -> impl Strategy<Value = Value> {
    let field = prop::collection::vec(alternative(), 1..4).prop_map(Value::from);
    prop::collection::btree_map(path(), field, 1..5).prop_map(|fields| json!(fields))
}

/// A valid pattern.
pub(super) fn pattern() -> impl Strategy<Value = Value> {
    let branches = prop::collection::vec(fields(), 2..4);
    (fields(), prop::option::weighted(0.3, branches)).prop_map(|(mut fields, branches)| {
        if let Some(branches) = branches {
            fields["$or"] = Value::from(branches);
        }
        fields
    })
}

/// A valid filter of some dialects.
pub(super) fn filter() -> impl Strategy<Value = Arc<Filter>> {
    let dialect = prop_oneof![
        4 => prop_oneof![pattern(), dense_pattern()]
            .prop_map(|pattern| json!({"pattern": pattern})),
        1 => "[ab]{1,2}".prop_map(|t| json!({"exact": {"a": t}})),
        1 => "[ab]".prop_map(|t| json!({"prefix": {"a": t, "b": t}})),
        1 => "[ab]".prop_map(|t| json!({"suffix": {"c": t}})),
    ];
    let nested = dialect.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"all": all})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"any": any})),
            inner.prop_map(|not| json!({"not": not})),
        ]
    });
    let types = prop::collection::vec(
        prop_oneof![Just("a".to_owned()), Just("a.*".to_owned()), Just("*".to_owned())],
        0..2,
    );
    (types, prop::collection::vec(nested, 0..3))
        .prop_map(|(types, filters)| Arc::new(Filter::new(&types, &filters).unwrap()))
}

/// An event with few names, dotted ones and nested arrays among them.
pub(super) fn event() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 1 => Just("a-"), 1 => Just("a.b"),
    ];
    let value = leaf().prop_recursive(4, 40, 4, move |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(name.clone(), inner.clone(), 0..4)
                .prop_map(|members| json!(members)),
            2 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    let kind = prop_oneof![Just("a"), Just("a.b"), Just("b")];
    (prop::collection::btree_map("[abc]", value, 0..4), kind).prop_map(|(members, kind)| {
        let mut event = json!(members);
        event["type"] = Value::from(kind);
        event
    })
}

/// A pattern that asks for little, but for several fields below the same names.
pub(super) fn dense_pattern() -> impl Strategy<Value = Value> {
    let alternative = prop_oneof![
        2 => (1_i32..3).prop_map(Value::from),
        2 => Just(json!({"exists": false})),
        1 => Just(json!({"exists": true})),
    ];
    let field = prop::collection::vec(alternative, 1..3).prop_map(Value::from);
    let path = prop_oneof![
        1 => Just("a"), 2 => Just("a.a"), 2 => Just("a.a-"), 2 => Just("a.b"), 1 => Just("a.a.a"),
        1 => Just("a.a.b"), 1 => Just("a.b.a"),
    ];
    prop::collection::btree_map(path, field, 2..5).prop_map(|fields| json!(fields))
}

/// An event of few values in many arrays.
pub(super) fn dense_event() -> impl Strategy<Value = Value> {
    let leaf = (1_i32..3).prop_map(Value::from);
    let value = leaf.prop_recursive(5, 24, 3, |inner| {
        let name = prop_oneof![Just("a"), Just("a-"), Just("b")];
        prop_oneof![
            prop::collection::btree_map(name, inner.clone(), 0..4).prop_map(|m| json!(m)),
            prop::collection::vec(inner, 1..4).prop_map(Value::from),
        ]
    });
    prop::collection::vec(value, 1..4).prop_map(|items| json!({"a": items}))
}
