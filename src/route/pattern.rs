//! The event-pattern language of Amazon EventBridge, complete and strict.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Number, Value};

use crate::event::json;
use crate::event::number::crossing_text;
use crate::route::PatternError;
use crate::route::budget::{MatchOutcome, Undecided};
use crate::route::evaluate::{Evaluation, Spent};
use crate::route::event_tree::EventTree;
use crate::route::field::Field;
use crate::route::mismatch::{Explaining, Mismatch};
use crate::route::part::{Conjunction, StepBound};
use crate::route::reader;
use crate::route::syntax;

/// The longest pattern, in characters.
const MAX_CHARACTERS: usize = 4096;
/// The deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 32;

/// The most that a pattern or a filter may cost when it is made: fields times combinations.
pub const MAX_PRICE: usize = 20_000;

/// A pattern: which events are wanted. `docs/patterns.md` describes the language.
///
/// Cloning is cheap. Two patterns are equal if their canonical texts are.
#[derive(Clone)]
pub struct Pattern(Arc<Parsed>);

struct Parsed {
    text: String,
    conjunctions: Vec<Arc<Conjunction>>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// The caller's turn: the text is not a valid pattern or is over a limit (4,096 characters, 256
    /// fields, 1,000 combinations of `$or`, 32 levels, wildcards that are too complex).
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::within(text, usize::MAX)
    }

    /// Reads a pattern that costs so much at the most.
    pub(super) fn within(text: &str, most: usize) -> Result<Self, PatternError> {
        if let Some((at, _)) = text.char_indices().nth(MAX_CHARACTERS) {
            let message = format!("The pattern is longer than {MAX_CHARACTERS} characters");
            return Err(PatternError::at(text, at, message).with_help("shorten or split it"));
        }
        let conjunctions = syntax::conjunctions(text, reader::read(text, MAX_DEPTH)?, most)?;
        let conjunctions = conjunctions.into_iter().map(Arc::new).collect();
        let limits = json::Limits::new(usize::MAX, MAX_DEPTH + 2);
        let value = json::read(text.as_bytes(), limits).ok();
        let sorted = value.and_then(|value| serde_json::to_string(&Sorted::of(&value)).ok());
        let text = sorted.unwrap_or_else(|| text.to_owned());
        Ok(Self(Arc::new(Parsed { text, conjunctions })))
    }

    /// Reads a pattern that is made anew, and so must not cost too much.
    ///
    /// # Errors
    ///
    /// The caller's turn, as for [`parse`](Self::parse), or it costs more than [`MAX_PRICE`].
    pub fn priced(text: &str) -> Result<Self, PatternError> {
        Self::within(text, MAX_PRICE)
    }

    /// Reads a pattern that is a tree already, such as a part of a settings file.
    ///
    /// # Errors
    ///
    /// The caller's turn, as for [`parse`](Self::parse); line and column are those of the compact
    /// text of the tree, so show the field instead.
    pub fn from_value(value: &Value) -> Result<Self, PatternError> {
        Self::parse(&value.to_string())
    }

    /// The pattern as compact JSON with sorted members.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Tells whether an event matches, whatever work that is.
    pub fn matches(&self, event: &Value) -> bool {
        self.decide(&EventTree::of(event), u64::MAX) == MatchOutcome::Matches
    }

    /// Tells whether an event matches, in so many steps at the most.
    pub fn decide(&self, event: &EventTree<'_>, steps: u64) -> MatchOutcome {
        outcome(self.holds(event, &mut Evaluation::allowing(steps)))
    }

    pub(super) fn holds(
        &self,
        event: &EventTree<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<bool, Spent> {
        for conjunction in &self.0.conjunctions {
            if evaluation.holds(conjunction, event.root())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells which fields keep an event from matching, in so many steps at the most; nothing if it
    /// matches.
    ///
    /// Of several `$or` branches it is the one that is closest to a match.
    ///
    /// # Errors
    ///
    /// The caller's turn: it takes more steps.
    pub fn explain(&self, event: &Value, steps: u64) -> Result<Vec<Mismatch>, Undecided> {
        let mut explaining = Explaining::allowing(steps);
        self.mismatches(&EventTree::of(event), &mut explaining).map_err(|Spent| Undecided)
    }

    pub(super) fn mismatches(
        &self,
        event: &EventTree<'_>,
        explaining: &mut Explaining,
    ) -> Result<Vec<Mismatch>, Spent> {
        if self.holds(event, &mut explaining.evaluation)? {
            return Ok(Vec::new());
        }
        explaining.closest(&self.0.conjunctions, event.root())
    }

    /// What it costs to ask this pattern: its fields, counted once for each combination of its `$or`
    /// lists that they are in.
    pub fn price(&self) -> usize {
        self.0.conjunctions.iter().map(|conjunction| conjunction.count()).sum()
    }

    pub(super) fn bound(&self) -> StepBound {
        let each = self.0.conjunctions.iter().map(|conjunction| conjunction.bound);
        each.fold(StepBound::default(), StepBound::plus)
    }

    /// Whether every event that matches has a value at the member names of this path, or below.
    ///
    /// Where arrays lie on the path, it is within one of their items.
    pub fn demands(&self, path: &[&str]) -> bool {
        let dotted = path.join(".");
        let path: Vec<&str> = dotted.split('.').collect();
        let lies_there = |field: &Field| {
            field.path.len() >= path.len() && field.path.iter().zip(&path).all(|(a, b)| **a == **b)
        };
        let is_demanded = |conjunction: &Arc<Conjunction>| {
            let fields = conjunction.fields();
            fields.into_iter().any(|field| !field.may_be_absent() && lies_there(field))
        };
        self.0.conjunctions.iter().all(is_demanded)
    }

    pub(super) fn conjunctions(&self) -> &[Arc<Conjunction>] {
        &self.0.conjunctions
    }
}

pub(super) fn outcome(holds: Result<bool, Spent>) -> MatchOutcome {
    match holds {
        Ok(true) => MatchOutcome::Matches,
        Ok(false) => MatchOutcome::Differs,
        Err(Spent) => MatchOutcome::Undecided,
    }
}

/// JSON with sorted members, whose order means nothing in a pattern, and one text for each number.
#[derive(Serialize)]
#[serde(untagged)]
enum Sorted<'v> {
    Object(BTreeMap<&'v str, Sorted<'v>>),
    Array(Vec<Sorted<'v>>),
    Number(Number),
    Leaf(&'v Value),
}

impl<'v> Sorted<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Object(members) => Self::Object(
                members.iter().map(|(name, member)| (name.as_str(), Self::of(member))).collect(),
            ),
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Number(number) => {
                let crossing = crossing_text(number.as_str()).ok();
                let number = crossing.and_then(|text| text.parse().ok());
                number.map_or(Self::Leaf(value), Self::Number)
            }
            leaf => Self::Leaf(leaf),
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Matching {
        name: String,
        pattern: Value,
        event: Value,
        matches: bool,
    }

    #[derive(Deserialize)]
    struct Mistake {
        pattern: String,
        message: String,
        line: usize,
        column: usize,
        field: String,
    }

    #[test]
    fn every_vector_matches_as_recorded() {
        let text = include_str!("../../tests/vectors/patterns/matching.json");
        let vectors: Vec<Matching> = serde_json::from_str(text).unwrap();
        for Matching { name, pattern, event, matches } in vectors {
            let pattern = Pattern::from_value(&pattern).unwrap();
            assert_eq!(pattern.matches(&event), matches, "{name}: {pattern} {event}");
            assert_eq!(
                pattern.explain(&event, u64::MAX).unwrap().is_empty(),
                matches,
                "{name}: {pattern} {event}"
            );
        }
    }

    #[test]
    fn every_mistake_is_refused_at_its_place() {
        let text = include_str!("../../tests/vectors/patterns/mistakes.json");
        let vectors: Vec<Mistake> = serde_json::from_str(text).unwrap();
        for Mistake { pattern, message, line, column, field } in vectors {
            let error = Pattern::parse(&pattern).unwrap_err();
            assert_eq!(error.message, message, "{pattern}");
            assert_eq!((error.line, error.column), (line, column), "{pattern}");
            assert_eq!(error.field, field, "{pattern}");
        }
    }

    #[test]
    fn limits_are_refused_with_a_reason() {
        let refused = |text: &str| Pattern::parse(text).unwrap_err().message;
        let or = |n: usize| {
            let branch = |i| format!(r#"{{"$or":[{{"a{i}":[1]}},{{"b{i}":[1]}}]}}"#);
            let nested = (0..n).map(|i| format!(r#""d{i}":{}"#, branch(i)));
            format!("{{{}}}", nested.collect::<Vec<_>>().join(","))
        };
        let fields = |n: usize| {
            let fields: Vec<String> = (0..n).map(|i| format!(r#""f{i}":[1]"#)).collect();
            format!("{{{}}}", fields.join(","))
        };

        assert!(refused(&format!(r#"{{"a":["{}"]}}"#, "é".repeat(4090))).contains("4096"));
        assert!(
            refused(&format!("{}[1]{}", "{\"a\":".repeat(32), "}".repeat(32))).contains("deep")
        );
        assert!(refused(&fields(257)).contains("256 fields"));
        assert!(Pattern::parse(&fields(256)).is_ok());
        assert!(refused(&or(10)).contains("1000 combinations"));
        assert_eq!(Pattern::parse(&or(9)).unwrap().0.conjunctions.len(), 512);
    }

    #[test]
    fn the_canonical_text_is_compact_sorted_and_reads_back() {
        let pattern = Pattern::parse("{ \"b\": [3.0e2],\n \"a\": [\"x\"] }").unwrap();

        assert_eq!(pattern.text(), r#"{"a":["x"],"b":[300]}"#);
        assert_eq!(Pattern::parse(pattern.text()).unwrap(), pattern);
    }

    #[test]
    fn a_pattern_demands_what_every_match_has() {
        let demands =
            |pattern: Value, path: &[&str]| Pattern::from_value(&pattern).unwrap().demands(path);
        let path = &["detail", "a"];

        assert!(demands(json!({"detail": {"a": [{"exists": true}]}}), path));
        assert!(demands(json!({"detail": {"a": {"b": ["x"]}}}), path));
        assert!(demands(json!({"$or": [{"detail": {"a": [1]}}, {"detail": {"a": [null]}}]}), path));
        assert!(!demands(json!({"detail": {"a": [{"exists": false}]}}), path));
        assert!(!demands(json!({"detail": {"a": [{"exists": false}, "x"]}}), path));
        assert!(!demands(json!({"detail": {"ab": [1]}}), path));
        assert!(!demands(json!({"$or": [{"detail": {"a": [1]}}, {"source": ["s"]}]}), path));
    }

    #[test]
    fn an_explanation_names_fields_and_no_values() {
        let pattern = Pattern::parse(
            r#"{"type":["x"],"data":{"amount":[{"numeric":[">",5]}],"gone":[{"exists":true}]}}"#,
        )
        .unwrap();

        let why = pattern
            .explain(&json!({"type": "x", "data": {"amount": 4, "secret": "s"}}), u64::MAX)
            .unwrap();

        let paths: Vec<&str> = why.iter().map(|mismatch| mismatch.path.as_str()).collect();
        assert_eq!(paths, ["data.amount", "data.gone"]);
        assert_eq!(why[0].reason, "no value of the field satisfies numeric");
        assert_eq!(why[1].reason, "the event has no value there");
        let why = pattern.explain(&json!({"type": "y", "data": {"gone": "s"}}), u64::MAX).unwrap();
        let reasons: Vec<&str> = why.iter().map(|mismatch| mismatch.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["the event has no value there that could satisfy numeric", "its value is another one"]
        );
    }

    #[test]
    fn a_diagnostic_points_into_the_text() {
        let text = "{\"a\": [\n  {\"prefix\": 1}\n]}";
        let shown = Pattern::parse(text).unwrap_err().diagnostic("p.json", text).to_string();

        assert!(shown.starts_with("p.json:2:14: prefix match pattern must be a string in `a`"));
        assert!(shown.contains("  {\"prefix\": 1}"), "{shown}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = Pattern::parse(&text);
        }

        #[test]
        fn pattern_like_text_never_panics(text in r#"(\{|\}|\[|\]|,|:|"a"|"\$or"|"prefix"|"numeric"|"cidr"|"wildcard"|"anything-but"|"exists"|"<"|"10.0.0.0/8"|1|-2.5|null|true){0,30}"#) {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(&Pattern::parse(pattern.text()).unwrap(), &pattern);
                let _ = pattern.matches(&json!({"a": 1}));
            }
        }
    }
}
