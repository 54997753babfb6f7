//! Reads the documents that the settings name, and knows each by a digest, so that changes can be told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{self, Config, Texts};
use crate::contract::{Catalog, Gate};
use crate::enrich::Publications;
use crate::event::yaml;
use crate::eventlog::TextDigest;
use crate::gateway::build_error::BuildError;
use crate::gateway::inward::gate_of;

/// Names that a line of the log lists of a kind.
const MOST_NAMES: usize = 20;

/// Contracts and publications that fit together, with the digests that they are known by.
pub(super) struct ReadDocuments {
    pub(super) catalog: Arc<Catalog>,
    pub(super) publications: Arc<Publications>,
    pub(super) gate: Gate,
    pub(super) digests: DocumentDigests,
}

/// What documents are known by.
#[derive(Clone, Default)]
pub(super) struct DocumentDigests {
    /// Of all files of contracts.
    pub(super) contracts: String,
    /// Of all files of publications.
    pub(super) publications: String,
    of_contract: BTreeMap<String, String>,
    of_publication: BTreeMap<String, String>,
}

/// Reads the contracts and publications that the settings name.
///
/// # Errors
///
/// The operator's turn: every mistake in them.
pub(super) fn read_documents(config: &Config) -> Result<ReadDocuments, BuildError> {
    let read = |path| config::folder(path).map_err(BuildError::Documents);
    let (contracts, publications) = (read(&config.contracts)?, read(&config.publications)?);
    let (catalog, read, gate) = gate_of(config, &contracts, &publications)?;
    let of_contract = catalog.documents().map(|document| {
        let digest = TextDigest::from_bytes(document.digest()).to_string();
        (document.path().to_owned(), digest)
    });
    let digests = DocumentDigests {
        contracts: config::digest_of_texts(&contracts),
        publications: config::digest_of_texts(&publications),
        of_contract: of_contract.collect(),
        of_publication: of_publications(&publications),
    };
    Ok(ReadDocuments { catalog, publications: read, gate, digests })
}

/// The digest of each publication: of what its file says of it, and of all in it.
fn of_publications(texts: &Texts) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for (file, text) in texts {
        let Ok(Value::Object(mut whole)) = yaml::read::<Value>(file, text) else { continue };
        let Some(Value::Array(items)) = whole.remove("publications") else { continue };
        let domain = whole.get("domain").and_then(Value::as_str).unwrap_or_default().to_owned();
        for item in items {
            let event = item.get("event").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{domain}/{event}");
            let said = serde_json::json!([whole, item]);
            digests.insert(name, config::digest_of(&said));
        }
    }
    digests
}

/// What differs between two states of one kind, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NamedChanges {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl NamedChanges {
    /// Compares two states; what is equal is not named.
    pub(super) fn between<V: PartialEq>(
        before: &BTreeMap<String, V>,
        after: &BTreeMap<String, V>,
    ) -> Self {
        let missing_in = |one: &BTreeMap<String, V>, other: &BTreeMap<String, V>| {
            one.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        let differs = |(name, value): (&String, &V)| {
            let is_other = before.get(name).is_some_and(|old| old != value);
            is_other.then(|| name.clone())
        };
        Self {
            added: missing_in(after, before),
            changed: after.iter().filter_map(differs).collect(),
            removed: missing_in(before, after),
        }
    }

    /// One line for each kind of change that there is, for example `publications added: shop/Order.Created`.
    pub(super) fn told(&self, kind: &str) -> Vec<String> {
        let words =
            [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        let some = words.into_iter().filter(|(_, names)| !names.is_empty());
        some.map(|(word, names)| format!("{kind} {word}: {}", listed(names))).collect()
    }
}

/// Names, as many as a line holds.
fn listed(names: &[String]) -> impl fmt::Display {
    let shown = names.get(..names.len().min(MOST_NAMES)).unwrap_or_default().join(", ");
    match names.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

impl DocumentDigests {
    /// What differs in others.
    pub(super) fn changes_to(&self, other: &Self) -> Vec<String> {
        let contracts = NamedChanges::between(&self.of_contract, &other.of_contract);
        let publications = NamedChanges::between(&self.of_publication, &other.of_publication);
        let mut told = contracts.told("contracts");
        told.extend(publications.told("publications"));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_went_and_changed_is_named_and_what_is_equal_is_not() {
        let state = |pairs: &[(&str, u8)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect::<BTreeMap<_, _>>()
        };
        let changes = NamedChanges::between(
            &state(&[("same", 1), ("other", 1), ("gone", 1)]),
            &state(&[("same", 1), ("other", 2), ("new", 1)]),
        );

        assert_eq!(
            changes.told("contracts"),
            ["contracts added: new", "contracts changed: other", "contracts removed: gone"]
        );
        assert!(NamedChanges::default().told("contracts").is_empty());
        let many: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        assert!(listed(&many).to_string().ends_with("19 and 3 more"));
    }

    #[test]
    fn a_publication_changes_with_its_own_words_and_with_those_of_its_file() {
        let text = |source: &str, when: &str| {
            let text = format!(
                "domain: shop\ncontract: shop.yaml\nsource: {source}\npublications:\n  - event: A.B\n    \
                 when: {{ source: [{when}] }}\n  - {{ event: C.D, when: {{ source: [x] }} }}\n"
            );
            of_publications(&Texts::from([("shop.yaml".to_owned(), text)]))
        };
        let before = text("/shop", "a");
        let changed =
            |after: BTreeMap<String, String>| NamedChanges::between(&before, &after).changed;

        assert_eq!(changed(text("/shop", "a")), [] as [&str; 0]);
        assert_eq!(changed(text("/shop", "b")), ["shop/A.B"]);
        assert_eq!(changed(text("/other", "a")), ["shop/A.B", "shop/C.D"]);
    }
}
