//! The gate itself: an event goes on only as its contract describes it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::contract::catalog::Catalog;
use crate::contract::contradiction::contradictions;
use crate::contract::crossing_identity::CrossingIdentity;
use crate::contract::message::Message;
use crate::enrich::{Enriched, Mode, Publication, Publications};
use crate::event::{Blame, Diagnostic, Fault, Violation};

/// Holds events against the contracts that their publications name.
#[derive(Clone, Debug)]
pub struct Gate {
    catalog: Arc<Catalog>,
    /// By the names of their publications.
    messages: Arc<BTreeMap<Arc<str>, Arc<Message>>>,
    diagnostics: Arc<[Diagnostic]>,
}

/// An event that its contract lets cross; only [`Gate::check`] makes one.
pub struct Validated {
    enriched: Enriched,
    message: Arc<Message>,
    identity: CrossingIdentity,
    observed: Vec<Violation>,
}

/// An event that breaks its contract, and how. It comes back whole, to be quarantined.
pub struct ContractRefusal {
    /// The event, to be quarantined or handed back.
    pub enriched: Enriched,
    /// Every breach that was found, at least one.
    pub violations: Vec<Violation>,
}

impl Gate {
    /// Takes the contracts, and makes sure that every publication's message is in them, without
    /// mistakes, and is one that the contract's application sends. What is wrong elsewhere in the
    /// contracts is a warning.
    ///
    /// # Errors
    ///
    /// The caller's turn: every publication that names a contract or message that is not there, or
    /// whose events contradict what their contract says of the CloudEvent itself, and everything that
    /// is wrong in the contracts, warnings too.
    pub fn new(
        catalog: Arc<Catalog>,
        publications: &Publications,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut missing = catalog.published(publications).missing;
        let gate = Self::of_what_is_sound(catalog, publications);
        if missing.is_empty() && !gate.diagnostics.iter().any(Diagnostic::is_error) {
            return Ok(gate);
        }
        missing.extend(gate.diagnostics.iter().cloned());
        Err(missing)
    }

    /// Makes a gate whatever is wrong, to try publications that are sound: events of all others are
    /// refused. No gateway starts with its mistakes, see [`diagnostics`](Self::diagnostics).
    pub fn of_what_is_sound(catalog: Arc<Catalog>, publications: &Publications) -> Self {
        let mut found = catalog.published(publications);
        for publication in publications.iter() {
            if let Some(message) = found.messages.get(publication.name()) {
                found.diagnostics.extend(contradictions(message, publication));
            }
        }
        let (messages, diagnostics) = (Arc::new(found.messages), Arc::from(found.diagnostics));
        Self { catalog, messages, diagnostics }
    }

    /// What is wrong in the contracts and publications; only warnings if the gate is for a gateway.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The contracts behind the gate.
    pub const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Lets an event pass if its data keeps its contract and declares every member, or if its
    /// publication only observes.
    ///
    /// # Errors
    ///
    /// The caller's turn: the event breaks its contract.
    pub fn check(&self, enriched: Enriched) -> Result<Validated, ContractRefusal> {
        let publication = enriched.publication();
        let message = self.messages.get(publication.name());
        let Some(message) = message.cloned() else {
            let violations = vec![Violation {
                pointer: String::new(),
                code: "unknown-message".to_owned(),
                message: "no contract describes this event".to_owned(),
            }];
            return Err(ContractRefusal { enriched, violations });
        };
        let mut violations = message.check(enriched.data());
        let Some((identity, breaches)) = message.identify(&enriched) else {
            violations.push(Violation {
                pointer: String::new(),
                code: "attribute".to_owned(),
                message: "neither the publication nor its contract has a `source`".to_owned(),
            });
            return Err(ContractRefusal { enriched, violations });
        };
        violations.extend(breaches.into_iter().map(Violation::from));
        if violations.is_empty() || enriched.publication().mode() == Mode::Observe {
            return Ok(Validated { enriched, message, identity, observed: violations });
        }
        Err(ContractRefusal { enriched, violations })
    }
}

impl Validated {
    /// The event.
    pub const fn enriched(&self) -> &Enriched {
        &self.enriched
    }

    /// The message that describes it.
    pub const fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// The attributes with which it crosses.
    pub const fn identity(&self) -> &CrossingIdentity {
        &self.identity
    }

    /// Breaches that a publication in observe mode let pass; none in enforce mode.
    pub fn observed(&self) -> &[Violation] {
        &self.observed
    }

    /// Takes it apart: the event, its message and what was observed.
    pub fn into_parts(self) -> (Enriched, Arc<Message>, Vec<Violation>) {
        (self.enriched, self.message, self.observed)
    }
}

impl Catalog {
    /// The publications that have no message, or whose events would have no `source` because neither
    /// their file nor their contract says it: each is a mistake of its file.
    ///
    /// # Errors
    ///
    /// The caller's turn: there are some.
    pub fn check_publications(&self, publications: &Publications) -> Result<(), Vec<Diagnostic>> {
        let mistake = |publication: &Arc<Publication>| {
            let message = self.message_of(publication)?;
            let lacking = message.source_of(publication).is_none();
            let name = publication.name();
            let problem = format!("`{name}` has no `source`, and its contract fixes none");
            let help = "write it beside `domain`: `source: /payments`";
            lacking
                .then(|| publication.mistake(publication.places().event, problem).with_help(help))
        };
        let mut mistakes = self.published(publications).missing;
        mistakes.extend(publications.iter().filter_map(mistake));
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }
}

impl fmt::Debug for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validated({})", self.message.name())
    }
}

impl fmt::Debug for ContractRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Refused({}, {} violations)",
            self.enriched.publication().name(),
            self.violations.len()
        )
    }
}

impl fmt::Display for ContractRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.enriched.publication().name();
        write!(f, "`{name}` breaks its contract in {} places", self.violations.len())
    }
}

impl std::error::Error for ContractRefusal {}

impl Blame for ContractRefusal {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::source::{Envelope, Received};

    const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Orders, version: 1.2.0 }
channels:
  orders:
    messages:
      Order.Created:
        payload: { type: object, required: [id], properties: { id: { type: integer } } }
      Order.Asked:
        payload: { type: object }
operations:
  ask:
    action: receive
    channel: { $ref: '#/channels/orders' }
    messages: [{ $ref: '#/channels/orders/messages/Order.Asked' }]
";

    fn publications(event: &str, mode: &str) -> Publications {
        let text = format!(
            "domain: orders
contract: asyncapi/orders.yaml
source: /orders
publications:
  - event: {event}
    mode: {mode}
    when: {{ source: [order-service] }}
    patch:
      - {{ op: copy, from: /detail, path: /data }}
"
        );
        Publications::load(&BTreeMap::from([("orders.yaml".to_owned(), text)])).unwrap()
    }

    fn catalog() -> Arc<Catalog> {
        let files = BTreeMap::from([("orders.yaml".to_owned(), CONTRACT.to_owned())]);
        Arc::new(Catalog::load(&files))
    }

    fn check(mode: &str, detail: Value) -> Result<Validated, ContractRefusal> {
        let publications = publications("Order.Created", mode);
        let received = Arc::new(Received {
            envelope: Envelope::example(detail),
            repeatable: true,
            traceparent: None,
            producer: None,
        });
        let publication = publications.iter().next().unwrap();
        let enriched = publication.enrich(&received).unwrap();
        Gate::new(catalog(), &publications).unwrap().check(enriched)
    }

    #[test]
    fn an_event_that_keeps_its_contract_passes_with_its_message() {
        let validated = check("enforce", json!({"id": 1})).unwrap();

        assert_eq!(validated.message().version(), "1.2.0");
        assert!(validated.observed().is_empty());
    }

    #[test]
    fn an_event_that_breaks_its_contract_is_handed_back_whole_and_without_its_values() {
        let refused = check("enforce", json!({"id": "secret", "card": "4111"})).unwrap_err();

        let codes: Vec<(&str, &str)> =
            refused.violations.iter().map(|one| (&*one.code, &*one.pointer)).collect();
        assert_eq!(codes, [("type", "/id"), ("additional-property", "/card")]);
        assert_eq!(refused.enriched.data()["card"], "4111");
        assert_eq!(refused.fault(), Fault::Caller);
        let shown = format!("{refused} {refused:?} {:?}", refused.violations);
        assert!(!shown.contains("secret") && !shown.contains("4111"), "{shown}");
    }

    /// Checks the number `n` against this schema, which stands in a contract in YAML.
    fn keeps(schema: &str, number: &str) -> bool {
        let contract = CONTRACT.replace("id: { type: integer }", &format!("n: {{ {schema} }}"));
        let contract = contract.replace("required: [id]", "required: [n]");
        let files = BTreeMap::from([("orders.yaml".to_owned(), contract)]);
        let publications = publications("Order.Created", "enforce");
        let gate = Gate::new(Arc::new(Catalog::load(&files)), &publications).unwrap();
        let received = Arc::new(Received {
            envelope: Envelope::example(
                serde_json::from_str(&format!(r#"{{"n":{number}}}"#)).unwrap(),
            ),
            repeatable: true,
            traceparent: None,
            producer: None,
        });
        let publication = publications.iter().next().unwrap();
        gate.check(publication.enrich(&received).unwrap()).is_ok()
    }

    #[test]
    fn bounds_and_constants_are_exact_where_binary64_cannot_tell() {
        for (schema, kept, broken) in [
            ("const: 1152921506151679042", "1152921506151679042", "1152921506151679043"),
            ("const: 789.34000000000003", "789.34", "789.34000000000003000000001"),
            ("const: 789.34", "789.34000000000003", "789.35"),
            ("enum: [333333333.33333329]", "333333333.3333333", "333333333.33333328"),
            ("minimum: 789.34000000000003", "789.34", "789.33999999999992"),
            ("const: 100", "1e2", "100.00000000000000000001"),
            ("const: 1.50", "1.5", "1.5000000000000000000001"),
            ("const: 0.1234567890123456789", "0.12345678901234567890", "0.1234567890123456788"),
            ("enum: [1, 9007199254740993]", "9007199254740993", "9007199254740992"),
            ("minimum: 9007199254740993", "9007199254740993", "9007199254740992"),
            ("minimum: 0.1", "0.1", "0.09999999999999999999999"),
            ("minimum: 0.1", "0.10000000000000000000000001", "1e-400"),
            ("exclusiveMinimum: 0.1", "0.10000000000000000000000001", "0.1"),
            ("maximum: 0.1", "0.1", "0.10000000000000000000000001"),
            ("exclusiveMaximum: 0.1", "0.09999999999999999999999", "0.10"),
            ("maximum: 18446744073709551616", "18446744073709551616", "18446744073709551617"),
            (
                "maximum: 123456789012345678901234567890",
                "123456789012345678901234567890",
                "123456789012345678901234567891",
            ),
            ("minimum: 0.1234567890123456789", "0.1234567890123456789", "0.1234567890123456788"),
            ("maximum: 1.0e+300", "1e300", "1000000000000000000000000000001e270"),
            ("multipleOf: 0.01", "789.34", "789.3400000000000000000001"),
            ("multipleOf: 0.01", "12345678901234567890.12", "12345678901234567890.123"),
            ("multipleOf: 2", "1152921506151679042", "1152921506151679043"),
            ("multipleOf: 3", "123456789012345678901234567890", "123456789012345678901234567891"),
            ("multipleOf: 1.0e-10", "0.1234567891", "0.12345678912"),
            ("maximum: 18446744073709551616", "18446744073709551616", "18446744073709551616.1"),
            ("minimum: 42000000000000000000000000000", "42e27", "41999999999999999999999999999.9"),
            (
                "exclusiveMinimum: 4611686018427387903",
                "4611686018427387903.001",
                "4611686018427387902.999",
            ),
            ("exclusiveMaximum: 144115188075855871", "144115188075855870.9", "144115188075855871"),
            ("multipleOf: 16989328735", "33978657470", "14083100182933430.01"),
            ("multipleOf: 9007199254740992", "9007199254740992", "9007199254740992.00001"),
            ("multipleOf: 0.0000001", "1e400", "1.00000001e-7"),
            ("type: integer", "1152921506151679042", "1152921506151679042.5"),
            ("type: integer", "1e400", "0.99999999999999999999999999"),
            ("type: integer, format: int64", "9223372036854775807", "9223372036854775808"),
            ("type: integer, format: int64", "-9223372036854775808", "-9223372036854775809"),
            ("type: integer, format: int32", "2147483647", "2147483647.00000000000000000001"),
        ] {
            assert!(keeps(schema, kept), "{schema}: {kept}");
            assert!(!keeps(schema, broken), "{schema}: {broken}");
        }
    }

    #[test]
    fn a_publication_that_observes_lets_breaches_pass_and_reports_them() {
        let validated = check("observe", json!({"id": 1, "card": "4111"})).unwrap();

        assert_eq!(validated.observed().len(), 1);
    }

    #[test]
    fn a_publication_without_a_message_that_is_sent_is_a_mistake() {
        for (event, expected) in [
            ("Order.Lost", "`orders.yaml` has no message `Order.Lost`"),
            ("Order.Asked", "is received, not sent"),
        ] {
            let mistakes = Gate::new(catalog(), &publications(event, "enforce")).unwrap_err();
            assert_eq!(mistakes.len(), 1);
            let shown = mistakes[0].to_string();
            assert!(shown.contains(expected) && shown.contains("`orders/"), "{shown}");
        }
        let empty = Arc::new(Catalog::default());
        assert!(Gate::new(empty, &publications("Order.Created", "enforce")).is_err());
    }
}
