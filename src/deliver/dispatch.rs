//! The couriers of all subscriptions: started, told of changes, and handed their matches.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::deliver::{
    BacklogLimit, Caps, Clerk, Command, Courier, Flow, Followed, Gate, Inbox, Round, Shelf,
    Standing, View,
};
use crate::event::SubscriptionId;
use crate::eventlog::{Changes, Cursor, Entry, Error, Position, Retry};
use crate::route::Table;
use crate::subscriptions::{State, Subscription};

/// Commands that may wait for one courier.
const COMMANDS: usize = 64;

/// All couriers, and the table that says whom an entry is for.
pub struct Dispatch {
    round: Round,
    table: Table<SubscriptionId>,
    followed: Arc<Followed>,
    posts: RwLock<BTreeMap<SubscriptionId, Post>>,
}

/// What reaches one courier.
struct Post {
    inbox: Arc<Inbox>,
    gate: Arc<Gate>,
    commands: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    subscription: watch::Sender<Arc<Subscription>>,
    courier: JoinHandle<()>,
    shelf: Option<Arc<Shelf>>,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The ends through which others speak with a courier.
#[derive(Clone)]
pub struct Line {
    /// Takes commands.
    pub commands: mpsc::Sender<Command>,
    /// The subscription as it changes.
    pub subscription: watch::Receiver<Arc<Subscription>>,
    /// Where the courier stands.
    pub standing: watch::Receiver<Standing>,
    /// Lets attempts through.
    pub gate: Arc<Gate>,
    /// What the consumer has acknowledged; nothing if the subscription has a sink.
    pub shelf: Option<Arc<Shelf>>,
}

impl Line {
    /// Goes on watching only: a courier ends once nobody can command it any more.
    #[must_use]
    pub fn watching(self) -> Self {
        Self { commands: mpsc::channel(1).0, ..self }
    }

    /// Where the courier stands, and the subscription with every filter that applies up to there.
    ///
    /// In this order: a courier passes no entry under a filter that the subscription does not show
    /// yet.
    pub fn look(&self) -> View {
        let standing = *self.standing.borrow();
        View {
            standing,
            subscription: Arc::clone(&self.subscription.borrow()),
            acknowledged: self.shelf.as_ref().map(|shelf| shelf.acknowledged().place()),
        }
    }
}

impl Dispatch {
    /// Starts without couriers; entries up to `head` are theirs to read from the log.
    pub fn new(round: Round, head: Position) -> Self {
        let followed = Arc::new(Followed::default());
        followed.advance(head);
        Self { round, table: Table::new(), followed, posts: RwLock::default() }
    }

    fn posts(&self) -> RwLockReadGuard<'_, BTreeMap<SubscriptionId, Post>> {
        self.posts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn posts_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<SubscriptionId, Post>> {
        self.posts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the courier of a subscription where its cursor stands, or its clerk if it has no sink.
    pub fn open(&self, subscription: &Arc<Subscription>, cursor: Cursor, waiting: Vec<Retry>) {
        if subscription.state == State::Closed {
            return;
        }
        self.round.ledger.open(&subscription.id);
        let inbox = Arc::new(Inbox::new(Arc::clone(&self.followed)));
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (sinks, allowance) = (&self.round.sinks, self.round.allowance);
        let gate = Arc::new(Gate::new(subscription, sinks, allowance, cursor.failing_since));
        let (round, served) = (self.round.clone(), Arc::clone(subscription));
        let (given, kept) = (Arc::clone(&inbox), (cursor, waiting));
        let (work, standing, shelf): (Work, _, _) = if subscription.is_pulled() {
            let (clerk, standing, shelf) = Clerk::new(round, served, given, receiver, kept);
            (Box::pin(clerk.run()), standing, Some(shelf))
        } else {
            let served = (served, Arc::clone(&gate));
            let (courier, standing) = Courier::new(round, served, given, receiver, kept);
            (Box::pin(courier.run()), standing, None)
        };
        // Before the courier starts: an entry that was matched without this filter is then in the
        // log before the courier reads it, so that none falls between log and inbox.
        self.list(subscription);
        // Nobody is handed entries while this is held, so that none can be meant for a courier that
        // has caught up already and has no post yet.
        let mut posts = self.posts_mut();
        let post = Post {
            inbox,
            gate,
            commands,
            standing,
            subscription: watch::Sender::new(Arc::clone(subscription)),
            courier: self.round.tasks.spawn(work),
            shelf,
        };
        posts.insert(subscription.id.clone(), post);
    }

    fn list(&self, subscription: &Subscription) {
        if let Some(filter) = subscription.newest_filter() {
            self.table.insert(subscription.id.clone(), Arc::clone(filter));
        }
    }

    /// Keeps a courier from taking matches until [`changed`](Self::changed) is called, so that a new
    /// filter can begin at a position that nobody has passed with the old one.
    pub async fn hold(&self, id: &SubscriptionId) {
        let post =
            self.posts().get(id).map(|post| (post.commands.clone(), Arc::clone(&post.inbox)));
        let Some((commands, inbox)) = post else { return };
        let (answer, held) = oneshot::channel();
        if commands.send(Command::Hold(answer)).await.is_ok() {
            // A courier that has ended takes nothing either.
            let _ = held.await;
        }
        inbox.fall_behind();
    }

    /// Tells a courier what its subscription has become; a closed one loses its courier.
    pub async fn changed(&self, subscription: &Arc<Subscription>) {
        if subscription.state == State::Closed {
            // Whoever reads along is told before there is nobody to tell it.
            if let Some(post) = self.posts().get(&subscription.id) {
                post.subscription.send_replace(Arc::clone(subscription));
            }
            self.close(&subscription.id).await;
            return;
        }
        self.list(subscription);
        let commands = {
            let posts = self.posts();
            let Some(post) = posts.get(&subscription.id) else { return };
            post.subscription.send_replace(Arc::clone(subscription));
            post.inbox.fall_behind();
            post.commands.clone()
        };
        // A courier that has ended is told at its next start.
        let _ = commands.send(Command::Changed(Arc::clone(subscription))).await;
    }

    /// Lets a courier that is held go on with what it has.
    pub async fn release(&self, id: &SubscriptionId) {
        let now = self.posts().get(id).map(|post| Arc::clone(&post.subscription.borrow()));
        if let Some(now) = now {
            self.changed(&now).await;
        }
    }

    /// Ends the courier of a subscription and waits until its attempts have ended.
    pub async fn close(&self, id: &SubscriptionId) {
        self.table.remove(id);
        let post = self.posts_mut().remove(id);
        if let Some(Post { commands, courier, subscription, .. }) = post {
            drop((commands, subscription));
            // A courier that panicked has ended, too.
            let _ = courier.await;
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
    /// Ours: the log failed.
    pub async fn reopen(&self, subscription: &Arc<Subscription>) -> Result<(), Error> {
        self.close(&subscription.id).await;
        self.round.ledger.flush().await?;
        let (cursor, mut waiting) = self.round.log.load_one(&subscription.id).await?;
        let start = || Cursor::starting(&subscription.id, self.followed());
        if subscription.is_pulled() {
            self.end_replays(&mut waiting).await?;
        }
        self.open(subscription, cursor.unwrap_or_else(start), waiting);
        Ok(())
    }

    /// Ends the deliveries of replays, which nobody fetches: what was a dead letter is one again.
    async fn end_replays(&self, waiting: &mut Vec<Retry>) -> Result<(), Error> {
        let mut changes = Changes::default();
        for retry in waiting.extract_if(.., |retry| retry.key.replay.is_some()) {
            changes.dead_letters.extend(self.round.log.dead_letter(&retry.key).await?);
            changes.settled.push(retry.key);
        }
        Ok(self.round.log.commit(changes).await?)
    }

    /// Forgets what is not written yet of a subscription that has lost its courier, and writes no
    /// more of it.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn forget(&self, id: &SubscriptionId) -> Result<(), Error> {
        self.round.ledger.forget(id).await
    }

    /// Every entry up to here was handed over.
    pub fn followed(&self) -> Position {
        self.followed.position()
    }

    /// Hands each entry to the inboxes of those it is for, in log order, and says up to where.
    pub fn hand(&self, entries: &[Arc<Entry>]) -> Option<Position> {
        let mut matches: BTreeMap<SubscriptionId, Vec<Arc<Entry>>> = BTreeMap::new();
        for entry in entries {
            for id in self.table.matches(&entry.event.to_tree()) {
                matches.entry(id).or_default().push(Arc::clone(entry));
            }
        }
        let posts = self.posts();
        for (id, entries) in matches {
            if let Some(post) = posts.get(&id) {
                post.inbox.put(entries);
            }
        }
        let last = entries.last()?.position;
        self.followed.advance(last);
        Some(last)
    }

    /// Writes the outcomes that are not written yet.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the log failed.
    pub(super) async fn write_outcomes(&self) -> Result<(), Error> {
        self.round.ledger.try_flush().await
    }

    /// The most that a subscription may ask for.
    pub(super) const fn caps(&self) -> Caps {
        self.round.allowance.caps
    }

    /// How much may wait for a subscription.
    pub(super) fn limit_of(&self, subscription: &Subscription) -> BacklogLimit {
        self.round.limit_of(subscription)
    }

    /// Where the courier of a subscription stands.
    pub fn standing(&self, id: &SubscriptionId) -> Option<Standing> {
        self.posts().get(id).map(|post| *post.standing.borrow())
    }

    /// How a subscription is served at the moment.
    pub fn flow(&self, id: &SubscriptionId) -> Option<Flow> {
        self.posts().get(id).map(|post| post.gate.flow(self.round.clock.now()))
    }

    /// Where every courier stands.
    pub fn standings(&self) -> Vec<(SubscriptionId, Standing)> {
        let posts = self.posts();
        posts.iter().map(|(id, post)| (id.clone(), *post.standing.borrow())).collect()
    }

    /// Opens a line to the courier of a subscription.
    pub fn line(&self, id: &SubscriptionId) -> Option<Line> {
        self.posts().get(id).map(|post| Line {
            commands: post.commands.clone(),
            subscription: post.subscription.subscribe(),
            standing: post.standing.clone(),
            gate: Arc::clone(&post.gate),
            shelf: post.shelf.clone(),
        })
    }
}
