//! Internal events that a publication would turn into given data, to try its patch without a
//! producer.

use std::collections::BTreeSet;
use std::sync::Arc;

use json_patch::jsonptr::{Pointer, PointerBuf};
use serde_json::{Map, Value};

use crate::enrich::matching_event::fill;
use crate::enrich::reversal::{Reversal, ReversedEvent};
use crate::enrich::{Publication, PublishedAttribute};
use crate::event::Timestamp;
use crate::route::Pattern;
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
    /// Pointers into the event to values that the example shows.
    pub shown: Vec<PointerBuf>,
    /// The groups of the patch that are done for it, by their numbers.
    pub groups: BTreeSet<usize>,
}

impl Publication {
    /// Makes up all kinds of events that the example could come from, by reading the patch backwards:
    /// each value of the example goes to where the patch would have taken it from. Of its groups, first
    /// those are done that write what the example shows, then none, then each alone.
    pub fn rehearsals(&self, example: &Value) -> Vec<Rehearsal> {
        let groups = self.patch().groups().len();
        let mut tried = BTreeSet::new();
        let shown = std::iter::once(self.groups_shown_by(example));
        let others = std::iter::once(BTreeSet::new())
            .chain((0..groups).map(|group| BTreeSet::from([group])));
        let new = shown.chain(others).filter(|groups| tried.insert(groups.clone()));
        new.map(|groups| self.rehearsal(example, groups, None)).collect()
    }

    /// Makes up events for which a group of the patch is done: beside the groups that the example
    /// shows, and alone.
    pub fn rehearsals_of_group(&self, group: usize, example: &Value) -> Vec<Rehearsal> {
        let mut beside = self.groups_shown_by(example);
        beside.insert(group);
        let made = [beside, BTreeSet::from([group])];
        let made = made.into_iter().map(|groups| self.rehearsal(example, groups, Some(group)));
        made.filter(|rehearsal| rehearsal.groups.contains(&group)).collect()
    }

    /// The groups all of whose copies lead to what the example shows.
    fn groups_shown_by(&self, example: &Value) -> BTreeSet<usize> {
        let mut shown: BTreeSet<usize> = (0..self.patch().groups().len()).collect();
        for step in self.patch().steps() {
            if let Some(group) = step.group()
                && !Reversal::shows(example, step)
            {
                shown.remove(&group);
            }
        }
        shown
    }

    /// Where groups contradict each other, the event is made for the `last` one.
    fn rehearsal(
        &self,
        example: &Value,
        mut groups: BTreeSet<usize>,
        last: Option<usize>,
    ) -> Rehearsal {
        // A group whose `when` the event happens to match is done too, so its sources are needed.
        loop {
            let ReversedEvent { event, shown, guessed } = self.made_up(example, &groups, last);
            let received = Arc::new(received(&event));
            let tree = received.envelope.to_tree();
            let matching = |(group, when): (usize, &Pattern)| when.matches(&tree).then_some(group);
            let patterns = self.patch().groups().iter().enumerate();
            let done: BTreeSet<usize> = patterns.filter_map(matching).collect();
            if done.is_subset(&groups) {
                return Rehearsal { received, guessed, shown, groups: done };
            }
            groups.extend(done);
        }
    }

    fn made_up(
        &self,
        example: &Value,
        groups: &BTreeSet<usize>,
        last: Option<usize>,
    ) -> ReversedEvent {
        let mut reversal = Reversal::of(example);
        let is_done = |group: Option<usize>| group.is_none_or(|group| groups.contains(&group));
        for step in self.patch().steps().rev().filter(|step| is_done(step.group())) {
            reversal.undo(step);
        }
        let mut made = reversal.into_event();
        let event = &mut made.event;
        let patterns = self.patch().groups();
        let others = groups.iter().copied().filter(|group| Some(*group) != last);
        for when in others.chain(last).filter_map(|group| patterns.get(group)) {
            fill(event, when);
        }
        let attributes = self.attributes().iter().filter(|set| !set.is_optional());
        let named = [self.metadata(), self.subject()].into_iter().flatten();
        for pointer in named.chain(attributes.map(PublishedAttribute::from)) {
            if pointer.resolve(event).is_err() {
                put(event, pointer, Value::from(PLACEHOLDER));
            }
        }
        made
    }
}

fn put(event: &mut Value, at: &Pointer, value: Value) {
    // What cannot be put there is missing when the patch is tried, which then says so.
    let _ = at.assign(event, value);
}

fn received(event: &Value) -> Received {
    let text = |member: &str| event.get(member).and_then(Value::as_str).map(str::to_owned);
    let required = |member: &str| text(member).unwrap_or_else(|| PLACEHOLDER.to_owned());
    let time = text("time").and_then(|time| time.parse().ok());
    let resources = event.get("resources").and_then(Value::as_array);
    let resources = resources.into_iter().flatten().filter_map(Value::as_str);
    let envelope = Envelope {
        id: required("id"),
        source: required("source"),
        detail_type: required("detail-type"),
        time: time.unwrap_or_else(|| Timestamp::EPOCH.into()),
        account: text("account"),
        region: text("region"),
        replay_name: text("replay-name"),
        resources: resources.map(str::to_owned).collect(),
        detail: event.get("detail").cloned().unwrap_or_else(|| Value::Object(Map::new())),
    };
    Received { envelope, repeatable: false, traceparent: None, producer: None }
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

    /// The data that the made-up event becomes.
    fn again(patch: &str, example: &Value) -> (Value, Vec<String>) {
        let publication = publication(patch);
        let Rehearsal { received, guessed, .. } = publication.rehearsals(example).remove(0);
        (publication.enrich(&received).unwrap().data().clone(), guessed)
    }

    #[test]
    fn the_made_up_event_becomes_the_example_again() {
        for (patch, example) in [
            (
                "{ op: copy, from: /detail/id, path: /data/orderId }, \
                 { op: copy, from: /detail/price/amount, path: /data/amount }, \
                 { op: copy, from: /time, path: /data/at }",
                json!({"orderId": 7, "amount": 1.5, "at": "2026-01-02T03:04:05Z"}),
            ),
            (
                "{ op: copy, from: /detail/order, path: /data/order }, \
                 { op: remove, path: /data/order/secret }, \
                 { op: move, from: /data/order/no, path: /data/no }",
                json!({"order": {"id": 1}, "no": 2}),
            ),
            (
                "{ op: copy, from: /detail/lines/*/sku, path: /data/lines/*/sku }, \
                 { op: copy, from: /detail/lines/*/note, path: /data/lines/*/note, optional: true }, \
                 { op: copy, from: /detail/tags/*, path: /data/tags/*, optional: true }",
                json!({"lines": [{"sku": "a", "note": "n"}, {"sku": "b"}]}),
            ),
            (
                "{ op: copy, from: /detail/lines, path: /data/lines }, \
                 { op: remove, path: /data/lines/*/cost }",
                json!({"lines": [{"sku": "a"}, {"sku": "b"}]}),
            ),
            (
                "{ op: copy, from: /detail/s, path: /data/status, map: { A: open, B: done } }, \
                 { op: copy, from: /detail/l/*/s, path: /data/l/*/s, map: { A: 1 }, default: 2 }",
                json!({"status": "done", "l": [{"s": 1}, {"s": 2}]}),
            ),
            (
                "{ when: { detail: { kind: [card] } }, patch: [\
                    { op: add, path: /data/method, value: card }, \
                    { op: copy, from: /detail/last4, path: /data/last4 }] }, \
                 { when: { detail: { kind: [bank] } }, patch: [\
                    { op: add, path: /data/method, value: bank }, \
                    { op: copy, from: /detail/iban, path: /data/iban }] }",
                json!({"method": "bank", "iban": "DE1"}),
            ),
        ] {
            assert_eq!(again(patch, &example), (example, Vec::new()), "{patch}");
        }
    }

    #[test]
    fn what_the_example_does_not_show_is_made_up_and_named() {
        let patch = "{ op: copy, from: /detail/note, path: /data/note }, \
                     { op: copy, from: /detail/lines/*/a, path: /data/lines/*/a }";

        let (data, guessed) = again(patch, &json!({"lines": [{"a": 1}, {}]}));

        assert_eq!(guessed, ["/note", "/lines/1/a"]);
        assert_eq!(data["lines"], json!([{"a": 1}, {"a": "example"}]));
    }

    #[test]
    fn groups_are_tried_as_shown_and_without_and_alone() {
        let publication = publication(
            "{ op: copy, from: /detail/id, path: /data/id }, \
             { when: { detail: { a: [{ exists: true }], n: [{ numeric: ['>', 5] }] } }, \
               patch: [{ op: copy, from: /detail/a, path: /data/a }] }, \
             { when: { detail: { kind: [{ prefix: x }] } }, \
               patch: [{ op: copy, from: /detail/b, path: /data/b }] }",
        );
        let example = json!({"id": 1, "a": 2});

        let made: Vec<Value> = publication
            .rehearsals(&example)
            .iter()
            .map(|one| publication.enrich(&one.received).unwrap().data().clone())
            .collect();

        let alone = json!({"id": 1, "b": "example"});
        assert_eq!(made, [json!({"id": 1, "a": 2}), json!({"id": 1}), alone]);
    }
}
