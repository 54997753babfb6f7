//! A document as it is sent: perhaps as the gateway has shown it, with members that are not asked for but
//! told.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use crate::subscriptions::{Invalid, SubscriptionDocument, SubscriptionError};

/// What every answer tells.
const CREATED: &str = "created";
/// What an answer shows of a subscription beside its document.
const TOLD: [&str; 14] = [
    "access",
    "asked",
    CREATED,
    "credential",
    "deadLetters",
    "externalId",
    "formerSecretUntil",
    "handshake",
    "progress",
    "reason",
    "sharedSecret",
    "state",
    "subDigest",
    "warnings",
];

/// A document, and what was told of the subscription that it is of, if it is an answer of a gateway's.
#[derive(Debug)]
pub struct GivenDocument {
    /// What is asked for.
    pub document: SubscriptionDocument,
    /// What was told beside it, by the names of its members.
    pub told: BTreeMap<String, Value>,
}

impl GivenDocument {
    /// Whether a member is told beside the document, and not asked for.
    pub fn is_told(name: &str) -> bool {
        TOLD.contains(&name)
    }

    /// The document alone, to make a subscription of it: one that is an answer is of another, whose id it
    /// does not take where it has a name.
    ///
    /// # Errors
    ///
    /// The caller's turn: it is no answer, which always tells when its subscription was created, and asks
    /// for what can only be told.
    pub fn for_another(self) -> Result<SubscriptionDocument, SubscriptionError> {
        let mut document = self.document;
        let Some(first) = self.told.keys().next() else { return Ok(document) };
        if !self.told.contains_key(CREATED) {
            let problem = "leave it out: the gateway tells it, and no document asks for it";
            return Err(Invalid::new(&format!("/{first}"), problem).into());
        }
        if document.name.is_some() {
            document.id = None;
        }
        Ok(document)
    }
}

impl<'de> Deserialize<'de> for GivenDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = GivenDocument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct SubscriptionDocument")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<GivenDocument, A::Error> {
        let mut told = BTreeMap::new();
        let asked = AskedMembers { members, told: &mut told };
        let document = SubscriptionDocument::deserialize(MapAccessDeserializer::new(asked))?;
        Ok(GivenDocument { document, told })
    }
}

/// The members that are asked for; those that are told are put aside on the way.
struct AskedMembers<'a, A> {
    members: A,
    told: &'a mut BTreeMap<String, Value>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for AskedMembers<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        mut seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.members.next_key_seed(MemberName(seed))? {
                None => return Ok(None),
                Some(Member::Asked(name)) => return Ok(Some(name)),
                Some(Member::Told(name, again)) => {
                    let value = self.members.next_value()?;
                    if self.told.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member is there twice"));
                    }
                    seed = again;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.members.next_value_seed(seed)
    }
}

/// The name of a member, read for whoever reads the document.
struct MemberName<K>(K);

/// A member by its name; the reader goes on with the next where it is told.
enum Member<K, T> {
    Asked(T),
    Told(String, K),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberName<K> {
    type Value = Member<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = String::deserialize(deserializer)?;
        if GivenDocument::is_told(&name) {
            return Ok(Member::Told(name, self.0));
        }
        self.0.deserialize(name.into_deserializer()).map(Member::Asked)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "id": "a1", "name": "a", "consumer": "shop", "sink": "https://shop.example/",
            "filters": [{ "pattern": { "data": { "n": [1.50] } } }],
            "config": { "keys": { "jwksUri": "https://shop.example/jwks.json" } },
        })
    }

    #[test]
    fn what_is_told_is_put_aside_and_what_is_asked_for_is_read_as_ever() {
        let mut shown = document();
        for name in TOLD {
            shown[name] = json!({ "any": ["thing"] });
        }
        let given: GivenDocument = serde_json::from_str(&shown.to_string()).unwrap();

        let plain: SubscriptionDocument = serde_json::from_value(document()).unwrap();
        assert_eq!(given.document, plain);
        assert!(given.told.keys().eq(TOLD.iter()), "{:?}", given.told.keys());
        let id = |given: GivenDocument| given.for_another().unwrap().id;
        assert_eq!(id(given), None, "it is another's");
        let alone = serde_json::from_value::<GivenDocument>(document()).unwrap();
        assert!(alone.told.is_empty() && id(alone).is_some());
        // Whoever writes one anew cannot ask for it.
        let mut asking = document();
        asking["state"] = json!("paused");
        let asking: GivenDocument = serde_json::from_value(asking).unwrap();
        assert!(asking.for_another().unwrap_err().to_string().contains("/state: leave it out"));
    }

    #[test]
    fn what_is_neither_is_refused_in_the_words_of_the_document() {
        let refused = |text: &str| serde_json::from_str::<GivenDocument>(text).unwrap_err();
        let plain = |text: &str| serde_json::from_str::<SubscriptionDocument>(text).unwrap_err();
        for text in [r#"{"snik": 1}"#, r#"{"consumer": 1}"#, r#"{"state": "active"}"#, "1"] {
            let told = refused(text).to_string();
            let words = |text: &str| text.split(" at line").next().unwrap().to_owned();
            let expected = words(&plain(&text.replace(r#""state": "active""#, "")).to_string());
            assert_eq!(words(&told), expected, "{text}");
        }
        assert!(refused(r#"{"state": 1, "state": 2}"#).to_string().contains("twice"));
    }
}
