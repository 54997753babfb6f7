//! Tests of what a patch makes, beside the code they test.

use json_patch::jsonptr::PointerBuf;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::source::Envelope;

fn patch(operations: Value) -> Result<Patch, PatchMistake> {
    let operations: Vec<PatchOperation> = serde_json::from_value(operations).unwrap();
    let mut patch = Patch::default();
    operations.into_iter().try_for_each(|operation| patch.push(operation)).map(|()| patch)
}

fn apply(operations: Value, detail: Value, data: Value) -> Result<Value, PatchFailure> {
    let (envelope, context) = (Envelope::example(detail), json!({"currency": "EUR"}));
    let document = PatchedDocument { envelope: &envelope, context: &context };
    patch(operations).unwrap().apply(document, data, Numbers::Keep)
}

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
        if error.as_deref() == Some("refused") {
            assert!(patch(operations).is_err(), "{comment}");
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

    assert_eq!(failure.unwrap_err().reason, nothing_at(Pointer::from_static("/taken")));
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
    assert!(failure.index < 20, "each copy doubles the data: {failure}");
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
    assert_eq!((failure.index, failure.reason), (2, "the data is nested over 64 levels".into()));
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| json!([inner]))
}

#[test]
fn the_number_of_operations_and_the_length_of_pointers_are_limited() {
    let add = json!({"op": "add", "path": "/data/a", "value": 1});
    assert!(patch(Value::Array(vec![add.clone(); 100])).is_ok());
    assert_eq!(patch(Value::Array(vec![add; 101])).unwrap_err().member, "op");

    let long = format!("/data/{}", "x".repeat(1024));
    let mistake = patch(json!([{"op": "copy", "from": long, "path": "/data/a"}])).unwrap_err();
    assert_eq!(mistake.member, "from");
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
        let kept: Vec<PatchOperation> =
            operations.into_iter().filter(|one| sound.push(one.clone()).is_ok()).collect();
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
                prop_assert!(failure.index == error.operation || numeric);
            }
        }
    }

    #[test]
    fn any_text_is_a_pointer_or_is_refused(text in "[/~a01-]{0,12}") {
        let operation = json!([{"op": "add", "path": "/data/x", "value": 1}, {"op": "copy", "from": "/data/x", "path": "/data"}]);
        let parsed = PointerBuf::parse(text.as_str());
        if let Ok(path) = parsed {
            let mut patch = patch(operation).unwrap();
            let _ = patch.push(PatchOperation::Remove(json_patch::RemoveOperation { path }));
            let envelope = Envelope::example(json!({}));
            let _ = patch.apply(PatchedDocument { envelope: &envelope, context: &json!({}) }, json!({}), Numbers::Keep);
        }
    }
}
