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
use serde_saphyr::{Location, Spanned};

use crate::ambient::Span;
use crate::enrich::marked::{Marked, Node};
use crate::enrich::patch::LIMITS;
use crate::enrich::{Mode, Patch, Publication};
use crate::event::{Diagnostic, EventSource, EventType};

/// What one domain lets cross the border.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    /// The domain's name: letters, digits, `-`, `_` and `.`.
    #[schemars(with = "String")]
    domain: Spanned<String>,
    /// The AsyncAPI document that describes the events, `asyncapi/payments.yaml`.
    #[schemars(with = "String")]
    contract: Spanned<String>,
    /// The CloudEvents `source` of the events, a URI reference such as `/payments`.
    #[schemars(with = "String")]
    source: Spanned<String>,
    /// What stands before the event name in the CloudEvents `type`, with its dot: `com.example.`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    type_prefix: Option<Spanned<String>>,
    /// Constants that patches find below `/context`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    context: Option<Marked>,
    /// What crosses.
    #[schemars(with = "Vec<Item>")]
    publications: Vec<Spanned<Item>>,
}

/// One kind of event that crosses.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Item {
    /// The name of the message in the contract, by custom `Entity.Event`.
    #[schemars(with = "String")]
    event: Spanned<String>,
    /// An EventBridge pattern over the envelope: which internal events become this one.
    #[schemars(with = "serde_json::Map<String, Value>")]
    when: Marked,
    /// Pointer to the text that makes the third level of the name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    metadata: Option<Spanned<String>>,
    /// Pointer to the CloudEvents `subject`; without it, the subject is the event's name.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    subject: Option<Spanned<String>>,
    /// JSON Patch (RFC 6902) that moves public data from the envelope to `/data`.
    #[schemars(with = "Vec<Operation>")]
    patch: Vec<Spanned<Operation>>,
    /// Pointers below `/data` that make the idempotency key; without them, all content does.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    key: Vec<Spanned<String>>,
    /// For how long an event with equal content is taken for a repeat; without it, never.
    #[serde(default)]
    deduplicate: Option<Span>,
    /// What happens to an event that breaks its contract.
    #[serde(default)]
    mode: Mode,
}

/// One operation of a JSON Patch.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Operation {
    /// `add`, `remove`, `replace`, `move`, `copy` or `test`.
    #[schemars(with = "String")]
    op: Spanned<String>,
    /// Where the value comes from, for `move` and `copy`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    from: Option<Spanned<String>>,
    /// What is written, or tested.
    #[schemars(with = "String")]
    path: Spanned<String>,
    /// The value, for `add`, `replace` and `test`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    value: Option<Marked>,
}

/// Tells `value: null` from no value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Marked>, D::Error> {
    Marked::deserialize(deserializer).map(Some)
}

/// A publication, and the line and column of its name in the file.
type Placed = (Publication, (usize, usize));

/// Reads the file called `name` and gives its publications, each with its place.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Placed>, Vec<Diagnostic>> {
    // YAML 1.1 would read an unquoted `on` as true.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let mut reader = Reader { name, text, mistakes: Vec::new() };
    let file: File = match serde_saphyr::from_str_with_options(text, options) {
        Ok(file) => file,
        Err(error) => return Err(vec![reader.misread(&error)]),
    };
    let publications = reader.publications(file);
    if reader.mistakes.is_empty() { Ok(publications) } else { Err(reader.mistakes) }
}

/// Line and column of a location, each from 1.
fn place(location: Location) -> (usize, usize) {
    let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
    (index(location.line()), index(location.column()))
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    mistakes: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn misread(&self, error: &serde_saphyr::Error) -> Diagnostic {
        let problem = error.to_string();
        // The crate appends the place to its sentence.
        let problem = problem.rsplit_once(" at line ").map_or(&*problem, |(problem, _)| problem);
        match error.location() {
            Some(location) => Diagnostic::at(self.name, self.text, place(location), problem),
            None => Diagnostic::of_file(self.name, problem),
        }
    }

    fn mistake(&mut self, at: Location, problem: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::at(self.name, self.text, place(at), problem).with_help(help);
        self.mistakes.push(diagnostic);
    }

    /// Gives the value, or notes the mistake at the place of the text.
    fn checked<T, E: std::error::Error>(
        &mut self,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
        help: &str,
    ) -> Option<T> {
        read(&text.value)
            .map_err(|error| self.mistake(text.referenced, error.to_string(), help))
            .ok()
    }

    fn publications(&mut self, file: File) -> Vec<Placed> {
        if !is_name(&file.domain.value) {
            let problem = "a domain's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(file.domain.referenced, problem, "");
        }
        let contract = self.contract(&file.contract);
        let source = self.checked(&file.source, EventSource::new, "");
        let type_prefix = file.type_prefix.as_ref().map(|prefix| {
            self.checked(prefix, EventType::new, "leave `type-prefix` out if there is none");
            prefix.value.as_str()
        });
        let context = file
            .context
            .as_ref()
            .map_or_else(|| Value::Object(serde_json::Map::new()), |context| self.exact(context));
        if let Some(marked) = file.context.as_ref().filter(|_| !context.is_object()) {
            self.mistake(marked.referenced, "`context` names constants: a mapping", "");
        }
        let (Some(contract), Some(source)) = (contract, source) else { return Vec::new() };
        let domain = Domain {
            name: Arc::from(file.domain.value),
            contract,
            source,
            type_prefix: Arc::from(type_prefix.unwrap_or_default()),
            context: Arc::new(context),
        };
        let items = file.publications.into_iter();
        items.filter_map(|item| self.publication(&domain, item.value)).collect()
    }

    /// The contract's file, relative to the folder of contracts.
    fn contract(&mut self, written: &Spanned<String>) -> Option<Arc<str>> {
        let path = written.value.trim_start_matches("./");
        let path = path.strip_prefix("asyncapi/").unwrap_or(path);
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if inside && !path.contains('\\') {
            return Some(Arc::from(path));
        }
        let problem = "a contract is a file below the folder of contracts";
        self.mistake(written.referenced, problem, "write `asyncapi/<file>.yaml`");
        None
    }

    fn publication(&mut self, domain: &Domain, item: Item) -> Option<Placed> {
        let before = self.mistakes.len();
        let at = place(item.event.referenced);
        if !is_name(&item.event.value) {
            let problem = "an event's name is made of letters, digits, `-`, `_` and `.`";
            self.mistake(item.event.referenced, problem, "by custom it is `Entity.Event`");
        }
        let when = item.when.value.to_value();
        let metadata = item.metadata.as_ref().and_then(|pointer| self.pointer(pointer));
        let subject = item.subject.as_ref().and_then(|pointer| self.pointer(pointer));
        let mut patch = Patch::default();
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
            when,
            metadata,
            subject,
            patch,
            key,
            deduplicate: item.deduplicate.map(|span| span.0),
            mode: item.mode,
            context: Arc::clone(&domain.context),
        };
        (self.mistakes.len() == before).then_some((publication, at))
    }

    fn pointer(&mut self, text: &Spanned<String>) -> Option<PointerBuf> {
        if text.value.len() > LIMITS.pointer {
            self.mistake(text.referenced, "a pointer has at most 1024 bytes", "");
            return None;
        }
        let help = "a JSON Pointer (RFC 6901) starts with `/`; write `~` as `~0`, `/` as `~1`";
        let Ok(pointer) = PointerBuf::parse(text.value.as_str()) else {
            self.mistake(text.referenced, format!("`{}` is not a pointer", text.value), help);
            return None;
        };
        Some(pointer)
    }

    fn key(&mut self, text: &Spanned<String>) -> Option<PointerBuf> {
        let pointer = self.pointer(text)?;
        if pointer.first().is_none_or(|first| first.encoded() != "data") {
            let problem = "a key is made of public data, so that a consumer can compute it";
            self.mistake(text.referenced, problem, "name something below `/data`");
            return None;
        }
        Some(pointer)
    }

    fn operation(&mut self, patch: &mut Patch, written: &Spanned<Operation>) {
        let operation = &written.value;
        let Some(path) = self.pointer(&operation.path) else { return };
        let op = operation.op.value.as_str();
        let read = match op {
            "add" => {
                self.value(written).map(|value| PatchOperation::Add(AddOperation { path, value }))
            }
            "replace" => self
                .value(written)
                .map(|value| PatchOperation::Replace(ReplaceOperation { path, value })),
            "test" => {
                self.value(written).map(|value| PatchOperation::Test(TestOperation { path, value }))
            }
            "copy" => {
                self.from(written).map(|from| PatchOperation::Copy(CopyOperation { from, path }))
            }
            "move" => {
                self.from(written).map(|from| PatchOperation::Move(MoveOperation { from, path }))
            }
            "remove" => Some(PatchOperation::Remove(RemoveOperation { path })),
            _ => {
                let help = "RFC 6902 knows add, remove, replace, move, copy and test";
                self.mistake(operation.op.referenced, format!("unknown operation `{op}`"), help);
                None
            }
        };
        self.no_extra(operation);
        let Some(Err(mistake)) = read.map(|operation| patch.push(operation)) else { return };
        let at = match mistake.member {
            "from" => operation.from.as_ref().map(|from| from.referenced),
            "path" => Some(operation.path.referenced),
            "value" => operation.value.as_ref().map(|value| value.referenced),
            _ => Some(operation.op.referenced),
        };
        self.mistake(at.unwrap_or(written.referenced), mistake.reason, "");
    }

    /// A member that the operation does not use is a slip of the pen, which RFC 6902 would ignore.
    fn no_extra(&mut self, operation: &Operation) {
        let op = operation.op.value.as_str();
        if let Some(from) = operation.from.as_ref().filter(|_| !matches!(op, "copy" | "move")) {
            self.mistake(from.referenced, format!("`{op}` has no `from`"), "");
        }
        let valued = matches!(op, "add" | "replace" | "test");
        if let Some(value) = operation.value.as_ref().filter(|_| !valued) {
            self.mistake(value.referenced, format!("`{op}` has no `value`"), "");
        }
    }

    fn from(&mut self, written: &Spanned<Operation>) -> Option<PointerBuf> {
        let op = &written.value.op;
        let Some(from) = &written.value.from else {
            self.mistake(op.referenced, format!("`{}` needs a `from`", op.value), "");
            return None;
        };
        self.pointer(from)
    }

    fn value(&mut self, written: &Spanned<Operation>) -> Option<Value> {
        let op = &written.value.op;
        let Some(value) = &written.value.value else {
            self.mistake(op.referenced, format!("`{}` needs a `value`", op.value), "");
            return None;
        };
        Some(self.exact(value))
    }

    /// The value, all of whose numbers must be the same in every JSON library.
    fn exact(&mut self, marked: &Marked) -> Value {
        let mut around = vec![marked];
        while let Some(node) = around.pop() {
            match &node.value {
                Node::Plain(Value::Number(number)) if !is_exact(number) => {
                    let problem = "a number that binary64 cannot carry exactly";
                    self.mistake(node.referenced, problem, "write it as text, in quotes");
                }
                Node::Plain(_) => {}
                Node::Array(items) => around.extend(items),
                Node::Object(members) => around.extend(members.iter().map(|(_, node)| node)),
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

/// Whole numbers beyond 2^53 may be rounded on the way; all others that were read are exact.
fn is_exact(number: &serde_json::Number) -> bool {
    const LARGEST: u64 = 1 << 53;
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    magnitude.is_none_or(|magnitude| magnitude <= LARGEST)
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let parts = text.split('.').all(|part| !part.is_empty());
    parts && text.len() <= 128 && text.chars().all(allowed)
}
