//! What is known while a payload schema is collected: where references lead, and under which names.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::contract::dialect::{Dialect, SchemaFormat};
use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location, percent_decoded};
use crate::contract::resources::{RECURSIVE, Resources};
use crate::event::Diagnostic;

/// References in a row that are taken for one; a circle ends here too.
const MAX_HOPS: usize = 32;

/// How a schema is to be read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SchemaScope {
    pub(super) dialect: Dialect,
    /// The resource to which `#` leads.
    pub(super) resource: Location,
    /// Where dynamic references lead: for each name the outermost schema that has it.
    dynamic: Arc<BTreeMap<String, Location>>,
}

/// A schema that a reference leads to, and how to read it.
pub(super) type Target = (Location, SchemaScope);

pub(super) struct Collector<'a> {
    pub(super) library: &'a Library,
    pub(super) generation: Generation,
    resources: Resources<'a>,
    names: HashMap<Target, String>,
    /// Names that are given away, and how often each was asked for.
    taken: BTreeMap<String, usize>,
    pub(super) waiting: VecDeque<(String, Target)>,
    pub(super) definitions: Map<String, Value>,
    pub(super) origins: BTreeMap<String, Location>,
    pub(super) schemas: usize,
    /// Words that demand nothing here, and where they stand.
    pub(super) unasserted: Vec<(String, Location)>,
    pub(super) mistakes: Vec<Diagnostic>,
    /// Whether any file asks about items that nothing has looked at, once somebody wants to know.
    pub(super) asks_about_items: OnceCell<bool>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(library: &'a Library, generation: Generation) -> Self {
        Self {
            library,
            generation,
            resources: Resources::new(library),
            names: HashMap::new(),
            taken: BTreeMap::new(),
            waiting: VecDeque::new(),
            definitions: Map::new(),
            origins: BTreeMap::new(),
            schemas: 0,
            unasserted: Vec::new(),
            mistakes: Vec::new(),
            asks_about_items: OnceCell::new(),
        }
    }

    pub(super) fn mistake(&mut self, at: &Location, problem: impl Into<String>, help: &str) {
        self.mistakes.push(self.library.mistake(at, problem).with_help(help));
    }

    /// Enters a payload whose `schemaFormat` names this dialect, if it has one.
    pub(super) fn enter(
        &mut self,
        payload: Location,
        format: Option<Dialect>,
    ) -> Result<Target, Diagnostic> {
        let dialect = format.unwrap_or(Dialect::AsyncApi);
        let nowhere = SchemaScope { dialect, resource: payload.clone(), dynamic: Arc::default() };
        let entered = self.arrive(payload, &nowhere, format)?;
        self.settle(entered)
    }

    /// Finds what a reference leads to. `at` is the place of the keyword that holds it.
    pub(super) fn target(
        &mut self,
        at: &Location,
        reference: &Value,
        scope: &SchemaScope,
    ) -> Result<Target, Diagnostic> {
        let found = self.step(at, reference, scope)?;
        self.settle(found)
    }

    /// Follows further references where nothing can stand beside them.
    fn settle(&mut self, mut found: Target) -> Result<Target, Diagnostic> {
        for _ in 0..MAX_HOPS {
            let (at, scope) = &found;
            let object = self.library.value(at).and_then(Value::as_object);
            let alone = |object: &&Map<String, Value>| {
                scope.dialect.ignores_siblings() || object.len() == 1
            };
            let Some(reference) = object.filter(alone).and_then(|object| object.get("$ref")) else {
                return Ok(found);
            };
            let (at, scope) = (at.child("$ref"), scope.clone());
            found = self.step(&at, reference, &scope)?;
        }
        let problem = format!("more than {MAX_HOPS} references in a row, or a circle");
        Err(self.library.mistake(&found.0.child("$ref"), problem))
    }

    pub(super) fn step(
        &mut self,
        at: &Location,
        reference: &Value,
        scope: &SchemaScope,
    ) -> Result<Target, Diagnostic> {
        let Some(reference) = reference.as_str() else {
            let name = at.name();
            return Err(self.library.mistake(at, format!("`{name}` is not a text")));
        };
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_decoded(fragment).unwrap_or_else(|| fragment.to_owned());
        let named = self.resources.find(address, &fragment, &scope.resource);
        let in_file = address.is_empty() && fragment.starts_with('/');
        let found = if scope.dialect.refers_to_files() && in_file {
            self.library.follow(at, reference).or_else(|mistake| named.ok_or(mistake))?
        } else if let Some(named) = named {
            named
        } else if !address.is_empty() && !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchor_in_file(at, address, &fragment, scope);
        } else {
            self.library.follow(at, reference)?
        };
        self.arrive(found, scope, None)
    }

    fn anchor_in_file(
        &mut self,
        at: &Location,
        address: &str,
        anchor: &str,
        scope: &SchemaScope,
    ) -> Result<Target, Diagnostic> {
        let file = self.library.follow(at, address)?;
        let (file, _) = self.arrive(file, scope, None)?;
        let Some(found) = self.resources.find("", anchor, &file) else {
            let problem = format!("`{address}` has no `$anchor: {anchor}`");
            return Err(self.library.mistake(at, problem));
        };
        self.arrive(found, scope, None)
    }

    /// Tells how to read a schema that is reached from another one.
    pub(super) fn arrive(
        &mut self,
        at: Location,
        from: &SchemaScope,
        format: Option<Dialect>,
    ) -> Result<Target, Diagnostic> {
        let (at, multiple) = self.of_multiple_formats(at)?;
        let fixed = format.or(multiple);
        let dialect = fixed.unwrap_or(from.dialect);
        if self.resources.resource_of(&at).is_none() {
            let root = Location::root(&at.file);
            let start = if self.resources.leads_to(&root, &at) { root } else { at.clone() };
            self.resources.search(&start, dialect);
        }
        let resource = self.resources.resource_of(&at).unwrap_or_else(|| at.clone());
        let dialect = match fixed {
            Some(fixed) => fixed,
            None => self.declared(&at, &resource)?.unwrap_or(dialect),
        };
        let scope = self.within(&resource, dialect, from);
        Ok((at, scope))
    }

    /// The scope of a resource that is entered from another one.
    pub(super) fn within(
        &self,
        resource: &Location,
        dialect: Dialect,
        from: &SchemaScope,
    ) -> SchemaScope {
        let mut dynamic = Arc::clone(&from.dynamic);
        for (name, at) in self.resources.dynamic(resource) {
            if !dynamic.contains_key(name) {
                Arc::make_mut(&mut dynamic).insert(name.clone(), at.clone());
            }
        }
        SchemaScope { dialect, resource: resource.clone(), dynamic }
    }

    /// The scope of a schema inside another one; a mistake if its `$schema` is not one that is read.
    pub(super) fn inside(&mut self, at: &Location, scope: &SchemaScope) -> SchemaScope {
        let schema = self.library.text(at, "$schema");
        let fixed = self.is_fixed(at);
        let named = schema.filter(|_| !fixed).map(|uri| (uri, Dialect::of_uri(uri)));
        let dialect = match named {
            Some((uri, None)) => {
                let mistake = self.unread_dialect(at, uri);
                self.mistakes.push(mistake);
                scope.dialect
            }
            Some((_, Some(dialect))) => dialect,
            None => scope.dialect,
        };
        if self.resources.is_resource(at) && *at != scope.resource {
            return self.within(at, dialect, scope);
        }
        SchemaScope { dialect, ..scope.clone() }
    }

    /// Whether a `schemaFormat` has said already in which dialect a schema is written.
    fn is_fixed(&self, at: &Location) -> bool {
        let Some(above) = at.pointer.rfind('/').and_then(|cut| at.pointer.get(..cut)) else {
            return false;
        };
        let holder = Location { pointer: above.to_owned(), ..at.clone() };
        let of_payload = matches!(&*at.name(), "payload" | "schema");
        let format = self.library.text(&holder, "schemaFormat").filter(|_| of_payload);
        format.is_some_and(|format| matches!(SchemaFormat::of(format), SchemaFormat::Of(_)))
    }

    fn unread_dialect(&self, at: &Location, uri: &str) -> Diagnostic {
        let help = "read are draft-04, draft-06, draft-07, 2019-09 and 2020-12, and the dialect of \
                    OpenAPI 3.1";
        let problem = format!("`{uri}` is not a dialect that is read");
        self.library.mistake(&at.child("$schema"), problem).with_help(help)
    }

    /// The dialect that a place says it is written in, by a `$schema` above it or by its file.
    fn declared(&self, at: &Location, resource: &Location) -> Result<Option<Dialect>, Diagnostic> {
        let mut above = at.clone();
        loop {
            if let Some(uri) = self.library.text(&above, "$schema") {
                let dialect = Dialect::of_uri(uri);
                return dialect.map(Some).ok_or_else(|| self.unread_dialect(&above, uri));
            }
            if above == *resource {
                break;
            }
            let Some(cut) = above.pointer.rfind('/') else { break };
            above.pointer.truncate(cut);
        }
        let openapi = self.library.text(&Location::root(&at.file), "openapi");
        Ok(openapi.and_then(Dialect::of_openapi))
    }

    /// Steps into a Multi Format Schema Object of version 3.
    fn of_multiple_formats(&self, at: Location) -> Result<(Location, Option<Dialect>), Diagnostic> {
        let place = at.child("schemaFormat");
        let multiple = self.generation == Generation::Three
            && self.library.value(&place).is_some()
            && self.library.value(&at.child("schema")).is_some();
        if !multiple {
            return Ok((at, None));
        }
        Ok((at.child("schema"), dialect_at(self.library, &place)?))
    }

    /// Where a dynamic reference leads instead, from where it leads as an ordinary one.
    pub(super) fn dynamic(
        &mut self,
        word: &str,
        reference: &Value,
        found: Target,
        scope: &SchemaScope,
    ) -> Target {
        let (at, _) = &found;
        let name = if word == "$recursiveRef" {
            let recursive = self.library.value(&at.child("$recursiveAnchor"));
            (recursive == Some(&Value::Bool(true))).then(|| RECURSIVE.to_owned())
        } else {
            // One that names no anchor is like any other (2020-12, section 8.2.3.2).
            let named = reference.as_str().and_then(|reference| reference.split_once('#'));
            let anchor = self.library.text(at, "$dynamicAnchor");
            let is_named = |anchor: &&str| named.is_some_and(|(_, name)| name == *anchor);
            anchor.filter(is_named).map(str::to_owned)
        };
        let outermost = name.and_then(|name| scope.dynamic.get(&name)).cloned();
        match outermost {
            // What is in scope was read before, so that arriving there makes no mistake.
            Some(outermost) => self.arrive(outermost, scope, None).unwrap_or(found),
            None => found,
        }
    }

    /// The definition that a referenced schema becomes.
    pub(super) fn name(&mut self, target: Target) -> String {
        if let Some(name) = self.names.get(&target) {
            return name.clone();
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let stem: String =
            target.0.name().chars().map(|c| if allowed(c) { c } else { '_' }).take(64).collect();
        let stem = if stem.is_empty() { "schema".to_owned() } else { stem };
        let mut name = stem.clone();
        let mut count = self.taken.get(&stem).copied().unwrap_or(1);
        while self.taken.contains_key(&name) {
            count += 1;
            name = format!("{stem}-{count}");
        }
        self.taken.insert(stem, count);
        self.taken.insert(name.clone(), 1);
        self.names.insert(target.clone(), name.clone());
        self.waiting.push_back((name.clone(), target));
        name
    }
}

/// The dialect that the `schemaFormat` at a place names; nothing if it leaves it open.
///
/// # Errors
///
/// The caller's turn: payloads in this format cannot be checked.
pub(super) fn dialect_at(library: &Library, at: &Location) -> Result<Option<Dialect>, Diagnostic> {
    let text = library.value(at).and_then(Value::as_str).unwrap_or_default();
    let format = SchemaFormat::of(text);
    match (format.refusal(text), format) {
        (Some((problem, help)), _) => Err(library.mistake(at, problem).with_help(help)),
        (None, SchemaFormat::Of(dialect)) => Ok(Some(dialect)),
        (None, _) => Ok(None),
    }
}
