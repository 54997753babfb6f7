//! Publications are rehearsed on examples and samples, at the operation at fault and without false
//! alarms.

use crate::contract::Catalog;
use crate::enrich::Publications;

use super::*;

const MESSAGE: &str = "
        payload:
          type: object
          required: [orderId, status]
          properties:
            orderId: { type: integer, minimum: 1 }
            status: { enum: [open, paid] }
            at: { type: string, format: date }
            priority: { type: integer, maximum: 9 }
";

/// Rehearses a publication with this patch, of a message with these lines.
fn rehearsed_with(message: &str, item: &str, patch: &str) -> (Rehearsed, Vec<Diagnostic>) {
    let contract = format!(
        "asyncapi: 3.0.0\ninfo: {{ title: Orders, version: 1.0.0 }}\nchannels:\n  orders:\n    \
         messages:\n      Order.Created:{message}"
    );
    let file = format!(
        "domain: orders\ncontract: orders.yaml\nsource: /orders\ncontext: {{ state: open }}\n\
         publications:\n  - event: Order.Created\n    when: {{ source: [shop] }}\n{item}    \
         patch:\n{patch}"
    );
    let catalog = Catalog::load(&BTreeMap::from([("orders.yaml".to_owned(), contract)]));
    let publications = Publications::load(&BTreeMap::from([("orders.yaml".to_owned(), file)]));
    let publications = publications.unwrap();
    let gate = Gate::new(Arc::new(catalog), &publications).unwrap();
    rehearse(publications.iter().next().unwrap(), &gate)
}

fn rehearsed(patch: &str) -> (Rehearsed, Vec<Diagnostic>) {
    rehearsed_with(MESSAGE, "", patch)
}

const GOOD: &str = "      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/status, path: /data/status }
      - { op: copy, from: /detail/priority, path: /data/priority }
";

#[test]
fn a_message_without_examples_is_rehearsed_on_samples_and_says_so() {
    let (rehearsed, mistakes) = rehearsed(GOOD);

    assert!(mistakes.is_empty(), "{mistakes:?}");
    let said = rehearsed.to_string();
    assert!(
        said.starts_with("orders/Order.Created: rehearsed with ")
            && said.contains(" samples made from the schema (")
            && said.contains("3 without an optional member")
            && said.contains(" edges"),
        "{said}"
    );
}

#[test]
fn a_message_with_examples_is_rehearsed_on_them() {
    let message = format!(
        "{MESSAGE}        examples:\n          - payload: {{ orderId: 1, status: open }}\n          \
         - payload: {{ orderId: 2, status: paid }}\n"
    );
    let (rehearsed, mistakes) = rehearsed_with(&message, "", GOOD);

    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert_eq!(rehearsed.to_string(), "orders/Order.Created: rehearsed with 2 examples");
}

const PAYMENT: &str = "
        payload:
          type: object
          required: [id, payment]
          properties:
            id: { type: string }
            payment:
              oneOf:
                - { type: object, required: [kind, scheme], properties: { kind: { const: card }, scheme: { enum: [visa, other] } } }
                - { type: object, required: [kind, days], properties: { kind: { const: invoice }, days: { type: integer } } }
";

/// A patch with a group for each kind of payment, of which this is the one for cards.
fn paid(card: &str) -> String {
    format!(
        "      - {{ op: copy, from: /detail/id, path: /data/id }}
      - when: {{ detail: {{ method: [card] }} }}
        patch: [{card}]
      - when: {{ detail: {{ method: [invoice] }} }}
        patch:
          - {{ op: add, path: /data/payment, value: {{ kind: invoice }} }}
          - {{ op: copy, from: /detail/days, path: /data/payment/days }}\n"
    )
}

#[test]
fn each_group_is_held_against_the_contract_by_itself() {
    let kind = "{ op: add, path: /data/payment, value: { kind: card } }";
    let scheme = "{ op: copy, from: /detail/scheme, path: /data/payment/scheme }";
    let (said, mistakes) = rehearsed_with(PAYMENT, "", &paid(&format!("{kind}, {scheme}")));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert!(!said.to_string().contains("does not make"), "{said}");

    let wrong = kind.replace("card", "crad");
    for (card, words) in [
        (format!("{wrong}, {scheme}"), "\"card\", \"invoice\""),
        (kind.to_owned(), "`scheme` is required"),
        (
            format!("{kind}, {{ op: add, path: /data/payment/scheme, value: cash }}"),
            "must be one of",
        ),
    ] {
        let (said, mistakes) = rehearsed_with(PAYMENT, "", &paid(&card));
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let of_group = |one: &String| {
            one.starts_with("orders.yaml:11:")
                && one.contains(": warning: where this group is done: ")
        };
        assert!(!told.is_empty() && told.iter().all(of_group), "{card}: {told:?}");
        assert!(told.iter().any(|one| one.contains(words)), "{card}: {told:?}");
        assert!(said.to_string().contains("; it does not make "), "{said}");
    }
}

#[test]
fn groups_that_need_each_other_are_tried_together() {
    let patch = "      - when: { detail: { a: [1] } }
        patch: [{ op: copy, from: /detail/id, path: /data/id }]
      - when: { detail: { b: [1] } }
        patch:
          - { op: add, path: /data/payment, value: { kind: card } }
          - { op: copy, from: /detail/scheme, path: /data/payment/scheme }\n";
    let (_, mistakes) = rehearsed_with(PAYMENT, "", patch);
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn values_of_a_map_are_held_against_the_contract() {
    let patch = |map: &str| {
        format!(
            "      - {{ op: copy, from: /detail/id, path: /data/orderId }}
      - {{ op: copy, from: /detail/s, path: /data/status, {map} }}\n"
        )
    };
    let told = |map: &str| {
        let (_, mistakes) = rehearsed(&patch(map));
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("map: { A: open, B: paid }"), Vec::<String>::new());
    let one = told("map: { A: open, B: piad }, default: lost");
    assert_eq!(one.len(), 2, "{one:?}");
    assert!(
        one[0].contains("warning: what `map` gives for `B` cannot be at `/data/status`"),
        "{one:?}"
    );
    assert!(one[1].contains("for its `default`"), "{one:?}");
    let all = told("map: { A: O, B: P }");
    assert!(all.len() == 2 && all.iter().all(|one| !one.contains("warning")), "{all:?}");
}

#[test]
fn a_map_over_plain_items_is_no_mistake() {
    let message = "
        payload:
          type: object
          required: [tags]
          properties: { tags: { type: array, minItems: 1, items: { enum: [authorised, refunded] } } }
";
    let patch = "      - { op: copy, from: /detail/tags/*, path: /data/tags/*, map: { A: authorised, R: refunded } }\n";
    let (_, mistakes) = rehearsed_with(message, "", patch);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let (_, mistakes) = rehearsed_with(message, "", &patch.replace("refunded }", "refund }"));
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

/// A message whose `correlationid` is short, with an example or none.
fn with_attribute(example: &str) -> String {
    let examples =
        if example.is_empty() { String::new() } else { format!("        examples: [{example}]\n") };
    format!(
        "{MESSAGE}        headers:
          type: object
          properties: {{ ce-type: {{ const: x }}, ce-correlationid: {{ maxLength: 3 }} }}
{examples}"
    )
}

#[test]
fn an_attribute_that_breaks_its_contract_is_told_at_its_line() {
    let example = "{ payload: { orderId: 1, status: paid } }";
    for from in ["/detail/status", "/data/status"] {
        let item = format!("    attributes: {{ correlationid: {from} }}\n");
        let (_, mistakes) = rehearsed_with(&with_attribute(example), &item, GOOD);
        assert_eq!(mistakes.len(), 1, "{from}: {mistakes:?}");
        assert_eq!(mistakes[0].place, Some((8, 19)));
        assert!(mistakes[0].problem.starts_with("the attribute `correlationid` "), "{mistakes:?}");
        assert!(mistakes[0].is_error());

        let (_, mistakes) = rehearsed_with(&with_attribute(""), &item, GOOD);
        assert!(mistakes.len() == 1 && !mistakes[0].is_error(), "{from}: {mistakes:?}");
    }
}

#[test]
fn an_attribute_whose_value_is_made_up_is_no_mistake() {
    let example = "{ payload: { orderId: 1, status: paid } }";
    for from in ["/detail/correlation", "/detail/priority", "/id", "/account"] {
        let item = format!("    attributes: {{ correlationid: {from} }}\n");
        let (_, mistakes) = rehearsed_with(&with_attribute(example), &item, GOOD);
        let of_attributes = mistakes.iter().filter(|one| one.problem.contains("attribute"));
        assert_eq!(of_attributes.count(), 0, "{from}: {mistakes:?}");
    }
}

#[test]
fn every_problem_stands_at_its_operation_with_the_data_that_shows_it() {
    let (_, mistakes) = rehearsed(
        "      - { op: copy, from: /detail/id, path: /data/orderNumber }
      - { op: add, path: /data/status, value: shut }
      - { op: move, from: /data/nothing, path: /data/priority }
",
    );
    // The patch fails as a whole at its third operation.
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0].place, Some((11, 9)));
    assert!(mistakes[0].problem.contains("`/data/nothing`; tried with sample `ordinary` of"));
    assert!(mistakes[0].help.contains("sealway contract sample orders.yaml Order.Created"));

    let (_, mistakes) = rehearsed(
        "      - { op: copy, from: /detail/id, path: /data/orderNumber }
      - { op: add, path: /data/status, value: shut }
",
    );
    let places: Vec<_> = mistakes.iter().map(|one| one.place.unwrap().0).collect();
    assert_eq!(places.len(), 3, "{mistakes:?}");
    assert!(places.contains(&9) && places.contains(&10) && places.contains(&6), "{mistakes:?}");
    assert!(mistakes.iter().all(|one| one.file == "orders.yaml" && !one.excerpt.is_empty()));
}

#[test]
fn a_value_of_the_envelope_that_cannot_be_made_up_is_no_mistake() {
    for from in ["/time", "/id", "/account", "/region", "/detail-type"] {
        let (_, mistakes) =
            rehearsed(&format!("{GOOD}      - {{ op: copy, from: {from}, path: /data/at }}\n"));
        assert!(mistakes.is_empty(), "{from}: {mistakes:?}");
    }
    let message = MESSAGE.replace(
        "at: { type: string, format: date }",
        "at: { type: array, minItems: 1, items: { type: string } }",
    );
    let copy = format!("{GOOD}      - {{ op: copy, from: /resources, path: /data/at }}\n");
    let (_, mistakes) = rehearsed_with(&message, "", &copy);
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn a_text_of_the_envelope_that_becomes_a_number_is_a_mistake() {
    let (_, mistakes) = rehearsed(&format!(
        "{GOOD}      - {{ op: replace, path: /data/priority, value: 1 }}
      - {{ op: copy, from: /time, path: /data/orderId }}\n"
    ));

    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0].place, Some((13, 9)));
    assert!(mistakes[0].problem.starts_with("at `/data/orderId`: must be"), "{mistakes:?}");
}

#[test]
fn constants_of_the_patch_decide_which_data_it_is_tried_on() {
    let message = "
        payload:
          type: object
          required: [kind]
          properties: { kind: { enum: [card, cash] } }
          oneOf:
            - { properties: { kind: { const: card }, pan: { type: string } }, required: [pan] }
            - { properties: { kind: { const: cash }, till: { type: string } }, required: [till] }
";
    for constant in [
        "      - { op: add, path: /data/kind, value: cash }\n",
        "      - { op: add, path: /data/kind, value: card }
      - { op: replace, path: /data/kind, value: cash }\n",
    ] {
        let patch =
            format!("{constant}      - {{ op: copy, from: /detail/till, path: /data/till }}\n");
        let (rehearsed, mistakes) = rehearsed_with(message, "", &patch);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert!(rehearsed.samples > 0, "{rehearsed}");
    }
    let (_, mistakes) = rehearsed_with(
        message,
        "",
        "      - { op: add, path: /data/kind, value: card }
      - { op: copy, from: /detail/till, path: /data/till }\n",
    );
    assert!(!mistakes.is_empty());
}

#[test]
fn a_copy_from_the_context_is_a_constant() {
    let patch = "      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /context/state, path: /data/status }\n";
    let (_, mistakes) = rehearsed(patch);

    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn an_unconditional_copy_of_an_optional_member_is_left_to_the_analysis() {
    let (_, mistakes) = rehearsed(
        &GOOD
            .replace("      - { op: copy, from: /detail/status, path: /data/status }\n", "")
            .replace(
                "/data/orderId }",
                "/data/orderId }\n      - { op: add, path: /data/status, value: paid }",
            ),
    );

    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn a_patch_whose_data_never_fits_together_is_found() {
    let message = "
        payload:
          type: object
          properties: { email: { type: string }, phone: { type: string } }
          oneOf: [{ required: [email] }, { required: [phone] }]
";
    let patch = "      - { op: copy, from: /detail/email, path: /data/email }
      - { op: copy, from: /detail/phone, path: /data/phone }\n";
    let (_, mistakes) = rehearsed_with(message, "", patch);

    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].problem.contains("exactly one"), "{mistakes:?}");
}

#[test]
fn what_is_written_into_a_copy_of_open_shape_is_no_mistake() {
    for (payload, patch) in [
        (
            "{ type: object, required: [meta], properties: { meta: true } }",
            "{ op: copy, from: /detail/meta, path: /data/meta }, { op: add, path: /data/meta/kind, value: a }",
        ),
        (
            "{ type: object, properties: { meta: { type: object, additionalProperties: true } } }",
            "{ op: copy, from: /detail/meta, path: /data/meta }, { op: add, path: /data/meta/source/kind, value: a }",
        ),
        (
            "true",
            "{ op: copy, from: /detail, path: /data }, { op: remove, path: /data/lines/*/cost }",
        ),
        (
            "true",
            "{ op: copy, from: /detail, path: /data }, { op: copy, from: /time, path: /data/audit/at }",
        ),
    ] {
        let message = format!("\n        payload: {payload}\n");
        let operations = patch.replace(" }, {", " }\n      - {");
        let (_, mistakes) = rehearsed_with(&message, "", &format!("      - {operations}\n"));
        assert!(mistakes.is_empty(), "{payload}: {mistakes:?}");
    }
    // Nothing makes the object that this one writes into.
    let (_, mistakes) = rehearsed_with(
        "\n        payload: true\n",
        "",
        "      - { op: add, path: /data/a/b, value: 1 }\n",
    );
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

#[test]
fn what_only_observes_is_warned_about() {
    let patch = "      - { op: copy, from: /detail/id, path: /data/orderNumber }\n";
    let (_, mistakes) = rehearsed_with(MESSAGE, "    mode: observe\n", patch);

    assert!(!mistakes.is_empty());
    assert!(mistakes.iter().all(|one| one.to_string().contains("warning: ")), "{mistakes:?}");
}

#[test]
fn what_could_not_be_rehearsed_says_why() {
    let (rehearsed, mistakes) = rehearsed(&format!(
        "      - {{ op: test, path: /detail/v, value: 3 }}\n      - {{ op: test, path: /detail/v, value: 4 }}\n{GOOD}"
    ));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert_eq!(
        rehearsed.to_string(),
        "orders/Order.Created: not rehearsed: the patch asks for a value that nothing made up tells"
    );

    let impossible = "
        payload: { type: object, required: [n], properties: { n: { type: integer, minimum: 2, maximum: 1 } } }
";
    let (rehearsed, _) = rehearsed_with(impossible, "", GOOD);
    assert!(rehearsed.to_string().contains("not rehearsed: no sample"), "{rehearsed}");
}
