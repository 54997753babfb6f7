//! The attributes with which an event crosses: its type, its source and its extension attributes, held
//! against what its message says of them.

use std::sync::Arc;

use serde_json::Value;

use crate::contract::Message;
use crate::contract::attribute_rules::{EnvelopeRules, text_of};
use crate::enrich::{Enriched, Publication};
use crate::event::{EventContext, EventSource, EventType, Violation};

/// The attributes of a CloudEvent that its contract has a say in.
#[derive(Clone)]
pub struct CrossingIdentity {
    /// The CloudEvents `source`.
    pub source: EventSource,
    /// The CloudEvents `type`.
    pub event_type: EventType,
    /// What its publication decided beside its core attributes, if anything.
    pub context: Option<Arc<EventContext>>,
}

/// Shows no attributes of the event's own.
impl std::fmt::Debug for CrossingIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CrossingIdentity({} {})", self.source, self.event_type)
    }
}

/// An attribute that breaks its contract: its name and the rule, and never the value.
#[derive(Clone, Debug)]
pub struct AttributeBreach {
    /// What the attribute is called.
    pub name: String,
    /// The rule that it breaks, in words that follow its name.
    pub rule: String,
}

impl Message {
    /// The CloudEvents `source` of a publication's events: its own, or what the contract fixes.
    pub fn source_of(&self, publication: &Publication) -> Option<EventSource> {
        publication.source().or_else(|| self.envelope()?.source()).cloned()
    }

    /// The CloudEvents `type` that the contract fixes, if it does.
    pub fn fixed_type(&self) -> Option<&EventType> {
        self.envelope().and_then(EnvelopeRules::event_type)
    }

    /// The CloudEvents `type` of an event: what the contract fixes, or the name that its publication
    /// gives it.
    pub fn type_of(&self, enriched: &Enriched) -> EventType {
        self.fixed_type().unwrap_or_else(|| enriched.event_type()).clone()
    }

    /// The attributes of an event, and how they break the contract; nothing if nothing gives it a
    /// source.
    pub(super) fn identify(
        &self,
        enriched: &Enriched,
    ) -> Option<(CrossingIdentity, Vec<AttributeBreach>)> {
        let source = self.source_of(enriched.publication())?;
        let event_type = self.type_of(enriched);
        let mut breaches = Vec::new();
        let context = self.context(enriched, &event_type, &mut breaches);
        if let Some(envelope) = self.envelope() {
            let known = [
                ("subject", enriched.subject().as_str().to_owned()),
                ("time", enriched.received().envelope.time.to_string()),
                ("type", event_type.as_str().to_owned()),
                ("source", source.as_str().to_owned()),
            ];
            let core = known.into_iter().filter_map(|(name, value)| {
                envelope.breach(name, &Value::from(value)).map(|rule| breach(name, &rule))
            });
            breaches.extend(core);
        }
        Some((CrossingIdentity { source, event_type, context }, breaches))
    }

    /// How the attributes of an event break the contract.
    pub fn attribute_breaches(&self, enriched: &Enriched) -> Vec<AttributeBreach> {
        self.identify(enriched).map_or_else(Vec::new, |(_, breaches)| breaches)
    }

    fn context(
        &self,
        enriched: &Enriched,
        event_type: &EventType,
        breaches: &mut Vec<AttributeBreach>,
    ) -> Option<Arc<EventContext>> {
        let publication = enriched.publication();
        let clear = publication.clear();
        let name = enriched.event_type();
        let mut context = EventContext {
            name: (name != event_type).then(|| name.clone()),
            subject_sealed: publication.subject().is_some() && !clear.subject,
            ..EventContext::default()
        };
        for (name, value) in enriched.attributes() {
            let of_contract = self.envelope().map(|rules| rules.value_of(name.as_str(), value));
            let value = of_contract.unwrap_or_else(|| Ok(text_of(value))).unwrap_or_else(|rule| {
                breaches.push(breach(name.as_str(), &rule));
                text_of(value)
            });
            context.extensions.insert(name.clone(), value);
            context.clear.extend(clear.extensions.get(name).cloned());
        }
        breaches.extend(self.lacking(publication, &context));
        context.unless_empty().map(Arc::new)
    }

    /// The optional attributes that an event lacks and its contract requires.
    fn lacking(&self, publication: &Publication, context: &EventContext) -> Vec<AttributeBreach> {
        let mut found = Vec::new();
        let optional = publication.attributes().iter().filter(|set| set.is_optional());
        for lacking in optional.filter(|set| !context.extensions.contains_key(set.name())) {
            let required = self.envelope().map(EnvelopeRules::required);
            if required.into_iter().flatten().any(|name| name == lacking.name().as_str()) {
                found.push(breach(lacking.name().as_str(), "is required"));
            }
        }
        found
    }
}

fn breach(name: &str, rule: &str) -> AttributeBreach {
    AttributeBreach { name: name.to_owned(), rule: rule.to_owned() }
}

impl From<AttributeBreach> for Violation {
    fn from(AttributeBreach { name, rule }: AttributeBreach) -> Self {
        Self {
            pointer: String::new(),
            code: "attribute".to_owned(),
            message: format!("the attribute `{name}` {rule}"),
        }
    }
}
