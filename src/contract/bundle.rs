//! Turns a payload schema that refers to other places into one that stands alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::contract::collector::{Collector, Scope, Target};
use crate::contract::dialect::Dialect;
use crate::contract::discriminator;
use crate::contract::envelope;
use crate::contract::fields::Generation;
use crate::contract::pointer;
use crate::contract::reference::{Library, Location};
use crate::contract::served_form;
use crate::event::Diagnostic;

/// Schemas that are looked at to find an envelope.
const MAX_PARTS: usize = 5_000;

/// The dialect of the normal form.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema without references to the outside, and where each part of it came from.
pub(super) struct ContractBundle {
    /// In the normal form: the words of JSON Schema 2020-12, whatever the contract wrote.
    pub(super) schema: Value,
    /// Whether the payload was a CloudEvents envelope, of which only `data` is described.
    pub(super) envelope: bool,
    /// Words that demand nothing, and where they stand.
    unasserted: Vec<(String, Location)>,
    dialect: Dialect,
    origins: BTreeMap<String, Location>,
}

impl ContractBundle {
    /// Collects everything that a payload schema says about data. A `schemaFormat` beside it may
    /// have told its dialect.
    ///
    /// # Errors
    ///
    /// The caller's turn: every mistake in the schema, each at its place.
    pub(super) fn of(
        library: &Library,
        payload: &Location,
        generation: Generation,
        format: Option<Dialect>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut collector = Collector::new(library, generation);
        let built = Self::collect(&mut collector, payload, format);
        Self::finish(collector, built)
    }

    /// Collects what a part of a payload, or of what stands beside it, says of one value.
    ///
    /// # Errors
    ///
    /// The caller's turn: every mistake in the part, each at its place.
    pub(super) fn of_part(
        library: &Library,
        payload: &Location,
        part: &Location,
        generation: Generation,
        format: Option<Dialect>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut collector = Collector::new(library, generation);
        let built = collector
            .enter(payload.clone(), format)
            .and_then(|(_, scope)| collector.arrive(part.clone(), &scope, format))
            .and_then(|(at, scope)| {
                let schema = collector.copy(&at, "", 0, &scope)?;
                Self::with_definitions(&mut collector, schema, false, scope.dialect)
            });
        Self::finish(collector, built)
    }

    fn finish(
        collector: Collector<'_>,
        built: Result<Self, Diagnostic>,
    ) -> Result<Self, Vec<Diagnostic>> {
        match built {
            Ok(bundle) if collector.mistakes.is_empty() => {
                Ok(Self { unasserted: collector.unasserted, origins: collector.origins, ..bundle })
            }
            built => {
                let mut mistakes = collector.mistakes;
                mistakes.extend(built.err());
                Err(mistakes)
            }
        }
    }

    fn collect(
        collector: &mut Collector<'_>,
        payload: &Location,
        format: Option<Dialect>,
    ) -> Result<Self, Diagnostic> {
        let entered = collector.enter(payload.clone(), format)?;
        let dialect = entered.1.dialect;
        let parts = data_of_envelope(collector, &entered)?;
        let schema = match parts.as_deref() {
            None => collector.copy(&entered.0, "", 0, &entered.1)?,
            Some([]) => {
                let help = "declare what crosses under `properties.data`";
                let problem = "a CloudEvents envelope without `data`";
                return Err(collector.library.mistake(&entered.0, problem).with_help(help));
            }
            Some([(data, scope)]) => collector.copy(data, "", 0, scope)?,
            Some(several) => {
                let mut all = Vec::new();
                for (index, (data, scope)) in several.iter().enumerate() {
                    all.push(collector.copy(data, &format!("/allOf/{index}"), 1, scope)?);
                }
                json!({ "allOf": all })
            }
        };
        Self::with_definitions(collector, schema, parts.is_some(), dialect)
    }

    /// Copies what the schema refers to.
    fn with_definitions(
        collector: &mut Collector<'_>,
        mut schema: Value,
        envelope: bool,
        dialect: Dialect,
    ) -> Result<Self, Diagnostic> {
        while let Some((name, (at, scope))) = collector.waiting.pop_front() {
            let to = pointer::join("/$defs", &name);
            let copy = collector.copy(&at, &to, 0, &scope)?;
            collector.definitions.insert(name, copy);
        }
        if let Value::Object(root) = &mut schema {
            root.insert("$schema".to_owned(), DIALECT.into());
            if !collector.definitions.is_empty() {
                root.insert("$defs".to_owned(), std::mem::take(&mut collector.definitions).into());
            }
        }
        let (unasserted, origins) = (Vec::new(), BTreeMap::new());
        Ok(Self { schema, envelope, unasserted, dialect, origins })
    }

    /// The schema that data is held against: discriminators refine their alternatives.
    pub(super) fn refined(&self) -> Value {
        let mut refined = self.schema.clone();
        discriminator::refine(&mut refined);
        refined
    }

    /// The schema for consumers.
    pub(super) fn served(&self) -> Value {
        served_form::served(&self.schema, self.dialect.is_of_draft7())
    }

    /// A warning for each word that demands nothing where people may think that it does, at the
    /// first of its places.
    pub(super) fn unasserted(&self, library: &Library) -> Vec<Diagnostic> {
        let mut places: BTreeMap<&str, Vec<&Location>> = BTreeMap::new();
        for (word, at) in &self.unasserted {
            places.entry(word).or_default().push(at);
        }
        let warning = |(word, places): (&str, Vec<&Location>)| {
            let first = places.first()?;
            let further = match places.len() - 1 {
                0 => String::new(),
                1 => ", here and in 1 further place".to_owned(),
                more => format!(", here and in {more} further places"),
            };
            let problem = format!("{word} demands nothing of data{further}");
            Some(library.mistake(first, problem).into_warning())
        };
        places.into_iter().filter_map(warning).collect()
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

/// The schemas of `data`, if the payload is a CloudEvents envelope.
fn data_of_envelope(
    collector: &mut Collector<'_>,
    payload: &Target,
) -> Result<Option<Vec<Target>>, Diagnostic> {
    if !envelope::is_described(collector.library, &payload.0, collector.generation) {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut open = vec![payload.clone()];
    let mut seen = 0;
    while let Some((at, scope)) = open.pop() {
        seen += 1;
        if seen > MAX_PARTS {
            return Err(collector.library.mistake(&payload.0, "`allOf` refers to itself"));
        }
        let Some(Value::Object(object)) = collector.library.value(&at) else { continue };
        if let Some(reference) = object.get("$ref") {
            // Where it leads nowhere, copying says so.
            open.extend(collector.target(&at.child("$ref"), reference, &scope));
            if scope.dialect.ignores_siblings() {
                continue;
            }
        }
        if object.get("properties").is_some_and(|properties| properties.get("data").is_some()) {
            found.push((at.child("properties").child("data"), scope.clone()));
        }
        open.extend(parts(object, &at, &scope).into_iter().rev());
    }
    Ok(Some(found))
}

/// The schemas of `allOf`.
fn parts(object: &Map<String, Value>, at: &Location, scope: &Scope) -> Vec<Target> {
    let count = object.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    let part = |index: usize| (at.child("allOf").child(&index.to_string()), scope.clone());
    (0..count).map(part).collect()
}
