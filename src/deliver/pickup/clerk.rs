//! Serves one subscription without a sink: numbers its matches, and attempts nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::deliver::gathering::Gathering;
use crate::deliver::pickup::overdue::Overdue;
use crate::deliver::{Command, Inbox, Milestones, Round, Shelf, Standing, Turn};
use crate::eventlog::{Cursor, Milestone, Retry};
use crate::subscriptions::Subscription;

/// How often an idle clerk looks at the log by itself.
const IDLE_TICK: Duration = Duration::from_secs(5);

/// The worker of one subscription without a sink.
pub struct Clerk {
    round: Round,
    subscription: Arc<Subscription>,
    inbox: Arc<Inbox>,
    commands: mpsc::Receiver<Command>,
    standing: watch::Sender<Standing>,
    shelf: Arc<Shelf>,
    place: Milestone,
    milestones: Milestones,
    overdue: Overdue,
    held: bool,
}

impl Clerk {
    /// Goes on from what the log kept of a subscription.
    pub fn new(
        round: Round,
        subscription: Arc<Subscription>,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
        (cursor, waiting): (Cursor, Vec<Retry>),
    ) -> (Self, watch::Receiver<Standing>, Arc<Shelf>) {
        let place = cursor.place();
        let shelf = Arc::new(Shelf::new(cursor, waiting));
        let standing = watch::Sender::new(stand(place, &shelf));
        let (watcher, consumers) = (standing.subscribe(), Arc::clone(&shelf));
        let milestones = Milestones::default();
        let clerk = Self {
            round,
            subscription,
            inbox,
            commands,
            standing,
            shelf,
            place,
            milestones,
            overdue: Overdue::new(),
            held: false,
        };
        (clerk, watcher, consumers)
    }

    /// Works until the gateway stops or the subscription is removed.
    pub async fn run(mut self) {
        let stopping = self.round.tasks.stopping().clone();
        self.skip_ahead().await;
        let (log, inbox) = (Arc::clone(&self.round.log), Arc::clone(&self.inbox));
        let mut gathering = Gathering::new(log, inbox, self.place.position);
        loop {
            let more = self.number(&mut gathering).await | self.expire().await;
            let wake = if more { Duration::ZERO } else { IDLE_TICK };
            tokio::select! {
                () = stopping.cancelled() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command, &mut gathering),
                    None => break,
                },
                () = gathering.arrival() => {}
                () = self.shelf.change() => {}
                () = self.round.clock.sleep(wake) => {}
            }
        }
    }

    /// Begins at the newest milestone if that is further than what was acknowledged. Where none
    /// can be read the way is longer, and leads to the same numbers.
    async fn skip_ahead(&mut self) {
        let log = &self.round.log;
        let newest = log.milestones_around(&self.subscription.id, log.head()).await;
        if let Ok((Some(newest), _)) = newest
            && newest.position > self.place.position
        {
            self.place = newest;
        }
    }

    /// Numbers a batch of matches, so that commands need not wait for a long way; says whether there
    /// may be more at once.
    async fn number(&mut self, gathering: &mut Gathering) -> bool {
        gathering.rest();
        if self.held {
            self.note();
            return false;
        }
        let found = gathering.gather(&self.subscription).await;
        while let Some(entry) = gathering.take() {
            self.place = Milestone {
                position: entry.position,
                sequence: self.place.sequence + 1,
                chain: self.place.chain.next(entry.event.id, entry.event.digest),
            };
            self.keep_milestone();
        }
        self.place.position = self.place.position.max(gathering.known());
        self.keep_milestone();
        self.note();
        found || gathering.has_more()
    }

    /// Gives up what was not acknowledged in time; says whether there may be more at once.
    async fn expire(&mut self) -> bool {
        if self.held {
            return false;
        }
        let of = (&self.round, &*self.subscription);
        let more = self.overdue.look(of, &self.shelf, self.place).await;
        self.note();
        more.unwrap_or_else(|error| {
            tracing::error!(
                subscription.id = %self.subscription.id,
                error = &error as &dyn std::error::Error,
                "Overdue events of subscription {} cannot be given up", self.subscription.id,
            );
            false
        })
    }

    fn keep_milestone(&mut self) {
        if let Some(place) = self.milestones.due(self.place) {
            self.round.ledger.milestone(&self.subscription.id, place);
        }
    }

    fn obey(&mut self, command: Command, gathering: &mut Gathering) {
        match command {
            // Whoever asked and has gone will not change anything, and nobody would let go.
            Command::Hold(held) => self.held = held.send(()).is_ok(),
            Command::Changed(subscription) => {
                self.subscription = subscription;
                self.held = false;
                self.overdue = Overdue::new();
                gathering.start_over(self.place.position);
            }
            Command::Retry(retry) => self.shelf.bring_back(retry),
            // There is no sink, and no order that a dead letter could hold up.
            Command::Nudge | Command::Dismissed(_) => {}
            // Whoever asked may have gone.
            Command::Turn { answer, .. } => drop(answer.send(Turn::None)),
        }
    }

    fn note(&self) {
        if let Some(cursor) = self.shelf.pass(self.place) {
            self.round.ledger.cursor(&self.subscription.id, &cursor);
        }
        let standing = stand(self.place, &self.shelf);
        // Who waits for events is not woken for nothing.
        self.standing.send_if_modified(|shown| {
            let moved = *shown != standing;
            *shown = standing;
            moved
        });
    }
}

fn stand(place: Milestone, shelf: &Shelf) -> Standing {
    let (open, retrying) = shelf.waiting(place.sequence);
    Standing {
        scanned: place.position,
        settled: shelf.settled(),
        sequence: place.sequence,
        chain: place.chain,
        open: usize::try_from(open).unwrap_or(usize::MAX),
        retrying,
        blocked: 0,
    }
}
