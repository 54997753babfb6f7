//! The workers of all subscriptions: started, told of changes, and handed their matches.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::deliver::dispatch::worker_handle::WorkerHandle;
use crate::deliver::limits::{AttemptLimiter, BacklogLimit, Flow, OperatorLimits};
use crate::deliver::worker::{
    AckState, Decider, DeliveryContext, DeliveryEnd, Followed, Inbox, ServedSubscription,
    WorkerCommand, WorkerStanding,
};
use crate::event::{CloudEvent, SubscriptionId};
use crate::eventlog::{Changes, Cursor, Entry, FencingEpoch, LogError, Position, Retry};
use crate::route::{BoundedFilter, OwnedFilter, Table};
use crate::subscriptions::{Subscription, SubscriptionState};

/// Commands that may wait for one worker.
const COMMANDS: usize = 64;

/// All workers, and the table that says whom an entry is for.
pub struct Dispatch {
    context: Arc<DeliveryContext>,
    table: Table<SubscriptionId>,
    followed: Arc<Followed>,
    workers: RwLock<BTreeMap<SubscriptionId, RunningWorker>>,
    /// Told whenever a subscription comes or changes whose sink has to prove itself.
    pending: Notify,
}

/// What reaches one worker.
pub(super) struct RunningWorker {
    pub(super) inbox: Arc<Inbox>,
    limiter: Option<Arc<AttemptLimiter>>,
    commands: mpsc::Sender<WorkerCommand>,
    standing: watch::Receiver<WorkerStanding>,
    subscription: watch::Sender<Arc<Subscription>>,
    work: JoinHandle<()>,
    ack_state: Option<Arc<AckState>>,
}

/// A filter of a subscription, whose consumer pays for it.
fn owned(subscription: &Subscription, asked: BoundedFilter) -> OwnedFilter {
    OwnedFilter { owner: Some(subscription.consumer.clone()), asked }
}

/// What one worker is handed.
#[derive(Default)]
struct HandedEntries {
    matches: Vec<Arc<Entry>>,
    /// The newest entry from the first undecided one on.
    missed: Option<Position>,
}

impl HandedEntries {
    /// What comes after an undecided entry has to wait for it, in the log.
    fn add(&mut self, entry: &Arc<Entry>) {
        match &mut self.missed {
            Some(newest) => *newest = entry.position,
            None => self.matches.push(Arc::clone(entry)),
        }
    }
}

impl Dispatch {
    /// Starts without workers; entries up to `head` are theirs to read from the log.
    pub fn new(context: DeliveryContext, head: Position) -> Self {
        let followed = Arc::new(Followed::default());
        followed.advance(head);
        let (workers, pending) = (RwLock::default(), Notify::new());
        let context = Arc::new(context);
        Self { context, table: Table::new(), followed, workers, pending }
    }

    pub(super) fn workers(&self) -> RwLockReadGuard<'_, BTreeMap<SubscriptionId, RunningWorker>> {
        self.workers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<SubscriptionId, RunningWorker>> {
        self.workers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the worker of a subscription where its cursor stands: a courier, or a pull worker if
    /// it has no sink.
    pub fn open(&self, subscription: &Arc<Subscription>, cursor: Cursor, waiting: Vec<Retry>) {
        if subscription.state == SubscriptionState::Closed {
            return;
        }
        self.context.ledger.open(&subscription.id);
        let inbox = Arc::new(Inbox::new(Arc::clone(&self.followed)));
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let kept = (cursor, waiting);
        let (end, limiter, ack_state) = if subscription.is_pulled() {
            let ack_state = Arc::new(AckState::new(kept.0.clone(), kept.1.clone()));
            (DeliveryEnd::Pull(Arc::clone(&ack_state)), None, Some(ack_state))
        } else {
            let limiter = Arc::new(self.limiter(subscription, &kept.0));
            (DeliveryEnd::Push(Arc::clone(&limiter)), Some(limiter), None)
        };
        let changes = watch::Sender::new(Arc::clone(subscription));
        let served = (changes.subscribe(), end);
        let context = Arc::clone(&self.context);
        let (serving, standing) =
            ServedSubscription::new(context, served, Arc::clone(&inbox), receiver, &kept);
        // Before the courier starts: an entry that was matched without this filter is then in the
        // log before the courier reads it, so that none falls between log and inbox.
        self.list(subscription);
        // Nobody is handed entries while this is held, so that none can be meant for a courier that
        // has caught up already and is not listed yet.
        let mut workers = self.workers_mut();
        let worker = RunningWorker {
            inbox,
            limiter,
            commands,
            standing,
            subscription: changes,
            work: self.context.tasks.spawn(serving.run(kept)),
            ack_state,
        };
        workers.insert(subscription.id.clone(), worker);
        drop(workers);
        self.tell_of_pending(subscription);
    }

    fn limiter(&self, subscription: &Arc<Subscription>, cursor: &Cursor) -> AttemptLimiter {
        let (sinks, allowance) = (&self.context.sinks, self.context.allowance);
        AttemptLimiter::new(subscription, sinks, allowance, cursor.failing_since)
    }

    fn tell_of_pending(&self, subscription: &Subscription) {
        if subscription.awaits_proof() {
            self.pending.notify_one();
        }
    }

    fn list(&self, subscription: &Subscription) {
        let Some(asked) = subscription.asked_now() else { return };
        // Most changes are of something else, and a start has listed all at once.
        if self.table.get(&subscription.id).is_none_or(|known| !known.is_same(&asked)) {
            self.table.insert(subscription.id.clone(), owned(subscription, asked));
        }
    }

    /// Lists what many subscriptions want, before their workers are started.
    pub(super) fn list_all(&self, subscriptions: &[Arc<Subscription>]) {
        let open = subscriptions.iter().filter(|one| one.state != SubscriptionState::Closed);
        self.table.extend(open.filter_map(|subscription| {
            let asked = subscription.asked_now()?;
            Some((subscription.id.clone(), owned(subscription, asked)))
        }));
    }

    /// Keeps a courier from taking matches until [`changed`](Self::changed) is called, so that a
    /// new filter can begin at a position that nobody has passed with the old one.
    pub async fn hold(&self, id: &SubscriptionId) {
        let worker = self
            .workers()
            .get(id)
            .map(|worker| (worker.commands.clone(), Arc::clone(&worker.inbox)));
        let Some((commands, inbox)) = worker else { return };
        let (answer, held) = oneshot::channel();
        if commands.send(WorkerCommand::Hold(answer)).await.is_ok() {
            // A courier that has ended takes nothing either.
            let _ = held.await;
        }
        inbox.fall_behind();
    }

    /// Tells a courier what its subscription has become; a closed one loses its courier.
    pub async fn changed(&self, subscription: &Arc<Subscription>) {
        if subscription.state == SubscriptionState::Closed {
            // Whoever reads along is told before there is nobody to tell it.
            if let Some(worker) = self.workers().get(&subscription.id) {
                worker.subscription.send_replace(Arc::clone(subscription));
            }
            self.close(&subscription.id).await;
            return;
        }
        self.list(subscription);
        let commands = {
            let workers = self.workers();
            let Some(worker) = workers.get(&subscription.id) else { return };
            worker.subscription.send_replace(Arc::clone(subscription));
            worker.inbox.fall_behind();
            worker.commands.clone()
        };
        self.tell_of_pending(subscription);
        // A courier that has ended is told at its next start.
        let _ = commands.send(WorkerCommand::Changed(Arc::clone(subscription))).await;
    }

    /// Shows a subscription as it is kept now, where nothing of it has changed that its worker goes by.
    pub fn replaced(&self, subscription: &Arc<Subscription>) {
        if let Some(worker) = self.workers().get(&subscription.id) {
            worker.subscription.send_replace(Arc::clone(subscription));
        }
    }

    /// Lets a courier that is held go on with what it has.
    pub async fn release(&self, id: &SubscriptionId) {
        let now = self.workers().get(id).map(|worker| Arc::clone(&worker.subscription.borrow()));
        if let Some(now) = now {
            self.changed(&now).await;
        }
    }

    /// Ends the courier of a subscription and waits until its attempts have ended.
    pub async fn close(&self, id: &SubscriptionId) {
        self.table.remove(id);
        let worker = self.workers_mut().remove(id);
        if let Some(RunningWorker { commands, work, subscription, .. }) = worker {
            drop((commands, subscription));
            // It ends by itself, and begins anew where it panics.
            let _ = work.await;
        }
    }

    /// Ends the worker of a subscription and starts one anew where the log says that it stood,
    /// because events now travel in another way.
    ///
    /// What a sink was not given yet is left to be fetched, and what was not acknowledged is left
    /// to be delivered: both are kept in the same way.
    ///
    /// # Errors
    ///
    /// Ours: the log failed, or the gateway stops before the disk has room for what attempts have left.
    pub async fn reopen(&self, subscription: &Arc<Subscription>) -> Result<(), LogError> {
        self.close(&subscription.id).await;
        let stopping = self.context.tasks.stopping();
        let flush = stopping.run_until_cancelled(self.context.ledger.flush());
        flush.await.unwrap_or(Err(LogError::Closed))?;
        let (cursor, mut waiting) = self.context.store.state.load_one(&subscription.id).await?;
        let start = || Cursor::starting(&subscription.id, self.followed.position());
        if subscription.is_pulled() {
            self.end_replays(&mut waiting).await?;
        }
        self.open(subscription, cursor.unwrap_or_else(start), waiting);
        Ok(())
    }

    /// Ends the deliveries of replays, which nobody fetches: what was a dead letter is one again.
    async fn end_replays(&self, waiting: &mut Vec<Retry>) -> Result<(), LogError> {
        let mut changes = Changes { epoch: self.epoch(), ..Changes::default() };
        for retry in waiting.extract_if(.., |retry| retry.key.replay.is_some()) {
            changes
                .dead_letters
                .extend(self.context.store.dead_letters.dead_letter(&retry.key).await?);
            changes.settled.push(retry.key);
        }
        Ok(self.context.store.state.commit(changes).await?)
    }

    /// Forgets what is not written yet of a subscription that has lost its courier, and writes no
    /// more of it.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn forget(&self, id: &SubscriptionId) -> Result<(), LogError> {
        self.context.ledger.forget(id).await
    }

    /// How far entries were handed over.
    pub fn followed(&self) -> &Followed {
        &self.followed
    }

    /// Hands entries to the inboxes of those they are for, in log order, and says up to where: not
    /// all of them if their filters are much work, so that others have their turn.
    ///
    /// Whoever is undecided about an entry reads the log from there, and nobody else waits.
    pub fn hand(&self, entries: &[Arc<Entry>]) -> Option<Position> {
        let allowance = self.context.decider.config().at_once();
        let mut handed: BTreeMap<SubscriptionId, HandedEntries> = BTreeMap::new();
        let (mut steps, mut last) = (0, None);
        for entry in entries {
            let routed = self.table.route(&entry.event.to_tree(), allowance);
            for id in routed.matching {
                handed.entry(id).or_default().add(entry);
            }
            for id in routed.undecided {
                handed.entry(id).or_default().missed = Some(entry.position);
            }
            last = Some(entry.position);
            steps += routed.steps;
            if steps > allowance.whole {
                break;
            }
        }
        let workers = self.workers();
        for (id, HandedEntries { matches, missed }) in handed {
            let Some(worker) = workers.get(&id) else { continue };
            worker.inbox.put(matches);
            if let Some(newest) = missed {
                worker.inbox.miss(newest);
            }
        }
        self.context.decider.steps_followed().add(steps);
        self.followed.advance(last?);
        last
    }

    /// The subscriptions that want an event now, whatever their state, as far as that is told with
    /// little work.
    pub fn wanting(&self, event: &CloudEvent) -> Vec<SubscriptionId> {
        let allowance = self.context.decider.config().at_once();
        self.table.route(&event.to_tree(), allowance).matching
    }

    /// Decides whether subscriptions want entries.
    pub fn decider(&self) -> &Decider {
        &self.context.decider
    }

    /// Writes the outcomes that are not written yet.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the log failed.
    pub async fn write_outcomes(&self) -> Result<(), LogError> {
        self.context.ledger.try_flush().await
    }

    /// The epoch in which outcomes are written.
    pub(super) fn epoch(&self) -> FencingEpoch {
        self.context.ledger.epoch()
    }

    /// The most that a subscription may ask for.
    pub(super) fn caps(&self) -> OperatorLimits {
        self.context.allowance.operator_limits
    }

    /// How many attempts per second are made at the sink of a subscription; nothing: as many as it takes.
    pub(in crate::deliver) fn rate_of(&self, subscription: &Subscription) -> Option<u32> {
        let allowance = self.context.allowance;
        allowance.operator_limits.bound(subscription, allowance).1
    }

    /// How much may wait for a subscription.
    pub(super) fn limit_of(&self, subscription: &Subscription) -> BacklogLimit {
        self.context.limit_of(subscription)
    }

    /// Where the courier of a subscription stands.
    pub fn standing(&self, id: &SubscriptionId) -> Option<WorkerStanding> {
        self.workers().get(id).map(|worker| *worker.standing.borrow())
    }

    /// How a sink is served at the moment; nothing for a subscription without one.
    pub fn flow(&self, id: &SubscriptionId) -> Option<Flow> {
        let limiter = self.workers().get(id)?.limiter.clone()?;
        Some(limiter.flow(self.context.clock.now()))
    }

    /// The subscriptions that wait for their sinks to prove themselves, paused ones among them, as they
    /// are now.
    pub fn pending(&self) -> Vec<Arc<Subscription>> {
        let workers = self.workers();
        let all = workers.values().map(|worker| Arc::clone(&worker.subscription.borrow()));
        all.filter(|subscription| subscription.awaits_proof()).collect()
    }

    /// Gives the sink of a subscription a signed statement; says whether it has taken it.
    pub(super) async fn tell_sink(&self, subscription: &Subscription, statement: String) -> bool {
        self.context.attempter.tell(subscription, statement).await
    }

    /// The subscriptions that are served, as they are now.
    pub fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        let workers = self.workers();
        workers.values().map(|worker| Arc::clone(&worker.subscription.borrow())).collect()
    }

    /// Is notified whenever one of those comes or changes.
    pub const fn pending_changed(&self) -> &Notify {
        &self.pending
    }

    /// Where every worker stands.
    pub fn standings(&self) -> Vec<(SubscriptionId, WorkerStanding)> {
        let workers = self.workers();
        workers.iter().map(|(id, worker)| (id.clone(), *worker.standing.borrow())).collect()
    }

    /// Gives a handle of the worker of a subscription.
    pub fn worker(&self, id: &SubscriptionId) -> Option<WorkerHandle> {
        self.workers().get(id).map(|worker| WorkerHandle {
            commands: worker.commands.downgrade(),
            subscription: worker.subscription.subscribe(),
            standing: worker.standing.clone(),
            limiter: worker.limiter.clone(),
            ack_state: worker.ack_state.clone(),
        })
    }
}
