//! Keeps to the order that a subscription asks for.

use crate::deliver::lanes::{Lane, Lanes};
use crate::deliver::recall::recall;
use crate::deliver::{Courier, Delivery, Reason, Retries, Round, Verdict};
use crate::eventlog::{DeadLetterQuery, DeliveryKey, Error, Page, Retry};
use crate::subscriptions::{OnDeadLetter, Ordering, Subscription};

/// The order in which matches are attempted.
pub(super) enum Order {
    /// As they come, many at once.
    Free,
    /// By subject, as soon as it is known what waits in which lane; these wait for their first
    /// attempt.
    Unknown(Vec<Delivery>),
    /// By subject.
    BySubject(Lanes),
}

impl Order {
    /// The order that a subscription asks for, while these wait for their first attempt.
    pub(super) fn of(subscription: &Subscription, waiting: Vec<Delivery>) -> Self {
        match subscription.document.config.ordering {
            Ordering::None => Self::Free,
            Ordering::Subject => Self::Unknown(waiting),
        }
    }

    /// Whether it is known what may be attempted.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    const fn lanes(&mut self) -> Option<&mut Lanes> {
        match self {
            Self::BySubject(lanes) => Some(lanes),
            Self::Free | Self::Unknown(_) => None,
        }
    }

    /// Bytes of event data that wait for their turn.
    pub(super) const fn bytes(&self) -> usize {
        match self {
            Self::BySubject(lanes) => lanes.bytes(),
            Self::Free | Self::Unknown(_) => 0,
        }
    }

    /// Dead letters that hold up the events of their subject.
    pub(super) fn blocked(&self) -> usize {
        match self {
            Self::BySubject(lanes) => lanes.blocked(),
            Self::Free | Self::Unknown(_) => 0,
        }
    }

    /// Whether this dead letter holds up the events of its subject.
    pub(super) fn is_dead(&self, key: &DeliveryKey) -> bool {
        match self {
            Self::BySubject(lanes) => key.replay.is_none() && lanes.is_dead(key.event),
            Self::Free | Self::Unknown(_) => false,
        }
    }

    /// Takes a numbered match; gives it back if it may be attempted now.
    pub(super) fn offer(&mut self, sequence: u64, delivery: Delivery) -> Option<Delivery> {
        match self.lanes() {
            Some(lanes) => lanes.first(sequence, delivery),
            None => Some(delivery),
        }
    }

    /// Notes that a further attempt begins.
    pub(super) fn begin(&mut self, delivery: &Delivery) {
        if let (Some(lanes), Some((sequence, _))) = (self.lanes(), delivery.link) {
            lanes.begin(Lane::of(&delivery.entry.event), sequence);
        }
    }
}

impl Courier {
    /// Lets whose turn it is in a lane go.
    fn turn(&mut self, lane: Lane) {
        if let Some(lanes) = self.order.lanes()
            && let Some(delivery) = lanes.turn(lane, &mut self.retries)
        {
            self.ready.push_back(delivery);
        }
    }

    /// Follows what came of an attempt; nothing if it died.
    pub(super) fn follow_order(&mut self, delivery: &Delivery, verdict: Option<Verdict>) {
        let (Some(lanes), Some((sequence, _))) = (self.order.lanes(), delivery.link) else {
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
        let lane = match (&self.order, retry.link) {
            (Order::BySubject(lanes), Some((sequence, _))) => {
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
        if let (Some((lane, sequence)), Some(lanes)) = (lane, self.order.lanes()) {
            lanes.wait(lane, sequence, key);
            self.turn(lane);
        }
    }

    /// Lets the events behind a dead letter go on.
    pub(super) fn dismiss(&mut self, key: &DeliveryKey) {
        if key.replay.is_none()
            && let Some(lane) = self.order.lanes().and_then(|lanes| lanes.dismiss(key.event))
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
        let waiting = match std::mem::replace(&mut self.order, Order::Free) {
            Order::Free => Vec::new(),
            Order::Unknown(waiting) => waiting,
            Order::BySubject(lanes) => lanes.take_down(),
        };
        let mut waiting: Vec<Delivery> = self.ready.drain(..).chain(waiting).collect();
        waiting.sort_by_key(|delivery| delivery.link.map(|(sequence, _)| sequence));
        self.retries.let_all_go();
        self.order = Order::of(next, Vec::new());
        match &mut self.order {
            Order::Unknown(later) => *later = waiting,
            Order::Free | Order::BySubject(_) => self.ready.extend(waiting),
        }
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
        let before = std::mem::replace(&mut self.order, Order::BySubject(lanes));
        let Order::Unknown(waiting) = before else { return };
        for lane in known {
            self.turn(lane);
        }
        for delivery in waiting {
            let Some((sequence, _)) = delivery.link else { continue };
            self.ready.extend(self.order.offer(sequence, delivery));
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
