//! Finds the newest event that a consumer may know of, so that nothing tells of others.

use crate::deliver::dispatch::SubscriptionService;
use crate::event::EventId;
use crate::eventlog::{Entry, LogError, Page, Position};
use crate::subscriptions::Subscription;

/// Entries that are looked through for one answer.
const LOOKED_THROUGH: u64 = 16_384;
/// Entries that are read at once.
const CHUNK: u64 = 256;

impl SubscriptionService {
    /// The newest event up to a place that the consumer of a subscription could hear or may hear now,
    /// whether or not the subscription wants it. Nothing if there is none, or none within the last
    /// sixteen thousand.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub(super) async fn newest_heard(
        &self,
        subscription: &Subscription,
        through: Position,
    ) -> Result<Option<EventId>, LogError> {
        self.store.log.fresh_head().await?;
        let low_watermark = self.store.log.low_watermark();
        let everything = subscription.newest_entitlement().is_none_or(|it| it.is_everything());
        if low_watermark.position == through && everything {
            return Ok(Some(low_watermark.id));
        }
        let known = self.newest_heard.known(subscription).await.filter(|(at, _)| *at <= through);
        let floor = Position(through.0.saturating_sub(LOOKED_THROUGH))
            .max(known.map_or(Position::START, |(at, _)| at));
        let newer = self.newest_heard_between(subscription, (floor, through)).await?;
        let found = newer.or(known.map(|(_, found)| found));
        if let Some(found) = found {
            self.newest_heard.keep(subscription, (through, found)).await;
        }
        Ok(found)
    }

    /// The same, behind one place and up to another, however far that is.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn newest_heard_between(
        &self,
        subscription: &Subscription,
        (from, through): (Position, Position),
    ) -> Result<Option<EventId>, LogError> {
        let floor = from.max(self.store.log.low_watermark().position).0;
        let mut to = through.0;
        while to > floor {
            let from = to.saturating_sub(CHUNK).max(floor);
            let found = self.newest_of(subscription, (from, to)).await?;
            if found.is_some() {
                return Ok(found);
            }
            to = from;
        }
        Ok(None)
    }

    async fn newest_of(
        &self,
        subscription: &Subscription,
        (from, to): (u64, u64),
    ) -> Result<Option<EventId>, LogError> {
        let (mut at, mut newest) = (Position(from), None);
        while at.0 < to {
            let entries = self.store.log.read(at, Page::default()).await?;
            let Some(last) = entries.last() else { break };
            let within = entries.iter().filter(|entry| entry.position.0 <= to);
            let heard = within.filter(|entry| self.may_know(subscription, entry));
            newest = heard.last().map(|entry| entry.event.id).or(newest);
            at = last.position;
        }
        Ok(newest)
    }

    /// Whether the consumer of a subscription may know of an event: it could hear it when it came, or may
    /// hear it now.
    pub fn may_know(&self, subscription: &Subscription, entry: &Entry) -> bool {
        let of = (&*entry.publication, &entry.event);
        subscription.could_hear(entry)
            || self.access().lets(&subscription.consumer, of, entry.position)
    }
}
