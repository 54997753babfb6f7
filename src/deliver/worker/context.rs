//! What all workers share, what they are told, and where they stand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::ambient::{Clock, Tasks};
use crate::deliver::attempt::Attempter;
use crate::deliver::limits::{Allowance, BacklogLimit, Sinks};
use crate::deliver::outcome::{DeliverySignals, Ledger};
use crate::deliver::worker::ReplayedMatch;
use crate::deliver::worker::decider::Decider;
use crate::event::{ChainValue, EventId, ReplayId, Subject, Timestamp};
use crate::eventlog::{Cursor, DeliveryKey, Entry, Position, Retry, Store};
use crate::subscriptions::Subscription;

/// What a worker is told. What is large is boxed: the queue of each worker has room for many commands from
/// the start.
#[derive(Debug)]
pub enum WorkerCommand {
    /// Take no further matches until the subscription has changed; answer when that is so.
    Hold(oneshot::Sender<()>),
    /// The subscription is now this one.
    Changed(Arc<Subscription>),
    /// Attempt this delivery when it is due.
    Retry(Box<RedrivenDelivery>),
    /// Attempt this old match as soon as live traffic leaves room, and say what came of it.
    Replay(Box<ReplayedMatch>),
    /// Attempt nothing more of this replay.
    EndReplay(Box<ReplayId>),
    /// The sink may be well again: find out, however long it was to be left alone.
    Nudge,
    /// Nobody wants this dead letter any more: let go on what waits behind it.
    Dismissed(Box<DeliveryKey>),
    /// Say whether a numbered match waits for its turn; this changes nothing.
    Turn(Box<TurnQuestion>),
    /// Give up these deliveries, as far as they still wait for another attempt.
    Drop(Box<RetriesToDrop>),
}

/// A delivery that was given up and waits for another attempt now.
#[derive(Debug)]
pub struct RedrivenDelivery {
    /// What waits.
    pub retry: Retry,
    /// The subject of its event, whose order it keeps to.
    pub subject: Option<Subject>,
}

/// Whether a numbered match waits for its turn, asked of its worker.
#[derive(Debug)]
pub struct TurnQuestion {
    /// Its sequence number.
    pub sequence: u64,
    /// Its subject.
    pub subject: Option<Subject>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<SubjectTurn>,
}

/// Deliveries that nobody wants another attempt of.
pub struct RetriesToDrop {
    /// Which, with their events.
    pub deliveries: Vec<(DeliveryKey, Arc<Entry>)>,
    /// Told how many of them have waited.
    pub answer: oneshot::Sender<usize>,
}

/// Shows how many, and nothing of their events.
impl fmt::Debug for RetriesToDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetriesToDrop({})", self.deliveries.len())
    }
}

/// Whether a numbered match waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectTurn {
    /// It is settled.
    Past,
    /// It waits for none: an attempt is in flight, or it is not known.
    None,
    /// It is its turn, and the sink is not asked yet.
    Next,
    /// An event of its subject goes first.
    After {
        /// That event.
        event: EventId,
        /// Its sequence number.
        sequence: u64,
    },
}

/// The oldest event that waits for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldestRetry {
    /// Which one.
    pub event: EventId,
    /// Since when it waits: since it was accepted, or tried again where someone has brought it back.
    pub since: Timestamp,
    /// When its next attempt is due.
    pub due: Timestamp,
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerStanding {
    /// Everything up to here was looked at.
    pub scanned: Position,
    /// Everything up to here is settled; what lies after it is kept in the log.
    pub settled: Position,
    /// The sequence number of the newest match.
    pub sequence: u64,
    /// The chain after that match.
    pub chain: ChainValue,
    /// Matches that are numbered and not settled.
    pub open: usize,
    /// Deliveries that wait for their next attempt.
    pub retrying: usize,
    /// Dead letters that hold up the events of their subject.
    pub blocked: usize,
    /// The oldest of those that wait, but for those of replays.
    pub oldest_retry: Option<OldestRetry>,
    /// When the match was accepted that is attempted next, if nothing but room for it is missing.
    pub next_accepted: Option<Timestamp>,
}

impl From<&Retry> for OldestRetry {
    fn from(retry: &Retry) -> Self {
        let event = retry.key.event;
        let accepted = Timestamp::from_unix_ms(i64::try_from(event.unix_ms()).unwrap_or(i64::MAX));
        let since = if retry.redriven { retry.first_attempt } else { accepted };
        Self { event, since, due: retry.due }
    }
}

impl WorkerStanding {
    /// Where a worker begins that goes on from a cursor, with what waits.
    pub(super) const fn kept(
        cursor: &Cursor,
        (retrying, oldest_retry): (usize, Option<OldestRetry>),
    ) -> Self {
        let Cursor { settled, sequence, chain, .. } = *cursor;
        Self {
            scanned: settled,
            settled,
            sequence,
            chain,
            open: 0,
            retrying,
            blocked: 0,
            oldest_retry,
            next_accepted: None,
        }
    }

    /// Events that its consumer does not have yet, of those that were looked at: in flight or not
    /// acknowledged, and those that wait for another attempt.
    pub const fn missing(&self) -> usize {
        self.open.saturating_add(self.retrying)
    }

    /// Deliveries that wait for their next attempt, beyond which nobody hands the courier more: its
    /// sink has to recover first.
    pub const MOST_RETRIES: usize = 500;

    /// How many more deliveries may be handed to the courier.
    pub const fn room(&self) -> usize {
        Self::MOST_RETRIES.saturating_sub(self.retrying)
    }
}

/// What the log kept of a subscription: how far it has come, and what waits for another attempt.
pub type KeptDeliveries = (Cursor, Vec<Retry>);

/// What reaches a worker, and outlives one that panics.
pub struct WorkerEnds {
    pub(super) commands: mpsc::Receiver<WorkerCommand>,
    pub(super) standing: watch::Sender<WorkerStanding>,
    /// Whether no matches are taken until the subscription has changed.
    pub(super) held: bool,
    /// The attempts that were begun and have not ended.
    pub(super) attempts: TaskTracker,
}

/// What all workers share.
#[derive(Clone)]
pub struct DeliveryContext {
    /// What a courier reads when it is behind.
    pub store: Store,
    /// Where cursors are noted.
    pub ledger: Arc<Ledger>,
    /// Makes attempts.
    pub attempter: Arc<Attempter>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where attempts run.
    pub tasks: Tasks,
    /// What a subscription gets unless it says otherwise.
    pub allowance: Allowance,
    /// What is known of the health of sinks.
    pub sinks: Arc<Sinks>,
    /// How much may wait for a subscription, unless it says otherwise.
    pub backlog: BacklogLimit,
    /// Takes word of what others should know.
    pub signals: DeliverySignals,
    /// How long the attempts of a subscription may only fail before it is paused.
    pub pause_after: Duration,
    /// Decides whether subscriptions want entries.
    pub decider: Decider,
}

impl DeliveryContext {
    /// How much may wait for a subscription.
    pub fn limit_of(&self, subscription: &Subscription) -> BacklogLimit {
        self.allowance.operator_limits.limit(subscription, self.backlog)
    }
}
