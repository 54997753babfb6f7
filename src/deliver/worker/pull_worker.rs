//! Serves one subscription without a sink: numbers its matches, and attempts nothing.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::deliver::outcome::Reason;
use crate::deliver::worker::courier::REST;
use crate::deliver::worker::expiry::letter_of;
use crate::deliver::worker::match_source::{FoundMatch, MatchSource};
use crate::deliver::worker::overdue::Overdue;
use crate::deliver::worker::sequence_checkpoints::SequenceCheckpoints;
use crate::deliver::worker::unwritten::Unwritten;
use crate::deliver::worker::withholding::Withholding;
use crate::deliver::worker::{
    AckState, DeliveryContext, Inbox, SubjectTurn, WorkerCommand, WorkerEnds, WorkerStanding,
};
use crate::eventlog::{Entry, SequenceCheckpoint};
use crate::subscriptions::Subscription;

/// How often a pull worker looks by itself at what waits to be acknowledged.
const TICK: Duration = Duration::from_secs(5);

/// The worker of one subscription without a sink.
pub struct PullWorker<'a> {
    context: Arc<DeliveryContext>,
    subscription: Arc<Subscription>,
    inbox: Arc<Inbox>,
    ends: &'a mut WorkerEnds,
    ack_state: Arc<AckState>,
    place: SequenceCheckpoint,
    sequence_checkpoints: SequenceCheckpoints,
    overdue: Overdue,
    withholding: Withholding,
    unwritten: Unwritten,
}

impl<'a> PullWorker<'a> {
    /// Goes on from what was acknowledged.
    pub fn new(
        context: Arc<DeliveryContext>,
        subscription: Arc<Subscription>,
        inbox: Arc<Inbox>,
        ends: &'a mut WorkerEnds,
        ack_state: Arc<AckState>,
    ) -> Box<Self> {
        Box::new(Self {
            context,
            subscription,
            inbox,
            ends,
            place: ack_state.acknowledged().place(),
            ack_state,
            sequence_checkpoints: SequenceCheckpoints::default(),
            overdue: Overdue::new(),
            withholding: Withholding::new(),
            unwritten: Unwritten::default(),
        })
    }

    /// Works until the gateway stops or the subscription is removed.
    pub async fn run(mut self: Box<Self>) {
        let stopping = self.context.tasks.stopping().clone();
        self.skip_ahead().await;
        let (context, inbox) = (Arc::clone(&self.context), Arc::clone(&self.inbox));
        let mut match_source = MatchSource::new(context, inbox, self.place.position);
        loop {
            // On the heap while it lasts: most workers are idle, and keep no room for it.
            let more = Box::pin(self.look(&mut match_source)).await;
            let wake = match more {
                true => Duration::ZERO,
                false if self.rests() => REST,
                false => TICK,
            };
            tokio::select! {
                () = stopping.cancelled() => break,
                command = self.ends.commands.recv() => match command {
                    Some(command) => self.obey(command, &mut match_source),
                    None => break,
                },
                () = match_source.arrival() => {}
                () = poll_fn(|context| {
                    let found = self.overdue.poll_arrival(context).is_ready()
                        | self.withholding.poll_arrival(context).is_ready();
                    if found { Poll::Ready(()) } else { Poll::Pending }
                }) => {}
                () = self.unwritten.written(&self.subscription.id) => {}
                () = self.ack_state.change() => {}
                () = self.context.clock.sleep(wake) => {}
            }
        }
    }

    /// Whether nothing is to be done before something comes or it is told that the log has moved.
    fn rests(&self) -> bool {
        let is_at_head = self.place.position >= self.context.store.log.head();
        let has_open = self.ack_state.settled() < self.place.position;
        let is_due = self.withholding.is_due() || self.unwritten.is_waiting();
        is_at_head && !(has_open || is_due || self.ends.held)
    }

    /// Begins at the newest sequence checkpoint if that is further than what was acknowledged.
    /// Where none can be read the way is longer, and leads to the same numbers.
    async fn skip_ahead(&mut self) {
        let store = &self.context.store;
        let head = store.log.head();
        let newest = store.state.sequence_checkpoints_around(&self.subscription.id, head).await;
        if let Ok((Some(newest), _)) = newest
            && newest.position > self.place.position
        {
            self.place = newest;
        }
    }

    /// Does what there is to do; says whether there may be more at once.
    async fn look(&mut self, match_source: &mut MatchSource) -> bool {
        self.number(match_source).await | self.give_up().await
    }

    /// Numbers a batch of matches, so that commands need not wait for a long way; says whether
    /// there may be more at once.
    async fn number(&mut self, match_source: &mut MatchSource) -> bool {
        match_source.rest();
        if self.ends.held {
            self.note();
            return false;
        }
        let found = match_source.gather(&self.subscription).await;
        while let Some(FoundMatch { entry, given_up }) = match_source.take() {
            if !self.context.attempter.may_send(&self.subscription, &entry) {
                self.withholding.look_again();
            }
            let before = self.place;
            self.place = SequenceCheckpoint {
                position: entry.position,
                sequence: self.place.sequence + 1,
                chain: self.place.chain.next(entry.event.id, entry.event.digest),
            };
            if given_up {
                self.give_up_undecided(&entry, before).await;
            }
            self.keep_sequence_checkpoint();
        }
        self.place.position = self.place.position.max(match_source.known());
        self.keep_sequence_checkpoint();
        self.note();
        found || match_source.has_more()
    }

    /// Gives up a match of which it is too much work to tell that it is one: it keeps its number and
    /// its link, and counts as acknowledged from then on.
    async fn give_up_undecided(&self, entry: &Entry, before: SequenceCheckpoint) {
        let _turn = self.ack_state.turn.lock().await;
        let mut cursor = self.ack_state.acknowledged();
        let sequence = self.place.sequence;
        if sequence <= cursor.sequence || cursor.ahead.contains(sequence) {
            return;
        }
        if cursor.sequence + 1 == sequence {
            cursor.settled = self.place.position;
            cursor.sequence = sequence;
            cursor.chain = self.place.chain;
        } else {
            cursor.ahead.insert(sequence);
        }
        let (why, now) = (Reason::Undecided, self.context.clock.now());
        let link = (sequence, before.chain);
        let letter = letter_of(&self.subscription, entry, (link, why), now);
        self.context.attempter.given_up(&self.subscription, why, 1);
        self.context.ledger.expire(&self.subscription.id, vec![letter], &cursor);
        self.ack_state.acknowledge(cursor);
    }

    /// Gives up what was not acknowledged in time, and what may not be heard any more; says whether
    /// there may be more at once.
    async fn give_up(&mut self) -> bool {
        if self.ends.held || self.unwritten.is_waiting() {
            return false;
        }
        let of = (&self.context, &self.subscription);
        let mut more =
            self.withholding.look(of, (&self.ack_state, &mut self.unwritten), self.place).await;
        if more.is_err() {
            self.withholding.look_again();
        } else if !self.unwritten.is_waiting() {
            let late = self
                .overdue
                .look(
                    (&self.context, &self.subscription),
                    (&self.ack_state, &mut self.unwritten),
                    self.place,
                )
                .await;
            more = late.map(|late| late || matches!(more, Ok(true)));
        }
        self.note();
        match more {
            // It looks again once that is written.
            Ok(more) => more && !self.unwritten.is_waiting(),
            Err(error) => {
                tracing::error!(
                    subscription.id = %self.subscription.id,
                    error = &error as &dyn std::error::Error,
                    "Events of subscription {} cannot be given up", self.subscription.shown(),
                );
                false
            }
        }
    }

    fn keep_sequence_checkpoint(&mut self) {
        if let Some(place) = self.sequence_checkpoints.due(self.place) {
            self.context.ledger.sequence_checkpoint(&self.subscription.id, place);
        }
    }

    fn obey(&mut self, command: WorkerCommand, match_source: &mut MatchSource) {
        match command {
            // Whoever asked and has gone will not change anything, and nobody would let go.
            WorkerCommand::Hold(held) => self.ends.held = held.send(()).is_ok(),
            WorkerCommand::Changed(subscription) => {
                self.subscription = subscription;
                self.ends.held = false;
                self.overdue = Overdue::new();
                self.withholding = Withholding::new();
                match_source.start_over(self.place.position);
            }
            WorkerCommand::Retry(redriven) => self.ack_state.bring_back(redriven.retry),
            // There is no sink, no order that a dead letter could hold up, and nobody who fetches a
            // replay: it ends with the courier that it was asked of.
            WorkerCommand::Nudge
            | WorkerCommand::Dismissed(_)
            | WorkerCommand::Replay(_)
            | WorkerCommand::EndReplay(_) => {}
            // Whoever asked may have gone.
            WorkerCommand::Turn(asked) => drop(asked.answer.send(SubjectTurn::None)),
            // What a sink was not given in time waits to be fetched, and for no attempt.
            WorkerCommand::Drop(wanted) => drop(wanted.answer.send(0)),
        }
    }

    fn note(&self) {
        if let Some(cursor) = self.ack_state.pass(self.place) {
            self.context.ledger.cursor(&self.subscription.id, &cursor);
        }
        let standing = stand(self.place, &self.ack_state);
        // Who waits for events is not woken for nothing.
        self.ends.standing.send_if_modified(|shown| {
            let moved = *shown != standing;
            *shown = standing;
            moved
        });
    }
}

fn stand(place: SequenceCheckpoint, ack_state: &AckState) -> WorkerStanding {
    let (open, retrying) = ack_state.waiting(place.sequence);
    WorkerStanding {
        scanned: place.position,
        settled: ack_state.settled(),
        sequence: place.sequence,
        chain: place.chain,
        open: usize::try_from(open).unwrap_or(usize::MAX),
        retrying,
        blocked: 0,
        oldest_retry: ack_state.oldest_returned(),
        next_accepted: None,
    }
}
