//! The seam to dead letters: deliveries that were given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::{ChainValue, CloudEvent, EventId, SubscriptionId, Timestamp};
use crate::eventlog::disk_bytes::most_bytes;
use crate::eventlog::{
    DeadLetterUsage, DeliveryKey, DroppedDeadLetter, LogError, Page, Position, Retry,
};

/// Names a dead letter of its subscription; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub u64);

/// A delivery that was given up, with everything needed to bring it back.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its name; the engine gives it, and ignores what a new one holds here.
    pub id: DeadLetterId,
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where its event is, or was, in the log.
    pub position: Position,
    /// Its sequence number and the chain before it; nothing in a replay.
    pub link: Option<(u64, ChainValue)>,
    /// The event itself, so that a dead letter outlives the log's retention.
    pub event: CloudEvent,
    /// Why, as a word of the closed list that `deliver` keeps.
    pub reason: Arc<str>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The status of the last response, if there was one.
    pub status: Option<u16>,
    /// The last response or error, shortened.
    pub detail: Arc<str>,
    /// When it was given up.
    pub at: Timestamp,
    /// Whether it is being delivered again; the engine knows, and ignores what a new one holds here.
    pub redriven: bool,
}

impl DeadLetter {
    /// The most bytes that it takes on disk: its copy of the event first of all.
    pub fn bytes_on_disk(&self) -> u64 {
        let event = &self.event;
        let context = event.context.as_ref().map_or(0, |context| context.to_json().len());
        let texts = [
            event.data.text().len(),
            self.detail.len(),
            event.source.as_str().len(),
            event.event_type.as_str().len(),
            event.subject.as_ref().map_or(0, |subject| subject.as_str().len()),
            event.dataschema.as_ref().map_or(0, |dataschema| dataschema.len()),
            event.trace.as_ref().map_or(0, |trace| trace.as_str().len()),
            event.time.own_text().map_or(0, str::len),
            context,
            // Names stand in indexes, too.
            3 * self.key.subscription.as_str().len(),
            3 * self.key.replay.as_ref().map_or(0, |replay| replay.as_str().len()),
            3 * self.reason.len(),
        ];
        most_bytes(texts.iter().sum())
    }
}

/// Which dead letters of a subscription are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Only these; nothing: all.
    pub ids: Option<BTreeSet<DeadLetterId>>,
    /// Only those with a higher number.
    pub after: DeadLetterId,
    /// Only those with this number or a lower one; nothing: all.
    pub last: Option<DeadLetterId>,
    /// Only those that were given up for this reason.
    pub reason: Option<Arc<str>>,
    /// Only events of this type; all below it if it ends in `.*`.
    pub event_type: Option<Arc<str>>,
    /// The first event wanted.
    pub from: Option<EventId>,
    /// The last event wanted.
    pub to: Option<EventId>,
}

impl DeadLetterQuery {
    /// All dead letters of a subscription.
    pub const fn all(subscription: SubscriptionId) -> Self {
        Self {
            subscription,
            ids: None,
            after: DeadLetterId(0),
            last: None,
            reason: None,
            event_type: None,
            from: None,
            to: None,
        }
    }

    /// The types wanted, as an inclusive lower and an exclusive upper bound of their text.
    pub(super) fn types(&self) -> Option<(String, String)> {
        let wanted = self.event_type.as_deref()?;
        Some(match wanted.strip_suffix(".*") {
            // The character after the full stop is the slash.
            Some(parent) => (format!("{parent}."), format!("{parent}/")),
            None => (wanted.to_owned(), format!("{wanted}\0")),
        })
    }

    /// Whether a dead letter is wanted.
    pub fn chooses(&self, letter: &DeadLetter) -> bool {
        let event = letter.key.event;
        let names = [letter.event.event_type.as_str(), letter.event.name().as_str()];
        letter.key.subscription == self.subscription
            && !letter.redriven
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
            && letter.id > self.after
            && self.last.is_none_or(|last| letter.id <= last)
            && self.reason.as_deref().is_none_or(|reason| *letter.reason == *reason)
            && self
                .types()
                .is_none_or(|(from, to)| names.iter().any(|name| (&*from..&*to).contains(name)))
            && self.from.is_none_or(|from| event >= from)
            && self.to.is_none_or(|to| event <= to)
    }
}

/// Why and when a live delivery was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Why, as a word of the closed list that `deliver` keeps.
    pub reason: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// How many dead letters of a subscription there are of one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterCount {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Why they were given up.
    pub reason: Arc<str>,
    /// Whether they are being delivered again.
    pub redriven: bool,
    /// How many.
    pub count: u64,
}

/// Keeps dead letters, until someone decides or they are too old.
///
/// 1. **One for each delivery.** A delivery that is given up again replaces the dead letter that it
///    had; one that is delivered has none.
/// 2. **Kept while it is redriven.** A redriven dead letter is not listed, and its copy of the event
///    stays until the delivery is settled.
/// 3. **Numbers are a subscription's own**, from 1, and none is given twice.
/// 4. **What was given up is known** as long as the log has its event, also when its dead letter was
///    dismissed or dropped; not when the delivery was settled after all.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Lists dead letters that are not being redriven, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
        page: Page,
    ) -> Result<Vec<DeadLetter>, LogError>;

    /// Counts the dead letters that [`dead_letters`](Self::dead_letters) would list.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn count_chosen(&self, query: &DeadLetterQuery) -> Result<u64, LogError>;

    /// The number that the newest dead letter of a subscription was given; 0 before the first.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn last_dead_letter(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<DeadLetterId, LogError>;

    /// Reads the dead letter of a delivery, also while it is redriven.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn dead_letter(&self, key: &DeliveryKey) -> Result<Option<DeadLetter>, LogError>;

    /// Says why and when a live delivery was given up, also when its dead letter is gone.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn given_up(&self, key: &DeliveryKey) -> Result<Option<GivenUp>, LogError>;

    /// Counts dead letters by subscription and reason, of one subscription or of all.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn count_dead_letters(
        &self,
        subscription: Option<&SubscriptionId>,
    ) -> Result<Vec<DeadLetterCount>, LogError>;

    /// Has dead letters delivered again: each that is listed is listed no more and is kept until its
    /// delivery is settled, and the retry beside its number is kept. Gives the retries that are kept;
    /// one whose dead letter is redriven already, or gone, is not among them.
    ///
    /// # Errors
    ///
    /// Later: the disk is full; then none is redriven. Ours: the store failed.
    async fn revive(&self, letters: Vec<(DeadLetterId, Retry)>) -> Result<Vec<Retry>, LogError>;

    /// Drops a dead letter that is not wanted; says whether it was listed. One that is being
    /// redriven stays.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    async fn dismiss(
        &self,
        subscription: &SubscriptionId,
        id: DeadLetterId,
    ) -> Result<bool, LogError>;

    /// Drops the oldest dead letters of those that are older than an age, at most so many, and names
    /// their deliveries and reasons. Those that are being redriven stay.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn expire_dead_letters(
        &self,
        age: Duration,
        most: usize,
    ) -> Result<Vec<(DeliveryKey, Arc<str>)>, LogError>;

    /// Says how much there is of each subscription that has any, by name. It is counted as dead letters
    /// come and go, and asked at the cost of a row for each.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn dead_letter_usage(&self) -> Result<Vec<DeadLetterUsage>, LogError>;

    /// Drops the oldest dead letters of a subscription until so many bytes have gone, at most so many,
    /// and names them. Those that are being redriven stay.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    async fn drop_dead_letters(
        &self,
        subscription: &SubscriptionId,
        most: usize,
        bytes: u64,
    ) -> Result<Vec<DroppedDeadLetter>, LogError>;
}
