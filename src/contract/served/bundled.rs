//! Makes one document of a contract that refers to other files.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::contract::pointer;
use crate::contract::reference::{Library, Location};
use crate::contract::served::context::PartContext;

/// Values of one document, and how deep they may lie in each other.
const MAX_VALUES: usize = 1_000_000;
const MAX_DEPTH: usize = 160;

/// The document in a file with everything in it that it refers to in other files, as JSON; nothing
/// if it refers to none, or is too large to be made one.
pub(in crate::contract) fn bundled(library: &Library, path: &str) -> Option<String> {
    let root = Location::root(path);
    let document = library.value(&root)?.as_object()?;
    let mut bundler = Bundler {
        library,
        main: path,
        placed: HashMap::new(),
        schemas: HashMap::new(),
        parts: Map::new(),
        waiting: VecDeque::new(),
        taken: taken(document),
        values: 0,
        is_used: false,
    };
    let mut members = bundler.document(&root, document)?;
    bundler.finish_parts()?;
    if !bundler.is_used {
        return None;
    }
    let components = members.entry("components").or_insert_with(|| Map::new().into());
    for (kind, parts) in bundler.parts {
        let Value::Object(parts) = parts else { continue };
        let of_kind = components.as_object_mut()?.entry(kind).or_insert_with(|| Map::new().into());
        of_kind.as_object_mut()?.extend(parts);
    }
    serde_json::to_string_pretty(&Value::Object(members)).ok()
}

/// The names among the components, as `kind/name`.
fn taken(document: &Map<String, Value>) -> BTreeSet<String> {
    let kinds = document.get("components").and_then(Value::as_object).into_iter().flatten();
    let names = kinds.filter_map(|(kind, parts)| Some((kind, parts.as_object()?)));
    names.flat_map(|(kind, parts)| parts.keys().map(move |name| format!("{kind}/{name}"))).collect()
}

struct Bundler<'a> {
    library: &'a Library,
    main: &'a str,
    /// Where parts of other files stand in the document, as pointers into it.
    placed: HashMap<Location, String>,
    /// The same of schemas.
    schemas: HashMap<Location, String>,
    /// What comes to the components, by kind and name.
    parts: Map<String, Value>,
    waiting: VecDeque<(&'static str, String, Location)>,
    taken: BTreeSet<String>,
    values: usize,
    is_used: bool,
}

impl Bundler<'_> {
    /// Copies the members of the document: what operations refer to has its place first, and
    /// everything stands in the author's order.
    fn document(
        &mut self,
        root: &Location,
        document: &Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let mut members: Map<String, Value> =
            document.keys().map(|name| (name.clone(), Value::Null)).collect();
        let first = ["channels", "components"];
        let later = document.keys().map(String::as_str).filter(|name| !first.contains(name));
        for name in first.into_iter().filter(|name| document.contains_key(*name)).chain(later) {
            let copy = self.member(root, name, ("", PartContext::Object), 0)?;
            members.insert(name.to_owned(), copy);
        }
        Some(members)
    }

    fn member(
        &mut self,
        at: &Location,
        name: &str,
        (to, context): (&str, PartContext),
        depth: usize,
    ) -> Option<Value> {
        let at = at.child(name);
        let is_list = self.library.value(&at).is_some_and(Value::is_array);
        let context = context.of_member(name, is_list);
        self.copy(&at, (&pointer::join(to, name), context), depth + 1)
    }

    /// Copies what stands at a place to a place of the document.
    fn copy(&mut self, at: &Location, to: (&str, PartContext), depth: usize) -> Option<Value> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        let library = self.library;
        match library.value(at)? {
            Value::Object(object) if to.1 != PartContext::Plain => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    return self.reference(at, reference, to, depth);
                }
                self.members(at, object, to, depth)
            }
            Value::Array(items) => {
                let mut copies = Vec::with_capacity(items.len());
                for index in 0..items.len() {
                    let token = index.to_string();
                    let place = pointer::join(to.0, &token);
                    copies.push(self.copy(&at.child(&token), (&place, to.1), depth + 1)?);
                }
                Some(Value::Array(copies))
            }
            Value::String(text) if to.1 == PartContext::Discriminator => {
                Some(self.mapped(at, text).into())
            }
            plain => Some(plain.clone()),
        }
    }

    fn members(
        &mut self,
        at: &Location,
        object: &Map<String, Value>,
        to: (&str, PartContext),
        depth: usize,
    ) -> Option<Value> {
        let mut copies = Map::new();
        for name in object.keys() {
            copies.insert(name.clone(), self.member(at, name, to, depth)?);
        }
        Some(Value::Object(copies))
    }

    /// A reference: it stays where it leads within the document; what it leads to in another file
    /// takes its place, or gets one.
    fn reference(
        &mut self,
        at: &Location,
        reference: &str,
        (to, context): (&str, PartContext),
        depth: usize,
    ) -> Option<Value> {
        let object = self.library.value(at)?.as_object()?;
        let Ok(target) = self.library.follow(&at.child("$ref"), reference) else {
            // It leads nowhere, or to what is never fetched.
            return Some(Value::Object(object.clone()));
        };
        let stays = at.file == self.main && target.file == self.main && reference.starts_with('#');
        self.is_used |= !stays;
        let leads_to = match (stays, context) {
            (true, _) => reference.to_owned(),
            _ if target.file == self.main => fragment(&target.pointer),
            (_, PartContext::Schema | PartContext::Schemas) => self.schema(target),
            (_, context) => match (self.place_of(&target), context) {
                (Some(place), _) => fragment(&place),
                (None, PartContext::Reference(kind)) => fragment(&self.part(kind, target)),
                (None, _) => {
                    self.placed.insert(target.clone(), to.to_owned());
                    return self.copy(&target, (to, context), depth + 1);
                }
            },
        };
        let mut copies = Map::new();
        for name in object.keys() {
            let copy = match name.as_str() {
                "$ref" => leads_to.as_str().into(),
                name => self.member(at, name, (to, context), depth)?,
            };
            copies.insert(name.clone(), copy);
        }
        Some(Value::Object(copies))
    }

    /// Where a part of another file stands, by itself or within a larger one.
    fn place_of(&self, target: &Location) -> Option<String> {
        let mut around = target.pointer.as_str();
        loop {
            let known = Location { pointer: around.to_owned(), ..target.clone() };
            if let Some(place) = self.placed.get(&known) {
                let rest = target.pointer.get(around.len()..).unwrap_or_default();
                return Some(format!("{place}{rest}"));
            }
            around = around.rsplit_once('/')?.0;
        }
    }

    /// A reference to a schema of another file, which comes to the components.
    fn schema(&mut self, target: Location) -> String {
        if let Some(place) = self.schemas.get(&target) {
            return fragment(place);
        }
        let place = self.name("schemas", &target);
        self.schemas.insert(target, place.clone());
        fragment(&place)
    }

    /// A part of another file that comes to the components.
    fn part(&mut self, kind: &'static str, target: Location) -> String {
        let place = self.name(kind, &target);
        self.placed.insert(target, place.clone());
        place
    }

    /// Finds a name among the components of a kind, and has the part copied there.
    fn name(&mut self, kind: &'static str, target: &Location) -> String {
        let file = target.file.rsplit('/').next().unwrap_or_default();
        let own = match target.name() {
            name if name.is_empty() => file.split('.').next().unwrap_or_default().to_owned(),
            name => name,
        };
        let allowed =
            |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let mut stem: String = own.chars().map(allowed).take(64).collect();
        if stem.is_empty() {
            "part".clone_into(&mut stem);
        }
        let mut name = stem.clone();
        let mut count = 1;
        while !self.taken.insert(format!("{kind}/{name}")) {
            count += 1;
            name = format!("{stem}-{count}");
        }
        self.waiting.push_back((kind, name.clone(), target.clone()));
        format!("/components/{kind}/{name}")
    }

    fn finish_parts(&mut self) -> Option<()> {
        while let Some((kind, name, at)) = self.waiting.pop_front() {
            let context = if kind == "schemas" { PartContext::Schema } else { PartContext::Object };
            let copy = self.copy(&at, (&format!("/components/{kind}/{name}"), context), 0)?;
            let parts = self.parts.entry(kind).or_insert_with(|| Map::new().into());
            parts.as_object_mut()?.insert(name, copy);
        }
        Some(())
    }

    /// A value of a discriminator, which may be a reference or a name.
    fn mapped(&mut self, at: &Location, text: &str) -> String {
        let may_refer = text.contains(['#', '/', '.']);
        match self.library.follow(at, text) {
            Ok(target) if may_refer && target.file == self.main => fragment(&target.pointer),
            Ok(target) if may_refer => {
                self.is_used = true;
                self.schema(target)
            }
            _ => text.to_owned(),
        }
    }
}

/// A pointer as a reference within the document (RFC 6901, section 6).
fn fragment(pointer: &str) -> String {
    let mut reference = String::from("#");
    for byte in pointer.bytes() {
        let stays = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
        if stays {
            reference.push(char::from(byte));
        } else {
            // A text takes everything.
            let _ = write!(reference, "%{byte:02X}");
        }
    }
    reference
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::contract::text::Text;
    use crate::contract::{Catalog, ContractDocument, SchemaMeaning};
    use crate::event::{Diagnostic, Severity};

    type Files = BTreeMap<String, String>;

    fn files(texts: &[(&str, &str)]) -> Files {
        texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    fn library(files: &Files) -> Library {
        let read =
            |(path, text): (&String, &String)| (path.clone(), Text::read(path, text).unwrap());
        Library::new(files.iter().map(read).collect())
    }

    /// Every reference of a document.
    fn references(value: &Value) -> Vec<String> {
        match value {
            Value::Object(object) => {
                let own = object.get("$ref").and_then(Value::as_str).map(str::to_owned);
                // Values of an `enum` only look like references.
                let parts = object.iter().filter(|(name, _)| *name != "enum");
                own.into_iter().chain(parts.flat_map(|(_, part)| references(part))).collect()
            }
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }

    /// Bundles a contract, and makes sure that it stands alone and says what it said before.
    fn alone(files: &Files, path: &str) -> Value {
        let text = bundled(&library(files), path).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        for reference in references(&document) {
            assert!(reference.starts_with("#/"), "{reference}: {text}");
        }
        let before = Catalog::load(files);
        let after = Catalog::load(&Files::from([(path.to_owned(), text.clone())]));
        let is_warning = |one: &Diagnostic| one.severity == Severity::Warning;
        assert!(after.diagnostics().iter().all(is_warning), "{:#?} in {text}", after.diagnostics());
        let told = |catalog: &Catalog| -> Vec<_> {
            let messages = catalog.document(path).into_iter().flat_map(ContractDocument::messages);
            messages
                .map(|message| {
                    let meaning = SchemaMeaning::of(message.schema());
                    let about = (message.title().map(str::to_owned), message.channels().to_vec());
                    (message.name().to_owned(), message.action(), about, meaning)
                })
                .collect()
        };
        assert_eq!(told(&before), told(&after), "{text}");
        document
    }

    const SHOP: &str = "asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels:
  orders: { $ref: 'channels/orders.yaml' }
  payload:
    address: odd
    messages:
      Odd.Happened: { payload: { type: object, properties: { at: { $ref: 'parts/types.yaml#/at' } } } }
operations:
  send:
    action: send
    channel: { $ref: '#/channels/orders' }
    messages: [{ $ref: '#/channels/orders/messages/Order.Created' }]
components:
  schemas:
    money: { type: string, pattern: '^[0-9]+$' }
    node: { type: 'null' }
";

    const CHANNEL: &str = "address: orders
messages:
  Order.Created: { $ref: '../parts/messages.yaml#/created' }
";

    const MESSAGES: &str = "created:
  title: An order
  traits: [{ $ref: '#/kafka' }]
  payload:
    type: object
    properties:
      total: { $ref: '../shop.yaml#/components/schemas/money' }
      tree: { $ref: 'types.yaml#/node' }
      at: { $ref: './types.yaml#/at' }
      $ref: { type: string, enum: [ { $ref: 'x.yaml' } ] }
  examples:
    - payload: { total: '1', tree: { next: {} } }
kafka: { summary: On Kafka }
";

    const TYPES: &str = "node: { type: object, properties: { next: { $ref: '#/node' }, far: { $ref: '#/a~1b c' } } }
a/b c: { type: integer, description: a place }
at: { type: string, format: date-time }
";

    fn shop() -> Files {
        files(&[
            ("shop.yaml", SHOP),
            ("channels/orders.yaml", CHANNEL),
            ("parts/messages.yaml", MESSAGES),
            ("parts/types.yaml", TYPES),
        ])
    }

    #[test]
    fn a_contract_of_several_files_stands_alone_and_means_the_same() {
        let document = alone(&shop(), "shop.yaml");

        let schemas = document["components"]["schemas"].as_object().unwrap();
        let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(names), ["a_b_c", "at", "money", "node", "node-2"].into());
        let node = &schemas["node-2"];
        assert_eq!(node["properties"]["next"], json!({"$ref": "#/components/schemas/node-2"}));
        let created = &document["channels"]["orders"]["messages"]["Order.Created"];
        assert_eq!(created["traits"], json!([{"summary": "On Kafka"}]));
        assert_eq!(created["payload"]["properties"]["total"]["$ref"], "#/components/schemas/money");
    }

    #[test]
    fn a_contract_of_one_file_stays_as_it_was_written() {
        let text = SHOP.replace("channels/orders.yaml", "#/channels/payload");
        let text = text.replace("parts/types.yaml#/at", "#/components/schemas/money");

        assert_eq!(bundled(&library(&files(&[("shop.yaml", &text)])), "shop.yaml"), None);
    }

    #[test]
    fn a_message_that_two_channels_share_stays_one_message() {
        let two = "asyncapi: 2.6.0
info: { title: Lights, version: 1.0.0 }
channels:
  a/b: { subscribe: { message: { $ref: 'm.yaml#/M' } } }
  c: { subscribe: { message: { oneOf: [{ $ref: 'm.yaml#/M' }, { $ref: 'm.yaml#/N' }] } } }
";
        let messages = "M: { name: M, payload: { $ref: '#/S' } }
N: { name: N, payload: { $ref: '#/S' } }
S: { type: object, discriminator: kind, properties: { kind: { type: string } } }
";

        let document = alone(&files(&[("lights.yaml", two), ("m.yaml", messages)]), "lights.yaml");

        let one_of = &document["channels"]["c"]["subscribe"]["message"]["oneOf"];
        assert_eq!(one_of[0]["$ref"], "#/channels/a~1b/subscribe/message");
    }

    #[test]
    fn what_only_operations_refer_to_comes_to_the_components() {
        let three = "asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels: { here: { address: here, messages: { M: { payload: { type: object } } } } }
operations:
  send: { action: send, channel: { $ref: 'far.yaml#/there' } }
";
        let far = "there: { address: there, messages: { N: { payload: { type: string } } } }\n";

        let library = library(&files(&[("shop.yaml", three), ("far.yaml", far)]));
        let document: Value =
            serde_json::from_str(&bundled(&library, "shop.yaml").unwrap()).unwrap();

        let channel = &document["operations"]["send"]["channel"];
        assert_eq!(channel["$ref"], "#/components/channels/there");
        assert_eq!(document["components"]["channels"]["there"]["address"], "there");
    }

    #[test]
    fn values_of_a_discriminator_lead_into_the_document_too() {
        let shop = "asyncapi: 3.0.0
info: { title: Pets, version: 1.0.0 }
channels:
  pets:
    messages:
      Pet.Seen:
        payload: { type: object, properties: { pet: { $ref: 'pets.yaml#/Pet' } } }
";
        let pets = "Pet:
  discriminator: { propertyName: kind, mapping: { cat: '#/Cat', dog: 'pets.yaml#/Dog', x: Dog } }
  oneOf: [{ $ref: '#/Cat' }, { $ref: '#/Dog' }]
Cat: { type: object, required: [kind], properties: { kind: { const: cat } } }
Dog: { type: object, required: [kind], properties: { kind: { const: dog } } }
";

        let library = library(&files(&[("shop.yaml", shop), ("pets.yaml", pets)]));
        let document: Value =
            serde_json::from_str(&bundled(&library, "shop.yaml").unwrap()).unwrap();

        let mapping = &document["components"]["schemas"]["Pet"]["discriminator"]["mapping"];
        let refers = |name: &str| json!(format!("#/components/schemas/{name}"));
        assert_eq!(mapping["cat"], refers("Cat"));
        assert_eq!((&mapping["dog"], &mapping["x"]), (&refers("Dog"), &json!("Dog")));
    }

    #[test]
    fn circles_and_long_chains_of_parts_end() {
        let mut far = String::from("m0: { traits: { $ref: '#/m0' } }\n");
        for at in 1..2_000 {
            writeln!(far, "m{at}: {{ bindings: {{ $ref: '#/m{}' }} }}", at - 1).unwrap();
        }
        for (start, ends_well) in [("m0", true), ("m1999", false)] {
            let main = format!(
                "asyncapi: 3.0.0\ninfo: {{ title: t, version: '1' }}\ntags: {{ $ref: 'far.yaml#/{start}' }}\n"
            );
            let library = library(&files(&[("main.yaml", &main), ("far.yaml", &far)]));
            assert_eq!(bundled(&library, "main.yaml").is_some(), ends_well, "{start}");
        }
    }
}
