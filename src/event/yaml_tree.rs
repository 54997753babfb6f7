//! A YAML or JSON tree of any shape, every part of which knows where it stands.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// Line and column, each from 1.
pub(super) fn place(location: Location) -> (usize, usize) {
    let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
    (index(location.line()), index(location.column()))
}

/// Stands where the library reads an infinite number, until the digits are read from the text. It is
/// beyond every number that crosses.
const INFINITE: &str = "1e+999999999";

/// A value that was read from YAML, and where it stands. It is written as the value alone.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Line and column, each from 1; of an alias, where it is used.
    #[serde(skip)]
    pub place: (usize, usize),
    /// Where its text begins and ends in the file, in bytes; of an alias, where it was defined.
    #[serde(skip)]
    source: Option<(usize, usize)>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::deserialize(deserializer)?;
        let span = spanned.defined.span();
        let index = |number| usize::try_from(number).ok();
        let source = span.byte_offset().and_then(index).zip(span.byte_len().and_then(index));
        let source = source.map(|(start, length)| (start, start + length));
        Ok(Self { value: spanned.value, place: place(spanned.referenced), source })
    }
}

impl Placed<YamlNode> {
    /// Gives numbers back the digits that they have in the file, where reading them rounded.
    pub fn with_exact_numbers(mut self, file: &str) -> Self {
        self.restore(file);
        self
    }

    /// The place of a number that is written as an infinite one, `.inf`, once all others have
    /// their digits.
    pub(super) fn infinite(&self) -> Option<(usize, usize)> {
        match &self.value {
            YamlNode::Scalar(Value::Number(number)) => {
                let size = number.as_str().trim_start_matches('-');
                (size == INFINITE).then_some(self.place)
            }
            YamlNode::Scalar(_) => None,
            YamlNode::Array(items) => items.iter().find_map(Self::infinite),
            YamlNode::Object(members) => members.iter().find_map(|(_, member)| member.infinite()),
        }
    }

    fn restore(&mut self, file: &str) {
        match &mut self.value {
            YamlNode::Scalar(Value::Number(number)) => {
                let written = self.source.and_then(|(start, end)| file.get(start..end));
                // What YAML writes in ways that JSON does not have at all stays, such as `0x1f`.
                if let Some(exact) = written.and_then(as_json)
                    && exact.as_f64() == number.as_f64()
                {
                    *number = exact;
                }
            }
            YamlNode::Scalar(_) => {}
            YamlNode::Array(items) => {
                for item in items {
                    item.restore(file);
                }
            }
            YamlNode::Object(members) => {
                for (_, member) in members {
                    member.restore(file);
                }
            }
        }
    }
}

/// A value that JSON can express, and below it values with their places.
#[derive(Clone, Debug)]
pub enum YamlNode {
    /// Text, a number, a boolean or null.
    Scalar(Value),
    /// Items in order.
    Array(Vec<Placed<Self>>),
    /// Members in order, none repeated.
    Object(Vec<(Placed<String>, Placed<Self>)>),
}

impl YamlNode {
    /// The tree without its places.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::Array(items) => items.iter().map(|item| item.value.to_value()).collect(),
            Self::Object(members) => {
                let plain = |(name, node): &(Placed<String>, Placed<Self>)| {
                    (name.value.clone(), node.value.to_value())
                };
                Value::Object(members.iter().map(plain).collect::<Map<_, _>>())
            }
        }
    }

    /// The place of the deepest part of a path that is there; nothing if none of it is.
    ///
    /// A member stands where its name stands, an item where it begins. Items are named by their
    /// index, from 0.
    pub fn place_of<S: AsRef<str>>(
        &self,
        path: impl IntoIterator<Item = S>,
    ) -> Option<(usize, usize)> {
        let (mut node, mut deepest) = (self, None);
        for step in path {
            let Some((place, below)) = node.child(step.as_ref()) else { break };
            (node, deepest) = (below, Some(place));
        }
        deepest
    }

    fn child(&self, step: &str) -> Option<((usize, usize), &Self)> {
        match self {
            Self::Scalar(_) => None,
            Self::Array(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some((item.place, &item.value))
            }
            Self::Object(members) => {
                let (name, node) = members.iter().find(|(name, _)| name.value == step)?;
                Some((name.place, &node.value))
            }
        }
    }
}

/// A number of YAML as JSON writes it: without a plus, and with a digit on both sides of its point.
fn as_json(written: &str) -> Option<Number> {
    let text = written.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let completed = || {
        let (sign, size) = text.strip_prefix('-').map_or(("", text), |size| ("-", size));
        let (mantissa, exponent) = size.split_at(size.find(['e', 'E']).unwrap_or(size.len()));
        let (whole, places) = mantissa.split_once('.')?;
        let digit = |digits: &str| if digits.is_empty() { "0" } else { digits }.to_owned();
        format!("{sign}{}.{}{exponent}", digit(whole), digit(places)).parse().ok()
    };
    text.parse().ok().or_else(completed)
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlNodeVisitor)
    }
}

struct YamlNodeVisitor;

impl<'de> Visitor<'de> for YamlNodeVisitor {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlNode, E> {
        Ok(YamlNode::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Scalar(Value::Null))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlNode, E> {
        Ok(YamlNode::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlNode, E> {
        Ok(YamlNode::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<YamlNode, E> {
        let infinite = || {
            let text = if value > 0.0 { INFINITE.to_owned() } else { format!("-{INFINITE}") };
            text.parse().ok().filter(|_| value.is_infinite())
        };
        let number = Number::from_f64(value).or_else(infinite);
        let scalar = number.map(|number| YamlNode::Scalar(Value::Number(number)));
        scalar.ok_or_else(|| E::custom("`.nan` is no number in JSON"))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlNode, E> {
        Ok(YamlNode::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(YamlNode::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<YamlNode, A::Error> {
        let mut object: Vec<(Placed<String>, Placed<YamlNode>)> = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<Placed<String>>()? {
            // `1` and `"1"` are two keys for YAML and one member for JSON.
            if !names.insert(name.value.clone()) {
                let problem = format!("`{}` is there twice", name.value);
                return Err(serde::de::Error::custom(problem));
            }
            object.push((name, members.next_value()?));
        }
        Ok(YamlNode::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::event::yaml::read_tree;

    #[test]
    fn a_path_leads_to_the_deepest_key_that_is_there() {
        let text = "listen: x\nkeys:\n  directory: ../keys\n  list: [1, 2]\n  n: 1.5\n";
        let tree = read_tree("a.yaml", text).unwrap().value;

        assert_eq!(tree.place_of(["keys", "directory"]), Some((3, 3)));
        assert_eq!(tree.place_of(["keys", "missing"]), Some((2, 1)));
        assert_eq!(tree.place_of(["keys", "list", "1"]), Some((4, 13)));
        assert_eq!(tree.place_of(["missing", "directory"]), None);
    }

    #[test]
    fn numbers_keep_the_digits_of_the_file() {
        let text = "a: &n 0.1234567890123456789\nb: [*n, 123456789012345678901234567890, é, 1.50]\nc: \"1\"\n";

        let tree = read_tree("a.yaml", text).unwrap().value.to_value().to_string();

        assert_eq!(
            tree,
            r#"{"a":0.1234567890123456789,"b":[0.1234567890123456789,123456789012345678901234567890,"é",1.50],"c":"1"}"#
        );
    }

    #[test]
    fn numbers_that_only_yaml_writes_so_keep_their_digits_too() {
        let text = "[+0.1234567890123456789, .1234567890123456789, -.5, +12345678901234567890123]";

        let tree = read_tree("a.yaml", text).unwrap().value.to_value().to_string();

        let expected = "[0.1234567890123456789,0.1234567890123456789,-0.5,12345678901234567890123]";
        assert_eq!(tree, expected);
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let tree = read_tree("a.yaml", "a: &x [1, 2]\nb:\n  - *x\n").unwrap().value;

        assert_eq!(tree.place_of(["b", "0"]), Some((3, 5)));
        assert_eq!(tree.to_value(), json!({"a": [1, 2], "b": [[1, 2]]}));
    }

    #[test]
    fn what_json_cannot_express_is_refused() {
        for (text, problem) in [
            ("a: 1\n1: x\n\"1\": y\n", "`1` is there twice"),
            ("a: 1\nb: .inf\n", "an infinite number"),
        ] {
            let mistake = read_tree("a.yaml", text).unwrap_err();
            assert!(mistake.problem.starts_with(problem), "{mistake}");
        }
    }

    #[test]
    fn unquoted_on_and_off_stay_text_and_versions_stay_text() {
        let tree = read_tree("a.yaml", "on: off\nenum: [on, off, yes, true]\nv: 1.0.0\nn: 07\n");

        assert_eq!(
            tree.unwrap().value.to_value(),
            json!({"on": "off", "enum": ["on", "off", "yes", true], "v": "1.0.0", "n": "07"})
        );
    }

    #[test]
    fn a_repeated_key_is_a_mistake_at_its_place() {
        let mistake = read_tree("a.yaml", "a: 1\nb: 2\na: 3\n").unwrap_err();

        assert_eq!(mistake.place, Some((3, 1)));
        assert_eq!(mistake.problem, "the key `a` stands here twice");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            lines.push(format!("a{level}: &a{level} [{items}]"));
        }

        assert!(read_tree("a.yaml", &lines.join("\n")).is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        // Without optimisation the library takes 40 KiB of stack for a level (6 with it), so this
        // has the stack of a program's main thread.
        let stack = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
        let refused = stack.spawn(|| {
            assert!(read_tree("a.json", &("[".repeat(5000) + &"]".repeat(5000))).is_err());
            let deep: String = (0..200).map(|level| " ".repeat(level) + "a:\n").collect();
            read_tree("a.yaml", &deep).unwrap_err().to_string()
        });
        assert!(refused.unwrap().join().unwrap().contains("nested in more than 64 levels"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = read_tree("a.yaml", &text);
        }

        #[test]
        fn yaml_like_text_never_panics(text in r#"[a-c:\-\[\]{}&*!|>"'#,? \n]{0,120}"#) {
            let _ = read_tree("a.yaml", &text);
        }
    }
}
