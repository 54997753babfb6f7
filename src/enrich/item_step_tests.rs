//! Tests of operations with a `*`, beside the code they test.

use serde_json::{Value, json};

use crate::enrich::PatchProblem;
use crate::enrich::patch_testing::{apply, made};

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
}

#[test]
fn what_an_item_or_the_event_lacks_is_not_written_or_tested() {
    let ranged = |operation: Value| {
        let lines = json!([{"a": 1, "b": 2}, {"a": 1}]);
        made(json!([{"op": "add", "path": "/data/l", "value": lines}, operation]), json!({}))
    };
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
}

#[test]
fn a_test_of_no_items_holds() {
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
}

#[test]
fn items_that_are_made_are_not_too_deep() {
    let many = |count: usize, item: Value| json!({"l": vec![item; count]});
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
