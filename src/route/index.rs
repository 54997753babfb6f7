//! Many filters at once: each conjunction is filed under its most selective field, an event is
//! walked once and only into paths that are used, and what it finds is verified.
//!
//! The index decides only which filters are worth asking. Whether an event matches is always the
//! word of the recursive evaluator, so filters cannot influence each other.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::event::EVENT_NAME;
use crate::route::access::FieldAccess;
use crate::route::clause::ClauseDraft;
use crate::route::evaluate;
use crate::route::event_tree::EventTree;
use crate::route::field::{Field, Path};
use crate::route::filter::Filter;
use crate::route::found::{Buckets, Found};
use crate::route::selectivity::Selectivity;

/// Up to so many filters a loop is quicker than a walk.
const LOOP: usize = 4;

/// Filters with their keys, in the order of the keys; it never changes.
#[derive(Debug)]
pub(super) struct Index<K> {
    filters: Vec<(K, Arc<Filter>)>,
    /// The drafts of all filters, each with the place of its filter.
    entries: Vec<(usize, ClauseDraft)>,
    /// Entries that no field can find.
    always: Vec<u32>,
    buckets: Buckets,
    root: Branch,
}

/// A point on the paths that are used.
#[derive(Debug, Default)]
struct Branch {
    below: HashMap<Box<str>, Branch>,
    access: Option<FieldAccess>,
}

impl<K> Index<K> {
    /// Builds an index of filters that come in the order of their keys.
    pub(super) fn build(filters: Vec<(K, Arc<Filter>)>) -> Self {
        let mut index = Self {
            filters,
            entries: Vec::new(),
            always: Vec::new(),
            buckets: Buckets::default(),
            root: Branch::default(),
        };
        if index.filters.len() <= LOOP {
            return index;
        }
        for (place, (_, filter)) in index.filters.iter().enumerate() {
            index.entries.extend(filter.drafts().iter().map(|draft| (place, draft.clone())));
        }
        let selectivity = Selectivity::of(index.entries.iter().map(|(_, draft)| draft));
        let mut filed: HashMap<Path, Vec<(Arc<Field>, u32)>> = HashMap::new();
        for (entry, (_, draft)) in (0..).zip(&index.entries) {
            match selectivity.best_field(draft) {
                Some(field) => {
                    filed
                        .entry(Arc::clone(&field.path))
                        .or_default()
                        .push((Arc::clone(field), entry));
                }
                None => index.always.push(entry),
            }
        }
        for (path, fields) in filed {
            let each = fields.iter().flat_map(|(field, entry)| {
                field.alternatives.iter().map(|alternative| (alternative, *entry))
            });
            index.root.at(&path).access = Some(FieldAccess::new(each, &mut index.buckets));
        }
        index
    }

    /// The filters that an event satisfies, in the order of their keys.
    pub(super) fn matches<'i>(&'i self, event: &EventTree<'_>, found: &mut Vec<&'i K>) {
        if self.entries.is_empty() {
            let matching = self.filters.iter().filter(|(_, filter)| filter.matches_tree(event));
            found.extend(matching.map(|(key, _)| key));
            return;
        }
        let mut candidates = Found::new(&self.buckets, self.entries.len());
        self.always.iter().for_each(|&entry| candidates.add(entry));
        self.root.walk(event.root(), &mut candidates);
        self.root.walk_type(event.root(), &mut candidates);
        let mut matched = None;
        for candidate in candidates.into_sorted() {
            let Some((place, draft)) =
                usize::try_from(candidate).ok().and_then(|candidate| self.entries.get(candidate))
            else {
                continue;
            };
            // The entries of one filter are neighbors.
            if matched == Some(*place) {
                continue;
            }
            let Some((key, filter)) = self.filters.get(*place) else { continue };
            let parts_hold = draft.parts.iter().all(|part| evaluate::holds(part, event.root()));
            if parts_hold && (!draft.coarse || filter.matches_tree(event)) {
                matched = Some(*place);
                found.push(key);
            }
        }
    }
}

impl Branch {
    fn at(&mut self, path: &[Box<str>]) -> &mut Self {
        path.iter().fold(self, |branch, name| branch.below.entry(name.clone()).or_default())
    }

    /// An event whose name does not stand apart is asked for its type instead.
    fn walk_type(&self, event: &Value, found: &mut Found) {
        let named = event.get(EVENT_NAME).is_some();
        if let (Some(branch), Some(name), false) =
            (self.below.get(EVENT_NAME), event.get("type"), named)
        {
            branch.walk(name, found);
        }
    }

    fn walk(&self, value: &Value, found: &mut Found) {
        if found.is_everything() {
            return;
        }
        match value {
            Value::Object(members) if members.len() < self.below.len() => {
                for (name, member) in members {
                    if let Some(branch) = self.below.get(&**name) {
                        branch.walk(member, found);
                    }
                }
            }
            Value::Object(members) => {
                for (name, branch) in &self.below {
                    if let Some(member) = members.get(&**name) {
                        branch.walk(member, found);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, found)),
            leaf => {
                if let Some(access) = &self.access {
                    access.collect(leaf, found);
                }
            }
        }
    }
}
