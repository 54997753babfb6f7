//! Finds schemas by the `$id` and `$anchor` that they give themselves (JSON Schema 2020-12, section 8.2).

use std::collections::{BTreeMap, HashMap};

use fluent_uri::{Uri, UriRef};
use serde_json::{Map, Value};

use crate::contract::dialect::Dialect;
use crate::contract::keyword::{Holds, holds};
use crate::contract::pointer;
use crate::contract::reference::{Library, Location};

/// Schemas that are searched for names; what lies beyond has none.
const MAX_SEARCHED: usize = 20_000;

/// The name under which a `$recursiveAnchor` is kept among the dynamic anchors.
pub(super) const RECURSIVE: &str = "";

/// A schema with an address of its own, or one that nothing above it addresses.
struct Resource {
    /// What relative addresses in it are relative to.
    base: String,
    /// Its `$dynamicAnchor`s, and its `$recursiveAnchor` under [`RECURSIVE`].
    dynamic: Vec<(String, Location)>,
}

/// The schemas that were searched for names.
pub(super) struct Resources<'a> {
    library: &'a Library,
    known: BTreeMap<Location, Resource>,
    by_address: HashMap<String, Location>,
    anchors: HashMap<(Location, String), Location>,
    searched: usize,
}

/// A schema that is still to be searched, and the resource that it belongs to.
struct Waiting<'a> {
    value: &'a Value,
    at: Location,
    resource: Location,
    dialect: Dialect,
}

impl<'a> Resources<'a> {
    pub(super) fn new(library: &'a Library) -> Self {
        Self {
            library,
            known: BTreeMap::new(),
            by_address: HashMap::new(),
            anchors: HashMap::new(),
            searched: 0,
        }
    }

    /// Searches a schema and everything in it.
    pub(super) fn search(&mut self, start: &Location, dialect: Dialect) {
        let Some(value) = self.library.value(start) else { return };
        self.found(start.clone(), format!("file:///{}", start.file));
        let (at, resource) = (start.clone(), start.clone());
        let mut waiting = vec![Waiting { value, at, resource, dialect }];
        while let Some(next) = waiting.pop() {
            self.searched += 1;
            let Some(object) = next.value.as_object() else { continue };
            if self.searched > MAX_SEARCHED {
                return;
            }
            let resource = self.names(object, &next);
            let schema = object.get("$schema").and_then(Value::as_str);
            let dialect = schema.and_then(Dialect::of_uri).unwrap_or(next.dialect);
            for (value, at) in below(object, &next.at) {
                waiting.push(Waiting { value, at, resource: resource.clone(), dialect });
            }
        }
    }

    /// Notes the names that a schema gives itself, and tells to which resource it belongs.
    fn names(&mut self, object: &Map<String, Value>, schema: &Waiting<'_>) -> Location {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let id = if schema.dialect == Dialect::Draft4 { text("id") } else { text("$id") };
        // Beside a reference the old dialects ignore it.
        let hidden = object.contains_key("$ref") && schema.dialect.ignores_siblings();
        let id = id.filter(|_| !hidden);
        let resource = id.map_or_else(|| schema.resource.clone(), |id| self.identified(id, schema));
        for word in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = text(word) {
                self.anchor(&resource, name, &schema.at);
            }
        }
        let recursive = object.get("$recursiveAnchor") == Some(&Value::Bool(true));
        let recursive = recursive.then_some(RECURSIVE);
        for name in text("$dynamicAnchor").into_iter().chain(recursive) {
            if let Some(known) = self.known.get_mut(&resource) {
                known.dynamic.push((name.to_owned(), schema.at.clone()));
            }
        }
        resource
    }

    /// Notes the id of a schema, and tells to which resource the schema then belongs.
    fn identified(&mut self, id: &str, schema: &Waiting<'_>) -> Location {
        if id.starts_with('#') {
            self.anchor(&schema.resource, id.trim_start_matches('#'), &schema.at);
            return schema.resource.clone();
        }
        let Some(address) = self.absolute(id, &schema.resource) else {
            return schema.resource.clone();
        };
        self.found(schema.at.clone(), address.clone());
        self.by_address.entry(address).or_insert_with(|| schema.at.clone());
        schema.at.clone()
    }

    fn found(&mut self, at: Location, base: String) {
        let resource = Resource { base, dynamic: Vec::new() };
        self.known.insert(at, resource);
    }

    fn anchor(&mut self, resource: &Location, name: &str, at: &Location) {
        let key = (resource.clone(), name.to_owned());
        self.anchors.entry(key).or_insert_with(|| at.clone());
    }

    /// The address that a reference means inside a resource, without its fragment.
    fn absolute(&self, reference: &str, resource: &Location) -> Option<String> {
        let reference = reference.split('#').next().unwrap_or_default();
        let base = Uri::parse(self.known.get(resource)?.base.as_str()).ok()?;
        let reference = UriRef::parse(reference).ok()?;
        Some(reference.resolve_against(&base).ok()?.normalize().into_string())
    }

    /// Whether a schema has an address of its own, or was the first of its search.
    pub(super) fn is_resource(&self, at: &Location) -> bool {
        self.known.contains_key(at)
    }

    /// The resource that a place belongs to; nothing if it was not searched.
    pub(super) fn resource_of(&self, at: &Location) -> Option<Location> {
        let mut at = at.clone();
        loop {
            if self.is_resource(&at) {
                return Some(at);
            }
            let cut = at.pointer.rfind('/')?;
            at.pointer.truncate(cut);
        }
    }

    /// Whether keywords that hold schemas lead from one place to another one below it, so that
    /// the upper one is a schema that the lower one is a part of.
    pub(super) fn leads_to(&self, from: &Location, to: &Location) -> bool {
        let mut at = from.clone();
        let mut rest = to.pointer.get(from.pointer.len()..).unwrap_or_default();
        while at != *to {
            let object = self.library.value(&at).and_then(Value::as_object);
            let parts = object.map(|object| below(object, &at)).unwrap_or_default();
            let next = parts.into_iter().find(|(_, part)| {
                let step = part.pointer.get(at.pointer.len()..);
                step.and_then(|step| rest.strip_prefix(step))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let Some((_, part)) = next else { return false };
            rest = rest.get(part.pointer.len() - at.pointer.len()..).unwrap_or_default();
            at = part;
        }
        true
    }

    /// The dynamic anchors of a resource.
    pub(super) fn dynamic(&self, resource: &Location) -> &[(String, Location)] {
        self.known.get(resource).map(|known| known.dynamic.as_slice()).unwrap_or_default()
    }

    /// Finds what a reference inside a resource means, by the names that schemas give themselves.
    /// The fragment has no percent escapes any more.
    pub(super) fn find(
        &self,
        address: &str,
        fragment: &str,
        resource: &Location,
    ) -> Option<Location> {
        let resource = match address {
            "" => resource,
            address => self.by_address.get(&self.absolute(address, resource)?)?,
        };
        if fragment.is_empty() {
            return Some(resource.clone());
        }
        if !fragment.starts_with('/') {
            return self.anchors.get(&(resource.clone(), fragment.to_owned())).cloned();
        }
        let pointer = pointer::tokens(fragment)
            .fold(resource.pointer.clone(), |pointer, token| pointer::join(&pointer, &token));
        let found = Location { pointer, ..resource.clone() };
        self.library.value(&found).is_some().then_some(found)
    }
}

/// The schemas inside a schema.
fn below<'a>(object: &'a Map<String, Value>, at: &Location) -> Vec<(&'a Value, Location)> {
    let mut found = Vec::new();
    for (keyword, value) in object {
        let at = at.child(keyword);
        match (holds(keyword), value) {
            (Holds::Other, _) => {}
            (Holds::Schema, value) => found.push((value, at)),
            (_, Value::Array(items)) => {
                let item = |(index, item)| (item, at.child(&format!("{index}")));
                found.extend(items.iter().enumerate().map(item));
            }
            (Holds::SchemaOrList, value) => found.push((value, at)),
            (_, Value::Object(members)) => {
                found.extend(members.iter().map(|(name, member)| (member, at.child(name))));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::text::Text;

    #[test]
    fn schemas_are_found_by_address_anchor_and_pointer_inside_their_resource() {
        let text = "$id: https://example.com/tree
$defs:
  leaf: { $id: leaf, $anchor: here, $defs: { a: {} } }
  far: { $id: 'urn:uuid:deadbeef-1234-00ff-ff00-4321feebdaed' }
  old: { $id: '#named' }
  const: { const: { $id: not-an-id } }
";
        let text = Text::read("a.yaml", text).expect("readable");
        let library = Library::new(BTreeMap::from([("a.yaml".to_owned(), text)]));
        let mut resources = Resources::new(&library);
        let root = Location::root("a.yaml");
        resources.search(&root, Dialect::Draft202012);
        let find = |address: &str, fragment: &str| {
            resources.find(address, fragment, &root).map(|at| at.pointer)
        };

        assert_eq!(find("leaf", "").unwrap(), "/$defs/leaf");
        assert_eq!(find("https://example.com/leaf", "here").unwrap(), "/$defs/leaf");
        assert_eq!(find("leaf", "/$defs/a").unwrap(), "/$defs/leaf/$defs/a");
        assert_eq!(
            find("urn:uuid:deadbeef-1234-00ff-ff00-4321feebdaed", "").unwrap(),
            "/$defs/far"
        );
        assert_eq!(find("", "named").unwrap(), "/$defs/old");
        assert_eq!(find("", "here"), None);
        assert_eq!(find("not-an-id", ""), None);
        let leaf = root.child("$defs").child("leaf");
        assert_eq!(resources.resource_of(&leaf.child("$defs").child("a")), Some(leaf));
    }
}
