//! Finds every part of a YAML document that does not fit its type, not only the first.
//!
//! A reader of a type stops at the first mistake. So the part that it stopped at is taken out of the
//! tree, and what is left is read again, until it fits or nothing more can be taken out. What is left
//! is written as JSON on one line, which is YAML too, and each part of which knows its way back.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::yaml::{read, read_tree};
use crate::event::{Diagnostic, Placed, YamlNode};

/// Mistakes of one document that are told; more help nobody.
const MAX_MISTAKES: usize = 50;

/// What came of a document that does not fit its type.
pub struct YamlPieces<T> {
    /// Every part that does not fit, at its place.
    pub mistakes: Vec<Diagnostic>,
    /// The document without those parts, if it fits then.
    pub rest: Option<T>,
    /// The text that the rest was read from.
    pub text: String,
    /// The way back from places of that text.
    pub places: YamlPlaces,
    /// Where the mappings and lists of the file begin that something was taken out of.
    pub torn: Vec<(usize, usize)>,
}

/// Where the parts of a text on one line stand in the file that it was written from.
#[derive(Default)]
pub struct YamlPlaces(Vec<Mark>);

/// Where a part of the text on one line begins, and what it was.
struct Mark {
    /// In characters, from 1.
    column: usize,
    /// The members and items, by their index, that lead to it.
    path: Vec<usize>,
    is_name: bool,
    place: (usize, usize),
}

impl YamlPlaces {
    /// The line and column in the file of a column of the text, each from 1.
    pub fn place(&self, column: usize) -> Option<(usize, usize)> {
        mark_at(&self.0, column).map(|mark| mark.place)
    }
}

/// Reads one document, and finds every mistake in it.
///
/// # Errors
///
/// The caller's turn: the document is not YAML, or parts of it do not fit the type.
pub fn read_whole<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Vec<Diagnostic>> {
    read(file, text).map_err(|first| read_pieces::<T>(file, text, *first).mistakes)
}

/// Reads what can be read of a document that does not fit its type, as `first` says.
pub fn read_pieces<T: DeserializeOwned>(
    file: &str,
    text: &str,
    first: Diagnostic,
) -> YamlPieces<T> {
    let mut pieces = YamlPieces {
        mistakes: Vec::new(),
        rest: None,
        text: String::new(),
        places: YamlPlaces::default(),
        torn: Vec::new(),
    };
    let Ok(mut tree) = read_tree(file, text) else {
        pieces.mistakes.push(first);
        return pieces;
    };
    let mut torn: Vec<Torn> = Vec::new();
    for _ in 0..MAX_MISTAKES {
        let (text_now, marks) = written(&tree);
        let outcome = read::<T>(file, &text_now);
        (pieces.text, pieces.places) = (text_now, YamlPlaces(marks));
        let mistake = match outcome {
            Ok(rest) => {
                pieces.rest = Some(rest);
                break;
            }
            Err(mistake) => *mistake,
        };
        let Some(misfit) = Misfit::of(mistake, &pieces.places.0, &torn) else { break };
        let taken = take_out(&mut tree, &misfit.path, misfit.is_name);
        if let Some((place, name)) = &taken {
            torn.push(Torn { place: *place, words: format!("`{name}` {}", misfit.help) });
        }
        if !misfit.is_consequence {
            let told = Diagnostic::at(file, text, misfit.place, misfit.problem);
            pieces.mistakes.push(told.with_help(misfit.help));
        }
        if taken.is_none() {
            break;
        }
    }
    if pieces.mistakes.is_empty() {
        pieces.mistakes.push(first);
    }
    pieces.mistakes.sort_by_key(|mistake| mistake.place);
    pieces.torn = torn.into_iter().map(|torn| torn.place).collect();
    pieces
}

/// A part that something was taken out of.
struct Torn {
    place: (usize, usize),
    /// What was taken out, in words: it is then missed there.
    words: String,
}

/// A part that does not fit.
struct Misfit {
    path: Vec<usize>,
    is_name: bool,
    /// Where it is in the file.
    place: (usize, usize),
    problem: String,
    help: String,
    /// Whether it fits no longer because of what was taken out.
    is_consequence: bool,
}

impl Misfit {
    /// Finds the part that a mistake is about.
    fn of(mistake: Diagnostic, marks: &[Mark], torn: &[Torn]) -> Option<Self> {
        let column = mistake.place.filter(|(line, _)| *line == 1).map(|(_, column)| column);
        let mark = mark_at(marks, column?)?;
        let Diagnostic { problem, help, .. } = mistake;
        let missing =
            problem.strip_prefix("the key ").and_then(|rest| rest.strip_suffix(" is missing"));
        // What is missing is told at the first member of the object that lacks it.
        let up = usize::from(missing.is_some() && mark.is_name);
        let path = mark.path.get(..mark.path.len().saturating_sub(up)).unwrap_or_default();
        let is_consequence = missing.is_some_and(|missing| {
            let object = marks.iter().find(|one| one.path == path && !one.is_name);
            torn.iter().any(|torn| {
                object.is_some_and(|object| object.place == torn.place)
                    && torn.words.contains(missing)
            })
        });
        let is_name = mark.is_name && missing.is_none();
        let path = path.to_vec();
        Some(Self { path, is_name, place: mark.place, problem, help, is_consequence })
    }
}

fn mark_at(marks: &[Mark], column: usize) -> Option<&Mark> {
    let before = marks.partition_point(|mark| mark.column <= column);
    marks.get(before.checked_sub(1)?)
}

/// Takes a part out and gives the place of the object or array that had it, and its name; nothing if the part is
/// the whole.
///
/// Of a list within the item of a list, the whole item goes: what is left of it would be missed.
fn take_out(
    tree: &mut Placed<YamlNode>,
    path: &[usize],
    is_name: bool,
) -> Option<((usize, usize), String)> {
    let arrays = arrays_on(tree, path);
    let length = match arrays.as_slice() {
        [_, .., inner] if !is_name => inner + 1,
        _ => path.len(),
    };
    let (last, around) = path.get(..length)?.split_last()?;
    let mut at = tree;
    for index in around {
        at = match &mut at.value {
            YamlNode::Array(items) => items.get_mut(*index)?,
            YamlNode::Object(members) => &mut members.get_mut(*index)?.1,
            YamlNode::Scalar(_) => return None,
        };
    }
    let name = match &mut at.value {
        YamlNode::Array(items) if *last < items.len() => {
            items.remove(*last);
            String::new()
        }
        YamlNode::Object(members) if *last < members.len() => members.remove(*last).0.value,
        _ => return None,
    };
    Some((at.place, name))
}

/// How many steps of a path lead to each array on it.
fn arrays_on(tree: &Placed<YamlNode>, path: &[usize]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = tree;
    for (depth, index) in path.iter().enumerate() {
        at = match &at.value {
            YamlNode::Array(items) => {
                found.push(depth);
                let Some(item) = items.get(*index) else { break };
                item
            }
            YamlNode::Object(members) => match members.get(*index) {
                Some((_, member)) => member,
                None => break,
            },
            YamlNode::Scalar(_) => break,
        };
    }
    found
}

/// Writes a tree as JSON on one line, with a mark for each part of it.
fn written(tree: &Placed<YamlNode>) -> (String, Vec<Mark>) {
    let mut writer = Writer { text: String::new(), characters: 0, marks: Vec::new() };
    writer.write(tree, &mut Vec::new());
    (writer.text, writer.marks)
}

struct Writer {
    text: String,
    characters: usize,
    marks: Vec<Mark>,
}

impl Writer {
    fn write(&mut self, node: &Placed<YamlNode>, path: &mut Vec<usize>) {
        self.mark(node.place, path, false);
        match &node.value {
            YamlNode::Scalar(value) => self.push(&value.to_string()),
            YamlNode::Array(items) => {
                self.push("[");
                for (index, item) in items.iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" });
                    path.push(index);
                    self.write(item, path);
                    path.pop();
                }
                self.push("]");
            }
            YamlNode::Object(members) => {
                self.push("{");
                for (index, (name, member)) in members.iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" });
                    path.push(index);
                    self.mark(name.place, path, true);
                    self.push(&Value::from(name.value.as_str()).to_string());
                    self.push(": ");
                    self.write(member, path);
                    path.pop();
                }
                self.push("}");
            }
        }
    }

    fn mark(&mut self, place: (usize, usize), path: &[usize], is_name: bool) {
        self.marks.push(Mark { column: self.characters + 1, path: path.to_vec(), is_name, place });
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.characters += text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Order {
        name: String,
        #[serde(default)]
        count: u8,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        sku: Placed<String>,
        #[serde(default)]
        steps: Vec<Step>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Step {
        op: String,
        at: Option<u8>,
    }

    const TEXT: &str = "\
name: a
cuont: 1
count: many
lines:
  - sku: [x]
    stps: []
  - sku: y
    steps:
      - { op: a, at: no }
      - { op: b, ta: 1 }
      - { at: 2 }
  - { steps: [] }
  - { sku: z }
";

    #[test]
    fn every_part_that_does_not_fit_is_found_at_its_place_and_once() {
        let first = *read::<Order>("a.yaml", TEXT).unwrap_err();
        let pieces = read_pieces::<Order>("a.yaml", TEXT, first);

        let shown: Vec<String> = pieces
            .mistakes
            .iter()
            .map(|mistake| mistake.to_string().lines().next().unwrap().to_owned())
            .collect();
        let starts = [
            ("a.yaml:2:1: ", "unknown key `cuont`"),
            ("a.yaml:3:8: ", ""),
            ("a.yaml:5:", ""),
            ("a.yaml:6:5: ", "unknown key `stps`"),
            ("a.yaml:9:22: ", ""),
            ("a.yaml:10:18: ", "unknown key `ta`"),
            ("a.yaml:11:11: ", "`op` is missing"),
            ("a.yaml:12:7: ", "`sku` is missing"),
        ];
        assert_eq!(shown.len(), starts.len(), "{shown:#?}");
        for (shown, (place, words)) in shown.iter().zip(starts) {
            assert!(shown.starts_with(place) && shown.contains(words), "{shown}");
        }
        let rest = pieces.rest.as_ref().unwrap();
        let kept: Vec<&str> = rest.lines.iter().map(|line| line.sku.value.as_str()).collect();
        assert_eq!(kept, ["y", "z"]);
        assert_eq!(rest.lines[0].steps.len(), 1);
        assert_eq!(pieces.places.place(rest.lines[1].sku.place.1), Some((13, 12)));
    }

    #[test]
    fn what_is_no_yaml_is_one_mistake() {
        for text in ["", "a: [", "a: 1\na: 2\n", "- 1\n"] {
            assert_eq!(read_whole::<Order>("a.yaml", text).unwrap_err().len(), 1, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_go_on_for_ever(
            text in r#"(name|lines|sku|op|steps|: |\n|  |- |\[|\]|\{|\}|,|1|x|&a |\*a|"|'|é){0,40}"#
        ) {
            let _ = read_whole::<Order>("a.yaml", &text);
        }
    }
}
