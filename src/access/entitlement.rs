//! What a consumer may hear, as it stands with an epoch of a subscription.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::access::GrantId;
use crate::event::Timestamp;
use crate::eventlog::{Entry, Position};

/// A stretch of a publication that a consumer may hear.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeardStretch {
    /// The first position.
    pub from: u64,
    /// Not from this moment on; nothing: without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The grant that lets it; missing in what was kept before that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
}

impl HeardStretch {
    /// Whether an event at a position may be heard at a moment.
    fn covers(&self, position: Position, at: Timestamp) -> bool {
        position.0 >= self.from && self.until.is_none_or(|until| at < until)
    }
}

/// What a consumer may hear of the publications that are not public; a publication that is not
/// named is public.
///
/// It is kept with an epoch, so that the matches of a subscription can be numbered again from the
/// log and its epochs alone, whatever has become of grants since.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Entitlement(BTreeMap<String, Vec<HeardStretch>>);

impl Entitlement {
    /// Whether a match of an epoch with this entitlement has a number: the consumer could hear the
    /// event when the log took it.
    ///
    /// By what the log says of the event only, so that the answer is the same at any time.
    pub fn numbers(&self, entry: &Entry) -> bool {
        self.lets(&entry.publication, entry.position, entry.accepted)
    }

    /// Whether an event of a publication may be heard at a moment.
    pub fn lets(&self, publication: &str, position: Position, at: Timestamp) -> bool {
        let stretches = self.0.get(publication);
        stretches.is_none_or(|held| held.iter().any(|one| one.covers(position, at)))
    }

    /// Whether anything of a publication may be heard at a moment.
    pub fn hears(&self, publication: &str, at: Timestamp) -> bool {
        self.lets(publication, Position(u64::MAX), at)
    }

    /// Notes that a publication is not public, and what of it may be heard.
    pub(super) fn restrict(&mut self, publication: &str, mut stretches: Vec<HeardStretch>) {
        stretches.sort_unstable();
        stretches.dedup();
        self.0.insert(publication.to_owned(), stretches);
    }

    /// The publications that are not public.
    pub fn restricted(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The grants by which anything may be heard, sorted.
    pub fn grants(&self) -> BTreeSet<&GrantId> {
        self.0.values().flatten().filter_map(|stretch| stretch.grant.as_ref()).collect()
    }

    /// Whether every publication is public.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn what_is_not_named_is_public_and_what_is_named_is_heard_in_its_stretches_only() {
        let mut entitlement = Entitlement::default();
        assert!(entitlement.is_everything());
        let stretches = vec![
            HeardStretch { from: 20, until: None, grant: None },
            HeardStretch { from: 5, until: Some(at(100)), grant: None },
        ];
        entitlement.restrict("a/B", stretches);
        entitlement.restrict("a/C", Vec::new());

        assert!(entitlement.lets("x/Y", Position(1), at(0)));
        assert!(!entitlement.lets("a/C", Position(1), at(0)) && !entitlement.hears("a/C", at(0)));
        for (position, moment, expected) in
            [(4, 0, false), (5, 99, true), (5, 100, false), (20, 100, true), (19, 100, false)]
        {
            let found = entitlement.lets("a/B", Position(position), at(moment));
            assert_eq!(found, expected, "{position} at {moment}");
        }
    }

    #[test]
    fn an_entitlement_reads_what_it_writes() {
        let mut entitlement = Entitlement::default();
        let grant: GrantId = "a/shop".parse().unwrap();
        let until = Some(at(9));
        let stretch = |from, grant| HeardStretch { from, until, grant };
        entitlement.restrict("a/B", vec![stretch(7, None), stretch(8, Some(grant.clone()))]);
        entitlement.restrict("a/C", Vec::new());
        entitlement.restrict("a/D", vec![stretch(8, Some(grant.clone()))]);

        let text = serde_json::to_string(&entitlement).unwrap();
        let read: Entitlement = serde_json::from_str(&text).unwrap();
        assert_eq!(read, entitlement);
        assert_eq!(read.grants().into_iter().collect::<Vec<_>>(), [&grant], "each is named once");
    }
}
