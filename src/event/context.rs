//! What a publication decided about an event beside its core attributes: the name that `types`
//! match, extension attributes, and what of all this stands outside of tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::event::{AttributeName, AttributeValue, EventType};

/// The name that `clear` gives the subject.
pub const SUBJECT: &str = "subject";

/// What belongs to an event beside its core attributes. An event without any of it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventContext {
    /// The event's name, where its contract gives it another `type`.
    pub name: Option<EventType>,
    /// Its extension attributes.
    pub extensions: BTreeMap<AttributeName, AttributeValue>,
    /// Those of them that stand outside of tokens too.
    pub clear: BTreeSet<AttributeName>,
    /// Whether its subject stands in tokens only.
    pub subject_sealed: bool,
}

impl EventContext {
    /// The same, or nothing if there is nothing to it.
    pub fn unless_empty(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let each = self.extensions.iter().map(|(name, value)| name.as_str().len() + value.weight());
        let named = self.name.as_ref().map_or(0, |name| name.as_str().len());
        each.map(|bytes| bytes + 64).sum::<usize>() + named + 128
    }

    /// Its JSON form, for the log.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        if let Some(name) = &self.name {
            object.insert("name".into(), name.as_str().into());
        }
        if !self.extensions.is_empty() {
            let each = self.extensions.iter();
            let members = each.map(|(name, value)| (name.to_string(), value.to_json()));
            object.insert("extensions".into(), Value::Object(members.collect()));
        }
        if !self.clear.is_empty() {
            let names = self.clear.iter().map(AttributeName::as_str);
            object.insert("clear".into(), names.map(Value::from).collect());
        }
        if self.subject_sealed {
            object.insert("sealed".into(), json!([SUBJECT]));
        }
        Value::Object(object).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// Ours: the text was damaged.
    pub fn from_json(text: &str) -> Result<Self, EventContextError> {
        let tree: Value = serde_json::from_str(text).map_err(|_| EventContextError)?;
        Self::of_tree(&tree).ok_or(EventContextError)
    }

    fn of_tree(tree: &Value) -> Option<Self> {
        let members = |name: &str| tree.get(name).and_then(Value::as_object).into_iter().flatten();
        let items = |name: &str| tree.get(name).and_then(Value::as_array).into_iter().flatten();
        let attribute = |(name, value): (&String, &Value)| {
            Some((AttributeName::from_stored(name)?, AttributeValue::from_stored(value)?))
        };
        let clear = |name: &Value| AttributeName::from_stored(name.as_str()?);
        let name = tree.as_object()?.get("name").map(|name| name.as_str().map(EventType::new));
        Some(Self {
            name: match name {
                None => None,
                Some(name) => Some(name?.ok()?),
            },
            extensions: members("extensions").map(attribute).collect::<Option<_>>()?,
            clear: items("clear").map(clear).collect::<Option<_>>()?,
            subject_sealed: items("sealed").any(|name| name == SUBJECT),
        })
    }
}

/// A text that is no context of an event.
#[derive(Debug, thiserror::Error)]
#[error("what the log keeps beside the event's attributes is damaged")]
pub struct EventContextError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_context_comes_back_from_its_json(
            names in proptest::collection::btree_set("x[a-z0-9]{1,10}", 0..5),
            text in "[ -~]{1,20}",
            named: bool,
            subject_sealed: bool,
        ) {
            let names: Vec<AttributeName> = names.iter().map(|n| n.parse().unwrap()).collect();
            let value = AttributeValue::text(&text).unwrap();
            let context = EventContext {
                name: named.then(|| EventType::new("A.B").unwrap()),
                clear: names.iter().take(2).cloned().collect(),
                extensions: names.into_iter().map(|name| (name, value.clone())).collect(),
                subject_sealed,
            };
            prop_assert_eq!(&EventContext::from_json(&context.to_json()).unwrap(), &context);
            let empty = context == EventContext::default();
            prop_assert_eq!(context.unless_empty().is_none(), empty);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = EventContext::from_json(&text);
        }
    }

    #[test]
    fn names_and_values_that_are_no_longer_given_are_read() {
        let text =
            r#"{"extensions":{"sealwaytier":"a\u0085b","sequence":1},"clear":["sealwaytier"]}"#;

        let context = EventContext::from_json(text).unwrap();

        let names: Vec<&str> = context.extensions.keys().map(AttributeName::as_str).collect();
        assert_eq!(names, ["sealwaytier", "sequence"]);
        assert_eq!(context.clear.len(), 1);
        assert!("sealwaytier".parse::<AttributeName>().is_err() && context.to_json().len() > 60);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for text in ["", "[]", r#"{"name":1}"#, r#"{"extensions":{"A":1}}"#, r#"{"clear":[1]}"#] {
            assert!(EventContext::from_json(text).is_err(), "{text}");
        }
    }
}
