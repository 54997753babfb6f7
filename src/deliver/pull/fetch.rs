//! Hands out events in order, to whoever comes for them.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::{Clock, Tasks};
use crate::deliver::attempt::{Sealer, SealerError};
use crate::deliver::dispatch::{SubscriptionService, WorkerHandle};
use crate::deliver::outcome::{Delivery, Ledger, ReceiptChecker};
use crate::deliver::worker::{AckState, NumberedEntry, NumberedPage, SequenceReadError};
use crate::event::{Blame, EventId, Fault, Timestamp};
use crate::eventlog::{Cursor, LogError, Page, Position, Store};
use crate::seal::ReceiptFault;
use crate::subscriptions::{Subscription, SubscriptionState};
use crate::telemetry::{Metric, Metrics};

/// How long a restarted gateway may take to number what it had numbered before.
const CATCHING_UP: Duration = Duration::from_secs(10);

/// Why nothing was handed out.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The subscription is paused or closed.
    #[error("the subscription is {0}; its events wait until it is resumed")]
    NotActive(SubscriptionState),
    /// The subscription was closed, removed, or is served in another way now.
    #[error("the subscription was closed, removed, or is served in another way now; read it again")]
    Ended,
    /// The subscription has a sink.
    #[error("the subscription has a sink; only one with the protocol PULL is acknowledged")]
    HasSink,
    /// The subscription requires receipts, and a page carries none.
    #[error(
        "the subscription requires receipts; acknowledge with `POST /subscriptions/{{id}}/poll`, which carries \
         them, and read pages with `acknowledge=false`"
    )]
    NeedsReceipts,
    /// An id of a time that has not come, or a place that the log has not come to.
    #[error("`after` lies ahead of the log; was it restored from a backup?")]
    NotYet,
    /// The gateway has restarted and is not where it was.
    #[error("the gateway is still catching up after its start; try again")]
    CatchingUp,
    /// Events could not be read.
    #[error(transparent)]
    Read(#[from] SequenceReadError),
    /// An event could not be sealed.
    #[error("an event cannot be sealed for now")]
    Seal(#[from] SealerError),
}

impl From<LogError> for PullError {
    fn from(error: LogError) -> Self {
        Self::Read(SequenceReadError::Log(error))
    }
}

impl Blame for PullError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotActive(_)
            | Self::Ended
            | Self::HasSink
            | Self::NeedsReceipts
            | Self::NotYet => Fault::Caller,
            Self::CatchingUp | Self::Seal(_) => Fault::Later,
            Self::Read(error) => error.fault(),
        }
    }
}

/// One event for its consumer.
pub struct Collected {
    /// Its id, which is the `jti` of the token.
    pub id: EventId,
    /// Its sequence number.
    pub sequence: u64,
    /// The sealed event.
    pub token: String,
}

/// Some events for their consumer, in order.
pub struct Served {
    /// The events.
    pub events: Vec<Collected>,
    /// Where to go on.
    pub reached: Position,
    /// Whether matches are numbered behind that.
    pub more: bool,
}

impl Served {
    /// No events, up to a place.
    pub const fn nothing(reached: Position) -> Self {
        Self { events: Vec::new(), reached, more: false }
    }
}

/// Where a reader wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAfter {
    /// After an event.
    Event(EventId),
    /// After a place of the log that it was told.
    Place(Position),
}

/// The parts of a [`PullService`].
pub struct PullServiceParts {
    /// Knows the subscriptions' workers, and reads.
    pub subscription_service: Arc<SubscriptionService>,
    /// Makes tokens.
    pub sealer: Arc<Sealer>,
    /// Reads the receipts that come with acknowledgements.
    pub receipts: ReceiptChecker,
    /// Where acknowledgements are noted.
    pub ledger: Arc<Ledger>,
    /// Where events are read.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tells when the gateway stops.
    pub tasks: Tasks,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Hands out events to those who come for them.
pub struct PullService {
    pub(super) parts: PullServiceParts,
}

impl PullService {
    /// Opens with these parts.
    pub const fn new(parts: PullServiceParts) -> Self {
        Self { parts }
    }

    /// Finds where a reader begins: after an event, or where it stands by its own acknowledgement.
    /// Of a subscription with a sink, whoever names no event reads what comes from now on.
    ///
    /// # Errors
    ///
    /// The caller's turn: that lies ahead. Later: the gateway is catching up.
    pub async fn begin(
        &self,
        worker: &WorkerHandle,
        after: Option<ReadAfter>,
    ) -> Result<Position, PullError> {
        let Some(after) = after else {
            let view = worker.look();
            return Ok(view.acknowledged.map_or(view.standing.scanned, |place| place.position));
        };
        let position = match after {
            ReadAfter::Event(event) => self.position_after(event).await?,
            ReadAfter::Place(place) if place > self.parts.store.log.fresh_head().await? => {
                return Err(PullError::NotYet);
            }
            ReadAfter::Place(place) => place,
        };
        let deadline = self.parts.clock.now().after(CATCHING_UP);
        let mut worker = worker.clone();
        while worker.look().standing.scanned < position {
            if !self.parts.wait(&mut worker, deadline).await {
                return Err(PullError::CatchingUp);
            }
        }
        Ok(position)
    }

    /// An id of a time that has passed may be that of an event that the reader does not hear, so whether
    /// there is one is not told.
    async fn position_after(&self, event: EventId) -> Result<Position, PullError> {
        let position = self.parts.subscription_service.reader().position_of(event).await?;
        let now = u64::try_from(self.parts.clock.now().unix_ms()).unwrap_or(0);
        let is_ahead = event.unix_ms() > now && position == self.parts.store.log.head();
        if is_ahead && self.newest().await?.is_none_or(|newest| newest < event) {
            return Err(PullError::NotYet);
        }
        Ok(position)
    }

    async fn newest(&self) -> Result<Option<EventId>, LogError> {
        let before = Position(self.parts.store.log.head().0.saturating_sub(1));
        let newest = self.parts.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        Ok(newest.first().map(|entry| entry.event.id))
    }

    /// Reads events after a place and waits until there is one, `deadline` has come, or the gateway
    /// stops; then there may be none.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription is paused, or events after that place are not kept any
    /// more. Later: an event cannot be sealed. Ours: the log failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: reading changes nothing.
    pub async fn read(
        &self,
        worker: &WorkerHandle,
        after: Position,
        (page, deadline): (Page, Timestamp),
    ) -> Result<Served, PullError> {
        let mut worker = worker.clone();
        let mut served = Served::nothing(after);
        loop {
            worker.standing.mark_unchanged();
            must_be_served(&worker)?;
            let view = worker.look();
            let mut part =
                self.parts.subscription_service.reader().read(&view, served.reached, page).await?;
            part.matches.retain(|one| self.may_hand_out(&view.subscription, one));
            let more = part.reached.position < view.standing.scanned;
            served.more = part.reached.sequence < view.standing.sequence;
            served.reached = served.reached.max(part.reached.position);
            if part.matches.iter().any(|one| !one.given_up) {
                served.events = self.seal_all(&view.subscription, &part).await?;
                return Ok(served);
            }
            let late = self.parts.clock.now() >= deadline;
            if late || (!more && !self.parts.wait(&mut worker, deadline).await) {
                must_be_served(&worker)?;
                return Ok(served);
            }
        }
    }

    /// Whether the consumer may still hear a match. One that it may not has its number, and is never
    /// handed out.
    pub(super) fn may_hand_out(&self, subscription: &Subscription, one: &NumberedEntry) -> bool {
        let (entry, access) = (&one.entry, self.parts.subscription_service.access());
        access.lets(&subscription.consumer, (&entry.publication, &entry.event), entry.position)
    }

    async fn seal_all(
        &self,
        subscription: &Arc<Subscription>,
        part: &NumberedPage,
    ) -> Result<Vec<Collected>, PullError> {
        let mut events = Vec::with_capacity(part.matches.len());
        for one in part.matches.iter().filter(|one| !one.given_up) {
            events.push(self.seal(subscription, one).await?);
        }
        Ok(events)
    }

    /// Seals a match as for a delivery.
    pub(super) async fn seal(
        &self,
        subscription: &Arc<Subscription>,
        one: &NumberedEntry,
    ) -> Result<Collected, PullError> {
        let delivery = Delivery {
            subscription: Arc::clone(subscription),
            entry: Arc::clone(&one.entry),
            link: Some((one.sequence, one.previous)),
            replay: None,
            attempts: 0,
            first_attempt: None,
            redriven: false,
        };
        let sealed = self.parts.sealer.seal(&delivery).await?;
        self.parts.metrics.counter(Metric::Fetched, &[subscription.id.as_str()]).increment();
        // A page of tokens is work for milliseconds, and others need their turn.
        tokio::task::yield_now().await;
        let (id, sequence) = (one.entry.event.id, one.sequence);
        Ok(Collected { id, sequence, token: sealed.token().to_owned() })
    }

    /// Notes that the consumer has everything up to a place.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription has a sink or requires receipts, or that place is not kept any
    /// more. Ours: the log failed.
    pub async fn acknowledge(
        &self,
        worker: &WorkerHandle,
        through: Position,
    ) -> Result<(), PullError> {
        let ack_state = worker.ack_state.as_ref().ok_or(PullError::HasSink)?;
        let _turn = ack_state.turn.lock().await;
        let mut cursor = ack_state.acknowledged();
        let view = worker.look();
        let through = through.min(view.standing.scanned);
        if through <= cursor.settled {
            return Ok(());
        }
        let place = self.parts.subscription_service.reader().place(&view, through).await?;
        let terms = view.subscription.receipts.as_deref();
        if terms.is_some_and(|terms| terms.required) && place.sequence > cursor.sequence {
            return Err(PullError::NeedsReceipts);
        }
        (cursor.settled, cursor.sequence, cursor.chain) =
            (place.position, place.sequence, place.chain);
        cursor.ahead.drop_through(place.sequence);
        let settled = self.settle(worker, ack_state, cursor).await?;
        if terms.is_some() {
            let labels = [view.subscription.id.as_str(), ReceiptFault::Missing.word()];
            self.parts.metrics.counter(Metric::Receipts, &labels).add(settled);
        }
        Ok(())
    }

    /// Moves a cursor over what is acknowledged ahead of it, and keeps it; says how many events that
    /// settles.
    pub(super) async fn settle(
        &self,
        worker: &WorkerHandle,
        ack_state: &AckState,
        mut cursor: Cursor,
    ) -> Result<u64, PullError> {
        let view = worker.look();
        let (id, sequence) = (&view.subscription.id, view.standing.sequence);
        let before = ack_state.waiting(sequence).0;
        while cursor.ahead.contains(cursor.sequence + 1) {
            let part = self
                .parts
                .subscription_service
                .reader()
                .read(&view, cursor.settled, Page::default())
                .await?;
            if part.reached.position == cursor.settled {
                break;
            }
            for one in &part.matches {
                if !cursor.ahead.contains(one.sequence) {
                    break;
                }
                cursor.settled = one.entry.position;
                cursor.sequence = one.sequence;
                cursor.chain = one.previous.next(one.entry.event.id, one.entry.event.digest);
            }
            if part.matches.is_empty() {
                cursor.settled = part.reached.position;
            }
        }
        cursor.ahead.drop_through(cursor.sequence);
        let kept = ack_state.acknowledge(cursor);
        self.parts.ledger.cursor(id, &kept);
        let settled = before.saturating_sub(ack_state.waiting(sequence).0);
        self.parts.metrics.counter(Metric::Delivered, &[id.as_str()]).add(settled);
        Ok(settled)
    }
}

impl PullServiceParts {
    /// Waits until the subscription has come further or has changed; says no if the deadline comes
    /// first, the gateway stops, or the subscription is gone.
    pub(super) async fn wait(&self, worker: &mut WorkerHandle, deadline: Timestamp) -> bool {
        tokio::select! {
            moved = worker.standing.changed() => moved.is_ok(),
            changed = worker.subscription.changed() => changed.is_ok(),
            () = self.clock.sleep_until(deadline) => false,
            () = self.tasks.stopping().cancelled() => false,
        }
    }

    /// Waits until what was noted is written.
    pub(super) async fn written(&self) -> Result<(), LogError> {
        tokio::select! {
            written = self.ledger.written() => written,
            // Who writes regularly may have stopped.
            () = self.tasks.stopping().cancelled() => self.ledger.try_flush().await,
        }
    }
}

/// Refuses to hand out events of a subscription that has ended, or has no sink and is paused. One
/// with a sink is read as far as its courier has come, in every state.
pub(super) fn must_be_served(worker: &WorkerHandle) -> Result<(), PullError> {
    // Its worker has gone, and what the line shows is of before.
    if worker.has_ended() {
        return Err(PullError::Ended);
    }
    let subscription = worker.subscription.borrow();
    if subscription.is_pulled() && !subscription.state.delivers() {
        return Err(PullError::NotActive(subscription.state));
    }
    Ok(())
}
