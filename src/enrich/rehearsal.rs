//! An internal event that a publication would turn into given data, to try its patch without a
//! producer.

use std::sync::Arc;

use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;
use serde_json::{Map, Value};

use crate::enrich::Publication;
use crate::event::Timestamp;
use crate::source::{Envelope, Received};

/// What stands in the event where the example shows nothing.
const PLACEHOLDER: &str = "example";

/// An event made up from an example of the data that it should become.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The event.
    pub received: Arc<Received>,
    /// Pointers into the data that the patch writes and the example does not show, so that their
    /// values are made up.
    pub guessed: Vec<String>,
}

impl Publication {
    /// Makes up an event by reading the patch backwards: each value of the example goes to where
    /// the patch would have copied it from.
    pub fn rehearse(&self, example: &Value) -> Rehearsal {
        let mut event = Value::Object(Map::new());
        let mut guessed = Vec::new();
        for operation in self.patch().operations() {
            let PatchOperation::Copy(copy) = operation else { continue };
            let Some(to) = copy.path.strip_prefix(Pointer::from_static("/data")) else { continue };
            let shown = to.resolve(example).ok().cloned();
            let value = shown.unwrap_or_else(|| {
                guessed.push(to.to_string());
                Value::from(PLACEHOLDER)
            });
            put(&mut event, &copy.from, value);
        }
        for pointer in [self.metadata(), self.subject()].into_iter().flatten() {
            if pointer.resolve(&event).is_err() {
                put(&mut event, pointer, Value::from(PLACEHOLDER));
            }
        }
        Rehearsal { received: Arc::new(received(&event)), guessed }
    }
}

/// Puts a value to its place unless an earlier one already holds the place above it.
fn put(event: &mut Value, at: &Pointer, value: Value) {
    // What cannot be put there is missing when the patch is tried, which then says so.
    let _ = at.assign(event, value);
}

fn received(event: &Value) -> Received {
    let text = |member: &str| event.get(member).and_then(Value::as_str).map(str::to_owned);
    let required = |member: &str| text(member).unwrap_or_else(|| PLACEHOLDER.to_owned());
    let time = text("time").and_then(|time| time.parse().ok());
    let envelope = Envelope {
        id: required("id"),
        source: required("source"),
        detail_type: required("detail-type"),
        time: time.unwrap_or_else(|| Timestamp::EPOCH.into()),
        account: text("account"),
        region: text("region"),
        replay_name: text("replay-name"),
        resources: resources(event),
        detail: event.get("detail").cloned().unwrap_or_else(|| Value::Object(Map::new())),
    };
    Received { envelope, repeatable: false, traceparent: None }
}

/// The texts among what was put below `/resources`.
fn resources(event: &Value) -> Vec<String> {
    let items = event.get("resources").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::enrich::Publications;

    fn publication(patch: &str) -> Arc<Publication> {
        let file = format!(
            "domain: orders\ncontract: asyncapi/orders.yaml\nsource: /orders\npublications:\n  \
             - event: Order.Created\n    when: {{ source: [shop] }}\n    patch: [{patch}]\n"
        );
        let files = BTreeMap::from([("orders.yaml".to_owned(), file)]);
        Arc::clone(Publications::load(&files).unwrap().iter().next().unwrap())
    }

    #[test]
    fn the_made_up_event_becomes_the_example_again() {
        let publication = publication(
            "{ op: copy, from: /detail/id, path: /data/orderId }, \
             { op: copy, from: /detail/price/amount, path: /data/amount }, \
             { op: copy, from: /time, path: /data/at }",
        );
        let example = json!({"orderId": 7, "amount": 1.5, "at": "2026-01-02T03:04:05Z"});

        let rehearsal = publication.rehearse(&example);

        assert_eq!(rehearsal.guessed, Vec::<String>::new());
        assert_eq!(publication.enrich(&rehearsal.received).unwrap().data(), &example);
    }

    #[test]
    fn what_the_example_does_not_show_is_made_up_and_named() {
        let publication = publication("{ op: copy, from: /detail/note, path: /data/note }");

        assert_eq!(publication.rehearse(&json!({})).guessed, ["/note"]);
    }
}
