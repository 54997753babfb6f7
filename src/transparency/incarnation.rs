//! The incarnations of a log: one that was set back goes on as another log, under another number, and
//! says what survived.

use serde::{Deserialize, Serialize};

use crate::event::{EventId, Timestamp};
use crate::transparency::{TreeHead, TreeRoot};

/// How far a log had come at some moment.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {
    /// Of which incarnation.
    pub incarnation: u64,
    /// The newest position; zero in a log without events.
    pub position: u64,
    /// The event there; nothing if there is none, or if it is not known.
    #[serde(with = "event_text")]
    pub event: Option<EventId>,
    /// The tree then; nothing if it is not known.
    pub tree: Option<TreeHead>,
}

/// An incarnation that a restore has begun.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Incarnation {
    /// Its number, at least 2: a log begins as incarnation 1, of which there is no record.
    #[serde(rename = "incarnation")]
    pub number: u64,
    /// A random name, which tells two apart that were given one number.
    pub id: String,
    /// When it began.
    pub began: Timestamp,
    /// What it began with: its first own position is the next one.
    pub survivors: LogHead,
    /// How far the log before had come, as far as that is known.
    pub before: Option<LogHead>,
}

/// The incarnations of one log, oldest first, without the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incarnations(Vec<Incarnation>);

impl Incarnation {
    /// The most characters of an id.
    const LONGEST_ID: usize = 64;

    /// Whether its parts fit each other.
    pub fn is_sound(&self) -> bool {
        let named = !self.id.is_empty() && self.id.len() <= Self::LONGEST_ID;
        let Some(survived) = self.survivors.tree else { return false };
        let whole = survived.first.checked_add(survived.tree.size)
            == self.survivors.position.checked_add(1);
        let comes_after = (1..self.number).contains(&self.survivors.incarnation);
        named && whole && comes_after && self.before.as_ref().is_none_or(|head| self.follows(head))
    }

    /// Whether what was known of the log before is no less than what survived.
    fn follows(&self, before: &LogHead) -> bool {
        let survivors = &self.survivors;
        if !(survivors.incarnation..self.number).contains(&before.incarnation) {
            return false;
        }
        if before.incarnation != survivors.incarnation {
            return true;
        }
        let same = match (before.tree, survivors.tree) {
            (Some(had), Some(has)) if had.tree.size == has.tree.size => had == has,
            (Some(had), Some(has)) => had.tree.size > has.tree.size,
            _ => true,
        };
        before.position >= survivors.position && same
    }

    /// How many positions were lost, if it is known how far the log before had come.
    pub fn lost(&self) -> Option<u64> {
        let before = self.before.as_ref()?;
        (before.incarnation == self.survivors.incarnation)
            .then(|| before.position.saturating_sub(self.survivors.position))
    }

    /// Whether an event of an incarnation before is among the survivors; nothing if that cannot be told.
    pub fn has_kept(&self, event: EventId) -> Option<bool> {
        match self.survivors.event {
            Some(newest) => Some(event <= newest),
            None => (self.survivors.position == 0).then_some(false),
        }
    }
}

impl Incarnations {
    /// Those of a log, in any order.
    pub fn new(mut incarnations: Vec<Incarnation>) -> Self {
        incarnations.sort_by_key(|one| one.number);
        Self(incarnations)
    }

    /// All but the first.
    pub fn records(&self) -> &[Incarnation] {
        &self.0
    }

    /// The number of the present one.
    pub fn current(&self) -> u64 {
        self.0.last().map_or(1, |one| one.number)
    }

    /// The number of the one in which the log has taken the event at a position.
    pub fn at(&self, position: u64) -> u64 {
        let own = self.0.iter().rev().find(|one| position > one.survivors.position);
        own.map_or(1, |one| one.number)
    }

    /// The number of the one that was the present one at a moment.
    pub fn when(&self, moment: Timestamp) -> u64 {
        self.0.iter().rev().find(|one| one.began <= moment).map_or(1, |one| one.number)
    }

    /// What of the tree of an incarnation this log still has, of which the present tree is given; nothing
    /// if it is none of this log.
    pub fn tree_of(&self, number: u64, now: TreeRoot) -> Option<TreeRoot> {
        let is_known = number == 1 || self.0.iter().any(|one| one.number == number);
        let later = self.0.iter().filter(|one| one.number > number);
        let survived = later.filter_map(|one| Some(one.survivors.tree?.tree));
        is_known.then(|| survived.min_by_key(|tree| tree.size).unwrap_or(now))
    }
}

/// The id of an event as a text.
mod event_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::event::EventId;

    #[expect(clippy::ref_option, reason = "serde asks for this form")]
    pub(super) fn serialize<S: Serializer>(
        event: &Option<EventId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        event.map(|event| event.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<EventId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
