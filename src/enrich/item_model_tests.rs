//! A plain model of operations with a `*`, and what they do beside it.

use json_patch::{PatchOperation, patch_unsafe};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::enrich::Numbers;
use crate::enrich::document::PatchedDocument;
use crate::enrich::patch_testing::patch;
use crate::enrich::same_value::equal;
use crate::source::Envelope;

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
                for i in (0..count).rev().filter(|i| op == "move" && values[*i].is_some()) {
                    self.plain(json!({"op": "remove", "path": format!("{array}/{i}{below}")}))?;
                }
                self.land(&target, &into, values)
            }
            _ => (0..count).rev().try_for_each(|i| {
                let mut one = operation.clone();
                one["path"] = json!(format!("{target}/{i}{into}"));
                self.in_one(one, optional, into.is_empty())
            }),
        }
    }

    fn in_one(&mut self, mut one: Value, optional: bool, is_whole: bool) -> Option<()> {
        if one["op"] == "add" && is_whole {
            one["op"] = json!("replace");
        }
        let is_absent = self.at(one["path"].as_str()?).is_none();
        if optional && is_absent { Some(()) } else { self.literal(&one) }
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
