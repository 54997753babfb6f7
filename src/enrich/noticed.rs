//! What a publication may say without being refused, and yet no event, or not every event, can meet.

use json_patch::PatchOperation;
use json_patch::jsonptr::{Pointer, Resolve as _};
use serde_json::Value;

use crate::enrich::publication::PublicationFile;
use crate::enrich::{Mode, PatchStep, Publication};
use crate::event::{Diagnostic, Placed, YamlNode, is_false_index, is_item_index, nearest};
use crate::route::Pattern;

/// The members of an envelope, as patterns and pointers name them.
pub(super) const ENVELOPE: [&str; 11] = [
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
    "replay-name",
    "$or",
];

/// The members of an envelope that are texts, and in every event.
const TEXTS: [&str; 7] = ["version", "id", "detail-type", "source", "account", "time", "region"];

/// What is wrong somewhere in a file, and what to do about it.
pub(super) struct Notice {
    pub(super) place: (usize, usize),
    pub(super) problem: String,
    pub(super) help: String,
    pub(super) is_warning: bool,
}

impl Notice {
    /// The same, shown in its file.
    pub(super) fn shown(self, file: &PublicationFile) -> Diagnostic {
        let shown = file.mistake(self.place, self.problem).with_help(self.help);
        if self.is_warning { shown.into_warning() } else { shown }
    }
}

/// Members of a pattern that no envelope has, also below `$or`. Below `detail` anything goes.
pub(super) fn unknown_fields(when: &Placed<YamlNode>) -> Vec<Notice> {
    let mut found = Vec::new();
    let mut around = vec![(when, false)];
    while let Some((node, is_choice)) = around.pop() {
        let YamlNode::Object(members) = &node.value else { continue };
        for (name, asked) in members {
            if name.value == "$or" {
                let YamlNode::Array(branches) = &asked.value else { continue };
                around.extend(branches.iter().rev().map(|branch| (branch, true)));
                continue;
            }
            let first = name.value.split('.').next().unwrap_or_default();
            if ENVELOPE.contains(&first) {
                continue;
            }
            let wants_none = asked_for_absence(&asked.value);
            let outcome = if wants_none { "this always holds" } else { "this matches no event" };
            found.push(Notice {
                place: name.place,
                problem: format!("an envelope has no `{}`: {outcome}", name.value),
                help: near_envelope(first, "below `detail` anything can be asked for"),
                is_warning: is_choice || wants_none,
            });
        }
    }
    found.sort_by_key(|notice| notice.place);
    found
}

fn asked_for_absence(asked: &YamlNode) -> bool {
    let YamlNode::Array(alternatives) = asked else { return false };
    let absent = |alternative: &Placed<YamlNode>| {
        matches!(&alternative.value, YamlNode::Object(members)
            if members.iter().any(|(name, value)| name.value == "exists"
                && matches!(value.value, YamlNode::Scalar(Value::Bool(false)))))
    };
    alternatives.iter().any(absent)
}

/// A prefix that runs into the name that follows it.
pub(super) fn prefix_without_dot(prefix: &Placed<String>) -> Option<Notice> {
    let text = &prefix.value;
    text.ends_with(char::is_alphanumeric).then(|| Notice {
        place: prefix.place,
        problem: format!("types would begin with `{text}` and the event's name, without a dot"),
        help: format!("write `{text}.`"),
        is_warning: true,
    })
}

/// The known member of an envelope that is meant, or else all of them.
fn near_envelope(name: &str, otherwise: &str) -> String {
    let known: Vec<&str> = ENVELOPE.into_iter().filter(|known| *known != "$or").collect();
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("it has: {}; {otherwise}", known.join(", ")),
    }
}

impl Publication {
    /// What was noticed in it without its contract: what no event can meet is an error, what some
    /// events may not meet is a warning, and all of it where the publication observes.
    pub fn noticed(&self) -> Vec<Diagnostic> {
        let mut found = self.noticed.clone();
        let places = self.places();
        let named = [
            ("metadata", self.metadata(), places.metadata),
            ("subject", self.subject(), places.subject),
        ];
        for (attribute, pointer, place) in named {
            let Some(pointer) = pointer else { continue };
            found.extend(self.unfit_source(pointer, place, attribute));
        }
        let attributes = self.attributes().iter();
        found.extend(attributes.filter_map(|set| self.odd_index(set.from(), set.place())));
        for step in self.patch().steps() {
            match step.operation() {
                PatchOperation::Copy(copy) => {
                    found.extend(self.unfit_source(&copy.from, step.place(), "`from`"));
                }
                PatchOperation::Test(test) => {
                    found.extend(self.unfit_source(&test.path, step.place(), "`path`"));
                }
                PatchOperation::Move(moved) if lies_inside(&moved.path, &moved.from) => {
                    let problem = format!("`{}` cannot move into itself", moved.from);
                    let help = "move it elsewhere, or copy it".to_owned();
                    found.push(self.mistake(step.place(), problem).with_help(help));
                }
                _ => {}
            }
        }
        if self.mode() == Mode::Observe {
            found = found.into_iter().map(Diagnostic::into_warning).collect();
        }
        found
    }

    /// What makes a pointer outside of the data lead nowhere.
    fn unfit_source(
        &self,
        pointer: &Pointer,
        at: (usize, usize),
        name: &str,
    ) -> Option<Diagnostic> {
        let tokens: Vec<String> = pointer.tokens().map(|one| one.decoded().into_owned()).collect();
        let (first, below) = tokens.split_first()?;
        let is_known =
            ENVELOPE.contains(&first.as_str()) || ["data", "context"].contains(&&**first);
        if !is_known || first == "$or" {
            let help = near_envelope(first, "beside them, patches read `context` and `data`");
            let problem = format!("{name} leads nowhere: an event has no `{first}`");
            return Some(self.mistake(at, problem).with_help(help));
        }
        if first == "data" {
            return None;
        }
        let is_text = TEXTS.contains(&first.as_str()) || first == "replay-name";
        if (is_text && !below.is_empty())
            || (first == "resources" && below.first().is_some_and(|one| !is_item(one)))
        {
            let problem = format!("{name} leads nowhere: nothing is at `{pointer}`");
            let help = if is_text {
                "this member is a text"
            } else {
                "resources are texts, counted from 0"
            };
            return Some(self.mistake(at, problem).with_help(help));
        }
        self.odd_index(pointer, at)
    }

    /// A token below `/detail` that no array has, and an object may have as a member.
    fn odd_index(&self, pointer: &Pointer, at: (usize, usize)) -> Option<Diagnostic> {
        let below = pointer.strip_prefix(Pointer::from_static("/detail"))?;
        let mut tokens = below.tokens().map(|token| token.decoded().into_owned());
        let odd = tokens.find(|token| is_false_index(token))?;
        let problem = format!("`{odd}` is no index of an array: only a member can be called so");
        let help = "indices are counted from 0, without a sign or further zeros";
        Some(self.mistake(at, problem).with_help(help).into_warning())
    }

    /// Whether every event that it wants has something where a patch takes it from.
    pub fn is_always_there(&self, source: &Pointer, group: Option<&Pattern>) -> bool {
        let tokens: Vec<String> = source.tokens().map(|one| one.decoded().into_owned()).collect();
        let path: Vec<&str> = tokens.iter().map(String::as_str).collect();
        match path.split_first() {
            Some((&"context", below)) => {
                let below = json_patch::jsonptr::PointerBuf::from_tokens(below.iter().copied());
                self.context().resolve(&below).is_ok()
            }
            Some((&("detail" | "resources"), [])) => true,
            Some((first, [])) if TEXTS.contains(first) => true,
            _ => !path.contains(&"*") && self.is_demanded(&path, group),
        }
    }

    fn is_demanded(&self, path: &[&str], group: Option<&Pattern>) -> bool {
        let tested = self.patch().steps().filter(|step| !step.is_conditional());
        let is_tested = |operation: &PatchOperation| {
            let PatchOperation::Test(test) = operation else { return false };
            test.path.tokens().map(|one| one.decoded().into_owned()).eq(path.iter().copied())
        };
        self.when().demands(path)
            || group.is_some_and(|group| group.demands(path))
            || tested.map(PatchStep::operation).any(is_tested)
    }
}

/// Whether a place lies below another one.
fn lies_inside(path: &Pointer, from: &Pointer) -> bool {
    path.count() > from.count() && path.starts_with(from)
}

/// Whether a token can name items of an array that are there.
pub(super) fn is_item(token: &str) -> bool {
    token == "*" || is_item_index(token)
}
