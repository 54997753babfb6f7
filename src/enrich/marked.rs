//! A YAML tree that remembers the place of each of its nodes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A node and its place.
pub(super) type Marked = Spanned<Node>;

/// A JSON value whose parts know their places.
#[derive(Debug)]
pub(super) enum Node {
    /// Text, a number, a boolean or null.
    Plain(Value),
    /// Items in order.
    Array(Vec<Marked>),
    /// Members in order, none repeated.
    Object(Vec<(Spanned<String>, Marked)>),
}

impl Node {
    /// The tree without its places.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Array(items) => items.iter().map(|item| item.value.to_value()).collect(),
            Self::Object(members) => {
                let plain = |(name, node): &(Spanned<String>, Marked)| {
                    (name.value.clone(), node.value.to_value())
                };
                Value::Object(members.iter().map(plain).collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number out of range"))?;
        Ok(Node::Plain(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object: Vec<(Spanned<String>, Marked)> = Vec::new();
        while let Some((name, node)) = members.next_entry::<Spanned<String>, Marked>()? {
            // YAML tells the keys `1` and "1" apart; JSON cannot.
            if object.iter().any(|(known, _)| known.value == name.value) {
                return Err(A::Error::custom("a member name that is repeated"));
            }
            object.push((name, node));
        }
        Ok(Node::Object(object))
    }
}
