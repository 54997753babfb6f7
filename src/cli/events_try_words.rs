//! What a person is told of an event that is tried: who takes it, and of those that do not want it the nearest,
//! with what their pattern asks for.

use std::fmt::Write as _;

use serde_json::Value;

use crate::api::{TriedAttributes, TriedEvent, TriedField, TriedPublication};
use crate::enrich::Publications;
use crate::event::{nearest, number_of};

/// How many publications that do not want an event are told, unless all are asked for.
const NEAREST: usize = 3;
/// How many values of a pattern are told of one field.
const VALUES: usize = 5;

/// Puts events that were tried into words.
#[derive(Clone, Copy)]
pub(super) struct TriedWords<'a> {
    /// What is published.
    pub(super) publications: &'a Publications,
    /// Whether every publication is told of every event.
    pub(super) tells_all: bool,
}

impl TriedWords<'_> {
    /// What is told of an event, top to bottom; `tree` is the event as patterns see it.
    pub(super) fn of(self, event: &TriedEvent, tree: &Value) -> String {
        let id = event.id.as_deref().unwrap_or_default();
        let mut words = format!("event {}, {id}: {}\n", event.index, event.outcome);
        let (others, wanting): (Vec<_>, Vec<_>) =
            event.publications.iter().partition(|one| one.verdict == "unwanted");
        let lines =
            wanting.into_iter().flat_map(taking_lines).chain(self.others(&others, event, tree));
        for line in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(words, "  {line}");
        }
        let any = |verdict| event.publications.iter().any(|one| one.verdict == verdict);
        if event.outcome == "refused" && any("crosses") {
            words +=
                "  a producer that waits for the answer has its event taken whole or not at all\n";
        }
        words
    }

    /// Those that do not want it: the nearest, where nobody does.
    fn others(self, others: &[&TriedPublication], event: &TriedEvent, tree: &Value) -> Vec<String> {
        if event.outcome != "unwanted" && !self.tells_all {
            return Vec::new();
        }
        let mut rated: Vec<_> = others.iter().map(|one| (one, self.fields(one, tree))).collect();
        // As many fields fail, so far it is away; a slip of the pen is near.
        rated.sort_by_key(|(one, fields)| {
            let slips = fields.iter().filter(|field| field.is_slip).count();
            (one.mismatches.len() - slips, slips == 0)
        });
        let told = if self.tells_all { rated.len() } else { NEAREST };
        let mut lines = Vec::new();
        for (one, fields) in rated.iter().take(told) {
            lines.push(format!("{}: not wanted", one.publication));
            lines.extend(fields.iter().map(|field| format!("  {}", field.line)));
        }
        let left = rated.len().saturating_sub(told);
        if left > 0 {
            lines.push(format!(
                "{} more {} not want it; `--all` tells why",
                number_of(left, "publication"),
                if left == 1 { "does" } else { "do" },
            ));
        }
        lines
    }

    fn fields(self, one: &TriedPublication, tree: &Value) -> Vec<FieldWords> {
        let publication = self.publications.get(&one.publication);
        let pattern = publication.and_then(|publication| {
            serde_json::from_str::<Value>(publication.pattern().text()).ok()
        });
        let words = |field: &TriedField| FieldWords::of(field, pattern.as_ref(), tree);
        one.mismatches.iter().map(words).collect()
    }
}

/// What is told of a field that keeps an event out.
struct FieldWords {
    line: String,
    /// Whether the event has a value there that is most likely meant as one of the pattern.
    is_slip: bool,
}

impl FieldWords {
    fn of(field: &TriedField, pattern: Option<&Value>, tree: &Value) -> Self {
        let wanted: Vec<&Value> = pattern.map_or_else(Vec::new, |one| at(one, &field.path));
        let wanted: Vec<&Value> =
            wanted.into_iter().filter_map(Value::as_array).flatten().collect();
        let mut line = format!("{}: {}", field.path, field.reason);
        if wanted.is_empty() {
            return Self { line, is_slip: false };
        }
        let values: Vec<_> = wanted.iter().take(VALUES).map(ToString::to_string).collect();
        let more = if wanted.len() > VALUES { " and others" } else { "" };
        line.push_str("; it wants ");
        line.push_str(&values.join(" or "));
        line.push_str(more);
        let given = at(tree, &field.path).into_iter().find_map(Value::as_str);
        let texts = wanted.iter().filter_map(|value| value.as_str());
        let meant = given.and_then(|given| nearest(given, texts));
        if let Some((given, meant)) = given.zip(meant) {
            let (given, meant) = (Value::from(given), Value::from(meant));
            // Writing to a string cannot fail.
            let _ = write!(line, ", the event has {given}: did you mean {meant}?");
        }
        Self { line, is_slip: meant.is_some() }
    }
}

/// Everything at a path whose names are joined by dots, in each alternative of a pattern.
fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let Value::Object(members) = value else { return Vec::new() };
    if let Some(found) = members.get(path) {
        return vec![found];
    }
    let below = path.match_indices('.').flat_map(|(dot, _)| {
        let (name, rest) = path.split_at(dot);
        let rest = rest.trim_start_matches('.');
        members.get(name).map_or_else(Vec::new, |member| at(member, rest))
    });
    let alternatives = members.get("$or").and_then(Value::as_array).into_iter().flatten();
    below.chain(alternatives.flat_map(|one| at(one, path))).collect()
}

fn taking_lines(publication: &TriedPublication) -> Vec<String> {
    let name = &publication.publication;
    let mut lines = vec![match (publication.verdict, publication.code) {
        ("crosses", _) if publication.violations.is_empty() => format!("{name}: it crosses"),
        ("crosses", _) => {
            format!("{name}: it crosses, and breaks its contract, which is only observed")
        }
        (_, code) => format!("{name}: refused, {}", code.unwrap_or_default()),
    }];
    lines.extend(publication.violations.iter().map(|one| {
        let place = if one.pointer.is_empty() { "the data" } else { &one.pointer };
        format!("  {place}: {}, {}", one.code, one.message)
    }));
    lines.extend(publication.event.iter().flat_map(attribute_lines));
    if let Some(subscriptions) = &publication.subscriptions {
        let names: Vec<_> = subscriptions.iter().map(ToString::to_string).collect();
        let names = if names.is_empty() { "no subscription".to_owned() } else { names.join(", ") };
        lines.push(format!("  goes to     {names}"));
    }
    lines
}

fn attribute_lines(event: &TriedAttributes) -> Vec<String> {
    let optional = |name, value: &Option<String>| value.clone().map(|value| (name, value));
    let told = [
        Some(("type", event.r#type.clone())),
        Some(("source", event.source.clone())),
        optional("subject", &event.subject),
        optional("time", &event.time),
        optional("dataschema", &event.dataschema),
        optional("key", &event.idempotency_key),
    ];
    let extensions = event.extensions.iter();
    let extensions = extensions.map(|(name, value)| (name.as_str(), value.to_string()));
    let told = told.into_iter().flatten().chain(extensions);
    let told = told.chain([("data", event.data.get().to_owned())]);
    told.map(|(name, value)| format!("  {name:<11} {value}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_whatever_its_name_and_in_each_alternative() {
        let pattern = json!({
            "a.b": [1], "a": { "c.d": { "e": [2] } }, "$or": [{ "x": { "y": [3] } }, { "x": { "y": [4] } }],
        });

        assert_eq!(at(&pattern, "a.b"), [&json!([1])]);
        assert_eq!(at(&pattern, "a.c.d.e"), [&json!([2])]);
        assert_eq!(at(&pattern, "x.y"), [&json!([3]), &json!([4])]);
        assert!(at(&pattern, "x.z").is_empty() && at(&pattern, "").is_empty());
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_what_was_meant() {
        let pattern = json!({ "detail-type": ["OrderCreated", "OrderClosed"], "n": [{ "numeric": [">", 1] }] });
        let tree = json!({ "detail-type": "OrderCraeted", "n": 0 });
        let told = |path: &str| {
            let field = TriedField { path: path.to_owned(), reason: "no".to_owned() };
            FieldWords::of(&field, Some(&pattern), &tree)
        };

        let slip = told("detail-type");
        assert!(slip.is_slip);
        assert_eq!(
            slip.line,
            r#"detail-type: no; it wants "OrderCreated" or "OrderClosed", the event has "OrderCraeted": did you mean "OrderCreated"?"#
        );
        assert_eq!(told("n").line, r#"n: no; it wants {"numeric":[">",1]}"#);
        assert!(!told("n").is_slip && !told("gone").is_slip);
    }
}
