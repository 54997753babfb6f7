//! Every contract of the gateway, read and compiled together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::message::{self, Message};
use crate::contract::outline;
use crate::contract::reference::Library;
use crate::contract::text::Text;
use crate::event::Diagnostic;

/// Messages of one contract; real ones have a tenth.
const MAX_MESSAGES: usize = 1_000;

/// One contract: an AsyncAPI document.
#[derive(Debug)]
pub struct Document {
    path: String,
    specification: String,
    title: String,
    version: Arc<str>,
    description: Option<String>,
    text: Arc<str>,
    messages: BTreeMap<String, Arc<Message>>,
}

impl Document {
    /// Its file, below the contracts folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The AsyncAPI version that it is written in.
    pub fn specification(&self) -> &str {
        &self.specification
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its own version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it is about, in CommonMark.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its text, as the domain wrote it.
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its messages, by name.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.values()
    }

    /// A message by its name.
    pub fn message(&self, name: &str) -> Option<&Arc<Message>> {
        self.messages.get(name)
    }
}

/// All contracts.
#[derive(Debug, Default)]
pub struct Catalog {
    documents: BTreeMap<String, Document>,
}

impl Catalog {
    /// Reads all files of the contracts folder, given as texts by their path below it. Files with
    /// an `asyncapi` member are contracts; others are parts that contracts may refer to.
    ///
    /// # Errors
    ///
    /// The caller's turn: every mistake in every file, examples included, each at its place.
    pub fn load(files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut texts = BTreeMap::new();
        for (path, text) in files {
            match Text::read(path, text) {
                Ok(text) => {
                    texts.insert(path.clone(), text);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let library = Library::new(texts);
        let mut documents = BTreeMap::new();
        for path in contracts(&library) {
            let text = files.get(&path).map(String::as_str).unwrap_or_default();
            if let Some(document) = document(&library, &path, text, &mut mistakes) {
                documents.insert(path, document);
            }
        }
        if mistakes.is_empty() { Ok(Self { documents }) } else { Err(mistakes) }
    }

    /// All contracts, by path.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.documents.values()
    }

    /// A contract by its path below the contracts folder.
    pub fn document(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }

    /// A message by its contract's path and its name.
    pub fn message(&self, contract: &str, event: &str) -> Option<&Arc<Message>> {
        self.documents.get(contract)?.message(event)
    }
}

fn contracts(library: &Library) -> Vec<String> {
    let contract = |(_, text): &(&str, &Text)| text.tree().get("asyncapi").is_some();
    library.files().filter(contract).map(|(path, _)| path.to_owned()).collect()
}

fn document(
    library: &Library,
    path: &str,
    text: &str,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Document> {
    let outline = outline::read(library, path, mistakes)?;
    if outline.messages.len() > MAX_MESSAGES {
        let problem = format!("more than {MAX_MESSAGES} messages in one contract");
        mistakes.push(Diagnostic::of_file(path, problem));
        return None;
    }
    let version: Arc<str> = Arc::from(outline.version);
    let mut messages = BTreeMap::new();
    for (name, definition) in &outline.messages {
        let generation = outline.generation;
        let compiled = message::compile(library, generation, &version, name, definition, mistakes);
        if let Some(message) = compiled {
            messages.insert(name.clone(), Arc::new(message));
        }
    }
    Some(Document {
        path: path.to_owned(),
        specification: outline.specification,
        title: outline.title,
        version,
        description: outline.description,
        text: Arc::from(text),
        messages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn load(files: &[(&str, &str)]) -> Result<Catalog, Vec<String>> {
        let files =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let shown = |mistakes: Vec<Diagnostic>| {
            mistakes.into_iter().map(|mistake| mistake.to_string()).collect()
        };
        Catalog::load(&files).map_err(shown)
    }

    #[test]
    fn the_contracts_of_the_demo_describe_its_events() {
        let catalog = load(&[
            ("orders.yaml", include_str!("../../asyncapi/orders.yaml")),
            ("payments.yaml", include_str!("../../asyncapi/payments.yaml")),
        ])
        .unwrap();

        let names: Vec<&str> = catalog
            .documents()
            .flat_map(Document::messages)
            .map(|message| message.name())
            .collect();
        assert_eq!(
            names,
            [
                "Order.Cancelled",
                "Order.Completed",
                "Order.Created",
                "Payment.Failed",
                "Payment.Succeeded"
            ]
        );
        for (contract, event) in
            [("orders.yaml", "Order.Created"), ("payments.yaml", "Payment.Failed")]
        {
            assert!(catalog.absence(contract, event).is_none());
        }
    }
}
