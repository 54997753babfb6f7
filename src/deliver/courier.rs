//! Serves one subscription: takes its matches in order, has each carried to the sink, and keeps
//! count of what is settled.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::ambient::{Clock, Tasks};
use crate::deliver::{Delivery, Inbox, Ledger, Progress, Retries, Taken, Verdict};
use crate::event::ChainValue;
use crate::eventlog::{Cursor, DeliveryKey, Entry, EventLog, Page, Position, Retry};
use crate::subscriptions::Subscription;

/// Retries that one subscription may have waiting; beyond them its backlog stays behind the cursor.
const MOST_RETRIES: usize = 1000;
/// Numbered matches that may wait behind the oldest open one.
const MOST_OPEN: usize = 1024;
/// How often an idle courier moves its cursor past entries that do not match.
const IDLE_TICK: Duration = Duration::from_secs(5);
/// How long a delivery waits when its attempt could not even be made.
const AFTER_PANIC: Duration = Duration::from_mins(1);

/// Makes one attempt at a delivery and records what became of it.
#[async_trait]
pub trait Carry: Send + Sync {
    /// Seals, attempts, judges and records.
    ///
    /// Not cancel safe: the sink may have the event while nothing is recorded, so that it is
    /// delivered again.
    async fn carry(&self, delivery: &Delivery) -> Verdict;
}

/// What a courier is told.
#[derive(Debug)]
pub enum Command {
    /// Take no further matches until the subscription has changed; answer when that is so.
    Hold(oneshot::Sender<()>),
    /// The subscription is now this one.
    Changed(Arc<Subscription>),
    /// Attempt this delivery when it is due.
    Retry(Retry),
}

/// Where a courier stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Everything up to here was looked at.
    pub scanned: Position,
    /// The sequence number of the newest match.
    pub sequence: u64,
    /// The chain after that match.
    pub chain: ChainValue,
    /// Matches that are not settled without a gap.
    pub open: usize,
    /// Deliveries that wait for their next attempt.
    pub retrying: usize,
}

/// What all couriers share.
#[derive(Clone)]
pub struct Round {
    /// The log that a courier reads when it is behind.
    pub log: Arc<dyn EventLog>,
    /// Where cursors are noted.
    pub ledger: Arc<Ledger>,
    /// Who makes attempts.
    pub carrier: Arc<dyn Carry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where attempts run.
    pub tasks: Tasks,
    /// Attempts that a subscription may have under way, unless it says otherwise.
    pub parallel: u16,
}

/// The worker of one subscription.
pub struct Courier {
    round: Round,
    subscription: Arc<Subscription>,
    inbox: Arc<Inbox>,
    commands: mpsc::Receiver<Command>,
    standing: watch::Sender<Standing>,
    progress: Progress,
    /// The cursor that was noted last.
    noted: Cursor,
    retries: Retries,
    /// Matches that are not numbered yet.
    queue: VecDeque<Arc<Entry>>,
    /// How far the log is known once the queue is empty.
    known: Position,
    /// Deliveries whose further attempt is under way.
    again: BTreeSet<DeliveryKey>,
    held: bool,
    /// Whether there is more of the log to read at once.
    reading: bool,
    under_way: FuturesUnordered<UnderWay>,
}

type UnderWay = std::pin::Pin<Box<dyn Future<Output = (Arc<Delivery>, Option<Verdict>)> + Send>>;

impl Courier {
    /// Goes on from what the log kept of a subscription.
    pub fn new(
        round: Round,
        subscription: Arc<Subscription>,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
        (cursor, waiting): (Cursor, Vec<Retry>),
    ) -> (Self, watch::Receiver<Standing>) {
        let progress = Progress::resume(cursor);
        let mut retries = Retries::default();
        for retry in waiting {
            retries.insert(retry);
        }
        let standing = watch::Sender::new(stand(&progress, &retries));
        let watcher = standing.subscribe();
        let courier = Self {
            round,
            subscription,
            inbox,
            commands,
            standing,
            known: progress.scanned(),
            noted: progress.cursor().clone(),
            progress,
            retries,
            queue: VecDeque::new(),
            again: BTreeSet::new(),
            held: false,
            reading: false,
            under_way: FuturesUnordered::new(),
        };
        (courier, watcher)
    }

    /// Works until the gateway stops or the subscription is removed, then lets attempts end.
    pub async fn run(mut self) {
        let stopping = self.round.tasks.stopping().clone();
        loop {
            self.fill().await;
            let wake = self.wake_after();
            tokio::select! {
                () = stopping.cancelled() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some((delivery, verdict)) = self.under_way.next() => self.finish(&delivery, verdict),
                () = self.inbox.arrival() => {}
                () = self.round.clock.sleep(wake) => {}
            }
        }
        while let Some((delivery, verdict)) = self.under_way.next().await {
            self.finish(&delivery, verdict);
        }
        // What ended while stopping is settled, too, and need not be delivered again.
        self.note();
    }

    fn wake_after(&self) -> Duration {
        if self.reading {
            return Duration::ZERO;
        }
        let due = self.retries.next_due().filter(|_| self.has_room());
        due.map_or(IDLE_TICK, |due| due.since(self.round.clock.now()).min(IDLE_TICK))
    }

    fn has_room(&self) -> bool {
        let most = self.subscription.parallel.unwrap_or(self.round.parallel);
        self.subscription.state.delivers() && self.under_way.len() < usize::from(most)
    }

    /// Starts attempts until there is no room or nothing to attempt, or a page of the log was read
    /// in vain: a long way to catch up must not keep outcomes and commands waiting.
    async fn fill(&mut self) {
        self.reading = false;
        while self.has_room() {
            if let Some(retry) = self.retries.take_due(self.round.clock.now()) {
                self.attempt_again(retry).await;
            } else if self.held
                || self.retries.live() >= MOST_RETRIES
                || self.progress.open() >= MOST_OPEN
            {
                break;
            } else if let Some(entry) = self.queue.pop_front() {
                self.attempt_first(entry);
            } else if !self.gather().await {
                break;
            }
        }
        self.note();
    }

    /// Looks for further matches; says whether there are some.
    async fn gather(&mut self) -> bool {
        self.progress.pass(self.known);
        match self.inbox.take(MOST_OPEN) {
            Taken::Matches(matches, known) => {
                // The follower may hand over what this courier has meanwhile read from the log.
                let read = self.known;
                self.queue.extend(matches.into_iter().filter(|entry| entry.position > read));
                self.known = self.known.max(known);
                !self.queue.is_empty()
            }
            Taken::Behind => {
                self.reading = self.read_log().await;
                !self.queue.is_empty()
            }
        }
    }

    /// Reads a page of the log; says whether there may be more.
    async fn read_log(&mut self) -> bool {
        let entries = match self.round.log.read(self.known, Page::default()).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(
                    subscription.id = %self.subscription.id,
                    error = &error as &dyn std::error::Error,
                    "Cannot read the log for subscription {}", self.subscription.id,
                );
                return false;
            }
        };
        let Some(last) = entries.last().map(|entry| entry.position) else {
            return !self.inbox.caught_up(self.known) && self.round.log.head() > self.known;
        };
        let wanted = |entry: &Arc<Entry>| {
            let filter = self.subscription.filter_at(entry.position);
            filter.is_some_and(|filter| filter.matches(&entry.event.to_tree()))
        };
        self.queue.extend(entries.iter().filter(|entry| wanted(entry)).cloned());
        self.known = last;
        true
    }

    fn attempt_first(&mut self, entry: Arc<Entry>) {
        let numbered = self.progress.number(entry.position, entry.event.id, entry.event.digest);
        let delivery = Delivery {
            subscription: Arc::clone(&self.subscription),
            entry,
            link: Some((numbered.sequence, numbered.previous)),
            replay: None,
            attempts: 0,
            first_attempt: None,
        };
        // A retry that was kept before a crash stands for the match that it came from.
        if numbered.settled || self.waits(&delivery.key()) {
            self.progress.settle(numbered.sequence);
        } else {
            self.launch(delivery);
        }
    }

    /// Whether a delivery waits for another attempt, or is at one.
    fn waits(&self, key: &DeliveryKey) -> bool {
        self.retries.contains(key) || self.again.contains(key)
    }

    async fn attempt_again(&mut self, retry: Retry) {
        let before = Position(retry.position.0.saturating_sub(1));
        let page = Page { items: 1, bytes: 1 };
        let entry = match self.round.log.read(before, page).await {
            Ok(entries) => {
                entries.into_iter().next().filter(|entry| entry.event.id == retry.key.event)
            }
            Err(_) => None,
        };
        let Some(entry) = entry else {
            tracing::error!(
                event.id = %retry.key.event,
                subscription.id = %retry.key.subscription,
                "Cannot read event {} for another attempt", retry.key.event,
            );
            let due = self.round.clock.now().after(AFTER_PANIC);
            self.retries.insert(Retry { due, ..retry });
            return;
        };
        self.again.insert(retry.key.clone());
        self.launch(Delivery {
            subscription: Arc::clone(&self.subscription),
            entry,
            link: retry.link,
            replay: retry.key.replay,
            attempts: retry.attempts,
            first_attempt: Some(retry.first_attempt),
        });
    }

    fn launch(&mut self, delivery: Delivery) {
        let delivery = Arc::new(delivery);
        let (carrier, parcel) = (Arc::clone(&self.round.carrier), Arc::clone(&delivery));
        // On a task of its own, so that sealing for one subscription can use every core.
        let attempt: JoinHandle<Verdict> =
            self.round.tasks.spawn(async move { carrier.carry(&parcel).await });
        self.under_way.push(Box::pin(async move { (delivery, attempt.await.ok()) }));
    }

    fn finish(&mut self, delivery: &Delivery, verdict: Option<Verdict>) {
        self.again.remove(&delivery.key());
        let now = self.round.clock.now();
        let retry = match verdict {
            Some(Verdict::Retry { due }) => Some(due),
            Some(Verdict::Delivered | Verdict::GiveUp(_)) => None,
            None => {
                let due = now.after(AFTER_PANIC);
                let first = delivery.first_attempt.unwrap_or(now);
                self.round.ledger.retry(delivery.to_retry(first, due));
                Some(due)
            }
        };
        if let Some(due) = retry {
            self.retries.insert(delivery.to_retry(delivery.first_attempt.unwrap_or(now), due));
        }
        // The first attempt of a live delivery settles its place in line, whatever came of it.
        if let (Some((sequence, _)), None) = (delivery.link, delivery.first_attempt) {
            self.progress.settle(sequence);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            // Whoever asked and has gone will not change anything, and nobody would let go.
            Command::Hold(held) => self.held = held.send(()).is_ok(),
            Command::Changed(subscription) => {
                self.subscription = subscription;
                self.held = false;
                // What is dropped here must be read again, also if the courier had caught up since
                // it was sent back to the log.
                self.queue.clear();
                self.known = self.progress.scanned();
                self.inbox.fall_behind();
            }
            Command::Retry(retry) => self.retries.insert(retry),
        }
    }

    fn note(&mut self) {
        self.standing.send_replace(stand(&self.progress, &self.retries));
        if self.noted != *self.progress.cursor() {
            self.noted.clone_from(self.progress.cursor());
            self.round.ledger.cursor(&self.subscription.id, &self.noted);
        }
    }
}

fn stand(progress: &Progress, retries: &Retries) -> Standing {
    let (sequence, chain) = progress.newest();
    Standing {
        scanned: progress.scanned(),
        sequence,
        chain,
        open: progress.open(),
        retrying: retries.len(),
    }
}
