//! Keeps the events of each subject in order: one attempt at a time, and nothing overtakes what has
//! failed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::deliver::outcome::{Delivery, rank};
use crate::deliver::worker::retries::Retries;
use crate::event::{CloudEvent, EventId, ReplayId, Subject};
use crate::eventlog::{DeliveryKey, Retry};

/// The queue of a subject, live or in a replay; all events without a subject share one. Subjects
/// whose hashes are the same share one, too, which costs speed and never order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct QueueKey {
    subject: u64,
    /// What stands for the replay, whose name nobody chooses.
    replay: Option<u64>,
}

fn hashed(text: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl QueueKey {
    /// The queue of an event.
    pub(super) fn of(replay: Option<&ReplayId>, event: &CloudEvent) -> Self {
        Self::named(replay, event.subject.as_ref())
    }

    /// The queue of a subject.
    pub(super) fn named(replay: Option<&ReplayId>, subject: Option<&Subject>) -> Self {
        let replay = replay.map(|replay| hashed(Some(replay.as_str())));
        Self { subject: hashed(subject.map(Subject::as_str)), replay }
    }
}

/// The queues of one subscription: of each subject for which something is in flight or waits.
pub(super) struct SubjectQueues {
    /// Whether a dead letter holds up its queue.
    blocks: bool,
    queues: HashMap<QueueKey, SubjectQueue>,
    /// Where what waits for its first attempt stands, by sequence number; nothing of replays.
    firsts: BTreeMap<u64, QueueKey>,
    /// Where what waits among the retries stands.
    again: BTreeMap<DeliveryKey, QueueKey>,
    /// Dead letters that hold up a queue.
    dead: BTreeMap<EventId, (QueueKey, u64)>,
    /// Bytes of live events that wait in queues.
    bytes: usize,
}

/// What is in flight or waits in a queue, by [rank](Delivery::rank).
#[derive(Default)]
struct SubjectQueue {
    places: BTreeMap<u64, QueuePlace>,
    in_flight: Option<u64>,
    /// The places among the retries that may be taken when they are due, and those that have come
    /// since it was asked whose turn it is: all others are held.
    not_held: Vec<u64>,
}

enum QueuePlace {
    /// Is attempted, or will be as soon as there is room.
    UnderWay(EventId),
    /// Waits for its first attempt.
    First(Box<Delivery>),
    /// Waits among the retries.
    Again(DeliveryKey),
    /// Was given up, and waits for someone to decide.
    Dead(EventId),
}

impl QueuePlace {
    fn event(&self) -> EventId {
        match self {
            Self::UnderWay(event) | Self::Dead(event) => *event,
            Self::First(delivery) => delivery.entry.event.id,
            Self::Again(key) => key.event,
        }
    }
}

impl SubjectQueues {
    /// Starts without any queue; `blocks` says whether a dead letter holds up its queue.
    pub(super) fn new(blocks: bool) -> Self {
        let (firsts, again, dead) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { blocks, queues: HashMap::new(), firsts, again, dead, bytes: 0 }
    }

    /// Every queue in which something is in flight or waits.
    pub(super) fn all(&self) -> Vec<QueueKey> {
        self.queues.keys().copied().collect()
    }

    /// Bytes of live events that wait in queues, with what a place takes beside its event.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many dead letters hold up a queue.
    pub(super) fn blocked(&self) -> usize {
        self.dead.len()
    }

    /// Whether the dead letter of this event holds up a queue.
    pub(super) fn is_dead(&self, event: EventId) -> bool {
        self.dead.contains_key(&event)
    }

    /// Lets a match in; gives it back if it may be attempted now.
    pub(super) fn first(&mut self, delivery: Delivery) -> Option<Delivery> {
        let sequence = delivery.rank();
        let queue_key = QueueKey::of(delivery.replay.as_ref(), &delivery.entry.event);
        let queue = self.queues.entry(queue_key).or_default();
        if queue.places.is_empty() {
            queue.places.insert(sequence, QueuePlace::UnderWay(delivery.entry.event.id));
            queue.in_flight = Some(sequence);
            return Some(delivery);
        }
        if delivery.replay.is_none() {
            self.bytes += weight(&delivery);
            self.firsts.insert(sequence, queue_key);
        }
        queue.places.insert(sequence, QueuePlace::First(Box::new(delivery)));
        None
    }

    /// Notes that a further attempt at what waits begins; says in which queue.
    pub(super) fn begin(&mut self, retry: &Retry) -> Option<QueueKey> {
        let queue_key = self.again.remove(&retry.key)?;
        let sequence = rank(retry.link, retry.position);
        let queue = self.queues.entry(queue_key).or_default();
        queue.places.insert(sequence, QueuePlace::UnderWay(retry.key.event));
        queue.in_flight = Some(sequence);
        Some(queue_key)
    }

    /// Notes that a delivery waits among the retries: it has failed, was kept before a restart, or
    /// is redriven. Whose turn it is in the queue has to be asked afterwards.
    pub(super) fn wait(&mut self, queue_key: QueueKey, sequence: u64, key: DeliveryKey) {
        if key.replay.is_none() {
            self.dead.remove(&key.event);
        }
        self.again.insert(key.clone(), queue_key);
        let queue = self.queues.entry(queue_key).or_default();
        queue.leave(sequence);
        queue.places.insert(sequence, QueuePlace::Again(key));
        queue.not_held.push(sequence);
    }

    /// Notes that a delivery was given up: it holds up its queue, or leaves it.
    pub(super) fn die(&mut self, queue_key: QueueKey, sequence: u64, event: EventId) {
        if !self.blocks {
            return self.end(queue_key, sequence);
        }
        let queue = self.queues.entry(queue_key).or_default();
        queue.leave(sequence);
        let before = queue.places.insert(sequence, QueuePlace::Dead(event));
        self.forget(before);
        self.dead.insert(event, (queue_key, sequence));
    }

    /// Notes that a delivery has left its queue.
    pub(super) fn end(&mut self, queue_key: QueueKey, sequence: u64) {
        let Some(queue) = self.queues.get_mut(&queue_key) else { return };
        queue.leave(sequence);
        let place = queue.places.remove(&sequence);
        self.forget(place);
    }

    fn forget(&mut self, place: Option<QueuePlace>) {
        if let Some(QueuePlace::Again(key)) = place {
            self.again.remove(&key);
        }
    }

    /// Takes out what waits among the retries and will not be attempted any more; says of which
    /// queue. Whose turn it is there has to be asked afterwards.
    pub(super) fn abandon(&mut self, retry: &Retry) -> Option<QueueKey> {
        let queue_key = self.again.remove(&retry.key)?;
        self.end(queue_key, rank(retry.link, retry.position));
        Some(queue_key)
    }

    /// Lets a queue go on without a dead letter that nobody wants any more; says which queue.
    pub(super) fn dismiss(&mut self, event: EventId) -> Option<QueueKey> {
        let (queue_key, sequence) = self.dead.remove(&event)?;
        self.end(queue_key, sequence);
        Some(queue_key)
    }

    /// Decides whose turn it is in a queue: the lowest number, once nothing is in flight. A match
    /// for the first time is given back to be attempted; a retry is let go to be taken when it is
    /// due, and those behind it are held.
    pub(super) fn turn(&mut self, queue_key: QueueKey, retries: &mut Retries) -> Option<Delivery> {
        let queue = self.queues.get_mut(&queue_key)?;
        let Some(sequence) = queue.places.keys().next().copied() else {
            self.queues.remove(&queue_key);
            return None;
        };
        let is_free = queue.in_flight.is_none();
        // No longer than what has changed: a queue may have thousands of places.
        for number in std::mem::take(&mut queue.not_held) {
            if let Some(QueuePlace::Again(key)) = queue.places.get(&number) {
                retries.hold(key);
            }
        }
        if let Some(QueuePlace::Again(key)) = queue.places.get(&sequence).filter(|_| is_free) {
            retries.let_go(key);
            queue.not_held.push(sequence);
        }
        let Some(first @ QueuePlace::First(_)) = queue.places.get(&sequence).filter(|_| is_free)
        else {
            return None;
        };
        let event = first.event();
        queue.in_flight = Some(sequence);
        let place = queue.places.insert(sequence, QueuePlace::UnderWay(event));
        self.first_of(sequence, place)
    }

    /// The delivery that has left its place before its first attempt.
    fn first_of(&mut self, sequence: u64, place: Option<QueuePlace>) -> Option<Delivery> {
        let Some(QueuePlace::First(delivery)) = place else { return None };
        if delivery.replay.is_none() {
            self.firsts.remove(&sequence);
            self.bytes -= weight(&delivery);
        }
        Some(*delivery)
    }

    /// What goes before a place in a queue: the lowest number, or what is in flight. Nothing if the
    /// place is not there, or goes next.
    pub(super) fn ahead_of(&self, queue_key: QueueKey, sequence: u64) -> Option<(u64, EventId)> {
        let queue = self.queues.get(&queue_key)?;
        queue.places.get(&sequence)?;
        let lowest = queue.places.keys().next().copied().filter(|lowest| *lowest < sequence);
        let ahead = lowest.or(queue.in_flight).filter(|ahead| *ahead != sequence)?;
        Some((ahead, queue.places.get(&ahead)?.event()))
    }

    /// How many wait for their first attempt.
    pub(super) fn firsts(&self) -> usize {
        self.firsts.len()
    }

    /// The lowest number that waits for its first attempt, and its delivery.
    pub(super) fn oldest_first(&self) -> Option<(u64, &Delivery)> {
        let (sequence, queue_key) = self.firsts.first_key_value()?;
        match self.queues.get(queue_key)?.places.get(sequence)? {
            QueuePlace::First(delivery) => Some((*sequence, delivery)),
            _ => None,
        }
    }

    /// Takes out what waits for its first attempt; its turn never comes.
    pub(super) fn take_first(&mut self, sequence: u64) -> Option<Delivery> {
        let queue = self.queues.get_mut(self.firsts.get(&sequence)?)?;
        let place = queue.places.remove(&sequence);
        self.first_of(sequence, place)
    }

    /// Takes out what of a replay waits for its first attempt.
    pub(super) fn take_replay(&mut self, replay: &ReplayId) -> Vec<Delivery> {
        let is_of = |place: &QueuePlace| match place {
            QueuePlace::First(one) => one.replay.as_ref() == Some(replay),
            _ => false,
        };
        let queues = self.queues.values_mut();
        let taken = queues.flat_map(|queue| queue.places.extract_if(.., |_, place| is_of(place)));
        let first = |(_, place)| match place {
            QueuePlace::First(delivery) => Some(*delivery),
            _ => None,
        };
        taken.filter_map(first).collect()
    }

    /// Takes every queue down; gives back what waits for its first attempt, in order.
    pub(super) fn take_down(self) -> Vec<Delivery> {
        let places = self.queues.into_values().flat_map(|queue| queue.places);
        let mut firsts: Vec<(u64, Delivery)> = places
            .filter_map(|(sequence, place)| match place {
                QueuePlace::First(delivery) => Some((sequence, *delivery)),
                _ => None,
            })
            .collect();
        firsts.sort_by_key(|(sequence, _)| *sequence);
        firsts.into_iter().map(|(_, delivery)| delivery).collect()
    }
}

/// Bytes that a delivery holds while it waits.
fn weight(delivery: &Delivery) -> usize {
    delivery.entry.weight() + size_of::<Delivery>()
}

impl SubjectQueue {
    fn leave(&mut self, sequence: u64) {
        if self.in_flight == Some(sequence) {
            self.in_flight = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{ChainValue, Timestamp};
    use crate::eventlog::Position;

    fn retry(sequence: u64) -> Retry {
        let subscription = "shop".parse().unwrap();
        Retry {
            link: Some((sequence, ChainValue::start(&subscription))),
            key: DeliveryKey { subscription, replay: None, event: EventId::first_of(sequence) },
            position: Position(sequence),
            attempts: 1,
            first_attempt: Timestamp::EPOCH,
            due: Timestamp::EPOCH,
            redriven: false,
        }
    }

    /// What happens to one of the places of a queue.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        /// It has failed, or is redriven.
        Waits,
        /// The retry that is due is taken out, and is gone.
        IsTaken,
        /// It is given up.
        Dies,
        /// Nobody wants its dead letter any more.
        IsDismissed,
    }

    fn happening() -> impl Strategy<Value = (Happens, u64)> {
        let happens = prop_oneof![
            3 => Just(Happens::Waits),
            2 => Just(Happens::IsTaken),
            1 => Just(Happens::Dies),
            1 => Just(Happens::IsDismissed),
        ];
        (happens, 1_u64..12)
    }

    proptest! {
        #[test]
        fn of_all_retries_of_a_subject_the_first_alone_is_taken(
            happenings in proptest::collection::vec(happening(), 0..60),
        ) {
            let (mut queues, mut retries) = (SubjectQueues::new(true), Retries::default());
            let queue_key = QueueKey::named(None, None);
            let mut model: BTreeMap<u64, bool> = BTreeMap::new();
            for (happens, sequence) in happenings {
                match happens {
                    Happens::Waits => {
                        retries.insert(retry(sequence));
                        queues.wait(queue_key, sequence, retry(sequence).key);
                        model.insert(sequence, true);
                    }
                    Happens::IsTaken => {
                        if let Some(taken) = retries.take_due(Timestamp::EPOCH) {
                            let (sequence, _) = taken.link.unwrap();
                            queues.end(queue_key, sequence);
                            model.remove(&sequence);
                        }
                    }
                    Happens::Dies => {
                        retries.remove(&retry(sequence).key);
                        queues.die(queue_key, sequence, EventId::first_of(sequence));
                        model.insert(sequence, false);
                    }
                    Happens::IsDismissed => {
                        if queues.dismiss(EventId::first_of(sequence)).is_some() {
                            model.remove(&sequence);
                        }
                    }
                }
                queues.turn(queue_key, &mut retries);
                let mut due = Vec::new();
                while let Some(taken) = retries.take_due(Timestamp::EPOCH) {
                    due.push(taken);
                }
                let first = model.first_key_value().filter(|(_, waits)| **waits);
                let expected: Vec<u64> = first.into_iter().map(|(sequence, _)| *sequence).collect();
                let taken: Vec<u64> = due.iter().map(|one| one.link.unwrap().0).collect();
                prop_assert_eq!(taken, expected);
                for one in due {
                    retries.insert(one);
                }
            }
        }
    }
}
