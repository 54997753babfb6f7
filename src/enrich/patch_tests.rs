//! Tests of what a patch makes, beside the code they test.

use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, patch_unsafe};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::enrich::PatchProblem;
use crate::enrich::patch_testing::{apply, made, patch, plain};
use crate::enrich::same_value::equal;
use crate::source::Envelope;

#[derive(Deserialize)]
struct StandardRecord {
    comment: String,
    doc: Value,
    patch: Value,
    #[serde(default)]
    expected: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

#[test]
fn the_records_of_the_standard_hold() {
    let records = include_str!("../../tests/vectors/json-patch/records.json");
    let records: Vec<Value> = serde_json::from_str(records).unwrap();
    assert!(records.len() > 50);

    for record in records {
        let null = record.get("expected").is_some_and(Value::is_null);
        let mut record: StandardRecord = serde_json::from_value(record).unwrap();
        record.expected = record.expected.or(null.then_some(Value::Null));
        for operation in record.patch.as_array_mut().unwrap() {
            for member in ["from", "path"] {
                if let Some(Value::String(pointer)) = operation.get_mut(member) {
                    pointer.insert_str(0, "/data");
                }
            }
        }
        let StandardRecord { comment, doc, patch: operations, expected, error } = record;
        if error.as_deref() == Some("refused") || patch(operations.clone()).is_err() {
            assert!(error.is_some() && patch(operations).is_err(), "{comment}");
            continue;
        }
        let made = apply(operations, json!({}), doc);
        assert_eq!(made.is_err(), error.is_some(), "{comment}: {made:?}");
        let same = made.ok().zip(expected.as_ref()).is_none_or(|(a, b)| equal(&a, b));
        assert!(same, "{comment}");
    }
}

#[test]
fn data_is_taken_from_the_whole_event_and_from_constants() {
    let made = apply(
        json!([
            {"op": "copy", "from": "/detail/id", "path": "/data/orderId"},
            {"op": "copy", "from": "/time", "path": "/data/at"},
            {"op": "copy", "from": "/context/currency", "path": "/data/currency"},
            {"op": "test", "path": "/detail-type", "value": "OrderCreated"},
            {"op": "add", "path": "/data/lines", "value": []},
            {"op": "copy", "from": "/detail/line", "path": "/data/lines/-"},
        ]),
        json!({"id": 7, "line": {"sku": "a"}, "card": "4111"}),
        json!({}),
    );

    assert_eq!(
        made.unwrap(),
        json!({
            "orderId": 7, "at": "2026-11-21T20:17:00Z", "currency": "EUR", "lines": [{"sku": "a"}],
        })
    );
}

#[test]
fn nothing_but_data_is_written() {
    for operation in [
        json!({"op": "add", "path": "/detail/x", "value": 1}),
        json!({"op": "add", "path": "/database", "value": 1}),
        json!({"op": "remove", "path": "/detail/id"}),
        json!({"op": "remove", "path": "/data"}),
        json!({"op": "replace", "path": "", "value": {}}),
        json!({"op": "move", "from": "/detail/id", "path": "/data/id"}),
        json!({"op": "move", "from": "/data", "path": "/data/x"}),
        json!({"op": "copy", "from": "", "path": "/data/x"}),
        json!({"op": "copy", "from": "/data/x", "path": "/taken"}),
        json!({"op": "test", "path": "", "value": {}}),
    ] {
        assert!(patch(json!([operation])).is_err(), "{operation}");
    }
}

#[test]
fn a_patch_cannot_see_the_value_that_is_on_its_way() {
    let failure = apply(
        json!([
            {"op": "copy", "from": "/detail/id", "path": "/data/id"},
            {"op": "copy", "from": "/taken", "path": "/data/x"},
        ]),
        json!({"id": 1}),
        json!({}),
    );

    assert_eq!(failure.unwrap_err().reason, PatchProblem::Missing { from: "/taken".to_owned() });
}

#[test]
fn a_failure_names_the_operation_and_no_value() {
    let failure = apply(
        json!([
            {"op": "add", "path": "/data/a", "value": 1},
            {"op": "test", "path": "/detail/secret", "value": "open sesame"},
        ]),
        json!({"secret": "4111"}),
        json!({}),
    );

    assert_eq!(
        failure.unwrap_err().to_string(),
        "operation 1, `test` at `/detail/secret`: the value is another one"
    );
}

#[test]
fn copies_of_copies_stop_at_the_limit() {
    let mut operations = vec![json!({"op": "add", "path": "/data/a", "value": ["0123456789"]})];
    operations
        .extend((0..40).map(|_| json!({"op": "copy", "from": "/data/a", "path": "/data/a/-"})));

    let failure = apply(Value::Array(operations), json!({}), json!({})).unwrap_err();

    assert_eq!(failure.reason, "the data grows over 256 KiB".into());
    assert!(failure.index.entry < 20, "each copy doubles the data: {failure}");
}

#[test]
fn nesting_stops_at_the_limit() {
    let mut operations = vec![json!({"op": "add", "path": "/data/a", "value": [[[[[[[[]]]]]]]]})];
    operations.extend(
        (0..20)
            .map(|_| json!({"op": "copy", "from": "/data/a", "path": "/data/a/0/0/0/0/0/0/0/-"})),
    );
    let failure = apply(Value::Array(operations), json!({}), json!({})).unwrap_err();
    assert_eq!(failure.reason, "the data is nested over 64 levels".into());

    let moves = json!([
        {"op": "add", "path": "/data/a", "value": nested(40)},
        {"op": "add", "path": "/data/b", "value": nested(40)},
        {"op": "move", "from": "/data/b", "path": format!("/data/a{}/-", "/0".repeat(39))},
    ]);
    let failure = apply(moves, json!({}), json!({})).unwrap_err();
    assert_eq!(failure.index.entry, 2);
    assert_eq!(failure.reason, "the data is nested over 64 levels".into());
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| json!([inner]))
}

#[test]
fn the_number_of_operations_and_the_length_of_pointers_are_limited() {
    let add = json!({"op": "add", "path": "/data/a", "value": 1});
    assert!(patch(Value::Array(vec![add.clone(); 100])).is_ok());
    assert_eq!(patch(Value::Array(vec![add; 101])).unwrap_err()[0].member, "op");

    let long = format!("/data/{}", "x".repeat(1024));
    let mistake = patch(json!([{"op": "copy", "from": long, "path": "/data/a"}])).unwrap_err();
    assert_eq!(mistake[0].member, "from");
}

#[test]
fn an_optional_operation_is_left_out_where_there_is_nothing_at_its_source() {
    let operations = json!([
        {"op": "copy", "from": "/detail/a", "path": "/data/a", "optional": true},
        {"op": "copy", "from": "/detail/b/c", "path": "/data/b", "optional": true},
        {"op": "move", "from": "/data/a", "path": "/data/c", "optional": true},
        {"op": "remove", "path": "/data/b/x", "optional": true},
    ]);

    assert_eq!(made(operations.clone(), json!({})), Ok(json!({})));
    assert_eq!(made(operations.clone(), json!({"a": null, "b": 1})), Ok(json!({"c": null})));
    assert_eq!(
        made(operations, json!({"a": 1, "b": {"c": {"x": 1, "y": 2}}})),
        Ok(json!({"c": 1, "b": {"y": 2}}))
    );
}

#[test]
fn an_optional_copy_with_a_source_and_no_place_for_it_fails() {
    let to_nowhere = json!([
        {"op": "copy", "from": "/detail/a", "path": "/data/x/y", "optional": true},
    ]);

    assert_eq!(made(to_nowhere.clone(), json!({})), Ok(json!({})));
    assert_eq!(
        made(to_nowhere, json!({"a": 1})),
        Err("operation 0, `copy` at `/data/x/y`: its `path` leads nowhere".to_owned())
    );
}

#[test]
fn a_map_writes_what_stands_for_the_value() {
    let map = |extra: Value| {
        let mut operation = json!({
            "op": "copy", "from": "/detail/status", "path": "/data/status",
            "map": {"A": "authorised", "1": {"code": 1.0}},
        });
        operation.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([operation])
    };

    assert_eq!(made(map(json!({})), json!({"status": "A"})), Ok(json!({"status": "authorised"})));
    let one = made(map(json!({})), json!({"status": 1})).unwrap().to_string();
    assert_eq!(one, r#"{"status":{"code":1}}"#);
    let unknown = made(map(json!({"default": null})), json!({"status": "4111"}));
    assert_eq!(unknown, Ok(json!({"status": null})));
    assert_eq!(made(map(json!({"optional": true})), json!({})), Ok(json!({})));
    assert!(made(map(json!({"default": 1})), json!({})).unwrap_err().contains("nothing at its"));

    let failure = apply(map(json!({})), json!({"status": "4111"}), json!({})).unwrap_err();
    assert_eq!(failure.reason.pointer(), Some("/status"));
    assert_eq!(
        failure.to_string(),
        "operation 0, `copy` at `/data/status`: `/detail/status` is a value that its `map` does not \
         know, and has no `default`"
    );
}

#[test]
fn a_map_changes_what_is_moved_and_what_is_copied_within_the_data() {
    let operations = json!([
        {"op": "copy", "from": "/detail/a", "path": "/data/a"},
        {"op": "copy", "from": "/data/a", "path": "/data/b", "map": {"x": "copied"}},
        {"op": "move", "from": "/data/a", "path": "/data/c", "map": {"x": "moved"}},
        {"op": "move", "from": "/data/c", "path": "/data/c", "map": {"moved": "again"}},
    ]);

    assert_eq!(made(operations, json!({"a": "x"})), Ok(json!({"b": "copied", "c": "again"})));
}

#[test]
fn a_group_is_done_for_the_events_that_match_its_when() {
    let operations = json!([
        {"op": "add", "path": "/data/method", "value": "other"},
        {"when": {"detail": {"kind": ["card"]}, "detail-type": ["OrderCreated"]}, "patch": [
            {"op": "replace", "path": "/data/method", "value": "card"},
            {"op": "copy", "from": "/detail/card/last4", "path": "/data/last4"},
        ]},
        {"when": {"detail": {"coupon": [{"exists": true}]}}, "patch": [
            {"op": "copy", "from": "/detail/coupon", "path": "/data/coupon"},
        ]},
    ]);

    assert_eq!(made(operations.clone(), json!({})), Ok(json!({"method": "other"})));
    assert_eq!(
        made(operations.clone(), json!({"kind": "card", "card": {"last4": "1111"}, "coupon": "x"})),
        Ok(json!({"method": "card", "last4": "1111", "coupon": "x"}))
    );
    assert_eq!(
        made(operations, json!({"kind": "card"})),
        Err("operation 1.1, `copy` at `/data/last4`: there is nothing at its `from`, \
             `/detail/card/last4`"
            .to_owned())
    );
}

#[test]
fn a_group_sees_the_event_and_not_the_data_so_far() {
    let operations = json!([
        {"op": "add", "path": "/data/a", "value": 1},
        {"when": {"data": {"a": [1]}}, "patch": [{"op": "remove", "path": "/data/a"}]},
        {"when": {"detail": {"b": [{"exists": false}]}}, "patch": [
            {"op": "add", "path": "/data/b", "value": 1},
        ]},
    ]);

    assert_eq!(made(operations, json!({})), Ok(json!({"a": 1, "b": 1})));
}

#[test]
fn every_rule_that_an_operation_breaks_is_told() {
    for (operation, members) in [
        (
            json!({"op": "add", "path": "/x/*/*", "value": 1, "optional": true}),
            vec!["path", "path", "optional"],
        ),
        (json!({"op": "copy", "from": "/detail/*", "path": "/data/x"}), vec!["path"]),
        (json!({"op": "copy", "from": "/detail/*/*", "path": "/x/*"}), vec!["from", "path"]),
        (json!({"op": "test", "path": "/data/x", "value": 1, "map": {"a": 1}}), vec!["map"]),
        (json!({"op": "move", "from": "/data/a", "path": "/data/a/b"}), vec!["path"]),
        (json!({"op": "move", "from": "/data/a/*", "path": "/data/a/*/b"}), vec!["path"]),
        (json!({"op": "move", "from": "/data/a/*", "path": "/data/a/0/*"}), vec!["path"]),
        (json!({"op": "move", "from": "/data/a", "path": "/data/a"}), vec![]),
        (json!({"op": "move", "from": "/data/a/*/x", "path": "/data/a/*/y"}), vec![]),
        (json!({"op": "copy", "from": "/data/a", "path": "/data/a/b"}), vec![]),
    ] {
        let found: Vec<_> = patch(json!([operation])).err().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|mistake| mistake.member).collect();
        assert_eq!(found, members, "{operation}");
    }
}

/// Pointers that often name something, and sometimes nothing.
fn pointer() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![Just("a"), Just("b"), Just("0"), Just("-"), Just("01")],
        0..4,
    )
    .prop_map(|tokens| tokens.iter().fold(String::from("/data"), |p, t| format!("{p}/{t}")))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!(1.0)), Just(json!("x"))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[ab0]", inner, 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn operation() -> impl Strategy<Value = PatchOperation> {
    let one = (pointer(), pointer(), value(), 0..6_u8, any::<bool>());
    one.prop_map(|(from, path, value, kind, outside)| {
        let outside = if outside { from.replacen("/data", "/detail", 1) } else { from.clone() };
        let operation = match kind {
            0 => json!({"op": "add", "path": path, "value": value}),
            1 => json!({"op": "remove", "path": path}),
            2 => json!({"op": "replace", "path": path, "value": value}),
            3 => json!({"op": "move", "from": from, "path": path}),
            4 => json!({"op": "copy", "from": outside, "path": path}),
            _ => json!({"op": "test", "path": outside, "value": value}),
        };
        serde_json::from_value(operation).unwrap()
    })
}

proptest! {
    /// The reference is the crate's own patch over one whole document.
    #[test]
    fn a_patch_applies_whole_or_not_at_all_and_agrees_with_the_plain_library(
        operations in proptest::collection::vec(operation(), 0..8),
        detail in value(),
        data in value(),
    ) {
        let mut sound = Patch::default();
        let mut kept: Vec<PatchOperation> = Vec::new();
        for operation in operations {
            if sound.push(plain(operation.clone(), kept.len())).is_ok() {
                kept.push(operation);
            }
        }
        let envelope = Envelope::example(detail);
        let before = envelope.clone();
        let document = PatchedDocument { envelope: &envelope, context: &json!({}) };

        let made = sound.apply(document, data.clone(), Numbers::Keep);

        prop_assert_eq!(&envelope, &before);
        let mut whole = envelope.to_tree();
        whole["data"] = data;
        // The library tells 1 from 1.0 in a test; RFC 6902 does not.
        let numeric = kept.iter().any(|one| matches!(one, PatchOperation::Test(_)));
        match (patch_unsafe(&mut whole, &kept), made) {
            // A number that crosses has one text.
            (Ok(()), made) => prop_assert!(equal(&made.unwrap(), &whole["data"])),
            (Err(_), Ok(_)) => prop_assert!(numeric),
            (Err(error), Err(failure)) => {
                prop_assert!(numeric || failure.index.entry == error.operation);
            }
        }
    }

    #[test]
    fn any_text_is_a_pointer_or_is_refused(text in "[/~a01-]{0,12}") {
        let operation = json!([{"op": "add", "path": "/data/x", "value": 1}, {"op": "copy", "from": "/data/x", "path": "/data"}]);
        let parsed = PointerBuf::parse(text.as_str());
        if let Ok(path) = parsed {
            let mut patch = patch(operation).unwrap();
            let remove = PatchOperation::Remove(json_patch::RemoveOperation { path });
            let _ = patch.push(plain(remove, 2));
            let envelope = Envelope::example(json!({}));
            let _ = patch.apply(PatchedDocument { envelope: &envelope, context: &json!({}) }, json!({}), Numbers::Keep);
        }
    }
}
