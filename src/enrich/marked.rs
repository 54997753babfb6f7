//! JSON text on one line that was made from a YAML tree, and the way back to the file.

use serde_json::Value;

use crate::event::{Placed, YamlNode};

/// JSON text on one line that was made from a file, and knows its way back.
#[derive(Default)]
pub(super) struct Marks {
    text: String,
    characters: usize,
    places: Vec<(usize, (usize, usize))>,
}

impl Marks {
    /// Writes a tree.
    pub fn of(tree: &Placed<YamlNode>) -> Self {
        let mut marks = Self::default();
        marks.write(tree);
        marks
    }

    fn write(&mut self, node: &Placed<YamlNode>) {
        self.mark(node.place);
        match &node.value {
            YamlNode::Scalar(value) => self.push(&value.to_string()),
            YamlNode::Array(items) => {
                self.push("[");
                for (index, item) in items.iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" });
                    self.write(item);
                }
                self.push("]");
            }
            YamlNode::Object(members) => {
                self.push("{");
                for (index, (name, node)) in members.iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" });
                    self.mark(name.place);
                    self.push(&Value::from(name.value.as_str()).to_string());
                    self.push(":");
                    self.write(node);
                }
                self.push("}");
            }
        }
    }

    fn mark(&mut self, place: (usize, usize)) {
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

    /// The line and column in the file of a column of the text, in characters from 1.
    pub fn place(&self, column: usize) -> Option<(usize, usize)> {
        let before = self.places.partition_point(|&(at, _)| at < column);
        self.places.get(before.checked_sub(1)?).map(|&(_, place)| place)
    }
}
