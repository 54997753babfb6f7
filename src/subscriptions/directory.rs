//! All subscriptions in memory, found by id and by name and listed page by page.
//!
//! The registry is read once; the one writer, [`Subscriptions`](crate::subscriptions::Subscriptions),
//! keeps both in step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::event::{
    ConsumerId, QualifiedName, SubscriptionId, SubscriptionName, SubscriptionReference,
};
use crate::subscriptions::{Subscription, SubscriptionState};

/// A page of a list ends when its filters have so many bytes of text.
const MOST_FILTER_BYTES: u64 = 4 * 1024 * 1024;

/// Which subscriptions are wanted, and how many at once.
#[derive(Clone, Copy)]
pub struct SubscriptionQuery<'a> {
    /// The consumers whose subscriptions come first, those of the caller.
    pub own: &'a BTreeSet<ConsumerId>,
    /// Whether those of all others come after them.
    pub others: bool,
    /// Only those of this consumer.
    pub consumer: Option<&'a ConsumerId>,
    /// Only those that stand there.
    pub state: Option<SubscriptionState>,
    /// Only those with this text in their id or name, whatever its case.
    pub text: Option<&'a str>,
    /// Only what comes after this one.
    pub after: Option<&'a QualifiedName>,
    /// How many at most.
    pub items: usize,
}

/// Some subscriptions, in order.
pub struct SubscriptionPage {
    /// Own ones first, then by consumer and name.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// The last of them, if there are more.
    pub next: Option<QualifiedName>,
}

/// All subscriptions.
#[derive(Default)]
pub(super) struct Directory(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    by_id: HashMap<SubscriptionId, Arc<Subscription>>,
    by_consumer: BTreeMap<ConsumerId, BTreeMap<SubscriptionName, Arc<Subscription>>>,
    /// Those that cannot be read.
    damaged: BTreeSet<String>,
}

impl Directory {
    /// Puts a subscription in, in the place of what had its id.
    pub(super) fn put(&self, subscription: &Arc<Subscription>) {
        let mut entries = self.write();
        entries.damaged.remove(subscription.id.as_str());
        let of_consumer = entries.by_consumer.entry(subscription.consumer.clone()).or_default();
        of_consumer.insert(subscription.name.clone(), Arc::clone(subscription));
        entries.by_id.insert(subscription.id.clone(), Arc::clone(subscription));
    }

    /// Notes that one cannot be read.
    pub(super) fn put_damaged(&self, id: String) {
        self.write().damaged.insert(id);
    }

    /// Takes a subscription out.
    pub(super) fn remove(&self, id: &SubscriptionId) {
        let mut entries = self.write();
        let Some(gone) = entries.by_id.remove(id) else { return };
        if let Some(of_consumer) = entries.by_consumer.get_mut(&gone.consumer) {
            of_consumer.remove(&gone.name);
            if of_consumer.is_empty() {
                entries.by_consumer.remove(&gone.consumer);
            }
        }
    }

    /// Finds one by its id.
    pub(super) fn get(&self, id: &SubscriptionId) -> Option<Arc<Subscription>> {
        self.read().by_id.get(id).cloned()
    }

    /// Whether one of this id is there and cannot be read.
    pub(super) fn is_damaged(&self, id: &SubscriptionId) -> bool {
        self.read().damaged.contains(id.as_str())
    }

    /// Finds one by its consumer and its name.
    pub(super) fn named(
        &self,
        consumer: &ConsumerId,
        name: &SubscriptionName,
    ) -> Option<Arc<Subscription>> {
        self.read().by_consumer.get(consumer)?.get(name).cloned()
    }

    /// What somebody means who sees the subscriptions of some consumers, or of all: the one of that
    /// id, or the own ones of that name, or those of others.
    pub(super) fn find(
        &self,
        reference: &SubscriptionReference,
        (own, others): (&BTreeSet<ConsumerId>, bool),
    ) -> Vec<Arc<Subscription>> {
        let sees = |consumer: &ConsumerId| others || own.contains(consumer);
        let name = match reference {
            SubscriptionReference::Qualified(QualifiedName { consumer, name }) => {
                let found = self.named(consumer, name).filter(|_| sees(consumer));
                return found.into_iter().collect();
            }
            SubscriptionReference::Plain(name) => name,
        };
        let by_id = self.get(&name.as_id()).filter(|one| sees(&one.consumer));
        let mine: Vec<_> = own.iter().filter_map(|consumer| self.named(consumer, name)).collect();
        match by_id {
            // Nobody else's name stands in the way of an id; one's own does.
            Some(one) if mine.iter().all(|named| named.id == one.id) => vec![one],
            Some(one) => {
                let mut all = mine;
                all.retain(|named| named.id != one.id);
                all.push(one);
                all
            }
            None if mine.is_empty() && others => self.all_named(name),
            None => mine,
        }
    }

    /// All of a name, whoever's they are, in order of their consumers.
    fn all_named(&self, name: &SubscriptionName) -> Vec<Arc<Subscription>> {
        let entries = self.read();
        let each = entries.by_consumer.values();
        each.filter_map(|of_consumer| of_consumer.get(name).cloned()).collect()
    }

    /// All of a consumer.
    pub(super) fn of(&self, consumer: &ConsumerId) -> Vec<Arc<Subscription>> {
        let entries = self.read();
        let of_consumer = entries.by_consumer.get(consumer);
        of_consumer.map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    /// All of them, in order of their ids.
    pub(super) fn all(&self) -> Vec<Arc<Subscription>> {
        let mut all: Vec<_> = self.read().by_id.values().cloned().collect();
        all.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// The ids of all of them, of damaged ones, too.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        let entries = self.read();
        let ids = entries.by_id.keys().map(ToString::to_string);
        ids.chain(entries.damaged.iter().cloned()).collect()
    }

    /// All that may be seen after a place, in the order of a list.
    pub(super) fn seen(
        &self,
        (own, others): (&BTreeSet<ConsumerId>, bool),
        after: Option<&QualifiedName>,
    ) -> Vec<Arc<Subscription>> {
        let (consumer, state, text, items) = (None, None, None, usize::MAX);
        let query = SubscriptionQuery { own, others, consumer, state, text, after, items };
        self.read().walk(&query).map(Arc::clone).collect()
    }

    /// A page of those that are wanted.
    pub(super) fn page(&self, query: &SubscriptionQuery<'_>) -> SubscriptionPage {
        let entries = self.read();
        let text = query.text.map(str::to_ascii_lowercase);
        let mut page = SubscriptionPage { subscriptions: Vec::new(), next: None };
        let mut bytes = 0;
        for subscription in entries.walk(query) {
            let wanted = query.state.is_none_or(|state| state == subscription.state)
                && text.as_deref().is_none_or(|text| subscription.is_called(text));
            if !wanted {
                continue;
            }
            if page.subscriptions.len() >= query.items || bytes >= MOST_FILTER_BYTES {
                page.next = page.subscriptions.last().map(|last| last.qualified_name());
                break;
            }
            bytes += subscription.newest_wish().map_or(0, |wish| wish.text().size());
            page.subscriptions.push(Arc::clone(subscription));
        }
        page
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Those that may be seen after a place, own ones first, and nothing that lies before it.
    fn walk<'a>(
        &'a self,
        query: &SubscriptionQuery<'a>,
    ) -> impl Iterator<Item = &'a Arc<Subscription>> + use<'a> {
        let SubscriptionQuery { own, others, consumer, after, .. } = *query;
        let is_own = move |consumer: &ConsumerId| own.contains(consumer);
        let begins_with_others = after.is_some_and(|after| !is_own(&after.consumer));
        let mine = (!begins_with_others).then(|| self.consumers(after, consumer));
        let theirs = others.then(|| self.consumers(after.filter(|_| begins_with_others), consumer));
        let mine = mine.into_iter().flatten().filter(move |(of, _)| is_own(of));
        let theirs = theirs.into_iter().flatten().filter(move |(of, _)| !is_own(of));
        mine.chain(theirs).flat_map(move |(of, names)| {
            let after = after.filter(|after| after.consumer == *of);
            let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after.name));
            names.range::<SubscriptionName, _>((from, Bound::Unbounded)).map(|(_, one)| one)
        })
    }

    /// The consumers from the one of a place on, or the one that is asked for.
    fn consumers<'a>(
        &'a self,
        after: Option<&'a QualifiedName>,
        only: Option<&'a ConsumerId>,
    ) -> impl Iterator<Item = (&'a ConsumerId, &'a BTreeMap<SubscriptionName, Arc<Subscription>>)>
    {
        let passed = move |of: &ConsumerId| after.is_some_and(|after| *of < after.consumer);
        let (from, to) = match (only, after) {
            (Some(only), _) => (Bound::Included(only), Bound::Included(only)),
            (None, Some(after)) => (Bound::Included(&after.consumer), Bound::Unbounded),
            (None, None) => (Bound::Unbounded, Bound::Unbounded),
        };
        self.by_consumer.range((from, to)).filter(move |(of, _)| !passed(of))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::Timestamp;
    use crate::eventlog::{Position, Revision};
    use crate::subscriptions::Wishes;
    use crate::subscriptions::kept::{read, restore};

    fn subscription(consumer: &str, name: &str, state: SubscriptionState) -> Arc<Subscription> {
        let kept = json!({
            "document": {
                "id": name, "consumer": consumer, "protocol": "PULL",
                "config": { "keys": { "jwksUri": "https://shop.example/jwks.json" } },
            },
            "state": state, "created": Timestamp::EPOCH,
            "epochs": [{ "from": Position::START.0, "types": [], "filters": [] }],
        });
        let kept = read(name, &kept.to_string(), &Wishes::default()).unwrap();
        Arc::new(restore(name, kept, Revision(1)).unwrap())
    }

    /// Thirty subscriptions of three consumers, every third of which is paused.
    fn directory() -> Directory {
        let directory = Directory::default();
        for n in 0..30_usize {
            let consumer = ["depot", "office", "shop"][n % 3];
            let state =
                if n / 3 % 3 == 0 { SubscriptionState::Paused } else { SubscriptionState::Active };
            directory.put(&subscription(consumer, &format!("{consumer}-{n:02}"), state));
        }
        directory
    }

    #[test]
    fn one_is_found_by_its_id_and_by_its_name_until_it_is_removed() {
        let (directory, id) = (directory(), "shop-02".parse::<SubscriptionId>().unwrap());
        let (shop, depot) = ("shop".parse().unwrap(), "depot".parse().unwrap());
        let name = "shop-02".parse().unwrap();
        assert!(directory.get(&id).is_some() && directory.named(&shop, &name).is_some());
        assert!(directory.named(&depot, &name).is_none());
        assert_eq!((directory.of(&shop).len(), directory.all_named(&name).len()), (10, 1));

        directory.remove(&id);

        assert!(directory.get(&id).is_none() && directory.named(&shop, &name).is_none());
        assert_eq!((directory.of(&shop).len(), directory.all().len()), (9, 29));
        directory.put_damaged("shop-02".to_owned());
        assert!(directory.is_damaged(&id) && directory.ids().contains("shop-02"));
    }

    proptest! {
        #[test]
        fn pages_of_any_length_have_each_that_is_wanted_once_and_in_order(
            own in prop::collection::btree_set(prop::sample::select(vec!["depot", "shop", "x"]), 0..3),
            others in any::<bool>(),
            consumer in prop::option::of(prop::sample::select(vec!["depot", "office", "x"])),
            state in prop::option::of(Just(SubscriptionState::Paused)),
            text in prop::option::of(prop::sample::select(vec!["OP-1", "ice", "2"])),
            items in 1_usize..12,
        ) {
            let directory = directory();
            let own: BTreeSet<ConsumerId> = own.iter().map(|name| name.parse().unwrap()).collect();
            let consumer: Option<ConsumerId> = consumer.map(|name| name.parse().unwrap());
            let mut expected = directory.all();
            expected.retain(|one| {
                (others || own.contains(&one.consumer))
                    && consumer.as_ref().is_none_or(|consumer| *consumer == one.consumer)
                    && state.is_none_or(|state| state == one.state)
                    && text.is_none_or(|text: &str| one.name.as_str().contains(&text.to_lowercase()))
            });
            expected.sort_by_key(|one| (!own.contains(&one.consumer), one.qualified_name()));
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = directory.page(&SubscriptionQuery {
                    own: &own, others, consumer: consumer.as_ref(), state, text,
                    after: after.as_ref(), items,
                });
                prop_assert!(page.subscriptions.len() <= items);
                found.extend(page.subscriptions);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let ids = |all: &[Arc<Subscription>]| -> Vec<String> {
                all.iter().map(|one| one.id.to_string()).collect()
            };
            prop_assert_eq!(ids(&found), ids(&expected));
        }
    }
}
