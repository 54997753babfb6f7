//! A secret in a document: its text, or the place where the command line finds it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

use crate::ambient::{Secret, SecretReference};

/// What is told of a value that is no text; it never quotes the value.
const EXPECTED: &str = "expected a secret as text, or `file` or `env` to name its place";

/// A secret, as people write it.
///
/// The gateway takes texts only. `{ file: … }` and `{ env: … }` are for the files that the command
/// line reads: it puts the text in their place before it sends them.
#[derive(Clone, Debug)]
pub enum SecretText {
    /// The secret itself.
    Text(Secret),
    /// Where it is.
    Reference(SecretReference),
}

impl SecretText {
    /// The secret itself, if it is here.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(secret) => Some(secret.expose()),
            Self::Reference(_) => None,
        }
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self::Text(Secret::new(text.to_owned()))
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => {
                one.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
            }
            (Self::Reference(one), Self::Reference(other)) => one == other,
            _ => false,
        }
    }
}

/// Writes the secret itself: to the gateway, or into what is encrypted. What is kept in the clear or
/// shown has no secrets left in it by then.
impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(secret) => serializer.serialize_str(secret.expose()),
            Self::Reference(reference) => reference.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretReader)
    }
}

/// Refuses in words of its own, because the usual ones repeat what they found.
struct SecretReader;

impl<'de> Visitor<'de> for SecretReader {
    type Value = SecretText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as text, or `file` or `env` to name its place")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretText, E> {
        Ok(SecretText::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<SecretText, E> {
        Ok(SecretText::Text(Secret::new(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretText, A::Error> {
        SecretReference::deserialize(MapAccessDeserializer::new(map)).map(SecretText::Reference)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretText, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretText, E> {
        Err(E::custom("a secret of digits has to stand in quotes"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretText, E> {
        Err(E::custom("a secret of digits has to stand in quotes"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretText, E> {
        Err(E::custom("a secret of digits has to stand in quotes"))
    }

    fn visit_unit<E: Error>(self) -> Result<SecretText, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretText, A::Error> {
        Err(A::Error::custom(EXPECTED))
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<SecretReference>();
        json_schema!({
            "description": "A secret: over the API its text, which is never shown again; in files \
                            of the command line the place where it is.",
            "anyOf": [{ "type": "string", "writeOnly": true }, reference],
        })
    }
}

/// Takes quoted values out of what a reader says, because they may be secrets in a wrong place.
pub(super) fn without_quotes(told: &str) -> Option<String> {
    let mut rest = told.strip_prefix("invalid ").filter(|_| told.contains("string \""))?;
    let mut clean = "invalid ".to_owned();
    if let Some((before, quoted)) = rest.split_once("string \"") {
        clean += before;
        clean += "text";
        rest = quoted.rsplit_once('"').map_or("", |(_, after)| after);
    }
    Some(clean + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_a_text_or_a_place_and_debug_shows_no_text() {
        let text: SecretText = serde_json::from_value(json!("hunter2")).unwrap();
        let place: SecretText = serde_json::from_value(json!({"file": "a.secret"})).unwrap();

        assert_eq!(text.text(), Some("hunter2"));
        assert_eq!(place, SecretText::Reference(SecretReference::File("a.secret".into())));
        assert!(!format!("{text:?}").contains("hunter2"));
        assert_eq!(serde_json::to_value(&text).unwrap(), json!("hunter2"));
        assert_ne!(text, SecretText::from("hunter3"));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_repeating_it() {
        for wrong in [json!(48_151_623), json!(-48_151_623), json!(4815.1623), json!([48_151_623])]
        {
            let told = serde_json::from_value::<SecretText>(wrong).unwrap_err().to_string();
            assert!(!told.contains("4815") && told.contains("secret"), "{told}");
        }
        assert!(serde_json::from_value::<SecretText>(json!({"file": "a", "env": "b"})).is_err());
    }

    #[test]
    fn quoted_values_are_taken_out_of_refusals() {
        let told = "invalid type: string \"hun\"ter2\", expected a boolean at line 1";

        let clean = without_quotes(told).unwrap();

        assert_eq!(clean, "invalid type: text, expected a boolean at line 1");
        assert_eq!(without_quotes("unknown field `a`"), None);
    }
}
