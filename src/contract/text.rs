//! Reads a YAML or JSON text into a tree that remembers where each part of it stands.

use serde_json::Value;

use crate::contract::pointer;
use crate::event::number::crossing_text;
use crate::event::{Diagnostic, YamlNode, yaml};

/// One file: its text, its tree, and the same tree with the line and column of every part.
pub(super) struct Text {
    path: String,
    content: String,
    tree: Value,
    places: YamlNode,
}

impl Text {
    /// Reads a file. JSON is read as the YAML that it is, so that both have places.
    pub(super) fn read(path: &str, text: &str) -> Result<Self, Diagnostic> {
        let places = yaml::read_tree(path, text).map_err(|mistake| *mistake)?.value;
        let mut tree = places.to_value();
        settle_numbers(&mut tree);
        Ok(Self { path: path.to_owned(), content: text.to_owned(), tree, places })
    }

    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// The line and column, from 1, of what a pointer names, or of the nearest thing around it.
    pub(super) fn place(&self, pointer: &str) -> (usize, usize) {
        self.places.place_of(pointer::tokens(pointer)).unwrap_or((1, 1))
    }

    /// A mistake at what a pointer names.
    pub(super) fn mistake(&self, pointer: &str, problem: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.path, &self.content, self.place(pointer), problem)
    }
}

/// Gives numbers the value with which an event's would cross, so that both compare as one.
fn settle_numbers(tree: &mut Value) {
    match tree {
        Value::Number(number) => {
            // What could not cross stays: a bound may be larger than every event's number.
            let settled = crossing_text(number.as_str()).ok().and_then(|text| text.parse().ok());
            if let Some(settled) = settled {
                *number = settled;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle_numbers),
        Value::Object(members) => members.values_mut().for_each(settle_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_stands_where_its_name_stands_and_an_item_where_it_begins() {
        let text = Text::read("a.yaml", "a:\n  b/c: 1\n  d:\n    - x\n    - {e: 1}\n").unwrap();

        assert_eq!(text.place("/a"), (1, 1));
        assert_eq!(text.place("/a/b~1c"), (2, 3));
        assert_eq!(text.place("/a/d/1"), (5, 7));
        assert_eq!(text.place("/a/d/1/e"), (5, 8));
        assert_eq!(text.place("/a/d/1/e/missing"), (5, 8));
        assert_eq!(text.place("/missing"), (1, 1));
    }

    #[test]
    fn json_is_read_with_places_too() {
        let text = Text::read("a.json", "{\n  \"a\": [1, \"\\u00e4\\/\"]\n}").unwrap();

        assert_eq!(text.tree(), &json!({"a": [1, "ä/"]}));
        assert_eq!(text.place("/a"), (2, 3));
    }
}
