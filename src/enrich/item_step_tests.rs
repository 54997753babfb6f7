//! Tests of operations with a `*`, beside the code they test.

use json_patch::{PatchOperation, patch_unsafe};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::enrich::patch_testing::{apply, made, patch};
use crate::enrich::{Numbers, PatchProblem};
use crate::source::Envelope;

fn copy(from: &str, path: &str) -> Value {
    json!({"op": "copy", "from": from, "path": path})
}

fn optional(mut operation: Value) -> Value {
    operation["optional"] = json!(true);
    operation
}

#[test]
fn a_star_means_each_item_and_only_what_is_named_crosses() {
    let operations = json!([
        copy("/detail/lines/*/sku", "/data/lines/*/sku"),
        copy("/detail/lines/*/qty", "/data/lines/*/quantity"),
        copy("/detail/lines/*/sku", "/data/skus/*"),
        copy("/detail/tags/*", "/data/tags/*"),
    ]);
    let detail = json!({
        "lines": [{"sku": "a", "qty": 1.0, "cost": 4111}, {"sku": "b", "qty": 2, "cost": 4111}],
        "tags": ["x", {"y": 1}],
    });

    let data = made(operations, detail).unwrap().to_string();

    assert_eq!(
        data,
        r#"{"lines":[{"sku":"a","quantity":1},{"sku":"b","quantity":2}],"skus":["a","b"],"tags":["x",{"y":1}]}"#
    );
}

#[test]
fn on_an_object_a_star_is_the_member_of_that_name() {
    let literal = json!([copy("/detail/prices/*/amount", "/data/price/*"),]);
    let with = json!([
        {"op": "add", "path": "/data/price", "value": {"*": 0}},
        literal[0],
        {"op": "test", "path": "/data/price/*", "value": 7},
        {"op": "replace", "path": "/data/price/*", "value": 8},
        {"op": "move", "from": "/data/price/*", "path": "/data/price/*"},
    ]);
    let detail = json!({"prices": {"*": {"amount": 7}, "EUR": {"amount": 1}}});

    assert_eq!(made(with, detail.clone()), Ok(json!({"price": {"*": 8}})));
    let no_object = made(literal.clone(), detail).unwrap_err();
    assert!(no_object.ends_with("its `path` leads nowhere"), "{no_object}");
    let other = made(literal, json!({"prices": {"EUR": {"amount": 1}}})).unwrap_err();
    assert!(other.ends_with("nothing at its `from`, `/detail/prices/*/amount`"), "{other}");
}

#[test]
fn an_item_without_the_member_fails_and_is_named() {
    let lines = json!({"lines": [{"sku": "a"}, {}]});

    let failure = made(json!([copy("/detail/lines/*/sku", "/data/lines/*/sku")]), lines);

    assert_eq!(
        failure.unwrap_err(),
        "operation 0, `copy` at `/data/lines/*/sku`, item 1: there is nothing at its `from`, \
         `/detail/lines/1/sku`"
    );
}

#[test]
fn items_keep_their_index_where_an_optional_member_is_missing() {
    let operations = json!([
        optional(copy("/detail/lines/*/note", "/data/lines/*/note")),
        copy("/detail/lines/*/sku", "/data/lines/*/sku"),
    ]);
    let detail = json!({"lines": [{"sku": "a"}, {"sku": "b", "note": "n"}, {"sku": "c"}]});

    assert_eq!(
        made(operations.clone(), detail),
        Ok(json!({"lines": [{"sku": "a"}, {"sku": "b", "note": "n"}, {"sku": "c"}]}))
    );
    let first = json!([operations[0]]);
    assert_eq!(made(first, json!({"lines": [{}, {}]})), Ok(json!({"lines": [{}, {}]})));
}

#[test]
fn an_empty_source_gives_an_empty_array_and_a_missing_one_fails_or_is_left_out() {
    let one = copy("/detail/lines/*/sku", "/data/lines/*/sku");

    assert_eq!(made(json!([one]), json!({"lines": []})), Ok(json!({"lines": []})));
    for detail in [json!({}), json!({"lines": null}), json!({"lines": "x"}), json!({"lines": {}})] {
        let failure = made(json!([one]), detail.clone()).unwrap_err();
        assert!(failure.ends_with("nothing at its `from`, `/detail/lines/*/sku`"), "{failure}");
        assert_eq!(made(json!([optional(one.clone())]), detail), Ok(json!({})));
    }
}

#[test]
fn what_is_there_keeps_its_items_and_is_written_into() {
    let operations = json!([
        {"op": "add", "path": "/data/lines", "value": [{"a": 1}, {"a": 2}, {"a": 3}]},
        copy("/detail/n/*", "/data/lines/*/n"),
    ]);
    assert_eq!(
        made(operations, json!({"n": [7, 8]})),
        Ok(json!({"lines": [{"a": 1, "n": 7}, {"a": 2, "n": 8}, {"a": 3}]}))
    );

    let whole = json!([
        {"op": "add", "path": "/data/tags", "value": ["a", "b", "c"]},
        copy("/detail/n/*", "/data/tags/*"),
    ]);
    assert_eq!(made(whole, json!({"n": [7]})), Ok(json!({"tags": [7, "b", "c"]})));

    let scalar = json!([
        {"op": "add", "path": "/data/tags", "value": "x"},
        copy("/detail/n/*", "/data/tags/*"),
    ]);
    let failure = made(scalar, json!({"n": [7]})).unwrap_err();
    assert!(failure.ends_with("its `path` has a `*` where the data has no array"), "{failure}");
}

#[test]
fn add_replace_remove_and_test_range_over_the_array_that_is_there() {
    let ranged = |operation: Value| {
        let lines = json!([{"a": 1, "b": 2}, {"a": 1}]);
        made(json!([{"op": "add", "path": "/data/l", "value": lines}, operation]), json!({}))
            .map(|data| data["l"].clone())
    };

    let value = json!({"x": 1});
    assert_eq!(
        ranged(json!({"op": "add", "path": "/data/l/*/b", "value": value})),
        Ok(json!([{"a": 1, "b": {"x": 1}}, {"a": 1, "b": {"x": 1}}]))
    );
    assert_eq!(
        ranged(json!({"op": "replace", "path": "/data/l/*/a", "value": 2})),
        Ok(json!([{"a": 2, "b": 2}, {"a": 2}]))
    );
    assert_eq!(
        ranged(json!({"op": "replace", "path": "/data/l/*", "value": 2})),
        Ok(json!([2, 2]))
    );
    assert_eq!(ranged(json!({"op": "remove", "path": "/data/l/*/a"})), Ok(json!([{"b": 2}, {}])));
    assert_eq!(
        ranged(json!({"op": "remove", "path": "/data/l/*/b", "optional": true})),
        Ok(json!([{"a": 1}, {"a": 1}]))
    );
    assert_eq!(ranged(json!({"op": "remove", "path": "/data/l/*"})), Ok(json!([])));
    assert!(ranged(json!({"op": "test", "path": "/data/l/*/a", "value": 1.0})).is_ok());
    for refused in [
        json!({"op": "replace", "path": "/data/l/*/b", "value": 2}),
        json!({"op": "remove", "path": "/data/l/*/b"}),
        json!({"op": "test", "path": "/data/l/*/b", "value": 2}),
    ] {
        let failure = ranged(refused).unwrap_err();
        assert!(failure.ends_with("b`, item 1: its `path` leads nowhere"), "{failure}");
    }
    for missing in [
        json!({"op": "add", "path": "/data/m/*/b", "value": 2}),
        json!({"op": "remove", "path": "/data/m/*/b"}),
        json!({"op": "test", "path": "/detail/m/*", "value": 2}),
    ] {
        assert!(ranged(missing).is_err());
    }
    let nothing = json!([
        {"op": "test", "path": "/resources/*", "value": 2},
        {"op": "test", "path": "/detail/l/*", "value": 2},
    ]);
    let failure = made(nothing, json!({"l": [2, 3]})).unwrap_err();
    assert_eq!(failure, "operation 1, `test` at `/detail/l/*`, item 1: the value is another one");
}

#[test]
fn items_move_within_the_data() {
    let moved = |from: &str, path: &str| {
        let lines = json!([{"a": {"b": 1}, "c": 0}, {"a": {"b": 2}}]);
        made(
            json!([
                {"op": "add", "path": "/data/l", "value": lines},
                {"op": "move", "from": from, "path": path},
            ]),
            json!({}),
        )
        .unwrap()
    };

    assert_eq!(moved("/data/l/*/a/b", "/data/l/*/a"), json!({"l": [{"a": 1, "c": 0}, {"a": 2}]}));
    assert_eq!(
        moved("/data/l/*/a/b", "/data/m/*"),
        json!({"l": [{"a": {}, "c": 0}, {"a": {}}], "m": [1, 2]})
    );
    assert_eq!(moved("/data/l/*/a", "/data/l/*"), json!({"l": [{"b": 1}, {"b": 2}]}));
    assert_eq!(
        moved("/data/l/*", "/data/m/*/x"),
        json!({"l": [], "m": [{"x": {"a": {"b": 1}, "c": 0}}, {"x": {"a": {"b": 2}}}]})
    );
}

#[test]
fn a_map_holds_for_each_item() {
    let operation = json!({
        "op": "copy", "from": "/detail/lines/*/s", "path": "/data/lines/*/status",
        "map": {"1": "open", "true": "done"}, "optional": true,
    });

    assert_eq!(
        made(json!([operation]), json!({"lines": [{"s": 1}, {}, {"s": true}]})),
        Ok(json!({"lines": [{"status": "open"}, {}, {"status": "done"}]}))
    );
    let failure = apply(json!([operation]), json!({"lines": [{"s": 1}, {"s": "4111"}]}), json!({}));
    let failure = failure.unwrap_err();
    assert_eq!(failure.item, Some(1));
    assert_eq!(
        failure.reason,
        PatchProblem::Unmapped {
            found: "/detail/lines/1/s".to_owned(),
            pointer: "/lines/1/status".to_owned(),
        }
    );
}

#[test]
fn what_cannot_cross_is_told_with_its_item() {
    let failure = apply(
        json!([copy("/detail/lines/*/a", "/data/l/*/b")]),
        json!({"lines": [{"a": 1}, {"a": ["x", "\u{1}"]}]}),
        json!({}),
    );

    let failure = failure.unwrap_err();
    assert_eq!(failure.reason.pointer(), Some("/l/1/b/1"));
    assert!(failure.to_string().contains("item 1: `/detail/lines/1/a/1` is a text with"));
}

#[test]
fn the_bytes_the_levels_and_the_items_of_one_event_are_bounded() {
    let many = |count: usize, item: Value| json!({"l": vec![item; count]});
    let one = copy("/detail/l/*/a", "/data/l/*/a");

    let large = made(json!([one]), many(30_000, json!({"a": "0123456789"}))).unwrap_err();
    assert!(large.ends_with("the data grows over 256 KiB"), "{large}");
    let hollow = made(json!([optional(one.clone())]), many(99_000, json!(0))).unwrap_err();
    assert!(hollow.ends_with("the data grows over 256 KiB"), "{hollow}");
    let ten = Value::Array(vec![optional(copy("/detail/l/*/a", "/data/l/*/a")); 10]);
    assert!(made(ten, many(10_000, json!({}))).is_ok());
    let tests = json!({"op": "test", "path": "/detail/l/*/a", "value": 1});
    let eleven = made(Value::Array(vec![tests; 11]), many(10_000, json!({"a": 1}))).unwrap_err();
    assert!(
        eleven.starts_with("operation 10") && eleven.ends_with("over 100,000 items"),
        "{eleven}"
    );
    let adds = json!([
        copy("/detail/l/*", "/data/l/*"),
        {"op": "add", "path": "/data/l/*/x", "value": "0123456789"},
    ]);
    let adds = made(adds, many(30_000, json!({}))).unwrap_err();
    assert!(adds.ends_with("the data grows over 256 KiB"), "{adds}");

    let deep = format!("/data{}", "/a".repeat(60));
    let value = (0..58).fold(json!({}), |inner, _| json!({"a": inner}));
    let below = |path: String| {
        let around = json!({"op": "add", "path": "/data/a", "value": value});
        made(json!([around, optional(copy("/detail/l/*/a", &path))]), many(1, json!({})))
    };
    assert!(below(format!("{deep}/*/a")).is_ok());
    let value = (0..61).fold(json!({}), |inner, _| json!({"a": inner}));
    let around = json!({"op": "add", "path": "/data/a", "value": value});
    let path = format!("/data{}/*/a", "/a".repeat(63));
    let failure = made(json!([around, optional(copy("/detail/l/*/a", &path))]), many(1, json!({})));
    assert!(failure.unwrap_err().ends_with("nested over 64 levels"));
}

/// Documents with arrays, and members that are called `*`.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!("x"))];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = proptest::collection::btree_map("[ab*]", inner.clone(), 0..4);
        let object = members.prop_map(|members| members.into_iter().collect::<Value>());
        let array = proptest::collection::vec(inner, 0..4).prop_map(Value::from);
        prop_oneof![array, object]
    })
}

fn pointer(root: &'static str, starred: bool) -> impl Strategy<Value = String> {
    let token = || prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just("0"), 1 => Just("-")];
    let tokens = |most| proptest::collection::vec(token(), 0..most);
    (tokens(2), tokens(2)).prop_map(move |(before, after)| {
        let star = if starred { vec!["*"] } else { Vec::new() };
        before.into_iter().chain(star).chain(after).fold(root.to_owned(), |p, t| format!("{p}/{t}"))
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let of = |starred: bool| {
        let from = prop_oneof![pointer("/data", starred), pointer("/detail", starred)];
        (from, pointer("/data", starred), document(), 0..6_u8, any::<bool>()).prop_map(
            |(from, path, value, kind, optional)| match kind {
                0 => json!({"op": "add", "path": path, "value": value}),
                1 => json!({"op": "remove", "path": path, "optional": optional}),
                2 => json!({"op": "replace", "path": path, "value": value}),
                3 => json!({"op": "test", "path": from, "value": value}),
                4 => json!({"op": "move", "from": from, "path": path, "optional": optional}),
                _ => json!({"op": "copy", "from": from, "path": path, "optional": optional}),
            },
        )
    };
    prop_oneof![3 => of(true), 1 => of(false)]
}

/// The words of docs/publications.md, carried out one plain operation after the other.
struct Naive<'d>(&'d mut Value);

impl Naive<'_> {
    fn plain(&mut self, operation: Value) -> Option<()> {
        let operation: PatchOperation = serde_json::from_value(operation).unwrap();
        patch_unsafe(self.0, std::slice::from_ref(&operation)).ok()
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    fn items(&self, array: &str) -> Option<usize> {
        self.at(array).and_then(Value::as_array).map(Vec::len)
    }

    fn apply(&mut self, operation: &Value) -> Option<()> {
        let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
        let (op, from, path) = (text("op"), text("from"), text("path"));
        let optional = operation["optional"] == json!(true);
        let source = if from.is_empty() { &path } else { &from };
        let split = |pointer: &str| {
            let (array, below) = pointer.split_once("/*").unwrap_or((pointer, ""));
            (array.to_owned(), below.to_owned())
        };
        let (array, below) = split(source);
        let Some(count) = self.items(&array).filter(|_| source.contains('*')) else {
            let is_absent = self.at(source).is_none();
            return if optional && is_absent { Some(()) } else { self.literal(operation) };
        };
        let (target, into) = split(&path);
        match op.as_str() {
            "copy" | "move" => {
                let values: Vec<Option<Value>> =
                    (0..count).map(|i| self.at(&format!("{array}/{i}{below}")).cloned()).collect();
                if !optional && values.contains(&None) {
                    return None;
                }
                if op == "move" {
                    for i in (0..count).rev().filter(|i| values[*i].is_some()) {
                        self.plain(json!({"op": "remove", "path": format!("{array}/{i}{below}")}))?;
                    }
                }
                self.land(&target, &into, values)
            }
            _ => {
                for i in (0..count).rev() {
                    let mut one = operation.clone();
                    one["path"] = json!(format!("{target}/{i}{into}"));
                    if op == "add" && into.is_empty() {
                        one["op"] = json!("replace");
                    }
                    if !(optional && self.at(one["path"].as_str()?).is_none()) {
                        self.literal(&one)?;
                    }
                }
                Some(())
            }
        }
    }

    fn literal(&mut self, operation: &Value) -> Option<()> {
        if operation["op"] == "test" {
            let found = self.at(operation["path"].as_str()?)?;
            return equal(found, &operation["value"]).then_some(());
        }
        self.plain(operation.clone())
    }

    fn land(&mut self, target: &str, into: &str, values: Vec<Option<Value>>) -> Option<()> {
        if self.at(target).is_none() {
            self.plain(json!({"op": "add", "path": target, "value": []}))?;
        }
        self.items(target)?;
        for (index, value) in values.into_iter().enumerate() {
            if self.items(target)? <= index {
                self.plain(json!({"op": "add", "path": format!("{target}/-"), "value": {}}))?;
            }
            let op = if into.is_empty() { "replace" } else { "add" };
            if let Some(value) = value {
                let path = format!("{target}/{index}{into}");
                self.plain(json!({"op": op, "path": path, "value": value}))?;
            }
        }
        Some(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_star_does_what_one_operation_for_each_item_would_do(
        operations in proptest::collection::vec(operation(), 1..5),
        detail in document(),
        data in document(),
    ) {
        let kept: Vec<Value> =
            operations.into_iter().filter(|one| patch(json!([one])).is_ok()).collect();
        let envelope = Envelope::example(detail);
        let mut whole = envelope.to_tree();
        whole["data"] = data.clone();
        let expected = kept.iter().try_for_each(|one| Naive(&mut whole).apply(one));

        let document = PatchedDocument { envelope: &envelope, context: &json!({}) };
        let made = patch(Value::Array(kept)).unwrap().apply(document, data, Numbers::Keep);

        prop_assert_eq!(expected.is_some(), made.is_ok(), "{:?}", made);
        if let Ok(made) = made {
            prop_assert_eq!(&made, &whole["data"]);
        }
    }
}
