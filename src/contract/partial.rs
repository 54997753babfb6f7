//! A contract of some messages of another one, for consumers who may not hear all of it.

use serde_json::{Map, Value, json};

/// A message for such a contract.
#[derive(Clone, Copy, Debug)]
pub struct PartialMessage<'a> {
    /// What the contract calls it.
    pub name: &'a str,
    /// A heading for people.
    pub title: Option<&'a str>,
    /// What it is, in a line.
    pub summary: Option<&'a str>,
    /// The addresses of the channels that carry it.
    pub channels: &'a [String],
    /// Its schema as consumers are served it, which stands alone.
    pub schema: &'a Value,
}

/// Writes an AsyncAPI document of these messages, with the title and the version of their contract.
///
/// It is made of what is named here alone. To take out of the whole document what must not be seen would
/// need to know every place at which it may say something.
pub fn partial_contract((title, version): (&str, &str), messages: &[PartialMessage<'_>]) -> String {
    let (mut described, mut channels) = (Map::new(), Map::new());
    for message in messages {
        let key = free_key(&described, message.name);
        let reference = json!({ "$ref": format!("#/components/messages/{key}") });
        for address in message.channels {
            // A channel carries several messages.
            let channel = channels.entry(address.clone());
            let channel = channel.or_insert_with(|| json!({ "address": address, "messages": {} }));
            if let Some(Value::Object(carried)) = channel.get_mut("messages") {
                carried.insert(key.clone(), reference.clone());
            }
        }
        described.insert(key, described_as(message));
    }
    // Keys of channels are narrower than their addresses.
    let channels: Map<String, Value> = (1..)
        .zip(channels)
        .map(|(number, (_, channel))| (format!("channel-{number}"), channel))
        .collect();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": version,
            "description": "The messages of this contract that whoever asked may hear, with their \
                            schemas as they are served.",
        },
        "channels": channels,
        "components": { "messages": described },
    });
    document.to_string()
}

fn described_as(message: &PartialMessage<'_>) -> Value {
    let is_old = message.schema.get("$schema").and_then(Value::as_str);
    let is_old = is_old.is_some_and(|dialect| dialect.contains("draft-07"));
    let version = if is_old { "draft-07" } else { "2020-12" };
    let mut described = json!({
        "name": message.name,
        "contentType": "application/json",
        "payload": {
            "schemaFormat": format!("application/schema+json;version={version}"),
            "schema": message.schema,
        },
    });
    let words = [("title", message.title), ("summary", message.summary)];
    if let Some(described) = described.as_object_mut() {
        for (name, text) in words.into_iter().filter_map(|(name, text)| Some((name, text?))) {
            described.insert(name.to_owned(), text.into());
        }
    }
    described
}

/// A key of components (AsyncAPI 3.0, Components Object) that is not taken.
fn free_key(taken: &Map<String, Value>, name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let mut keys = std::iter::once(plain.clone()).chain(numbered);
    keys.find(|key| !taken.contains_key(key)).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::contract::Catalog;

    const WHOLE: &str = r##"{
        "asyncapi": "3.0.0", "info": { "title": "Money", "version": "2.1.0" },
        "channels": {
            "open": { "address": "money/{id}", "messages": {
                "Paid": { "$ref": "#/components/messages/Paid" },
                "Refunded": { "$ref": "#/components/messages/Refunded" }
            } }
        },
        "components": {
            "schemas": {
                "Amount": { "type": "integer", "minimum": 1 },
                "Secret": { "type": "object", "properties": { "margin": { "type": "integer" } } }
            },
            "messages": {
                "Paid": { "name": "Paid", "title": "It was paid", "payload": {
                    "type": "object", "required": ["amount"], "additionalProperties": false,
                    "properties": { "amount": { "$ref": "#/components/schemas/Amount" } }
                } },
                "Refunded": { "name": "Refunded", "payload": {
                    "$ref": "#/components/schemas/Secret"
                } }
            }
        }
    }"##;

    fn load(text: &str) -> Catalog {
        Catalog::load(&BTreeMap::from([("money.json".to_owned(), text.to_owned())]))
    }

    fn partial(message: &crate::contract::Message) -> PartialMessage<'_> {
        PartialMessage {
            name: message.name(),
            title: message.title(),
            summary: message.summary(),
            channels: message.channels(),
            schema: message.schema_json(),
        }
    }

    #[test]
    fn a_partial_contract_is_one_of_its_messages_and_names_no_other() {
        let whole = load(WHOLE);
        let paid = whole.message("money.json", "Paid").unwrap();

        let text = partial_contract(("Money", "2.1.0"), &[partial(paid)]);

        for word in ["Refunded", "Secret", "margin"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        let read = load(&text);
        let again = read.message("money.json", "Paid").unwrap();
        assert_eq!((again.title(), again.channels()), (paid.title(), paid.channels()));
        assert_eq!(read.document("money.json").unwrap().version(), "2.1.0");
        for (data, keeps) in [(json!({ "amount": 1 }), true), (json!({ "amount": 0 }), false)] {
            assert_eq!(again.check(&data).is_empty(), keeps, "{data}");
        }
    }

    #[test]
    fn messages_that_are_called_alike_have_keys_of_their_own() {
        let whole = load(WHOLE);
        let paid = partial(whole.message("money.json", "Paid").unwrap());
        let text = partial_contract(
            ("Money", "1"),
            &[paid, PartialMessage { name: "Pa id", ..paid }, paid],
        );

        let read: Value = serde_json::from_str(&text).unwrap();
        let mut keys: Vec<_> = read["components"]["messages"].as_object().unwrap().keys().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["Pa_id", "Paid", "Paid-2"]);
    }
}
