//! Reads a YAML or JSON text into a tree that remembers where each part of it stands.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location as Mark, Options, Spanned};

use crate::contract::pointer;
use crate::event::Diagnostic;

/// Bytes of one file. Real contracts stay below a tenth of it.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Levels of nesting; a level of data takes two levels of schema.
const MAX_DEPTH: usize = 64;

/// One file: its text, its tree, and the line and column of every member and item.
pub(super) struct Text {
    path: String,
    content: String,
    tree: Value,
    places: HashMap<String, (usize, usize)>,
}

impl Text {
    /// Reads a file. JSON is read as the YAML that it is, so that both have places.
    pub(super) fn read(path: &str, text: &str) -> Result<Self, Diagnostic> {
        if text.len() > MAX_BYTES {
            let problem =
                format!("{} bytes are more than the {MAX_BYTES} that are read", text.len());
            return Err(Diagnostic::of_file(path, problem));
        }
        let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options())
            .map_err(|error| unreadable(path, text, &error))?;
        let mut places = HashMap::new();
        let tree = flatten(root.value, &mut String::new(), &mut places);
        Ok(Self { path: path.to_owned(), content: text.to_owned(), tree, places })
    }

    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// The line and column, from 1, of what a pointer names, or of the nearest thing around it.
    pub(super) fn place(&self, mut pointer: &str) -> (usize, usize) {
        loop {
            if let Some(place) = self.places.get(pointer) {
                return *place;
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return (1, 1),
            }
        }
    }

    /// A mistake at what a pointer names.
    pub(super) fn mistake(&self, pointer: &str, problem: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.path, &self.content, self.place(pointer), problem)
    }
}

fn options() -> Options {
    let mut options = Options::default();
    // YAML 1.2: `on`, `off`, `yes`, `no`, `0755` and `1_000` are text.
    options.strict_booleans = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = MAX_DEPTH;
        budget.flow_nesting_limit = MAX_DEPTH;
    }
    options
}

fn unreadable(path: &str, text: &str, error: &serde_saphyr::Error) -> Diagnostic {
    // The crate appends the place and a snippet; the diagnostic has its own.
    let shown = error.without_snippet().to_string();
    let first = shown.lines().next().unwrap_or("not readable as YAML");
    let problem = first.split(" at line ").next().unwrap_or(first).trim_start_matches("error: ");
    match error.location().and_then(place_of) {
        Some(place) => Diagnostic::at(path, text, place, problem),
        None => Diagnostic::of_file(path, problem),
    }
}

fn place_of(mark: Mark) -> Option<(usize, usize)> {
    let place = (usize::try_from(mark.line()).ok()?, usize::try_from(mark.column()).ok()?);
    (place.0 > 0 && place.1 > 0).then_some(place)
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Object(Vec<(Spanned<String>, Node)>),
}

/// Turns nodes into a tree. A member stands where its name stands, an item where it begins.
fn flatten(node: Node, path: &mut String, places: &mut HashMap<String, (usize, usize)>) -> Value {
    match node {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                let length = path.len();
                pointer::push(path, &index.to_string());
                remember(path, item.referenced, places);
                list.push(flatten(item.value, path, places));
                path.truncate(length);
            }
            Value::Array(list)
        }
        Node::Object(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let length = path.len();
                pointer::push(path, &name.value);
                remember(path, name.referenced, places);
                object.insert(name.value, flatten(member, path, places));
                path.truncate(length);
            }
            Value::Object(object)
        }
    }
}

fn remember(path: &str, mark: Mark, places: &mut HashMap<String, (usize, usize)>) {
    if let Some(place) = place_of(mark) {
        places.insert(path.to_owned(), place);
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
        f.write_str("a value that JSON can express")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).map(|number| Node::Scalar(Value::Number(number)));
        number.ok_or_else(|| E::custom("JSON has no number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object: Vec<(Spanned<String>, Node)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(name) = members.next_key::<Spanned<String>>()? {
            // `1` and `"1"` are two keys for YAML and one member for JSON.
            if !names.insert(name.value.clone()) {
                return Err(A::Error::custom(format!("`{}` is there twice", name.value)));
            }
            object.push((name, members.next_value()?));
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn unquoted_on_and_off_stay_text_and_versions_stay_text() {
        let text = Text::read("a.yaml", "on: off\nenum: [on, off, yes, true]\nv: 1.0.0\nn: 07\n");

        assert_eq!(
            text.unwrap().tree(),
            &json!({"on": "off", "enum": ["on", "off", "yes", true], "v": "1.0.0", "n": "07"})
        );
    }

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

    #[test]
    fn a_repeated_key_is_a_mistake_at_its_place() {
        let mistake = Text::read("a.yaml", "a: 1\nb: 2\na: 3\n").err().unwrap();

        assert_eq!(mistake.place, Some((3, 1)));
        assert!(mistake.problem.contains("duplicate"), "{mistake}");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            lines.push(format!("a{level}: &a{level} [{items}]"));
        }

        assert!(Text::read("a.yaml", &lines.join("\n")).is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(Text::read("a.json", &("[".repeat(5000) + &"]".repeat(5000))).is_err());
        let deep: String = (0..200).map(|level| " ".repeat(level) + "a:\n").collect();
        assert!(Text::read("a.yaml", &deep).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = Text::read("a.yaml", &text);
        }

        #[test]
        fn yaml_like_text_never_panics(text in r#"[a-c:\-\[\]{}&*!|>"'#,? \n]{0,120}"#) {
            let _ = Text::read("a.yaml", &text);
        }
    }
}
