//! What contracts say of the CloudEvent itself: what is recognised, what is taken from it, and what is
//! told as a contradiction.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::contract::{Catalog, Gate, Validated};
use crate::enrich::Publications;
use crate::event::{Diagnostic, Severity, Violation};
use crate::source::{Envelope, Received};

const CLOSED_DATA: &str = "data: { type: object, properties: { orderId: { type: integer } } }";

/// A contract with one message that has this payload, and these fields more.
fn contract(payload: &str, more: &str) -> Catalog {
    let text = format!(
        "asyncapi: 3.0.0
info: {{ title: Payments, version: 1.0.0 }}
channels:
  payments:
    messages:
      Payment.Authorised:
        {more}
        payload: {payload}
"
    );
    let files = BTreeMap::from([("payments.yaml".to_owned(), text)]);
    let catalog = Catalog::load(&files);
    assert!(catalog.diagnostics().iter().all(|one| one.severity == Severity::Warning));
    catalog
}

/// An envelope with these properties beside its data.
fn envelope(properties: &str, more: &str) -> Catalog {
    contract(
        &format!("{{ type: object, properties: {{ {properties}, {CLOSED_DATA} }}{more} }}"),
        "",
    )
}

fn publication(head: &str, item: &str) -> Publications {
    let text = format!(
        "domain: payments
contract: asyncapi/payments.yaml
{head}
publications:
  - event: Payment.Authorised
    when: {{ source: [a] }}
    patch: [{{ op: copy, from: /detail/id, path: /data/orderId }}]
{item}"
    );
    let files = BTreeMap::from([("payments.yaml".to_owned(), text)]);
    Publications::load(&files).unwrap_or_else(|mistakes| panic!("{}", mistakes[0]))
}

const SOURCE: &str = "source: /payments";

/// What is told of a contract and a publication, `error` or `warning` before each.
fn told(catalog: Catalog, publications: &Publications) -> Vec<String> {
    let shown = |told: &Diagnostic| {
        let severity = if told.is_error() { "error" } else { "warning" };
        assert!(told.place.is_some() && told.problem.contains("payments/Payment.Authorised"));
        format!(
            "{severity} {}",
            told.problem.replace("publication `payments/Payment.Authorised`: ", "")
        )
    };
    match Gate::new(Arc::new(catalog), publications) {
        Ok(gate) => gate.diagnostics().iter().map(shown).collect(),
        Err(mistakes) => mistakes.iter().map(shown).collect(),
    }
}

fn cross(
    catalog: Catalog,
    publications: &Publications,
    detail: Value,
) -> Result<Validated, Vec<Violation>> {
    let envelope = Envelope { source: "a".into(), ..Envelope::example(detail) };
    let received =
        Arc::new(Received { envelope, repeatable: true, traceparent: None, producer: None });
    let publication = publications.iter().next().unwrap();
    let enriched = publication.enrich(&received).unwrap();
    let gate = Gate::new(Arc::new(catalog), publications).unwrap();
    gate.check(enriched).map_err(|refused| refused.violations)
}

#[test]
fn type_and_source_are_taken_from_the_contract() {
    let properties = "type: { const: com.x.v1 }, source: { enum: [/from/contract] }, id: true";
    let validated =
        cross(envelope(properties, ""), &publication("", ""), json!({"id": 7})).unwrap();

    let identity = validated.identity();
    assert_eq!(identity.event_type.as_str(), "com.x.v1");
    assert_eq!(identity.source.as_str(), "/from/contract");
    let context = identity.context.as_ref().unwrap();
    assert_eq!(context.name.as_ref().unwrap().as_str(), "Payment.Authorised");
    assert_eq!(validated.enriched().data(), &json!({"orderId": 7}));

    let plain = envelope("specversion: true, id: true", "");
    let validated = cross(plain, &publication(SOURCE, ""), json!({"id": 7})).unwrap();
    assert_eq!(validated.identity().event_type.as_str(), "Payment.Authorised");
    assert!(validated.identity().context.is_none(), "as before");
}

#[test]
fn headers_describe_attributes_in_every_binding() {
    let payload = "{ type: object, properties: { orderId: { type: integer } } }";
    for headers in [
        "ce-type: { const: com.x.v1 }, ce-correlationid: { minLength: 5 }",
        "ce_type: { const: com.x.v1 }, ce_correlationid: { minLength: 5 }",
        "'cloudEvents:type': { const: com.x.v1 }, 'cloudEvents:correlationid': { minLength: 5 }",
        "type: { const: com.x.v1 }, id: true, correlationid: { minLength: 5 }, content-type: true",
        "CE-Type: { const: com.x.v1 }, CE-CorrelationId: { minLength: 5 }",
    ] {
        let catalog = || {
            contract(payload, &format!("headers: {{ type: object, properties: {{ {headers} }} }}"))
        };
        let item = "    attributes: { correlationid: /detail/c }\n";
        let publications = publication(SOURCE, item);
        let crossed = cross(catalog(), &publications, json!({"id": 7, "c": "12345"})).unwrap();
        assert_eq!(crossed.identity().event_type.as_str(), "com.x.v1", "{headers}");
        let refused = cross(catalog(), &publications, json!({"id": 7, "c": "1234"})).unwrap_err();
        assert_eq!((refused.len(), &*refused[0].code), (1, "attribute"), "{headers}");
    }
    let ordinary = "headers: { type: object, properties: { type: { const: x }, id: true } }";
    let validated =
        cross(contract(payload, ordinary), &publication(SOURCE, ""), json!({"id": 7})).unwrap();
    assert_eq!(validated.identity().event_type.as_str(), "Payment.Authorised");
}

/// Properties, more of the payload, the head of the publication's file, more of the publication, and
/// how the one thing begins that is told.
const CONTRADICTIONS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "type: { enum: [com.x.v1, com.x.v2] }",
        "",
        SOURCE,
        "",
        "error its `type` is `Payment.Authorised`, and by the contract it",
    ),
    ("id: { format: uuid }", "", SOURCE, "", "warning `id` is a ULID"),
    ("id: { minLength: 36 }", "", SOURCE, "", "warning `id` is a ULID"),
    (
        "source: { pattern: '^urn:' }",
        "",
        SOURCE,
        "",
        "error its `source` is `/payments`, and by the contract it",
    ),
    (
        "source: { const: /other }",
        "",
        SOURCE,
        "",
        "error its `source` is `/payments`, and by the contract it",
    ),
    (
        "correlationid: { type: string }",
        ", required: [correlationid]",
        SOURCE,
        "",
        "error it sets no attribute `correlationid`, which the contract requires",
    ),
    (
        "correlationid: true",
        ", required: [correlationid]",
        SOURCE,
        "    attributes: { correlationid: { from: /detail/c, optional: true } }\n",
        "warning `correlationid` is optional in it and required by the contract",
    ),
    ("specversion: { const: '0.3' }", "", SOURCE, "", "error `specversion` is `1.0`"),
    (
        "datacontenttype: { const: application/xml }",
        "",
        SOURCE,
        "",
        "error `datacontenttype` is `application/json`",
    ),
    ("time: { format: date }", "", SOURCE, "", "error `time` is a moment in RFC 3339"),
    (
        "subject: { pattern: '^[0-9]+$' }",
        "",
        SOURCE,
        "",
        "error its `subject` is `Payment.Authorised`",
    ),
    (
        "subject: { maxLength: 3 }",
        "",
        "source: /payments\ncontext: { s: long }",
        "    subject: /context/s\n",
        "error its `subject` is `long`",
    ),
    (
        "tenant: { enum: [eu, us] }",
        "",
        "source: /payments\ncontext: { tenant: asia }",
        "    attributes: { tenant: /context/tenant }\n",
        "error by the contract `tenant`",
    ),
    (
        "correlationId: true",
        ", required: [correlationId]",
        SOURCE,
        "",
        "error `correlationId` is required by the contract, and cannot be an attribute",
    ),
    (
        "traceparent: true",
        ", required: [traceparent]",
        SOURCE,
        "",
        "warning `traceparent` is required by the contract",
    ),
    (
        "sequence: true",
        ", required: [sequence]",
        SOURCE,
        "",
        "warning `sequence` is required by the contract, and stands beside the event",
    ),
    (
        "dataschema: { const: 'https://x.example/y' }",
        "",
        SOURCE,
        "",
        "warning `dataschema` is where the gateway serves",
    ),
];

#[test]
fn contradictions_are_told_each_with_its_severity() {
    for (properties, more, head, item, expected) in CONTRADICTIONS {
        let rest = ["id: true", "specversion: true"].into_iter();
        let name = |text: &str| text.split(':').next().map(str::to_owned);
        let rest: Vec<&str> = rest.filter(|one| name(one) != name(properties)).collect();
        let all = format!("{properties}, {}", rest.join(", "));
        let found = told(envelope(&all, more), &publication(head, item));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{properties}: {found:#?}");
    }
}

#[test]
fn a_closed_event_must_describe_what_the_publication_sets_and_lacks_what_is_ours_with_a_warning() {
    let closed = |properties: &str, more: &str| {
        let item = "    attributes: { tenant: /detail/t }\n";
        told(envelope(properties, more), &publication(SOURCE, item))
    };
    let core = "specversion: true, id: true, source: true, type: true";

    let found = closed(core, ", additionalProperties: false");
    assert_eq!(found[0], "error the contract does not describe `tenant`");
    assert_eq!(
        found[1],
        "warning the contract closes the CloudEvent without `subject`, `time`, `datacontenttype`, \
         `dataschema`, `idempotencykey`, `traceparent`, which events of the gateway have"
    );
    let patterned = ", patternProperties: { '^t': true }, additionalProperties: false";
    assert!(closed(core, patterned).iter().all(|told| told.starts_with("warning")));
    assert_eq!(closed(core, ""), Vec::<String>::new());
}

#[test]
fn an_attribute_that_breaks_its_schema_is_a_violation_without_its_value() {
    let catalog = || envelope("specversion: true, id: true, tenant: { enum: [eu, us] }", "");
    let item = |mode: &str| format!("    mode: {mode}\n    attributes: {{ tenant: /detail/t }}\n");

    let publications = publication(SOURCE, &item("enforce"));
    let refused = cross(catalog(), &publications, json!({"id": 7, "t": "secret"})).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert_eq!((&*refused[0].pointer, &*refused[0].code), ("", "attribute"));
    assert!(refused[0].message.starts_with("the attribute `tenant` "), "{}", refused[0].message);
    assert!(!refused[0].message.contains("secret"));

    let publications = publication(SOURCE, &item("observe"));
    let observed = cross(catalog(), &publications, json!({"id": 7, "t": "secret"})).unwrap();
    assert_eq!(observed.observed().len(), 1);
    let context = observed.identity().context.as_ref().unwrap();
    assert_eq!(context.extensions.values().next().unwrap().to_string(), "secret");
}

#[test]
fn a_required_attribute_that_an_event_lacks_is_a_violation() {
    let catalog = envelope("specversion: true, id: true, tenant: true", ", required: [tenant]");
    let item = "    attributes: { tenant: { from: /detail/t, optional: true } }\n";

    let refused = cross(catalog, &publication(SOURCE, item), json!({"id": 7})).unwrap_err();

    assert_eq!(refused[0].message, "the attribute `tenant` is required");
}

#[test]
fn an_attribute_is_text_unless_the_contract_wants_a_number_or_a_boolean() {
    let kept = |schema: &str, value: Value| {
        let catalog = envelope(&format!("specversion: true, id: true, x: {schema}"), "");
        let publications = publication(SOURCE, "    attributes: { x: /detail/x }\n");
        let crossed = cross(catalog, &publications, json!({"id": 7, "x": value}));
        crossed.map(|crossed| {
            let context = crossed.identity().context.as_ref().unwrap();
            context.extensions.values().next().unwrap().to_json()
        })
    };

    assert_eq!(kept("true", json!(7)).unwrap(), json!("7"));
    assert_eq!(kept("{ type: string }", json!(12_345_678_901_u64)).unwrap(), json!("12345678901"));
    assert_eq!(kept("{ type: string }", json!(true)).unwrap(), json!("true"));
    assert_eq!(kept("{ type: integer }", json!(7.0)).unwrap(), json!(7));
    assert_eq!(kept("{ type: boolean }", json!(false)).unwrap(), json!(false));
    let beyond = kept("{ type: integer }", json!(12_345_678_901_u64)).unwrap_err();
    assert!(beyond[0].message.contains("32 bits"), "{}", beyond[0].message);
    assert!(kept("{ type: integer }", json!("7")).is_err());
    assert!(kept("{ type: number }", json!(1.5)).is_err());
}

#[test]
fn the_name_keeps_prefix_and_level_while_the_type_is_the_contracts() {
    let properties = "type: { const: com.x.v1 }, id: true";
    let head = "source: /payments\ntype-prefix: com.shop.";
    let publications = publication(head, "    metadata: /detail/m\n");
    let crossed =
        cross(envelope(properties, ""), &publications, json!({"id": 7, "m": "Ecom"})).unwrap();

    let identity = crossed.identity();
    assert_eq!(identity.event_type.as_str(), "com.x.v1");
    let name = identity.context.as_ref().unwrap().name.as_ref().unwrap();
    assert_eq!(name.as_str(), "com.shop.Payment.Authorised.Ecom");
}

#[test]
fn a_subject_of_the_event_and_attributes_are_sealed_unless_they_are_clear() {
    let context = |item: &str| {
        let item = format!("    attributes: {{ tenant: /detail/t }}\n{item}");
        let catalog = envelope("specversion: true, id: true", "");
        let detail = json!({"id": 7, "t": "eu"});
        let crossed = cross(catalog, &publication(SOURCE, &item), detail).unwrap();
        let context = crossed.identity().context.as_ref().unwrap();
        (context.subject_sealed, context.clear.len())
    };

    assert_eq!(context(""), (false, 0), "the name of the event may stand in the clear");
    assert_eq!(context("    subject: /data/orderId\n"), (true, 0));
    assert_eq!(context("    subject: /data/orderId\n    clear: [subject]\n"), (false, 0));
    assert_eq!(context("    subject: /data/orderId\n    clear: [tenant]\n"), (true, 1));
}

#[test]
fn a_publication_without_a_source_needs_a_contract_that_fixes_one() {
    let publications = publication("", "");
    let lacking = envelope("specversion: true, id: true", "").check_publications(&publications);
    let shown = lacking.unwrap_err()[0].to_string();
    assert!(
        shown.starts_with("payments.yaml:5:12: `payments/Payment.Authorised` has no `source`"),
        "{shown}"
    );
    let fixed = envelope("specversion: true, id: true, source: { const: /s }", "");
    assert!(fixed.check_publications(&publications).is_ok());
}

#[test]
fn of_a_publication_that_observes_every_contradiction_is_a_warning() {
    let contract =
        || envelope("specversion: { const: '2.0' }, id: true, type: { enum: [a, b] }", "");

    let enforced = told(contract(), &publication(SOURCE, ""));
    let observed = told(contract(), &publication(SOURCE, "    mode: observe\n"));

    assert!(enforced.iter().filter(|one| one.starts_with("error ")).count() >= 2, "{enforced:?}");
    assert_eq!(observed.len(), enforced.len());
    assert!(observed.iter().all(|one| one.starts_with("warning ")), "{observed:?}");
}
