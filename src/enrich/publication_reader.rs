//! What reading a file of publications needs everywhere: pointers, patterns and values, with each
//! mistake at its place.

use std::sync::Arc;

use json_patch::jsonptr::{PointerBuf, Token};
use serde_json::Value;

use crate::enrich::marked::Marks;
use crate::enrich::noticed;
use crate::enrich::patch_effort::LIMITS;
use crate::enrich::publication::PublicationFile;
use crate::enrich::{CrossingProblem, Numbers};
use crate::event::number::{crossing_text, is_exact};
use crate::event::{Diagnostic, Placed, YamlNode, is_false_index, yaml};
use crate::route::Pattern;

/// Reads the parts of one file, and notes what is wrong with them.
pub(super) struct PublicationReader<'a> {
    /// What is read: the text of the file, or of what is left of it.
    pub text: &'a str,
    /// What has to be mended.
    pub mistakes: Vec<Diagnostic>,
    /// What is only told.
    pub warnings: Vec<Diagnostic>,
    /// What the publication that is read wants of numbers.
    pub numbers: Numbers,
    /// The file, for what is found later.
    pub origin: Arc<PublicationFile>,
    /// The file as a tree, in which keys have places too.
    pub tree: YamlNode,
    /// What was noticed of the file as a whole, for its first publication.
    pub noticed: Vec<Diagnostic>,
}

impl<'a> PublicationReader<'a> {
    /// Begins to read the text of a file, or what is left of it.
    pub fn of(text: &'a str, origin: PublicationFile) -> Self {
        // A file that is too deep for a tree has places all the same, but not of its keys.
        let tree = yaml::read_tree(&origin.name, text)
            .map_or(YamlNode::Array(Vec::new()), |tree| tree.value);
        Self {
            text,
            mistakes: Vec::new(),
            warnings: Vec::new(),
            numbers: Numbers::Keep,
            origin: Arc::new(origin),
            tree,
            noticed: Vec::new(),
        }
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, at: (usize, usize), problem: impl Into<String>, help: &str) {
        self.mistakes.push(self.origin.mistake(at, problem).with_help(help));
    }

    /// Notes what is told and stops nothing.
    pub fn warning(&mut self, at: (usize, usize), problem: impl Into<String>, help: &str) {
        let diagnostic = self.origin.mistake(at, problem).with_help(help);
        self.warnings.push(diagnostic.into_warning());
    }

    /// Tells what was noticed of a publication that is dropped.
    pub fn tell(&mut self, noticed: Vec<Diagnostic>) {
        let (mut errors, mut warnings): (Vec<_>, Vec<_>) =
            noticed.into_iter().partition(Diagnostic::is_error);
        self.mistakes.append(&mut errors);
        self.warnings.append(&mut warnings);
    }

    /// Gives the value, or notes the mistake at the place of the text.
    pub fn checked<T, E: std::error::Error>(
        &mut self,
        text: &Placed<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
        help: &str,
    ) -> Option<T> {
        read(&text.value).map_err(|error| self.mistake(text.place, error.to_string(), help)).ok()
    }

    /// Reads a pattern over the envelope.
    pub fn pattern(&mut self, when: &Placed<YamlNode>) -> Option<Pattern> {
        let unknown = noticed::unknown_fields(when).into_iter();
        self.noticed.extend(unknown.map(|notice| notice.shown(&self.origin)));
        let marks = Marks::of(&when.clone().with_exact_numbers(self.text));
        Pattern::priced(marks.text())
            .map_err(|error| {
                let at = marks.place(error.column).unwrap_or(when.place);
                self.mistake(at, error.message, &error.help);
            })
            .ok()
    }

    /// Reads a pointer.
    pub fn pointer(&mut self, text: &Placed<String>) -> Option<PointerBuf> {
        self.pointer_at(&text.value, text.place)
    }

    /// Reads a pointer that stands at a place.
    pub fn pointer_at(&mut self, text: &str, place: (usize, usize)) -> Option<PointerBuf> {
        if text.len() > LIMITS.pointer {
            self.mistake(place, "a pointer has at most 1024 bytes", "");
            return None;
        }
        let help = "a JSON Pointer (RFC 6901) starts with `/`; write `~` as `~0`, `/` as `~1`";
        let Ok(pointer) = PointerBuf::parse(text) else {
            self.mistake(place, format!("`{text}` is not a pointer"), help);
            return None;
        };
        // Below `/detail`, an object of the producer may have such a member.
        let is_of_arrays = |first: Token<'_>| matches!(first.encoded(), "data" | "resources");
        let is_negative = |token: &str| token.starts_with('-') && is_false_index(token);
        if pointer.first().is_some_and(is_of_arrays)
            && let Some(token) = pointer.tokens().find(|token| is_negative(token.encoded()))
        {
            let problem = format!("no array has an item `{}`", token.encoded());
            let help = "items count from 0; `-` is the place after the last one, to add there";
            self.mistake(place, problem, help);
            return None;
        }
        Some(pointer)
    }

    /// The value, all of whose numbers must be able to cross.
    pub fn exact(&mut self, marked: &Placed<YamlNode>, numbers: Numbers) -> Value {
        let marked = &marked.clone().with_exact_numbers(self.text);
        let mut around = vec![marked];
        while let Some(node) = around.pop() {
            match &node.value {
                YamlNode::Scalar(Value::Number(number)) => {
                    let fault = crossing_text(number.as_str()).err().map(|fault| fault.to_string());
                    let refused = numbers == Numbers::Refuse && !is_exact(number.as_str());
                    let refused = refused.then(|| CrossingProblem::Inexact.to_string());
                    if let Some(problem) = fault.or(refused) {
                        self.mistake(node.place, problem, "write it as text, in quotes");
                    }
                }
                YamlNode::Scalar(_) => {}
                YamlNode::Array(items) => around.extend(items),
                YamlNode::Object(members) => around.extend(members.iter().map(|(_, node)| node)),
            }
        }
        marked.value.to_value()
    }
}
