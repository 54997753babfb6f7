//! Reads one file of publications, and finds every mistake in it at its place.

use std::sync::Arc;

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::ambient::HumanDuration;
use crate::enrich::marked::Marks;
use crate::enrich::noticed;
use crate::enrich::patch::LIMITS;
use crate::enrich::publication::PublicationFile;
use crate::enrich::{CrossingProblem, Mode, Numbers, Patch, Publication, PublicationPlaces};
use crate::event::number::{crossing_text, is_exact};
use crate::event::{Diagnostic, EventSource, EventType, Placed, YamlNode, read_pieces, yaml};
use crate::route::Pattern;

/// What one domain lets cross the border.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    /// The domain's name: letters, digits, `-`, `_` and `.`.
    #[schemars(with = "String")]
    domain: Placed<String>,
    /// The AsyncAPI document that describes the events, `asyncapi/payments.yaml`.
    #[schemars(with = "String")]
    contract: Placed<String>,
    /// The CloudEvents `source` of the events, a URI reference such as `/payments`.
    #[schemars(with = "String")]
    source: Placed<String>,
    /// What stands before the event name in the CloudEvents `type`, with its dot: `com.example.`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    type_prefix: Option<Placed<String>>,
    /// Constants that patches find below `/context`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    context: Option<Placed<YamlNode>>,
    /// What crosses.
    #[schemars(with = "Vec<Item>")]
    publications: Vec<Placed<Item>>,
}

/// One kind of event that crosses.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Item {
    /// The name of the message in the contract, by custom `Entity.Event`.
    #[schemars(with = "String")]
    event: Placed<String>,
    /// An EventBridge pattern over the envelope: which internal events become this one.
    #[schemars(with = "serde_json::Map<String, Value>")]
    when: Placed<YamlNode>,
    /// Pointer to the text that makes the third level of the name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    metadata: Option<Placed<String>>,
    /// Pointer to the CloudEvents `subject`; without it, the subject is the event's name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    subject: Option<Placed<String>>,
    /// JSON Patch (RFC 6902) that moves public data from the envelope to `/data`.
    #[schemars(with = "Vec<Operation>")]
    patch: Vec<Placed<Operation>>,
    /// Pointers below `/data` that make the idempotency key; without them, all content does.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    key: Vec<Placed<String>>,
    /// For how long an event with equal content is taken for a repeat; without it, never.
    #[serde(default)]
    deduplicate: Option<HumanDuration>,
    /// What happens to an event that breaks its contract.
    #[serde(default)]
    mode: Mode,
    /// What happens to a number that not every JSON library reads alike: `keep` lets it cross with
    /// all its digits, `refuse` refuses the event.
    #[serde(default)]
    numbers: Numbers,
}

/// One operation of a JSON Patch.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Operation {
    /// `add`, `remove`, `replace`, `move`, `copy` or `test`.
    #[schemars(with = "String")]
    op: Placed<String>,
    /// Where the value comes from, for `move` and `copy`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    from: Option<Placed<String>>,
    /// What is written, or tested.
    #[schemars(with = "String")]
    path: Placed<String>,
    /// The value, for `add`, `replace` and `test`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    value: Option<Placed<YamlNode>>,
}

/// Tells `value: null` from no value.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Placed<YamlNode>>, D::Error> {
    Placed::deserialize(deserializer).map(Some)
}

/// A publication, and the line and column of its name in the file.
type PublicationAndPlace = (Publication, (usize, usize));

/// Reads the file called `name` and gives its publications, each with its place.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<PublicationAndPlace>, Vec<Diagnostic>> {
    let file = yaml::read::<File>(name, text);
    let file = file.map_err(|first| every_mistake(name, text, *first))?;
    let mut reader = PublicationReader::new(name, text);
    let publications = reader.publications(file);
    if reader.mistakes.is_empty() { Ok(publications) } else { Err(reader.mistakes) }
}

/// Every mistake of a file that does not fit its type: those of what fits, too.
fn every_mistake(name: &str, text: &str, first: Diagnostic) -> Vec<Diagnostic> {
    let mut pieces = read_pieces::<File>(name, text, first);
    let mut mistakes = std::mem::take(&mut pieces.mistakes);
    if let Some(file) = pieces.rest.take() {
        let mut reader = PublicationReader::new(name, &pieces.text);
        reader.publications(file);
        mistakes.extend(reader.mistakes.into_iter().map(|mistake| {
            let place = mistake.place.and_then(|(_, column)| pieces.place(column));
            let Diagnostic { problem, help, .. } = mistake;
            let place = place.unwrap_or((1, 1));
            Diagnostic::at(name, text, place, problem).with_help(help)
        }));
        mistakes.sort_by_key(|mistake| mistake.place);
    }
    mistakes
}

struct PublicationReader<'a> {
    name: &'a str,
    text: &'a str,
    origin: Arc<PublicationFile>,
    /// The file as a tree, in which keys have places too.
    tree: YamlNode,
    /// What was noticed of the file as a whole, for its first publication.
    noticed: Vec<Diagnostic>,
    mistakes: Vec<Diagnostic>,
    /// What the publication that is read wants of numbers.
    numbers: Numbers,
}

impl<'a> PublicationReader<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        // A file that is too deep for a tree has places all the same, but not of its keys.
        let tree =
            yaml::read_tree(name, text).map_or(YamlNode::Array(Vec::new()), |tree| tree.value);
        Self {
            name,
            text,
            origin: Arc::new(PublicationFile { name: name.to_owned(), text: text.to_owned() }),
            tree,
            noticed: Vec::new(),
            mistakes: Vec::new(),
            numbers: Numbers::Keep,
        }
    }

    fn mistake(&mut self, at: (usize, usize), problem: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::at(self.name, self.text, at, problem).with_help(help);
        self.mistakes.push(diagnostic);
    }

    /// Gives the value, or notes the mistake at the place of the text.
    fn checked<T, E: std::error::Error>(
        &mut self,
        text: &Placed<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
        help: &str,
    ) -> Option<T> {
        read(&text.value).map_err(|error| self.mistake(text.place, error.to_string(), help)).ok()
    }

    fn publications(&mut self, file: File) -> Vec<PublicationAndPlace> {
        if !is_name(&file.domain.value) {
            let problem = "a domain's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(file.domain.place, problem, "");
        }
        let contract = self.contract(&file.contract);
        let source = self.checked(&file.source, EventSource::new, "");
        let type_prefix = file.type_prefix.as_ref().map(|prefix| {
            self.checked(prefix, EventType::new, "leave `type-prefix` out if there is none");
            prefix.value.as_str()
        });
        let context = file.context.as_ref().map_or_else(
            || Value::Object(serde_json::Map::new()),
            |context| self.exact(context, Numbers::Keep),
        );
        if let Some(marked) = file.context.as_ref().filter(|_| !context.is_object()) {
            self.mistake(marked.place, "`context` names constants: a mapping", "");
        }
        let (Some(contract), Some(source)) = (contract, source) else { return Vec::new() };
        let domain = Domain {
            name: Arc::from(file.domain.value),
            contract,
            source,
            type_prefix: Arc::from(type_prefix.unwrap_or_default()),
            context: Arc::new(context),
        };
        let unfit = file.type_prefix.as_ref().and_then(noticed::prefix_without_dot);
        self.noticed.extend(unfit.map(|notice| notice.shown(self.name, self.text)));
        let items = file.publications.into_iter().enumerate();
        items
            .filter_map(|(index, item)| {
                let places = self.places(index, &item.value);
                let (mut publication, at) = self.publication(&domain, item.value)?;
                publication.places = places;
                Some((publication, at))
            })
            .collect()
    }

    fn places(&self, index: usize, item: &Item) -> PublicationPlaces {
        let event = item.event.place;
        let at = |pointer: &Option<Placed<String>>| pointer.as_ref().map_or(event, |one| one.place);
        let patch = self.tree.place_of(["publications", &index.to_string(), "patch"]);
        PublicationPlaces {
            event,
            patch: patch.unwrap_or(event),
            metadata: at(&item.metadata),
            subject: at(&item.subject),
            key: item.key.iter().map(|pointer| pointer.place).collect(),
        }
    }

    /// The contract's file, relative to the folder of contracts.
    fn contract(&mut self, written: &Placed<String>) -> Option<Arc<str>> {
        let path = written.value.trim_start_matches("./");
        let path = path.strip_prefix("asyncapi/").unwrap_or(path);
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if inside && !path.contains('\\') {
            return Some(Arc::from(path));
        }
        let problem = "a contract is a file below the folder of contracts";
        self.mistake(written.place, problem, "write `asyncapi/<file>.yaml`");
        None
    }

    fn publication(&mut self, domain: &Domain, item: Item) -> Option<PublicationAndPlace> {
        let before = self.mistakes.len();
        let at = item.event.place;
        if !is_name(&item.event.value) {
            let problem = "an event's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(item.event.place, problem, "by custom it is `Entity.Event`");
        }
        let when = self.pattern(&item.when);
        let metadata = item.metadata.as_ref().and_then(|pointer| self.pointer(pointer));
        let subject = item.subject.as_ref().and_then(|pointer| self.pointer(pointer));
        let mut patch = Patch::default();
        self.numbers = item.numbers;
        for operation in &item.patch {
            self.operation(&mut patch, operation);
        }
        let key = item.key.iter().filter_map(|pointer| self.key(pointer)).collect();
        let publication = Publication {
            name: Arc::from(format!("{}/{}", domain.name, item.event.value)),
            domain: Arc::clone(&domain.name),
            event: Arc::from(item.event.value),
            contract: Arc::clone(&domain.contract),
            source: domain.source.clone(),
            type_prefix: Arc::clone(&domain.type_prefix),
            when: when?,
            metadata,
            subject,
            patch,
            key,
            deduplicate: item.deduplicate.map(|span| span.0),
            mode: item.mode,
            numbers: item.numbers,
            context: Arc::clone(&domain.context),
            origin: Arc::clone(&self.origin),
            places: PublicationPlaces::default(),
            noticed: std::mem::take(&mut self.noticed),
        };
        (self.mistakes.len() == before).then_some((publication, at))
    }

    fn pattern(&mut self, when: &Placed<YamlNode>) -> Option<Pattern> {
        let unknown = noticed::unknown_fields(when).into_iter();
        self.noticed.extend(unknown.map(|notice| notice.shown(self.name, self.text)));
        let marks = Marks::of(&when.clone().with_exact_numbers(self.text));
        Pattern::parse(marks.text())
            .map_err(|error| {
                let at = marks.place(error.column).unwrap_or(when.place);
                self.mistake(at, error.message, &error.help);
            })
            .ok()
    }

    fn pointer(&mut self, text: &Placed<String>) -> Option<PointerBuf> {
        if text.value.len() > LIMITS.pointer {
            self.mistake(text.place, "a pointer has at most 1024 bytes", "");
            return None;
        }
        let help = "a JSON Pointer (RFC 6901) starts with `/`; write `~` as `~0`, `/` as `~1`";
        let Ok(pointer) = PointerBuf::parse(text.value.as_str()) else {
            self.mistake(text.place, format!("`{}` is not a pointer", text.value), help);
            return None;
        };
        Some(pointer)
    }

    fn key(&mut self, text: &Placed<String>) -> Option<PointerBuf> {
        let pointer = self.pointer(text)?;
        if pointer.first().is_none_or(|first| first.encoded() != "data") {
            let problem = "a key is made of public data, so that a consumer can compute it";
            self.mistake(text.place, problem, "name something below `/data`");
            return None;
        }
        Some(pointer)
    }

    fn operation(&mut self, patch: &mut Patch, written: &Placed<Operation>) {
        let operation = &written.value;
        let op = &operation.op;
        if !matches!(&*op.value, "add" | "remove" | "replace" | "move" | "copy" | "test") {
            let help = "RFC 6902 knows add, remove, replace, move, copy and test";
            self.mistake(op.place, format!("unknown operation `{}`", op.value), help);
            return;
        }
        self.no_extra(operation);
        let Some(typed) = self.typed(operation) else { return };
        let Err(mistake) = patch.push(typed) else { return patch.set_place(written.place) };
        let at = match mistake.member {
            "from" => operation.from.as_ref().map(|from| from.place),
            "path" => Some(operation.path.place),
            "value" => operation.value.as_ref().map(|value| value.place),
            _ => Some(op.place),
        };
        self.mistake(at.unwrap_or(op.place), mistake.reason, "");
    }

    fn typed(&mut self, operation: &Operation) -> Option<PatchOperation> {
        let path = self.pointer(&operation.path)?;
        Some(match operation.op.value.as_str() {
            "add" => PatchOperation::Add(AddOperation { path, value: self.value(operation)? }),
            "replace" => {
                PatchOperation::Replace(ReplaceOperation { path, value: self.value(operation)? })
            }
            "test" => PatchOperation::Test(TestOperation { path, value: self.value(operation)? }),
            "copy" => PatchOperation::Copy(CopyOperation { from: self.from(operation)?, path }),
            "move" => PatchOperation::Move(MoveOperation { from: self.from(operation)?, path }),
            _ => PatchOperation::Remove(RemoveOperation { path }),
        })
    }

    /// A member that the operation does not use is a slip of the pen, which RFC 6902 would ignore.
    fn no_extra(&mut self, operation: &Operation) {
        let op = operation.op.value.as_str();
        if let Some(from) = operation.from.as_ref().filter(|_| !matches!(op, "copy" | "move")) {
            self.mistake(from.place, format!("`{op}` has no `from`"), "");
        }
        let valued = matches!(op, "add" | "replace" | "test");
        if let Some(value) = operation.value.as_ref().filter(|_| !valued) {
            self.mistake(value.place, format!("`{op}` has no `value`"), "");
        }
    }

    fn from(&mut self, operation: &Operation) -> Option<PointerBuf> {
        let op = &operation.op;
        let Some(from) = &operation.from else {
            self.mistake(op.place, format!("`{}` needs a `from`", op.value), "");
            return None;
        };
        self.pointer(from)
    }

    fn value(&mut self, operation: &Operation) -> Option<Value> {
        let op = &operation.op;
        let Some(value) = &operation.value else {
            self.mistake(op.place, format!("`{}` needs a `value`", op.value), "");
            return None;
        };
        let before = self.mistakes.len();
        let numbers = if *op.value == *"test" { Numbers::Keep } else { self.numbers };
        let value = self.exact(value, numbers);
        (self.mistakes.len() == before).then_some(value)
    }

    /// The value, all of whose numbers must be able to cross.
    fn exact(&mut self, marked: &Placed<YamlNode>, numbers: Numbers) -> Value {
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

struct Domain {
    name: Arc<str>,
    contract: Arc<str>,
    source: EventSource,
    type_prefix: Arc<str>,
    context: Arc<Value>,
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let parts = text.split('.').all(|part| !part.is_empty());
    parts && text.len() <= 128 && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "domain: payments\ncontract: asyncapi/payments.yaml\nsource: /payments\n";

    fn mistakes(text: &str) -> Vec<String> {
        let found = read("payments.yaml", text).map(|read| read.len()).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    fn with_item(item: &str) -> String {
        format!(
            "{HEAD}publications:\n  - event: Payment.Failed\n    when: {{ source: [a] }}\n{item}"
        )
    }

    #[test]
    fn a_publication_has_everything_that_its_file_says() {
        let text = "\
domain: payments
contract: ./asyncapi/eu/payments.yaml
source: /payments
type-prefix: com.example.
context: { currency: EUR }
publications:
  - event: Payment.Authorised
    when: { source: [payment-service] }
    metadata: /detail/channel
    subject: /data/orderId
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: add, path: /data/note, value: null }
      - { op: add, path: /data/switch, value: on }
    key: [/data/orderId]
    deduplicate: 5m
    mode: observe
";
        let (publication, place) = read("payments.yaml", text).unwrap().remove(0);

        assert_eq!(place, (7, 12));
        assert_eq!(&**publication.name(), "payments/Payment.Authorised");
        assert_eq!(publication.contract(), "eu/payments.yaml");
        assert_eq!(publication.type_prefix(), "com.example.");
        assert_eq!(publication.context()["currency"], "EUR");
        assert_eq!(publication.metadata().unwrap().as_str(), "/detail/channel");
        assert_eq!(publication.subject().unwrap().as_str(), "/data/orderId");
        assert_eq!(publication.key().len(), 1);
        assert_eq!(publication.deduplicate(), Some(std::time::Duration::from_mins(5)));
        assert_eq!(publication.mode(), Mode::Observe);
    }

    #[test]
    fn a_misspelt_key_is_shown_with_a_caret() {
        let text = with_item("    patchs: []\n");

        let shown = mistakes(&text);

        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("payments.yaml:7:5: unknown key `patchs`"), "{}", shown[0]);
        assert!(shown[0].contains("\n 7 |     patchs: []\n   |     ^"), "{}", shown[0]);
        assert!(shown[0].contains("did you mean `patch`?"), "{}", shown[0]);
    }

    #[test]
    fn a_publication_that_refuses_numbers_brings_none_of_them_itself() {
        let literal = |numbers: &str, op: &str, number: &str| {
            let text = format!(
                "domain: d\ncontract: asyncapi/x.yaml\nsource: /x\npublications:\n  - event: A.B\n    \
                 when: {{ source: [a] }}\n    numbers: {numbers}\n    patch:\n      \
                 - {{ op: {op}, path: /data/a, value: {number} }}\n"
            );
            read("x.yaml", &text).map(|_| ()).map_err(|found| found[0].to_string())
        };

        for number in ["1152921506151679042", "789.34000000000003"] {
            assert!(literal("refuse", "add", number).unwrap_err().contains("x.yaml:9:"));
            assert_eq!(literal("keep", "add", number), Ok(()));
            assert_eq!(literal("refuse", "test", number), Ok(()));
        }
        assert_eq!(literal("refuse", "add", "789.34"), Ok(()));
    }

    #[test]
    fn every_mistake_of_a_patch_is_found_at_its_place() {
        let text = with_item(
            "    patch:
      - { op: append, path: /data/a, value: 1 }
      - { op: add, path: data/a, value: 1 }
      - { op: add, path: /detail/a, value: 1 }
      - { op: add, path: /data/a }
      - { op: copy, path: /data/a }
      - { op: copy, from: /a~2b, path: /data/a }
      - { op: move, from: /detail/id, path: /data/a }
      - { op: remove, path: /data/a, value: 1 }
      - { op: add, path: /data/a, value: [1, 1e-401] }
      - { op: test, path: /detail/id, value: 1, from: /x }
",
        );

        let places: Vec<String> = mistakes(&text)
            .iter()
            .map(|shown| shown.lines().next().unwrap_or_default().to_owned())
            .collect();

        assert_eq!(
            places,
            [
                "payments.yaml:8:15: unknown operation `append`",
                "payments.yaml:9:26: `data/a` is not a pointer",
                "payments.yaml:10:26: only `/data` and what lies below it can be written",
                "payments.yaml:11:15: `add` needs a `value`",
                "payments.yaml:12:15: `copy` needs a `from`",
                "payments.yaml:13:27: `/a~2b` is not a pointer",
                "payments.yaml:14:27: only what lies below `/data` can be moved; use `copy`",
                "payments.yaml:15:45: `remove` has no `value`",
                "payments.yaml:16:46: a number beyond 1e400 or below 1e-400; send it as text",
                "payments.yaml:17:55: `test` has no `from`",
            ]
        );
    }

    #[test]
    fn a_bad_pattern_is_shown_at_its_place() {
        let text = format!(
            "{HEAD}publications:\n  - event: A.B\n    when:\n      source: [a]\n      \
             detail: {{ amount: [{{ numeric: [\">\", lots] }}] }}\n    patch: []\n"
        );

        let shown = mistakes(&text);

        assert_eq!(shown.len(), 1);
        assert!(shown[0].starts_with("payments.yaml:8:"), "{}", shown[0]);
        let caret = shown[0].lines().find(|line| line.ends_with('^')).unwrap();
        let line = shown[0].lines().nth(1).unwrap();
        assert!(line.get(caret.len() - 1..).unwrap().starts_with("lots"), "{}", shown[0]);
    }

    #[test]
    fn names_and_files_that_lead_elsewhere_are_refused() {
        for (text, start) in [
            (HEAD.replace("payments\nc", "pay/ments\nc"), "payments.yaml:1:9: a domain's name"),
            (HEAD.replace("asyncapi/", "../"), "payments.yaml:2:11: a contract is a file below"),
            (HEAD.replace("asyncapi/", "/etc/"), "payments.yaml:2:11: a contract is a file below"),
            (
                HEAD.replace("/payments\n", "\"\"\n"),
                "payments.yaml:3:9: `source` must not be empty",
            ),
        ] {
            let shown = mistakes(&format!("{text}publications: []\n"));
            assert!(shown[0].starts_with(start), "{shown:?}");
        }
        let shown = mistakes(&with_item("    patch: []\n    key: [/detail/id]\n"));
        assert!(shown[0].starts_with("payments.yaml:8:11: a key is made of public data"));
    }

    #[test]
    fn broken_yaml_is_one_mistake() {
        for text in ["", "domain: [", "domain: a\ndomain: b\n", "- 1\n", "\u{0}"] {
            assert_eq!(mistakes(text).len(), 1, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z:{}\\[\\] \n/~\"0-9,&*!-]{0,80}") {
            let _ = read("x.yaml", &format!("{HEAD}publications:\n  - {text}"));
        }
    }
}
