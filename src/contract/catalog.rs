//! Every contract of the gateway, read and compiled together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::message::{self, Message};
use crate::contract::outline;
use crate::contract::reference::Library;
use crate::contract::served;
use crate::contract::text::Text;
use crate::event::Diagnostic;

/// Messages of one contract; real ones have a tenth.
const MAX_MESSAGES: usize = 1_000;

/// One contract: an AsyncAPI document.
#[derive(Debug)]
pub struct ContractDocument {
    path: String,
    specification: String,
    title: String,
    version: Arc<str>,
    description: Option<String>,
    text: Arc<str>,
    messages: BTreeMap<String, Arc<Message>>,
}

impl ContractDocument {
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

    /// Its text, as the domain wrote it; where it refers to other files, one document of all of them,
    /// as JSON.
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
    documents: BTreeMap<String, ContractDocument>,
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
        mistakes.sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
        if mistakes.is_empty() { Ok(Self { documents }) } else { Err(mistakes) }
    }

    /// All contracts, by path.
    pub fn documents(&self) -> impl Iterator<Item = &ContractDocument> {
        self.documents.values()
    }

    /// A contract by its path below the contracts folder.
    pub fn document(&self, path: &str) -> Option<&ContractDocument> {
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
) -> Option<ContractDocument> {
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
    Some(ContractDocument {
        path: path.to_owned(),
        specification: outline.specification,
        title: outline.title,
        version,
        description: outline.description,
        text: served::bundled(library, path).map_or_else(|| Arc::from(text), Arc::from),
        messages,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::ChannelAction;

    type Files = BTreeMap<String, String>;

    fn load(files: &Files) -> Result<Catalog, Vec<String>> {
        let shown =
            |mistakes: Vec<Diagnostic>| mistakes.iter().map(Diagnostic::to_string).collect();
        Catalog::load(files).map_err(shown)
    }

    fn folder(name: &str) -> Files {
        fn add(root: &Path, at: &Path, files: &mut Files) {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(root, &path, files);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    files.insert(name.to_owned(), std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let mut files = Files::new();
        add(&root, &root, &mut files);
        files
    }

    fn good() -> Files {
        let mut files = folder("tests/vectors/asyncapi/good");
        files.remove("events.json");
        files
    }

    #[test]
    fn the_contracts_of_the_demo_describe_its_events() {
        let catalog = load(&folder("asyncapi")).unwrap();

        let names: Vec<&str> = catalog
            .documents()
            .flat_map(ContractDocument::messages)
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
        for message in catalog.documents().flat_map(ContractDocument::messages) {
            assert_eq!((message.action(), message.version()), (Some(ChannelAction::Send), "1.0.0"));
            assert!(!message.examples().is_empty(), "{message:?}");
        }
        let order = catalog.message("orders.yaml", "Order.Created").unwrap();
        assert!(order.check(&json!({"orderId": 101, "amount": 0.5})).is_empty());
        assert_eq!(order.check(&json!({"orderId": 101, "amount": 1, "email": "x"})).len(), 1);
        assert_eq!(order.channels(), ["orders.created"]);
    }

    #[derive(Deserialize)]
    struct Case {
        contract: String,
        event: String,
        data: Value,
        violations: Vec<String>,
    }

    #[test]
    fn messages_of_every_version_take_what_they_describe_and_nothing_else() {
        let catalog = load(&good()).unwrap();
        let cases = include_str!("../../tests/vectors/asyncapi/good/events.json");

        for case in serde_json::from_str::<Vec<Case>>(cases).unwrap() {
            let message = catalog.message(&case.contract, &case.event).unwrap();
            let mut found: Vec<String> = message
                .check(&case.data)
                .into_iter()
                .map(|violation| format!("{} {}", violation.code, violation.pointer))
                .collect();
            found.sort();
            assert_eq!(found, case.violations, "{} {}", case.event, case.data);
        }
    }

    #[test]
    fn traits_override_in_version_2_and_fill_in_in_version_3() {
        let catalog = load(&good()).unwrap();

        let two = catalog.message("lights-2.6.yaml", "Light.Switched").unwrap();
        assert_eq!((two.title(), two.summary()), (None, Some("from the second trait")));
        let three = catalog.message("shop-3.0.yaml", "Sale.Closed").unwrap();
        assert_eq!(three.summary(), Some("from the trait"));
        assert_eq!(three.place(), (7, 7));
    }

    #[test]
    fn what_others_may_subscribe_to_in_version_2_is_what_the_application_sends() {
        let catalog = load(&good()).unwrap();
        let action =
            |contract: &str, event: &str| catalog.message(contract, event).unwrap().action();

        assert_eq!(action("lights-2.6.yaml", "Light.Switched"), Some(ChannelAction::Send));
        assert_eq!(action("lights-2.6.yaml", "SwitchLight"), Some(ChannelAction::Receive));
        assert_eq!(action("shop-3.0.yaml", "Sale.Asked"), Some(ChannelAction::Receive));
        assert_eq!(action("shop-3.0.yaml", "Sale.Opened"), None);
        let switched = catalog.message("lights-2.6.yaml", "Light.Switched").unwrap();
        let mut channels = switched.channels().to_vec();
        channels.sort();
        assert_eq!(channels, ["lights/archive", "lights/{id}/switched"]);
    }

    #[test]
    fn a_served_schema_stands_alone() {
        let catalog = load(&good()).unwrap();

        for message in catalog.documents().flat_map(ContractDocument::messages) {
            let schema = message.schema_json();
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
            let alone = jsonschema::validator_for(schema).unwrap();
            assert!(message.examples().iter().all(|example| alone.is_valid(&example.data)));
        }
    }

    #[test]
    fn every_mistake_is_found_at_its_place() {
        for (name, text) in folder("tests/vectors/asyncapi/bad") {
            let mut files = good();
            files.retain(|path, _| path.starts_with("shared/"));
            files.insert(name.clone(), text.clone());
            let found = load(&files).err().unwrap_or_default();
            let expected: Vec<(&str, &str)> = text
                .lines()
                .filter_map(|line| line.strip_prefix("# expect: ")?.split_once(' '))
                .collect();
            assert!(!expected.is_empty(), "{name}");
            let kept = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(mistake, (place, words))| {
                    mistake.starts_with(&format!("{name}:{place}: ")) && mistake.contains(words)
                });
            assert!(kept, "expected {expected:#?}\nfound {}", found.join("\n"));
        }
    }

    #[test]
    fn a_long_chain_of_references_needs_no_deep_stack() {
        let mut schemas = json!({"s0": {"type": "string"}});
        for level in 1..1500 {
            let next = json!({"$ref": format!("#/components/schemas/s{}", level - 1)});
            schemas[format!("s{level}")] = json!({"properties": {"a": next}});
        }
        let text = json!({
            "asyncapi": "3.0.0", "info": {"title": "t", "version": "1"},
            "channels": {"c": {"messages": {"M": {"payload": {"$ref": "#/components/schemas/s1499"}}}}},
            "components": {"schemas": schemas}
        });

        assert!(load(&Files::from([("a.json".into(), text.to_string())])).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn mutated_documents_never_panic_and_end(
            file in 0..3_usize, at in any::<prop::sample::Index>(), length in 0..40_usize,
            with in r#"[a-z$#/{}\[\]:,
    "0-9.-]{0,12}"#
        ) {
            let mut files = good();
            let name = ["lights-2.6.yaml", "shop-3.0.yaml", "enveloped-3.1.json"][file];
            let text = files.get_mut(name).unwrap();
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.replace_range(start..end, &with);
            let _ = load(&files);
        }

        #[test]
        fn arbitrary_schemas_never_panic_and_data_is_judged_twice_alike(
            schema in schema(), data in data()
        ) {
            let text = json!({
                "asyncapi": "3.0.0", "info": {"title": "t", "version": "1"},
                "channels": {"c": {"messages": {"M": {"payload": schema}}}},
                "components": {"schemas": {"A": schema}}
            });
            let catalog = load(&Files::from([("a.json".into(), text.to_string())]));
            if let Ok(catalog) = catalog {
                let message = catalog.message("a.json", "M").unwrap();
                prop_assert_eq!(message.check(&data), message.check(&data));
            }
        }
    }

    fn schema() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(true)),
            Just(json!({})),
            Just(json!({"type": "object"})),
            Just(json!({"type": "integer"})),
            Just(json!({"$ref": "#/components/schemas/A"})),
            Just(json!({"$ref": "#/components/schemas/B"})),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let word = "(allOf|anyOf|oneOf|items)";
            let single = "(not|if|then|else|additionalProperties|items|contains)";
            let map = "(properties|patternProperties|dependencies)";
            prop_oneof![
                (word, proptest::collection::vec(inner.clone(), 1..3))
                    .prop_map(|(word, list)| json!({ word: list })),
                (single, inner.clone()).prop_map(|(word, one)| json!({ word: one })),
                (map, proptest::collection::btree_map("[a-c]", inner, 0..3))
                    .prop_map(|(word, members)| json!({ word: members })),
            ]
        })
    }

    fn data() -> impl Strategy<Value = Value> {
        Just(json!(1)).prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                proptest::collection::btree_map("[a-d]", inner.clone(), 0..3)
                    .prop_map(|members| json!(members)),
                proptest::collection::vec(inner, 0..3).prop_map(Value::Array),
            ]
        })
    }
}
