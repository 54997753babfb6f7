//! Keeps to the order that a subscription asks for.

use std::collections::BTreeMap;

use crate::deliver::lanes::{Lane, Lanes};
use crate::deliver::recall::recall;
use crate::deliver::{Courier, Delivery, Reason, Retries, Round, Turn, Verdict};
use crate::event::Subject;
use crate::eventlog::{DeadLetterQuery, DeliveryKey, Error, Page, Retry};
use crate::subscriptions::{OnDeadLetter, Ordering, Subscription};

/// The order in which matches are attempted, and those that are numbered and wait for their first
/// attempt.
pub(super) struct Order {
    rule: Rule,
    /// Matches whose turn it is, by their numbers.
    ready: BTreeMap<u64, Delivery>,
}

enum Rule {
    /// As they come, many at once.
    Free,
    /// By subject, as soon as it is known what waits in which lane.
    Unknown,
    /// By subject.
    BySubject(Lanes),
}

impl Rule {
    fn of(subscription: &Subscription) -> Self {
        match subscription.document.config.ordering {
            Ordering::None => Self::Free,
            Ordering::Subject => Self::Unknown,
        }
    }
}

impl Order {
    /// The order that a subscription asks for, while nothing waits for its first attempt.
    pub(super) fn of(subscription: &Subscription) -> Self {
        Self { rule: Rule::of(subscription), ready: BTreeMap::new() }
    }

    /// Whether it is known what may be attempted.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self.rule, Rule::Unknown)
    }

    const fn lanes(&self) -> Option<&Lanes> {
        match &self.rule {
            Rule::BySubject(lanes) => Some(lanes),
            Rule::Free | Rule::Unknown => None,
        }
    }

    const fn lanes_mut(&mut self) -> Option<&mut Lanes> {
        match &mut self.rule {
            Rule::BySubject(lanes) => Some(lanes),
            Rule::Free | Rule::Unknown => None,
        }
    }

    /// Bytes of event data that wait for their turn.
    pub(super) fn bytes(&self) -> usize {
        self.lanes().map_or(0, Lanes::bytes)
    }

    /// Dead letters that hold up the events of their subject.
    pub(super) fn blocked(&self) -> usize {
        self.lanes().map_or(0, Lanes::blocked)
    }

    /// Whether this dead letter holds up the events of its subject.
    pub(super) fn is_dead(&self, key: &DeliveryKey) -> bool {
        key.replay.is_none() && self.lanes().is_some_and(|lanes| lanes.is_dead(key.event))
    }

    /// Takes a numbered match; gives it back if it may be attempted now.
    pub(super) fn offer(&mut self, sequence: u64, delivery: Delivery) -> Option<Delivery> {
        match self.lanes_mut() {
            Some(lanes) => lanes.first(sequence, delivery),
            None => Some(delivery),
        }
    }

    /// Notes that a further attempt begins.
    pub(super) fn begin(&mut self, delivery: &Delivery) {
        if let (Some(lanes), Some((sequence, _))) = (self.lanes_mut(), delivery.link) {
            lanes.begin(&delivery.entry.event, sequence);
        }
    }

    /// Whether it is the turn of a match that waits.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the oldest match out whose turn it is.
    pub(super) fn take_ready(&mut self) -> Option<Delivery> {
        self.ready.pop_first().map(|(_, delivery)| delivery)
    }

    fn make_ready(&mut self, delivery: Delivery) {
        if let Some((sequence, _)) = delivery.link {
            self.ready.insert(sequence, delivery);
        }
    }

    /// Lets whose turn it is in a lane go.
    fn turn(&mut self, lane: Lane, retries: &mut Retries) {
        if let Some(next) = self.lanes_mut().and_then(|lanes| lanes.turn(lane, retries)) {
            self.make_ready(next);
        }
    }

    /// Whether a numbered match of a subject waits for its turn.
    pub(super) fn turn_of(&self, sequence: u64, subject: Option<&Subject>) -> Turn {
        if self.ready.contains_key(&sequence) {
            return Turn::Next;
        }
        let ahead = self.lanes().and_then(|lanes| lanes.ahead_of(Lane::named(subject), sequence));
        ahead.map_or(Turn::None, |(sequence, event)| Turn::After { event, sequence })
    }

    /// How many numbered matches wait for their first attempt.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.lanes().map_or(0, Lanes::firsts)
    }

    /// The oldest numbered match that waits for its first attempt.
    pub(super) fn oldest(&self) -> Option<&Delivery> {
        let ready = self.ready.first_key_value().map(|(sequence, delivery)| (*sequence, delivery));
        let behind = self.lanes().and_then(Lanes::oldest_first);
        let oldest = ready.into_iter().chain(behind).min_by_key(|(sequence, _)| *sequence);
        oldest.map(|(_, delivery)| delivery)
    }

    /// Takes the oldest numbered match out that waits for its first attempt, which it will not have:
    /// those behind it in its lane go on.
    pub(super) fn take_oldest(&mut self, retries: &mut Retries) -> Option<Delivery> {
        let (sequence, _) = self.oldest()?.link?;
        if let Some(taken) = self.lanes_mut().and_then(|lanes| lanes.take_first(sequence)) {
            return Some(taken);
        }
        let taken = self.ready.remove(&sequence)?;
        let lane = Lane::of(&taken.entry.event);
        if let Some(lanes) = self.lanes_mut() {
            lanes.end(lane, sequence);
            self.turn(lane, retries);
        }
        Some(taken)
    }

    /// Frees the lane of a delivery that will not be attempted any more.
    pub(super) fn abandon(&mut self, retry: &Retry, retries: &mut Retries) {
        if let (Some(lanes), Some((sequence, _))) = (self.lanes_mut(), retry.link)
            && let Some(lane) = lanes.abandon(sequence)
        {
            self.turn(lane, retries);
        }
    }
}

impl Courier {
    /// Lets whose turn it is in a lane go.
    fn turn(&mut self, lane: Lane) {
        self.order.turn(lane, &mut self.retries);
    }

    /// Follows what came of an attempt; nothing if it died.
    pub(super) fn follow_order(&mut self, delivery: &Delivery, verdict: Option<Verdict>) {
        let (Some(lanes), Some((sequence, _))) = (self.order.lanes_mut(), delivery.link) else {
            return;
        };
        let event = &delivery.entry.event;
        let lane = Lane::of(event);
        match verdict {
            Some(Verdict::Delivered) => lanes.end(lane, sequence),
            Some(Verdict::GiveUp(_)) => lanes.die(lane, sequence, event.id),
            Some(Verdict::Retry { .. }) | None => lanes.wait(lane, sequence, delivery.key()),
        }
        self.turn(lane);
    }

    /// Takes up a delivery that others bring: of a replay, or redriven. The latter goes before those
    /// that wait in its lane, because its number is lower.
    pub(super) async fn take_up(&mut self, retry: Retry) {
        let lane = match (self.order.lanes(), retry.link) {
            (Some(lanes), Some((sequence, _))) => {
                let lane = match lanes.of_dead(retry.key.event) {
                    Some(lane) => Some(lane),
                    None => lane_of(&self.round, &retry).await.ok().flatten(),
                };
                lane.map(|lane| (lane, sequence))
            }
            _ => None,
        };
        let key = retry.key.clone();
        self.retries.insert(retry);
        if let (Some((lane, sequence)), Some(lanes)) = (lane, self.order.lanes_mut()) {
            lanes.wait(lane, sequence, key);
            self.turn(lane);
        }
    }

    /// Lets the events behind a dead letter go on.
    pub(super) fn dismiss(&mut self, key: &DeliveryKey) {
        if key.replay.is_none()
            && let Some(lane) = self.order.lanes_mut().and_then(|lanes| lanes.dismiss(key.event))
        {
            self.turn(lane);
        }
    }

    /// Follows a change of the subscription. Another order is begun from what is kept, once nothing
    /// is under way.
    pub(super) fn change_order(&mut self, next: &Subscription) {
        let asked = |of: &Subscription| (of.document.config.ordering, of.on_dead_letter());
        if asked(&self.subscription) == asked(next) {
            return;
        }
        let before = std::mem::replace(&mut self.order.rule, Rule::of(next));
        if let Rule::BySubject(lanes) = before {
            lanes.take_down().into_iter().for_each(|waiting| self.order.make_ready(waiting));
        }
        self.retries.let_all_go();
    }

    /// Finds out what waits in which lane, if that is not known and nothing is under way.
    pub(super) async fn lay_lanes(&mut self) {
        if self.order.is_known() || !self.under_way.is_empty() {
            return;
        }
        match lanes_kept(&self.round, &self.subscription, &self.retries).await {
            Ok(lanes) => self.enter_lanes(lanes),
            Err(error) => tracing::error!(
                subscription.id = %self.subscription.id,
                error = &error as &dyn std::error::Error,
                "Cannot read what waits for subscription {}; trying again", self.subscription.id,
            ),
        }
    }

    fn enter_lanes(&mut self, lanes: Lanes) {
        let known = lanes.all();
        self.order.rule = Rule::BySubject(lanes);
        let waiting = std::mem::take(&mut self.order.ready);
        for lane in known {
            self.turn(lane);
        }
        for (sequence, delivery) in waiting {
            if let Some(first) = self.order.offer(sequence, delivery) {
                self.order.make_ready(first);
            }
        }
    }
}

async fn lane_of(round: &Round, retry: &Retry) -> Result<Option<Lane>, Error> {
    let entry = recall(&*round.log, retry).await?;
    Ok(entry.map(|entry| Lane::of(&entry.event)))
}

/// Reads the lanes of retries and, where they hold lanes up, of dead letters.
async fn lanes_kept(
    round: &Round,
    subscription: &Subscription,
    retries: &Retries,
) -> Result<Lanes, Error> {
    let blocks = subscription.on_dead_letter() == OnDeadLetter::Block;
    let mut lanes = Lanes::new(blocks);
    for retry in retries.iter() {
        let Some((sequence, _)) = retry.link else { continue };
        // An event that is nowhere any more holds nobody up.
        if let Some(lane) = lane_of(round, retry).await? {
            lanes.wait(lane, sequence, retry.key.clone());
        }
    }
    if !blocks {
        return Ok(lanes);
    }
    // What was given up a moment ago must be there to be found.
    round.ledger.try_flush().await?;
    let mut query = DeadLetterQuery::all(subscription.id.clone());
    loop {
        let page = round.log.dead_letters(&query, Page::default()).await?;
        let Some(last) = page.last() else { return Ok(lanes) };
        query.after = last.id;
        for letter in &page {
            // What has expired holds nobody up: it is no failure that someone has to look into.
            let has_expired = &*letter.reason == Reason::Expired.word();
            if let (Some((sequence, _)), None, false) =
                (letter.link, &letter.key.replay, has_expired)
            {
                lanes.die(Lane::of(&letter.event), sequence, letter.event.id);
            }
        }
    }
}
