//! Follows `$ref` inside a file and to files beside it, and nowhere else.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::pointer;
use crate::contract::text::Text;
use crate::event::Diagnostic;

/// References in a row before giving up; a circle ends here too.
const MAX_HOPS: usize = 32;

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Location {
    pub(super) file: String,
    pub(super) pointer: String,
}

impl Location {
    pub(super) fn root(file: &str) -> Self {
        Self { file: file.to_owned(), pointer: String::new() }
    }

    /// A member or item of this part.
    pub(super) fn child(&self, token: &str) -> Self {
        Self { file: self.file.clone(), pointer: pointer::join(&self.pointer, token) }
    }

    /// The last token: the name under which this part stands.
    pub(super) fn name(&self) -> String {
        pointer::tokens(&self.pointer).last().unwrap_or_default().into_owned()
    }
}

/// All files of the contracts folder.
pub(super) struct Library {
    files: BTreeMap<String, Text>,
}

impl Library {
    pub(super) fn new(files: BTreeMap<String, Text>) -> Self {
        Self { files }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text))
    }

    /// What stands at a location, references not followed.
    pub(super) fn value(&self, at: &Location) -> Option<&Value> {
        self.files.get(&at.file)?.tree().pointer(&at.pointer)
    }

    /// The text of a member, if it is one.
    pub(super) fn text(&self, at: &Location, member: &str) -> Option<&str> {
        self.value(at)?.get(member)?.as_str()
    }

    /// Line and column of a location.
    pub(super) fn place(&self, at: &Location) -> (usize, usize) {
        self.files.get(&at.file).map_or((1, 1), |text| text.place(&at.pointer))
    }

    /// A mistake at a location.
    pub(super) fn mistake(&self, at: &Location, problem: impl Into<String>) -> Diagnostic {
        match self.files.get(&at.file) {
            Some(text) => text.mistake(&at.pointer, problem),
            None => Diagnostic::of_file(&at.file, problem),
        }
    }

    /// Where one reference, which stands at a place, leads.
    pub(super) fn step(&self, at: &Location, reference: &str) -> Result<Location, Diagnostic> {
        self.follow(at, reference, &mut 0)
    }

    /// Follows references until something that is none.
    pub(super) fn settle(&self, at: Location) -> Result<Location, Diagnostic> {
        self.settle_within(at, &mut 0)
    }

    fn settle_within(&self, mut at: Location, hops: &mut usize) -> Result<Location, Diagnostic> {
        while let Some(reference) = self.value(&at).and_then(|value| value.get("$ref")) {
            let place = at.child("$ref");
            let Some(reference) = reference.as_str() else {
                return Err(self.mistake(&place, "`$ref` is not a text"));
            };
            *hops += 1;
            if *hops > MAX_HOPS {
                let problem = format!("more than {MAX_HOPS} references in a row, or a circle");
                return Err(self.mistake(&place, problem));
            }
            at = self.follow(&place, reference, hops)?;
        }
        Ok(at)
    }

    fn follow(
        &self,
        at: &Location,
        reference: &str,
        hops: &mut usize,
    ) -> Result<Location, Diagnostic> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let refuse = |problem: &str, help: &str| self.mistake(at, problem).with_help(help);
        let file = match address {
            "" => at.file.clone(),
            address => {
                sibling(&at.file, address).map_err(|(problem, help)| refuse(problem, help))?
            }
        };
        if !self.files.contains_key(&file) {
            let problem = format!("there is no `{file}` below the contracts folder");
            return Err(self.mistake(at, problem));
        }
        let Some(fragment) = percent_decoded(fragment) else {
            return Err(refuse("`$ref` has a broken percent escape", "write `%` as `%25`"));
        };
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let help = "write a JSON Pointer, for example `#/components/schemas/Money`";
            return Err(refuse("`$ref` does not name a place by its path", help));
        }
        let mut target = Location::root(&file);
        for token in pointer::tokens(&fragment) {
            // A path may lead through another reference, such as a channel that is itself one.
            if self.value(&target).is_some_and(|value| value.get(&*token).is_none()) {
                target = self.settle_within(target, hops)?;
            }
            let next = target.child(&token);
            if self.value(&next).is_none() {
                let problem = format!("`{reference}` leads nowhere: there is no `{token}`");
                let help = "check the spelling; a `/` inside a name is written `~1`, a `~` is `~0`";
                return Err(self.mistake(at, problem).with_help(help));
            }
            target = next;
        }
        Ok(target)
    }
}

type ReferenceRefusal = (&'static str, &'static str);

/// The path, below the contracts folder, of a file named from another one.
fn sibling(from: &str, address: &str) -> Result<String, ReferenceRefusal> {
    let scheme = address.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if scheme || address.starts_with("//") {
        let help = "copy the file below the contracts folder and refer to it by its path";
        return Err(("remote references are never fetched", help));
    }
    let help = "refer to a file below the contracts folder by its relative path";
    let outside = ("`$ref` leads out of the contracts folder", help);
    let address = percent_decoded(address).ok_or(("`$ref` has a broken percent escape", help))?;
    if address.starts_with('/') || address.contains(['\\', '\0']) {
        return Err(outside);
    }
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for part in address.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop().ok_or(outside)?;
            }
            part => path.push(part),
        }
    }
    Ok(path.join("/"))
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let code = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(code).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(files: &[(&str, &str)]) -> Library {
        let read = |(path, text): &(&str, &str)| {
            ((*path).to_owned(), Text::read(path, text).expect("readable"))
        };
        Library::new(files.iter().map(read).collect())
    }

    fn settle(library: &Library, pointer: &str) -> Result<String, String> {
        let at = Location { file: "a/b.yaml".into(), pointer: pointer.into() };
        let found = library.settle(at).map_err(|mistake| mistake.to_string())?;
        Ok(format!("{}#{}", found.file, found.pointer))
    }

    #[test]
    fn references_lead_through_files_escapes_and_other_references() {
        let library = library(&[
            ("a/b.yaml", "x: {$ref: '#/y~1z'}\ny/z: {$ref: '../c.yaml#/d%20e/f'}\n"),
            ("c.yaml", "d e: {$ref: './a/g.json'}\n"),
            ("a/g.json", "{\"f\": {\"type\": \"string\"}}"),
        ]);

        assert_eq!(settle(&library, "/x").unwrap(), "a/g.json#/f");
    }

    #[test]
    fn remote_escaping_dangling_and_circular_references_are_refused_with_their_place() {
        for (reference, expected) in [
            ("https://example.com/a.yaml", "never fetched"),
            ("file:///etc/passwd", "never fetched"),
            ("//example.com/a.yaml", "never fetched"),
            ("../../secret.yaml", "leads out of"),
            ("/etc/passwd", "leads out of"),
            ("%2e%2e/%2e%2e/x.yaml", "leads out of"),
            ("..\\x.yaml", "leads out of"),
            ("other.yaml", "there is no `a/other.yaml`"),
            ("#/missing", "leads nowhere"),
            ("#name", "does not name a place by its path"),
            ("#/%zz", "broken percent escape"),
            ("#/x", "circle"),
            ("#/x/deeper", "circle"),
        ] {
            let text = format!("y: 1\nx: {{$ref: '{reference}'}}\n");
            let mistake = settle(&library(&[("a/b.yaml", &text)]), "/x").unwrap_err();
            assert!(mistake.contains(expected), "{reference}: {mistake}");
            assert!(mistake.starts_with("a/b.yaml:2:5: "), "{reference}: {mistake}");
        }
    }
}
