//! An event as a publication lets it cross: named and reduced to its public data.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use json_patch::jsonptr::Pointer;
use serde_json::{Value, json};

use crate::enrich::attributes::{AttributeProblem, attribute_value};
use crate::enrich::document::PatchedDocument;
use crate::enrich::{CrossingProblem, PatchFailure, PatchProblem, Publication};
use crate::event::number::crossing_text;
use crate::event::{AttributeError, AttributeName, Blame, EventType, Fault, Subject, Violation};
use crate::source::Received;

/// The values of extension attributes, by name.
type AttributeValues = Vec<(AttributeName, Value)>;

/// A received event as one publication wants it; only [`Publication::enrich`] makes one.
#[derive(Clone)]
pub struct Enriched {
    received: Arc<Received>,
    publication: Arc<Publication>,
    event_type: EventType,
    subject: Subject,
    attributes: Arc<AttributeValues>,
    data: Value,
}

/// Why a publication could not make its event out of a received one.
///
/// It names operations and pointers, which the publication's author wrote, and never values.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// The patch does not fit the event.
    #[error("the patch of `{publication}` does not fit the event: {failure}")]
    Patch {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// Which operation, and why.
        failure: PatchFailure,
    },
    /// The event lacks a text that the publication names it by.
    #[error("`{publication}` takes its {attribute} from `{pointer}`, where the event has {found}")]
    Name {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// What is named: `metadata` or `subject`.
        attribute: &'static str,
        /// Where the text should be.
        pointer: String,
        /// What is there instead.
        found: &'static str,
    },
    /// The event lacks the value of an extension attribute that its publication gives it.
    #[error("`{publication}` takes `{attribute}` from `{pointer}`, where the event has {found}")]
    AttributeMissing {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// The attribute.
        attribute: AttributeName,
        /// Where the value should be.
        pointer: String,
        /// What is there instead.
        found: &'static str,
    },
    /// What the event has for an extension attribute cannot be the value of one.
    #[error("`{publication}` takes `{attribute}` from `{pointer}`, where the event has {found}")]
    AttributeInvalid {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// The attribute.
        attribute: AttributeName,
        /// Where the value should be.
        pointer: String,
        /// What is there instead.
        found: &'static str,
    },
    /// The name that the event would get is not a context attribute.
    #[error("`{publication}` cannot name the event")]
    Attribute {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// What is wrong with the name.
        #[source]
        source: AttributeError,
    },
}

impl Blame for EnrichError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl EnrichError {
    /// A stable word for what went wrong; listed in `docs/errors.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Patch { failure, .. } => match &failure.reason {
                PatchProblem::Misfit(_) | PatchProblem::Missing { .. } => "patch-failed",
                PatchProblem::Unmapped { .. } => "value-not-mapped",
                PatchProblem::Crossing { problem, .. } => Self::crossing_code(*problem),
            },
            Self::Name { .. } | Self::Attribute { .. } => "name-missing",
            Self::AttributeMissing { .. } => "attribute-missing",
            Self::AttributeInvalid { .. } => "attribute-invalid",
        }
    }

    const fn crossing_code(problem: CrossingProblem) -> &'static str {
        match problem {
            CrossingProblem::Size => "patch-failed",
            CrossingProblem::Inexact => "number-inexact",
            CrossingProblem::Number(_) => "number-out-of-range",
            CrossingProblem::Text(_) | CrossingProblem::Name(_) => "text-not-allowed",
        }
    }

    /// The error as a violation of the event as a whole, so that it can be answered and quarantined
    /// like a breach of the contract.
    pub fn violation(&self) -> Violation {
        let cause = match self {
            Self::Attribute { source, .. } => format!(": {source}"),
            _ => String::new(),
        };
        let pointer = match self {
            Self::Patch { failure, .. } => failure.reason.pointer(),
            _ => None,
        };
        let pointer = pointer.unwrap_or_default().to_owned();
        Violation { pointer, code: self.code().to_owned(), message: format!("{self}{cause}") }
    }
}

impl Publication {
    /// Makes this publication's event out of a received one; the event itself stays as it is.
    ///
    /// # Errors
    ///
    /// The caller's turn: the patch does not fit the event, or a text that names it is missing.
    pub fn enrich(self: &Arc<Self>, received: &Arc<Received>) -> Result<Enriched, EnrichError> {
        let document = PatchedDocument { envelope: &received.envelope, context: self.context() };
        let publication = || Arc::clone(self.name());
        let data = self
            .patch()
            .apply(document, json!({}), self.numbers())
            .map_err(|failure| EnrichError::Patch { publication: publication(), failure })?;
        let name = self.name_of(document, &data)?;
        let subject = match self.subject() {
            Some(pointer) => self.text_at("subject", pointer, document, &data)?,
            None => name.clone(),
        };
        let unusable = |source| EnrichError::Attribute { publication: publication(), source };
        Ok(Enriched {
            received: Arc::clone(received),
            publication: Arc::clone(self),
            event_type: EventType::new(&format!("{}{name}", self.type_prefix()))
                .map_err(unusable)?,
            subject: Subject::new(&subject).map_err(unusable)?,
            attributes: self.attributes_of(document, &data)?,
            data,
        })
    }

    /// What happened: the publication's event, and the metadata level behind it, if there is one.
    fn name_of(&self, document: PatchedDocument<'_>, data: &Value) -> Result<String, EnrichError> {
        let mut name = self.event().to_owned();
        if let Some(pointer) = self.metadata() {
            let level = self.text_at("metadata", pointer, document, data)?;
            name.push('.');
            name.extend(level.chars().filter(char::is_ascii_alphanumeric));
            if name.ends_with('.') {
                return Err(self.unnamed("metadata", pointer, "no letter or digit"));
            }
        }
        Ok(name)
    }

    /// The values of the extension attributes, without those that are optional and not there.
    fn attributes_of(
        &self,
        document: PatchedDocument<'_>,
        data: &Value,
    ) -> Result<Arc<AttributeValues>, EnrichError> {
        let mut values = Vec::with_capacity(self.attributes().len());
        for set in self.attributes() {
            let (attribute, pointer) = (set.name().clone(), set.from().to_string());
            let publication = Arc::clone(self.name());
            match attribute_value(document.find(set.from(), data).as_deref()) {
                Ok(value) => values.push((attribute, value)),
                Err(AttributeProblem::Missing(_)) if set.is_optional() => {}
                Err(AttributeProblem::Missing(found)) => {
                    let missing =
                        EnrichError::AttributeMissing { publication, attribute, pointer, found };
                    return Err(missing);
                }
                Err(AttributeProblem::Invalid(found)) => {
                    let invalid =
                        EnrichError::AttributeInvalid { publication, attribute, pointer, found };
                    return Err(invalid);
                }
            }
        }
        Ok(Arc::new(values))
    }

    fn text_at(
        &self,
        attribute: &'static str,
        pointer: &Pointer,
        document: PatchedDocument<'_>,
        data: &Value,
    ) -> Result<String, EnrichError> {
        let found = match document.find(pointer, data).as_deref() {
            Some(Value::String(text)) => return Ok(text.clone()),
            // A subject is often a number, such as an order's; a metadata level is a word.
            Some(Value::Number(number)) if attribute == "subject" => {
                let text = crossing_text(number.as_str()).map(Cow::into_owned);
                return text.map_err(|_| self.unnamed(attribute, pointer, "a number too long"));
            }
            Some(_) => "something that is not text",
            None => "nothing",
        };
        Err(self.unnamed(attribute, pointer, found))
    }

    fn unnamed(
        &self,
        attribute: &'static str,
        pointer: &Pointer,
        found: &'static str,
    ) -> EnrichError {
        let publication = Arc::clone(self.name());
        EnrichError::Name { publication, attribute, pointer: pointer.to_string(), found }
    }
}

impl Enriched {
    /// The event as it came in.
    pub const fn received(&self) -> &Arc<Received> {
        &self.received
    }

    /// The publication that lets it cross.
    pub const fn publication(&self) -> &Arc<Publication> {
        &self.publication
    }

    /// The name that `types` match: prefix, event name, and metadata level. It is the CloudEvents
    /// `type` too, unless the contract fixes another.
    pub const fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The CloudEvents `subject`.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The extension attributes that its publication gives it: texts, numbers and booleans.
    pub fn attributes(&self) -> &[(AttributeName, Value)] {
        &self.attributes
    }

    /// What will leave the domain as data.
    pub const fn data(&self) -> &Value {
        &self.data
    }

    /// Gives the data away, for the one who names the event.
    pub fn into_data(self) -> Value {
        self.data
    }
}

/// Shows names only, because data never reaches a log.
impl fmt::Debug for Enriched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enriched({} {:?})", self.publication.name(), self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::Publications;
    use crate::source::Envelope;

    fn enrich(item: &str, detail: Value) -> Result<Enriched, EnrichError> {
        let text = format!(
            "domain: payments\ncontract: asyncapi/payments.yaml\nsource: /payments\n\
             type-prefix: com.example.\npublications:\n  - event: Payment.Authorised\n    \
             when: {{ source: [a] }}\n{item}"
        );
        let files = std::iter::once(("payments.yaml".to_owned(), text)).collect();
        let publications = Publications::load(&files).unwrap();
        let received = Received {
            envelope: Envelope {
                source: "a".into(),
                detail_type: "PaymentSucceeded".into(),
                ..Envelope::example(detail)
            },
            repeatable: true,
            traceparent: None,
            producer: None,
        };
        publications.get("payments/Payment.Authorised").unwrap().enrich(&Arc::new(received))
    }

    const PATCH: &str = "    patch: [{ op: copy, from: /detail/id, path: /data/orderId }]\n";

    #[test]
    fn only_what_the_patch_moved_is_in_the_data() {
        let made = enrich(PATCH, json!({"id": 7, "card": "4111"})).unwrap();

        assert_eq!(made.data(), &json!({"orderId": 7}));
        assert_eq!(made.event_type().as_str(), "com.example.Payment.Authorised");
        assert_eq!(made.subject().as_str(), "Payment.Authorised");
        assert!(!format!("{made:?}").contains("4111"));
    }

    #[test]
    fn a_third_level_and_a_subject_come_from_the_event() {
        let item = format!("{PATCH}    metadata: /detail/channel\n    subject: /data/orderId\n");

        let made = enrich(&item, json!({"id": 7, "channel": "E-Com"})).unwrap();

        assert_eq!(made.event_type().as_str(), "com.example.Payment.Authorised.ECom");
        assert_eq!(made.subject().as_str(), "7");
    }

    #[test]
    fn attributes_come_from_what_a_patch_reads_and_from_the_data() {
        let item = format!(
            "{PATCH}    attributes:\n      correlationid: /detail/correlation\n      \
             order: /data/orderId\n      replayed: {{ from: /detail/again, optional: true }}\n"
        );
        let made = |detail| {
            let made = enrich(&item, detail)?;
            let attributes = made.attributes().iter();
            Ok(attributes
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect::<Vec<_>>())
        };
        let named = |pairs: &[(&str, Value)]| -> Vec<(String, Value)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };

        let both = [("correlationid", json!("c-1")), ("order", json!(7))];
        assert_eq!(made(json!({"id": 7, "correlation": "c-1"})).unwrap(), named(&both));
        let all = [
            ("correlationid", json!(12_345_678_901_u64)),
            ("order", json!(7)),
            ("replayed", json!(true)),
        ];
        let detail = json!({"id": 7.0, "correlation": 12_345_678_901_u64, "again": true});
        assert_eq!(made(detail).unwrap(), named(&all));
        let code = |detail| made(detail).map_err(|error: EnrichError| error.code()).unwrap_err();
        for nothing in [json!(null), json!("")] {
            assert_eq!(code(json!({"id": 7, "correlation": nothing})), "attribute-missing");
        }
        assert_eq!(code(json!({"id": 7})), "attribute-missing");
        for wrong in [json!([1]), json!({}), json!("a\nb"), json!("x".repeat(1025))] {
            assert_eq!(code(json!({"id": 7, "correlation": wrong})), "attribute-invalid");
        }
        let error = enrich(&item, json!({"id": 7, "correlation": ["secret"]})).unwrap_err();
        assert_eq!(
            error.violation().message,
            "`payments/Payment.Authorised` takes `correlationid` from `/detail/correlation`, \
             where the event has neither a text, a number nor a boolean"
        );
    }

    #[test]
    fn a_detail_that_is_no_object_is_pointed_into_like_any_value() {
        let patch =
            |from: &str| format!("    patch: [{{ op: copy, from: {from}, path: /data/x }}]\n");
        for (detail, from, made) in [
            (json!([1, {"a": [2]}]), "/detail/1/a/0", json!(2)),
            (json!([1]), "/detail", json!([1])),
            (json!("text"), "/detail", json!("text")),
            (Value::Null, "/detail", Value::Null),
        ] {
            assert_eq!(enrich(&patch(from), detail).unwrap().data(), &json!({"x": made}));
        }
        for detail in [json!([]), json!("text"), json!(7), Value::Null] {
            assert_eq!(enrich(PATCH, detail).unwrap_err().code(), "patch-failed");
        }
    }

    #[test]
    fn a_patch_that_does_not_fit_is_a_violation_that_names_the_operation() {
        let error = enrich(PATCH, json!({"card": "4111"})).unwrap_err();

        assert_eq!(error.fault(), Fault::Caller);
        assert_eq!(error.violation().code, "patch-failed");
        assert_eq!(
            error.violation().message,
            "the patch of `payments/Payment.Authorised` does not fit the event: \
             operation 0, `copy` at `/data/orderId`: there is nothing at its `from`, `/detail/id`"
        );
    }

    #[test]
    fn an_event_without_its_name_is_refused() {
        let item = format!("{PATCH}    metadata: /detail/channel\n");
        for (channel, found) in
            [(json!("--"), "no letter"), (json!(1), "not text"), (Value::Null, "not text")]
        {
            let error = enrich(&item, json!({"id": 7, "channel": channel})).unwrap_err();
            assert!(error.to_string().contains(found), "{error}");
            assert_eq!(error.code(), "name-missing");
        }
        assert!(enrich(&item, json!({"id": 7})).unwrap_err().to_string().contains("has nothing"));

        let subject = format!("{PATCH}    subject: /data/orderId\n");
        let error = enrich(&subject, json!({"id": "line\nbreak"})).unwrap_err();
        assert!(error.violation().message.contains("`subject` must not contain control"));
    }
}
