//! Every contract of the gateway, read and compiled together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::contract::document::{ContractDocument, ContractMessage};
use crate::contract::message::{self, Message, Surroundings};
use crate::contract::outline::{self, Definition, Outline};
use crate::contract::reference::{Library, Location};
use crate::contract::served;
use crate::contract::survey;
use crate::contract::text::Text;
use crate::event::Diagnostic;

/// Messages of one contract; real ones have a tenth.
const MAX_MESSAGES: usize = 1_000;

/// All contracts.
#[derive(Debug, Default)]
pub struct Catalog {
    documents: BTreeMap<String, ContractDocument>,
    parts: BTreeSet<String>,
    /// Where its files lie, as people are told it.
    folder: Option<String>,
}

impl Catalog {
    /// The same, with the name of the folder in which its files lie.
    pub fn in_folder(self, folder: impl Into<String>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Where its files lie, if that was said.
    pub(super) fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    /// Reads all files of the contracts folder, given as texts by their path below it. Files with
    /// an `asyncapi` member are contracts; others are parts that contracts may refer to.
    ///
    /// Mistakes stop only what they touch: a message that has one is in the catalog and cannot be
    /// published. [`Catalog::diagnostics`] has all mistakes, and a gate says which of them count.
    pub fn load(files: &BTreeMap<String, String>) -> Self {
        let mut texts = BTreeMap::new();
        let mut catalog = Self::default();
        for (path, text) in files {
            match Text::read(path, text) {
                Ok(text) => {
                    texts.insert(path.clone(), text);
                }
                Err(mistake) => catalog.insert(ContractDocument::unreadable(path, mistake)),
            }
        }
        let unreadable = catalog.documents.keys().cloned().collect();
        let library = Library::new(texts).with_unreadable(unreadable);
        for (path, text) in library.files() {
            if text.tree().get("asyncapi").is_none() {
                catalog.parts.insert(path.to_owned());
                continue;
            }
            let text = files.get(path).map(String::as_str).unwrap_or_default();
            catalog.insert(document(&library, path, text));
        }
        catalog
    }

    fn insert(&mut self, document: ContractDocument) {
        self.documents.insert(document.path().to_owned(), document);
    }

    /// All contracts that can be read, by path.
    pub fn documents(&self) -> impl Iterator<Item = &ContractDocument> {
        self.documents.values().filter(|document| document.is_readable())
    }

    /// A contract that can be read, by its path below the contracts folder.
    pub fn document(&self, path: &str) -> Option<&ContractDocument> {
        self.documents.get(path).filter(|document| document.is_readable())
    }

    /// Every file that was read or should have been, also those that cannot be read.
    pub(super) fn files(&self) -> impl Iterator<Item = &ContractDocument> {
        self.documents.values()
    }

    /// Whether a file is none of a contract but a part that contracts may refer to.
    pub(super) fn is_part(&self, path: &str) -> bool {
        self.parts.contains(path)
    }

    /// A message that can be published, by its contract's path and its name.
    pub fn message(&self, contract: &str, event: &str) -> Option<&Arc<Message>> {
        self.document(contract)?.message(event)
    }
}

fn document(library: &Library, path: &str, text: &str) -> ContractDocument {
    let mut outline = match outline::read(library, path) {
        Ok(outline) => outline,
        Err(mistake) => return ContractDocument::unreadable(path, mistake),
    };
    if outline.definitions.len() > MAX_MESSAGES {
        let problem = format!("more than {MAX_MESSAGES} messages in one contract");
        outline.mistakes.push(Diagnostic::of_file(path, problem));
        outline.definitions.clear();
    }
    let version: Arc<str> = Arc::from(outline.version.as_str());
    let definitions = std::mem::take(&mut outline.definitions);
    let surroundings = Surroundings {
        library,
        generation: outline.generation,
        version: &version,
        content_type: outline.content_type.as_ref(),
    };
    let messages = definitions.into_iter().map(|one| contract_message(surroundings, one)).collect();
    let survey = survey::of(library, &Location::root(path), outline.generation);
    let Outline { specification, title, description, mistakes, mut remarks, .. } = outline;
    remarks.extend(survey);
    let remarks = remarks.into_iter().map(Diagnostic::into_warning).collect();
    let text: Arc<str> = served::bundled(library, path).map_or_else(|| Arc::from(text), Arc::from);
    ContractDocument {
        path: path.to_owned(),
        specification,
        title,
        version,
        description,
        digest: Sha256::digest(text.as_bytes()).into(),
        text,
        messages,
        mistakes,
        remarks,
    }
}

fn contract_message(surroundings: Surroundings<'_>, definition: Definition) -> ContractMessage {
    let mut mistakes = definition.mistakes.clone();
    let is_there = definition.is_there;
    let message = is_there.then(|| message::compile(surroundings, &definition, &mut mistakes));
    let text = |field: &str| definition.fields.text(field).map(str::to_owned);
    ContractMessage {
        name: definition.identity.label(surroundings.generation).to_owned(),
        title: text("title"),
        summary: text("summary"),
        action: definition.action,
        place: surroundings.library.place(&definition.at),
        identity: definition.identity,
        message: message.flatten().map(Arc::new),
        mistakes,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::ChannelAction;
    use crate::contract::document::Found;
    use crate::event::Severity;

    type Files = BTreeMap<String, String>;

    /// Everything that is wrong in a catalog.
    fn told(catalog: &Catalog) -> Vec<String> {
        catalog.diagnostics().iter().map(Diagnostic::to_string).collect()
    }

    /// A catalog in which nothing is wrong.
    fn load(files: &Files) -> Result<Catalog, Vec<String>> {
        let catalog = Catalog::load(files);
        let told = told(&catalog);
        if told.is_empty() { Ok(catalog) } else { Err(told) }
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
        assert!(catalog.message("lights-2.6.yaml", "not.this.one").is_none());
        assert!(catalog.message("shop-3.0.yaml", "not.this.one").is_none());
    }

    #[test]
    fn what_others_may_subscribe_to_in_version_2_is_what_the_application_sends() {
        let catalog = load(&good()).unwrap();
        let action =
            |contract: &str, event: &str| catalog.message(contract, event).unwrap().action();

        assert_eq!(action("lights-2.6.yaml", "Light.Switched"), Some(ChannelAction::Send));
        assert_eq!(action("lights-2.6.yaml", "SwitchLight"), Some(ChannelAction::Receive));
        assert_eq!(action("shop-3.0.yaml", "Sale.Asked"), Some(ChannelAction::Receive));
        let shop = catalog.document("shop-3.0.yaml").unwrap().contract_messages();
        let published: Vec<_> =
            shop.iter().map(|one| (one.name(), one.can_be_published())).collect();
        assert_eq!(
            published,
            [("Sale.Asked", false), ("Sale.Closed", true), ("Sale.Opened", true)]
        );
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

    /// What is wrong in a catalog, in the words of a vector's first lines, `# expect: line:column
    /// words`: in full, so that a new vector can take them from here.
    fn lines(catalog: &Catalog, name: &str) -> Vec<String> {
        let line = |one: &Diagnostic| {
            let kind = if one.severity == Severity::Warning { "-warning" } else { "" };
            let file = if one.file == name { String::new() } else { format!("{}:", one.file) };
            let (line, column) = one.place.unwrap_or_default();
            format!("# expect{kind}: {file}{line}:{column} {}", one.problem)
        };
        catalog.diagnostics().iter().map(line).collect()
    }

    /// How a vector differs from what its first lines expect; the words may be the beginning of
    /// those that are found, after the place.
    fn difference(catalog: &Catalog, name: &str, text: &str) -> String {
        let (found, told) = (lines(catalog, name), catalog.diagnostics());
        let expected: Vec<&str> =
            text.lines().filter(|line| line.starts_with("# expect")).collect();
        let fits = |index: usize| {
            let words = expected[index].splitn(4, ' ').nth(3).unwrap();
            let place = expected[index].strip_suffix(words).unwrap();
            let told = told[index].to_string();
            found[index].starts_with(place) && told.contains(words)
        };
        let same = found.len() == expected.len() && (0..found.len()).all(fits);
        if same { String::new() } else { format!("\n== {name} has\n{}", found.join("\n")) }
    }

    #[test]
    fn every_mistake_is_found_at_its_place() {
        let mut differences = String::new();
        for (name, text) in folder("tests/vectors/asyncapi/bad") {
            assert!(text.starts_with("# expect"), "{name}");
            let mut files = good();
            files.retain(|path, _| path.starts_with("shared/"));
            files.insert(name.clone(), text.clone());
            differences += &difference(&Catalog::load(&files), &name, &text);
        }
        assert!(differences.is_empty(), "{differences}");
    }

    /// How a reference is answered: by the place of a message, or by why there is none.
    fn answer(document: &ContractDocument, reference: &str) -> String {
        match document.of_reference(reference) {
            Found::Nothing => "nothing".to_owned(),
            Found::Several(_) => "several".to_owned(),
            Found::One(one) => {
                let (line, column) = one.place();
                let may = if one.can_be_published() { "" } else { " unpublishable" };
                format!("{line}:{column}{may}")
            }
        }
    }

    #[test]
    fn documents_of_teams_are_read_and_their_messages_found() {
        let all = folder("tests/vectors/asyncapi/teams");
        let is_part = |path: &str| path.starts_with("parts/");
        let mut differences = String::new();
        for (name, text) in all.iter().filter(|(path, _)| !is_part(path)) {
            let mut files = all.clone();
            files.retain(|path, _| is_part(path) || path == name);
            let catalog = Catalog::load(&files);
            differences += &difference(&catalog, name, text);
            let document = catalog.document(name).unwrap();
            let found = text.lines().filter_map(|line| line.strip_prefix("# finds: "));
            let found: Vec<_> = found.map(|line| line.rsplit_once(" => ").unwrap()).collect();
            assert!(!found.is_empty(), "{name}");
            for (reference, expected) in found {
                let answer = answer(document, reference);
                if answer != expected {
                    let finds = ["\n== ", name, " finds ", reference, " => ", &answer];
                    differences += &finds.concat();
                }
            }
        }
        assert!(differences.is_empty(), "{differences}");
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
            let catalog = Catalog::load(&files);
            let _ = catalog.diagnostics();
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
            let catalog = Catalog::load(&Files::from([("a.json".into(), text.to_string())]));
            if let Some(message) = catalog.message("a.json", "M") {
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
