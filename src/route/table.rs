//! All subscriptions at once: who wants this event?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use serde_json::Value;

use crate::route::budget::{Routed, StepAllowance};
use crate::route::event_tree::EventTree;
use crate::route::filter::{BoundedFilter, OwnedFilter};
use crate::route::index::{Index, ListedFilter};
use crate::route::owners::{OwnerNumbers, StepMeter};

/// How many changes are kept beside the large index before it is built again.
const MAX_CHANGES: usize = 256;
/// What has gone may make up one part of so many of the large index; it keeps what it holds until it
/// is built again.
const STALE_SHARE: usize = 8;

/// Filters by key, matched all at once.
///
/// The cost of a match grows with the filters that match, not with the filters there are. Readers
/// never wait: a change publishes a new snapshot. Changes are collected in a small index beside the
/// large one, which is built again after 256 of them, or when much of what it holds has gone.
///
/// The same filter under many keys is asked once of each event.
pub struct Table<K> {
    published: ArcSwap<Snapshot<K>>,
    writer: Mutex<TableWriter<K>>,
}

struct Snapshot<K> {
    base: Arc<Index<K>>,
    /// What has changed since the base was built, as it is now.
    recent: Index<K>,
    /// The keys that have changed; the base is wrong about them.
    changed: BTreeSet<K>,
    /// How many owners both indexes number.
    owners: usize,
}

struct TableWriter<K> {
    filters: BTreeMap<K, OwnedFilter>,
    changed: BTreeSet<K>,
    /// The owners in both indexes; numbered again when all is indexed again.
    owners: OwnerNumbers,
    /// What all filters weigh, in combinations.
    weight: usize,
    /// What those weigh that have gone since the base was built.
    stale: usize,
}

impl<K: Ord> TableWriter<K> {
    fn add(&mut self, key: K, filter: OwnedFilter) {
        self.weight += weight(&filter);
        if let Some(gone) = self.filters.insert(key, filter) {
            self.forget(&gone);
        }
    }

    fn forget(&mut self, gone: &OwnedFilter) {
        self.weight = self.weight.saturating_sub(weight(gone));
        self.stale += weight(gone);
    }
}

/// What a filter weighs: never nothing.
fn weight(owned: &OwnedFilter) -> usize {
    owned.asked.filter.combinations().max(1)
}

impl<K: Clone + Ord + Send + Sync> Table<K> {
    /// Makes a table without filters.
    pub fn new() -> Self {
        Self::holding(BTreeMap::new())
    }

    fn holding(filters: BTreeMap<K, OwnedFilter>) -> Self {
        let mut owners = OwnerNumbers::default();
        let snapshot = Snapshot {
            base: Arc::new(index_of(&filters, filters.keys(), &mut owners)),
            recent: Index::build(Vec::new()),
            changed: BTreeSet::new(),
            owners: owners.count(),
        };
        let weight = filters.values().map(weight).sum();
        let writer = TableWriter { filters, changed: BTreeSet::new(), owners, weight, stale: 0 };
        Self { published: ArcSwap::from_pointee(snapshot), writer: Mutex::new(writer) }
    }

    /// Adds a filter, or replaces the one under the same key.
    pub fn insert(&self, key: K, filter: impl Into<OwnedFilter>) {
        self.extend([(key, filter)]);
    }

    /// Adds or replaces many filters at once, which is much cheaper than one by one.
    pub fn extend<F: Into<OwnedFilter>>(&self, filters: impl IntoIterator<Item = (K, F)>) {
        let mut writer = self.write();
        for (key, filter) in filters {
            writer.changed.insert(key.clone());
            writer.add(key, filter.into());
        }
        self.publish(&mut writer);
    }

    /// Takes a filter out; says whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        let mut writer = self.write();
        let Some(gone) = writer.filters.remove(key) else { return false };
        writer.forget(&gone);
        writer.changed.insert(key.clone());
        self.publish(&mut writer);
        true
    }

    /// The keys of all filters that an event satisfies, sorted, whatever work that is; a filter that
    /// may not take so much is left out.
    pub fn matches(&self, event: &Value) -> Vec<K> {
        self.route(event, StepAllowance::UNLIMITED).matching
    }

    /// The keys of all filters that an event satisfies, and of those for which it takes more work
    /// than is allowed at once to tell.
    pub fn route(&self, event: &Value, allowance: StepAllowance) -> Routed<K> {
        let event = EventTree::of(event);
        let snapshot = self.published.load();
        let mut meter = StepMeter::new(allowance, snapshot.owners);
        let mut found = snapshot.base.route(&event, &mut meter);
        if !snapshot.changed.is_empty() {
            let recent = snapshot.recent.route(&event, &mut meter);
            let both =
                [(&mut found.matching, recent.matching), (&mut found.undecided, recent.undecided)];
            for (found, recent) in both {
                found.retain(|key| !snapshot.changed.contains(key));
                found.extend(recent);
                found.sort_unstable();
            }
        }
        let cloned = |keys: Vec<&K>| keys.into_iter().cloned().collect();
        Routed {
            matching: cloned(found.matching),
            undecided: cloned(found.undecided),
            steps: meter.taken(),
        }
    }

    /// The filter under a key.
    pub fn get(&self, key: &K) -> Option<BoundedFilter> {
        self.write().filters.get(key).map(|owned| owned.asked.clone())
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.write().filters.len()
    }

    /// Tells whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write(&self) -> MutexGuard<'_, TableWriter<K>> {
        // A panic leaves both maps whole, because each change is one call.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, writer: &mut TableWriter<K>) {
        let TableWriter { filters, owners, .. } = writer;
        let much_has_gone = writer.stale * STALE_SHARE > writer.weight;
        let base = if writer.changed.len() > MAX_CHANGES || much_has_gone {
            writer.changed.clear();
            writer.stale = 0;
            *owners = OwnerNumbers::default();
            Arc::new(index_of(filters, filters.keys(), owners))
        } else {
            Arc::clone(&self.published.load().base)
        };
        let recent = index_of(filters, &writer.changed, owners);
        let (changed, owners) = (writer.changed.clone(), owners.count());
        self.published.store(Arc::new(Snapshot { base, recent, changed, owners }));
    }
}

/// Indexes those of some keys, in order, that have a filter.
fn index_of<'k, K: Clone + Ord + 'k>(
    filters: &BTreeMap<K, OwnedFilter>,
    keys: impl IntoIterator<Item = &'k K>,
    owners: &mut OwnerNumbers,
) -> Index<K> {
    let present = keys.into_iter().filter_map(|key| filters.get(key).map(|owned| (key, owned)));
    let listed = present.map(|(key, OwnedFilter { owner, asked })| ListedFilter {
        key: key.clone(),
        asked: asked.clone(),
        owner: owner.as_ref().map(|owner| owners.number(owner)),
    });
    Index::build(listed.collect())
}

impl<K: Clone + Ord + Send + Sync> Default for Table<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Ord + Send + Sync, F: Into<OwnedFilter>> FromIterator<(K, F)> for Table<K> {
    fn from_iter<I: IntoIterator<Item = (K, F)>>(filters: I) -> Self {
        let bounded = |(key, filter): (K, F)| (key, filter.into());
        Self::holding(filters.into_iter().map(bounded).collect())
    }
}

impl<K> fmt::Debug for Table<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::route::{Filter, strategies};

    fn wish(filters: &[Value]) -> Arc<Filter> {
        Arc::new(Filter::new(&[], filters).unwrap())
    }

    #[test]
    fn a_filter_counts_from_its_insertion_to_its_removal() {
        let table = Table::new();
        let event = json!({"type": "x"});

        assert!(table.is_empty() && table.matches(&event).is_empty());
        table.insert("b", wish(&[json!({"exact": {"type": "x"}})]));
        table.insert("a", wish(&[]));
        assert_eq!(table.matches(&event), ["a", "b"]);
        table.insert("b", wish(&[json!({"exact": {"type": "y"}})]));
        assert_eq!(table.matches(&event), ["a"]);
        assert!(table.remove(&"a") && !table.remove(&"a"));
        assert_eq!((table.matches(&event), table.len()), (vec![], 1));
    }

    #[test]
    fn what_was_taken_out_is_not_kept() {
        let table = Table::new();
        let filter = |n: u32| wish(&[json!({"exact": {"type": n.to_string()}})]);
        let filters: Vec<Arc<Filter>> = (0..600).map(filter).collect();
        table.extend((0_usize..).zip(filters.iter().map(Arc::clone)));
        for n in 0..600 {
            table.remove(&n);
            let gone = filters.iter().filter(|filter| Arc::strong_count(filter) == 1).count();
            let (removed, live) = (n + 1, 599 - n);
            assert!(removed - gone <= live / 8 + 1, "{removed}: {gone}");
        }
        assert!(filters.iter().all(|filter| Arc::strong_count(filter) == 1));
    }

    #[test]
    fn many_changes_one_by_one_are_as_good_as_all_at_once() {
        let filter = |n: u32| wish(&[json!({"pattern": {"data": {"n": [n % 7], "m": [n]}}})]);
        let one_by_one = Table::new();
        for n in 0..700 {
            one_by_one.insert(n, filter(n));
        }
        for n in (0..700).step_by(3) {
            one_by_one.remove(&n);
        }
        let at_once: Table<u32> = (0..700).filter(|n| n % 3 != 0).map(|n| (n, filter(n))).collect();

        for m in 0..700 {
            let event = json!({"data": {"n": m % 7, "m": [m, "x"]}});
            let expected: Vec<u32> = (m % 3 != 0).then_some(m).into_iter().collect();
            assert_eq!(one_by_one.matches(&event), expected);
            assert_eq!(at_once.matches(&event), expected);
        }
    }

    /// What happens to a table in a test.
    #[derive(Clone, Debug)]
    enum Change {
        Insert(u8, usize),
        Remove(u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            3 => (0_u8..40, any::<prop::sample::Index>())
                .prop_map(|(key, index)| Change::Insert(key, index.index(1000))),
            1 => (0_u8..40).prop_map(Change::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_table_agrees_with_asking_every_filter(
            filters in prop::collection::vec(strategies::filter(), 1..20),
            changes in prop::collection::vec(change(), 1..40),
            events in prop::collection::vec(
                prop_oneof![strategies::event(), strategies::dense_event()],
                1..8,
            ),
        ) {
            let table = Table::new();
            let mut model: BTreeMap<u8, Arc<Filter>> = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Insert(key, index) => {
                        let filter = &filters[index % filters.len()];
                        model.insert(key, Arc::clone(filter));
                        table.insert(key, Arc::clone(filter));
                    }
                    Change::Remove(key) => {
                        prop_assert_eq!(table.remove(&key), model.remove(&key).is_some());
                    }
                }
            }
            let rebuilt: Table<u8> = model.iter().map(|(k, f)| (*k, Arc::clone(f))).collect();
            for event in events {
                let expected: Vec<u8> =
                    model.iter().filter(|(_, f)| f.matches(&event)).map(|(k, _)| *k).collect();
                prop_assert_eq!(&table.matches(&event), &expected);
                prop_assert_eq!(&rebuilt.matches(&event), &expected);
            }
        }
    }
}
