//! Tells whether a schema in a bundle is one that the contract beside it gives.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::{Catalog, ContractDocument, SchemaMeaning};

/// The name under which the one document is read.
const NAME: &str = "contract";

/// What is wrong with a schema and the contract that it is said to come from.
///
/// A schema belongs to a contract if a message of it has this schema, or one that lets the same pass:
/// another release may write it otherwise.
pub(super) fn problem_of(document: &str, schema: &Value) -> Option<&'static str> {
    let files = BTreeMap::from([(NAME.to_owned(), document.to_owned())]);
    let catalog = Catalog::load(&files);
    let Some(contract) = catalog.document(NAME) else {
        return Some("the contract is no AsyncAPI document that can be read");
    };
    let belongs = gives(contract, schema);
    (!belongs)
        .then_some("the schema does not belong to the contract beside it: no message of it has it")
}

fn gives(contract: &ContractDocument, schema: &Value) -> bool {
    let schema = unidentified(schema);
    let same = |given: &Value| unidentified(given) == schema;
    if contract.messages().any(|message| same(message.schema_json())) {
        return true;
    }
    let meaning = SchemaMeaning::of(&schema);
    contract.messages().any(|message| {
        [message.schema_json(), message.schema()]
            .iter()
            .any(|given| SchemaMeaning::of(&unidentified(given)) == meaning)
    })
}

/// A schema without its own address, which the gateway adds when it serves it.
fn unidentified(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.remove("$id");
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{PartialMessage, partial_contract};

    const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Orders, version: 1.2.0 }
channels:
  orders:
    address: orders
    messages:
      created:
        payload: { type: object, required: [n], properties: { n: { type: integer, minimum: 1 } } }
";

    fn served() -> Value {
        let files = BTreeMap::from([(NAME.to_owned(), CONTRACT.to_owned())]);
        let catalog = Catalog::load(&files);
        let message = catalog.document(NAME).unwrap().messages().next().unwrap();
        let mut schema = message.schema_json().clone();
        schema["$id"] = json!("https://gateway.example/schemas/shop/created/1.2.0");
        schema
    }

    #[test]
    fn the_schema_of_a_message_belongs_to_its_contract() {
        assert_eq!(problem_of(CONTRACT, &served()), None);
    }

    #[test]
    fn the_schema_of_a_contract_in_part_belongs_to_it() {
        let schema = served();
        let message = PartialMessage {
            name: "created",
            title: None,
            summary: None,
            channels: &[],
            schema: &schema,
        };
        let part = partial_contract(("Orders", "1.2.0"), &[message]);

        assert_eq!(problem_of(&part, &schema), None);
    }

    #[test]
    fn a_schema_that_lets_more_or_other_things_pass_does_not_belong() {
        let mut looser = served();
        looser["properties"]["n"]["minimum"] = json!(0);

        for schema in [looser, json!(true), json!({}), json!({"type": "object"}), json!(7)] {
            let problem = problem_of(CONTRACT, &schema);
            assert!(problem.is_some_and(|said| said.contains("does not belong")), "{schema}");
        }
    }

    #[test]
    fn what_is_no_contract_is_told() {
        for text in ["", "hello", "{}", "asyncapi: 3.0.0", "\u{0}", "a: [", "openapi: 3.1.0"] {
            let problem = problem_of(text, &json!({}));
            assert!(problem.is_some_and(|said| said.contains("no AsyncAPI document")), "{text}");
        }
    }
}
