//! What is known of publications and grants at a moment, so that nobody waits for the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::{EndOfAccess, Entitlement, Grant, GrantId, GrantState, HeardStretch};
use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::Position;

/// A publication, as far as access to it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicationAccess {
    /// Its name, `domain/event`.
    pub name: Arc<str>,
    /// The name of its events that `types` of subscriptions match, without a third level.
    pub event_name: Arc<str>,
    /// Whether it is heard by grant only.
    pub by_grant: bool,
}

/// A publication that a consumer cannot hear any more, as a subscription keeps it and its checkpoints
/// tell it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndedAccess {
    /// The publication, `domain/event`.
    pub publication: String,
    /// The stable reason.
    pub why: EndOfAccess,
    /// From when on nothing of it begins.
    pub at: Timestamp,
    /// The first position at which it is not wanted any more.
    pub position: u64,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether the sink of the subscription has taken word of it, or is not told any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

/// A publication that a consumer hears and soon cannot any more, unless its grant is extended.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComingEnd {
    /// The publication, `domain/event`.
    pub publication: String,
    /// From when on nothing of it begins.
    pub at: Timestamp,
}

/// One state of everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Publications that are heard by grant only, also those that no file names any more, with the
    /// names of their events.
    pub(super) closed: BTreeMap<Arc<str>, Arc<str>>,
    /// The publications of the files that are public, with the names of their events.
    pub(super) public: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) grants: BTreeMap<GrantId, Arc<Grant>>,
    pub(super) of_consumer: BTreeMap<ConsumerId, BTreeSet<GrantId>>,
}

impl Known {
    /// Puts the publications of the files in place. What was heard by grant only and stands in no file any
    /// more stays so.
    pub(super) fn publish(&mut self, publications: &[PublicationAccess]) {
        self.public.clear();
        for one in publications {
            let (name, event_name) = (Arc::clone(&one.name), Arc::clone(&one.event_name));
            if one.by_grant {
                self.closed.insert(name, event_name);
            } else {
                self.closed.remove(&name);
                self.public.insert(name, event_name);
            }
        }
    }

    pub(super) fn put(&mut self, grant: Grant) {
        let id = grant.id();
        self.of_consumer.entry(grant.consumer.clone()).or_default().insert(id.clone());
        self.grants.insert(id, Arc::new(grant));
    }

    pub(super) fn drop(&mut self, id: &GrantId) {
        let Some(grant) = self.grants.remove(id) else { return };
        if let Some(held) = self.of_consumer.get_mut(&grant.consumer) {
            held.remove(id);
            if held.is_empty() {
                self.of_consumer.remove(&grant.consumer);
            }
        }
    }

    pub(super) fn of<'k>(&'k self, consumer: &ConsumerId) -> impl Iterator<Item = &'k Arc<Grant>> {
        let held = self.of_consumer.get(consumer).into_iter().flatten();
        held.filter_map(|id| self.grants.get(id))
    }

    /// The stretches of a publication that is not public.
    fn stretches(&self, consumer: &ConsumerId, publication: &str) -> Vec<HeardStretch> {
        self.stretches_by(consumer, publication).map(|(_, stretch)| stretch).collect()
    }

    /// The same, with the grants that they are by.
    fn stretches_by(
        &self,
        consumer: &ConsumerId,
        publication: &str,
    ) -> impl Iterator<Item = (&Arc<Grant>, HeardStretch)> {
        let held = self.of(consumer).filter(|grant| grant.publication.covers(publication));
        held.filter_map(|grant| Some((grant, grant.stretch()?)))
    }

    pub(super) fn entitlement(&self, consumer: &ConsumerId) -> Entitlement {
        let mut entitlement = Entitlement::default();
        for publication in self.closed.keys() {
            let named = self
                .stretches_by(consumer, publication)
                .map(|(grant, stretch)| HeardStretch { grant: Some(grant.id()), ..stretch });
            entitlement.restrict(publication, named.collect());
        }
        entitlement
    }

    pub(super) fn lets(
        &self,
        consumer: &ConsumerId,
        publication: &str,
        (position, now): (Position, Timestamp),
    ) -> bool {
        !self.closed.contains_key(publication)
            || self.grants_let(consumer, publication, (position, now))
    }

    /// Whether grants alone let a consumer hear something of a publication.
    pub(super) fn grants_let(
        &self,
        consumer: &ConsumerId,
        publication: &str,
        (position, now): (Position, Timestamp),
    ) -> bool {
        let mut one = Entitlement::default();
        one.restrict(publication, self.stretches(consumer, publication));
        one.lets(publication, position, now)
    }

    /// The publications that a consumer hears and whose last grant ends between two moments, with the names
    /// of their events.
    pub(super) fn coming_ends<'k>(
        &'k self,
        consumer: &'k ConsumerId,
        (now, until): (Timestamp, Timestamp),
    ) -> impl Iterator<Item = (&'k Arc<str>, ComingEnd)> {
        self.closed.iter().filter_map(move |(publication, event_name)| {
            let held = self.stretches(consumer, publication);
            if held.iter().any(|one| one.until.is_none()) {
                return None;
            }
            let last = held.iter().filter_map(|one| one.until).max()?;
            let end = ComingEnd { publication: publication.to_string(), at: last };
            (now < last && last <= until).then_some((event_name, end))
        })
    }

    /// The publications that are not public and whose events may have a name.
    pub(super) fn closed_named<'k>(
        &'k self,
        event_name: &'k str,
    ) -> impl Iterator<Item = &'k Arc<str>> {
        let fits = move |name: &str| {
            let rest = event_name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.closed.iter().filter(move |(_, name)| fits(name)).map(|(publication, _)| publication)
    }

    /// How many grants that a domain gave to a consumer have not ended.
    pub(super) fn open_grants(
        &self,
        (consumer, domain): (&ConsumerId, &str),
        now: Timestamp,
    ) -> usize {
        let is_open = |grant: &&Arc<Grant>| {
            grant.publication.domain() == domain
                && matches!(grant.state(now), GrantState::Planned | GrantState::Active)
        };
        self.of(consumer).filter(is_open).count()
    }

    /// Why a consumer that could hear a publication cannot any more.
    pub(super) fn loss(
        &self,
        consumer: &ConsumerId,
        publication: &str,
        (from, now): (Position, Timestamp),
    ) -> EndedAccess {
        let ended = self
            .of(consumer)
            .filter(|grant| grant.publication.covers(publication))
            .filter_map(|grant| match (&grant.ended, grant.until) {
                (Some(end), _) => Some((end.at, end.why, end.reason.clone())),
                (None, Some(until)) if until <= now => {
                    Some((until, EndOfAccess::Expired, String::new()))
                }
                (None, _) => None,
            });
        let closed = || (now, EndOfAccess::Closed, String::new());
        let (at, why, reason) = ended.max_by_key(|(at, ..)| *at).unwrap_or_else(closed);
        EndedAccess {
            publication: publication.to_owned(),
            why,
            at,
            position: from.0,
            reason,
            told: false,
        }
    }
}
