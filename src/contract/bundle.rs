//! Turns a payload schema that refers to other places into one that stands alone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::contract::envelope;
use crate::contract::keyword::{Holds, holds};
use crate::contract::outline::Generation;
use crate::contract::pointer;
use crate::contract::reference::{Library, Location};
use crate::event::Diagnostic;

/// Schemas that one payload may consist of, definitions included.
const MAX_SCHEMAS: usize = 5_000;

/// Nesting of one schema between references.
const MAX_DEPTH: usize = 64;

/// The dialect that every payload is read in: AsyncAPI's own is a superset of it.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// A schema without references to the outside, and where each part of it came from.
pub(super) struct ContractBundle {
    pub(super) schema: Value,
    /// Whether the payload was a CloudEvents envelope, of which only `data` is described.
    pub(super) envelope: bool,
    origins: BTreeMap<String, Location>,
}

impl ContractBundle {
    /// Collects everything that a payload schema says about data.
    pub(super) fn of(
        library: &Library,
        payload: &Location,
        generation: Generation,
    ) -> Result<Self, Diagnostic> {
        let mut collector = Collector::new(library, generation);
        let payload = collector.enter(payload.clone())?;
        let parts = envelope::data_of(library, &payload, generation)?;
        let mut schema = match parts.as_deref() {
            None => collector.copy(&payload, "", 0)?,
            Some([]) => {
                let help = "declare what crosses under `properties.data`";
                let problem = "a CloudEvents envelope without `data`";
                return Err(library.mistake(&payload, problem).with_help(help));
            }
            Some([data]) => collector.copy(data, "", 0)?,
            Some(several) => {
                let mut all = Vec::new();
                for (index, data) in several.iter().enumerate() {
                    all.push(collector.copy(data, &format!("/allOf/{index}"), 1)?);
                }
                json!({ "allOf": all })
            }
        };
        // A reference at the root would hide the definitions beside it (draft-07, section 8.3).
        if schema.get("$ref").is_some() || schema.is_boolean() {
            schema = json!({ "allOf": [schema] });
        }
        collector.finish_definitions()?;
        if let Value::Object(root) = &mut schema {
            root.insert("$schema".to_owned(), DIALECT.into());
            if !collector.definitions.is_empty() {
                root.insert("definitions".to_owned(), collector.definitions.into());
            }
        }
        Ok(Self { schema, envelope: parts.is_some(), origins: collector.origins })
    }

    /// Where the part that a pointer names was written.
    pub(super) fn origin<'a>(&'a self, mut at: &'a str) -> Option<Location> {
        let mut rest = Vec::new();
        loop {
            if let Some(origin) = self.origins.get(at) {
                let child =
                    |origin: Location, token: &std::borrow::Cow<'_, str>| origin.child(token);
                return Some(rest.iter().rev().fold(origin.clone(), child));
            }
            let (parent, _) = at.rsplit_once('/')?;
            rest.extend(pointer::tokens(at.get(parent.len()..)?));
            at = parent;
        }
    }
}

struct Collector<'a> {
    library: &'a Library,
    generation: Generation,
    names: HashMap<Location, String>,
    waiting: VecDeque<(String, Location)>,
    definitions: Map<String, Value>,
    origins: BTreeMap<String, Location>,
    schemas: usize,
}

impl<'a> Collector<'a> {
    fn new(library: &'a Library, generation: Generation) -> Self {
        Self {
            library,
            generation,
            names: HashMap::new(),
            waiting: VecDeque::new(),
            definitions: Map::new(),
            origins: BTreeMap::new(),
            schemas: 0,
        }
    }

    /// Follows references, and steps into a Multi Format Schema Object of version 3.
    fn enter(&self, at: Location) -> Result<Location, Diagnostic> {
        let at = self.library.settle(at)?;
        let multiple = self.generation == Generation::Three
            && self.library.value(&at.child("schemaFormat")).is_some()
            && self.library.value(&at.child("schema")).is_some();
        if !multiple {
            return Ok(at);
        }
        check_format(self.library, &at.child("schemaFormat"))?;
        self.library.settle(at.child("schema"))
    }

    /// Copies one schema to `to`, with every reference turned into one to a definition.
    fn copy(&mut self, at: &Location, to: &str, depth: usize) -> Result<Value, Diagnostic> {
        self.schemas += 1;
        if depth > MAX_DEPTH || self.schemas > MAX_SCHEMAS {
            let problem = format!(
                "a payload of more than {MAX_SCHEMAS} schemas, or nested more than {MAX_DEPTH} deep"
            );
            return Err(self.library.mistake(at, problem));
        }
        let value = self.library.value(at).unwrap_or(&Value::Null);
        let object = match value {
            Value::Bool(_) => return Ok(value.clone()),
            Value::Object(object) => object,
            _ => return Err(self.library.mistake(at, "a schema is an object, `true` or `false`")),
        };
        self.origins.insert(to.to_owned(), at.clone());
        if object.contains_key("$ref") {
            // What stands beside a reference is ignored (draft-07, section 8.3).
            let target = self.enter(at.clone())?;
            return Ok(json!({ "$ref": format!("#/definitions/{}", self.name(target)) }));
        }
        let mut copy = Map::new();
        for (keyword, value) in object {
            let at = at.child(keyword);
            let to = pointer::join(to, keyword);
            match (keyword.as_str(), holds(keyword)) {
                ("$schema", _) => self.check_dialect(&at, value)?,
                // References are relative to their file, as AsyncAPI has it.
                ("$id", _) | (_, Holds::Definitions) => {}
                (_, holds) => {
                    copy.insert(keyword.clone(), self.copy_keyword(&at, value, holds, &to, depth)?);
                }
            }
        }
        Ok(Value::Object(copy))
    }

    fn copy_keyword(
        &mut self,
        at: &Location,
        value: &Value,
        holds: Holds,
        to: &str,
        depth: usize,
    ) -> Result<Value, Diagnostic> {
        match (holds, value) {
            (Holds::Other | Holds::Definitions, _) => Ok(value.clone()),
            (Holds::List | Holds::SchemaOrList, Value::Array(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for index in 0..items.len() {
                    let token = index.to_string();
                    let to = pointer::join(to, &token);
                    list.push(self.copy(&at.child(&token), &to, depth + 1)?);
                }
                Ok(Value::Array(list))
            }
            (Holds::Map | Holds::Dependencies, Value::Object(members)) => {
                let mut map = Map::new();
                for (name, member) in members {
                    let to = pointer::join(to, name);
                    let copy = match (holds, member) {
                        (Holds::Dependencies, Value::Array(_)) => member.clone(),
                        _ => self.copy(&at.child(name), &to, depth + 1)?,
                    };
                    map.insert(name.clone(), copy);
                }
                Ok(Value::Object(map))
            }
            (Holds::Schema | Holds::SchemaOrList, _) => self.copy(at, to, depth + 1),
            _ => Err(self.library.mistake(at, "not what this keyword takes")),
        }
    }

    fn check_dialect(&self, at: &Location, value: &Value) -> Result<(), Diagnostic> {
        let dialect = value.as_str().unwrap_or_default().trim_end_matches('#');
        if dialect.ends_with("json-schema.org/draft-07/schema") {
            return Ok(());
        }
        let help = "payloads are JSON Schema draft-07, which AsyncAPI's own dialect extends";
        Err(self.library.mistake(at, "a schema in another dialect").with_help(help))
    }

    /// The definition that a referenced schema becomes.
    fn name(&mut self, target: Location) -> String {
        if let Some(name) = self.names.get(&target) {
            return name.clone();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let mut stem: String =
            target.name().chars().map(|c| if allowed(c) { c } else { '_' }).take(64).collect();
        if stem.is_empty() {
            "schema".clone_into(&mut stem);
        }
        let taken = |name: &String| self.names.values().any(|known| known == name);
        let mut name = stem.clone();
        let mut count = 1;
        while taken(&name) {
            count += 1;
            name = format!("{stem}-{count}");
        }
        self.names.insert(target.clone(), name.clone());
        self.waiting.push_back((name.clone(), target));
        name
    }

    fn finish_definitions(&mut self) -> Result<(), Diagnostic> {
        while let Some((name, at)) = self.waiting.pop_front() {
            let to = pointer::join("/definitions", &name);
            let copy = self.copy(&at, &to, 0)?;
            self.definitions.insert(name, copy);
        }
        Ok(())
    }
}

/// Refuses schema formats other than AsyncAPI's own and JSON Schema draft-07.
pub(super) fn check_format(library: &Library, at: &Location) -> Result<(), Diagnostic> {
    let format = library.value(at).and_then(Value::as_str).unwrap_or_default();
    let plain: String = format.to_ascii_lowercase().split_whitespace().collect();
    let (media_type, parameters) = plain.split_once(';').unwrap_or((&plain, ""));
    let draft7 = parameters.split(';').any(|parameter| parameter == "version=draft-07");
    let known = match media_type {
        "application/vnd.aai.asyncapi"
        | "application/vnd.aai.asyncapi+json"
        | "application/vnd.aai.asyncapi+yaml" => true,
        "application/schema+json" | "application/schema+yaml" => draft7,
        _ => false,
    };
    if known {
        return Ok(());
    }
    let help = "write the payload as an AsyncAPI schema, or as \
                `application/schema+json;version=draft-07`";
    let problem = format!("payloads in `{format}` cannot be checked");
    Err(library.mistake(at, problem).with_help(help))
}
