//! A YAML tree that remembers the place of each of its nodes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

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

    /// Writes the tree as JSON text on one line, and notes where the text of each part begins.
    pub fn write(&self, text: &mut Marks, here: Location) {
        text.mark(here);
        match self {
            Self::Plain(value) => text.push(&value.to_string()),
            Self::Array(items) => {
                text.push("[");
                for (index, item) in items.iter().enumerate() {
                    text.push(if index > 0 { "," } else { "" });
                    item.value.write(text, item.referenced);
                }
                text.push("]");
            }
            Self::Object(members) => {
                text.push("{");
                for (index, (name, node)) in members.iter().enumerate() {
                    text.push(if index > 0 { "," } else { "" });
                    text.mark(name.referenced);
                    text.push(&Value::from(name.value.as_str()).to_string());
                    text.push(":");
                    node.value.write(text, node.referenced);
                }
                text.push("}");
            }
        }
    }
}

/// JSON text on one line that was made from a file, and knows its way back.
#[derive(Default)]
pub(super) struct Marks {
    text: String,
    characters: usize,
    places: Vec<(usize, Location)>,
}

impl Marks {
    fn mark(&mut self, place: Location) {
        self.places.push((self.characters, place));
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.characters += text.chars().count();
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place in the file of a column of the text, in characters from 1.
    pub fn place(&self, column: usize) -> Option<Location> {
        let before = self.places.partition_point(|&(at, _)| at < column);
        self.places.get(before.checked_sub(1)?).map(|&(_, place)| place)
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
