//! Whose handshake is next: one at a time for each subscription and for each address of a consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::deliver::handshake::VerifyError;
use crate::event::{ConsumerId, SubscriptionId, Timestamp};
use crate::subscriptions::Subscription;

/// Handshakes that can be in flight at the same time.
const MOST_AT_ONCE: usize = 64;
/// Of those, so many of one consumer, so that its addresses which do not answer keep no other waiting.
/// An address that is left alone counts as well: what stands behind many addresses, such as one key set,
/// is not asked for more often.
const MOST_OF_A_CONSUMER: usize = 8;
/// The longest that an address is left alone.
const LONGEST_COOLDOWN: Duration = Duration::from_mins(1);
/// The longest delay that a handshake has: what is due even later was planned before the clock was set
/// back.
const LONGEST_DELAY: Duration = Duration::from_hours(30);

/// Who waits for the outcome of an attempt that it has asked for.
pub(super) type Waiting = oneshot::Sender<Result<Arc<Subscription>, VerifyError>>;

/// What handshakes are paced by, one at a time: a consumer, with a host and its port, or with an address
/// without a host.
///
/// The consumer is part of it, because many consumers may have sinks at one address, and whoever names
/// another's address must not slow its handshakes there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PacingKey(ConsumerId, String);

impl PacingKey {
    fn of(subscription: &Subscription) -> Self {
        let sink = subscription.sink.as_ref();
        let place = sink.map_or_else(String::new, |sink| match sink.host_str() {
            Some(host) => format!("{host}:{}", sink.port_or_known_default().unwrap_or(0)),
            None => sink.to_string(),
        });
        Self(subscription.consumer.clone(), place)
    }
}

/// An attempt at a handshake that may be made now.
pub(super) struct HandshakeAttempt {
    /// For whom, as it was seen.
    pub(super) subscription: Arc<Subscription>,
    /// Who has asked for it; nobody if it is due.
    pub(super) asked: Vec<Waiting>,
    key: PacingKey,
}

/// How long an address is left alone after an attempt, so that many subscriptions do not flood it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cooldown {
    /// It has proved itself: not at all.
    None,
    /// It has not.
    Short,
    /// What came of it could not be kept, and would be asked for again and again.
    Long,
}

impl Cooldown {
    const fn span(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Short => Duration::from_secs(1),
            Self::Long => LONGEST_COOLDOWN,
        }
    }
}

struct Asked {
    subscription: Arc<Subscription>,
    waiting: Vec<Waiting>,
}

/// The handshakes of a gateway: who is in flight, who was asked for, and who has to wait.
#[derive(Default)]
pub(super) struct HandshakeQueue {
    in_flight: BTreeSet<SubscriptionId>,
    busy: BTreeSet<PacingKey>,
    /// When the cooldown of a key ends that is not busy.
    free_at: BTreeMap<PacingKey, Timestamp>,
    asked: BTreeMap<SubscriptionId, Asked>,
}

impl HandshakeQueue {
    /// Has an attempt made soon, whether or not it is due.
    pub(super) fn ask(&mut self, subscription: &Arc<Subscription>, waiting: Waiting) {
        let asked = self.asked.entry(subscription.id.clone()).or_insert_with(|| Asked {
            subscription: Arc::clone(subscription),
            waiting: Vec::new(),
        });
        asked.subscription = Arc::clone(subscription);
        asked.waiting.push(waiting);
    }

    /// Takes the attempts that may be made now, those that were asked for first, and says when to look
    /// again if nothing happens before.
    pub(super) fn take(
        &mut self,
        pending: Vec<Arc<Subscription>>,
        now: Timestamp,
    ) -> (Vec<HandshakeAttempt>, Option<Timestamp>) {
        self.free_at.retain(|_, at| *at > now && *at <= now.after(LONGEST_COOLDOWN));
        let (wanting, mut next) = self.wanting(pending, now);
        let mut attempts = Vec::new();
        for subscription in wanting {
            let key = PacingKey::of(&subscription);
            // Whoever ends has this called again.
            if !self.has_room(&subscription.id, &key) {
                next = next.into_iter().chain(self.cooling_of(&key.0).copied()).min();
                continue;
            }
            if let Some(at) = self.free_at.get(&key) {
                next = Some(next.map_or(*at, |next| next.min(*at)));
                continue;
            }
            self.in_flight.insert(subscription.id.clone());
            self.busy.insert(key.clone());
            let asked = self.take_waiting(&subscription.id);
            attempts.push(HandshakeAttempt { subscription, asked, key });
        }
        (attempts, next)
    }

    /// Who wants an attempt now, in order, and when the next one will.
    fn wanting(
        &self,
        pending: Vec<Arc<Subscription>>,
        now: Timestamp,
    ) -> (Vec<Arc<Subscription>>, Option<Timestamp>) {
        let asked = self.asked.values().map(|asked| Arc::clone(&asked.subscription));
        let not_asked = pending.into_iter().filter(|one| !self.asked.contains_key(&one.id));
        let with_due = not_asked.filter_map(|one| Some((due(&one, now)?, one)));
        let (mut is_due, later): (Vec<_>, Vec<_>) = with_due.partition(|(due, _)| *due <= now);
        is_due.sort_by_key(|(due, _)| *due);
        let next = later.iter().map(|(due, _)| *due).min();
        (asked.chain(is_due.into_iter().map(|(_, one)| one)).collect(), next)
    }

    fn has_room(&self, id: &SubscriptionId, key: &PacingKey) -> bool {
        let busy = self.busy.iter().filter(|busy| busy.0 == key.0).count();
        let of_consumer = busy + self.cooling_of(&key.0).count();
        self.in_flight.len() < MOST_AT_ONCE
            && of_consumer < MOST_OF_A_CONSUMER
            && !self.in_flight.contains(id)
            && !self.busy.contains(key)
    }

    /// When the addresses of a consumer that are left alone are free again.
    fn cooling_of(&self, consumer: &ConsumerId) -> impl Iterator<Item = &Timestamp> {
        self.free_at.iter().filter(move |(key, _)| key.0 == *consumer).map(|(_, at)| at)
    }

    /// Ends an attempt, after which its address is left alone for a while.
    pub(super) fn end(&mut self, attempt: &HandshakeAttempt, cooldown: Cooldown, now: Timestamp) {
        self.in_flight.remove(&attempt.subscription.id);
        self.busy.remove(&attempt.key);
        if cooldown != Cooldown::None {
            self.free_at.insert(attempt.key.clone(), now.after(cooldown.span()));
        }
    }

    /// Takes those who have asked for another attempt, which is not needed any more.
    pub(super) fn take_waiting(&mut self, id: &SubscriptionId) -> Vec<Waiting> {
        self.asked.remove(id).map(|asked| asked.waiting).unwrap_or_default()
    }
}

/// When a pending subscription is to be asked; nothing: when someone wants it.
fn due(subscription: &Subscription, now: Timestamp) -> Option<Timestamp> {
    match &subscription.handshake {
        // One of before handshakes were kept.
        None => Some(now),
        Some(kept) if kept.due.is_some_and(|due| due > now.after(LONGEST_DELAY)) => Some(now),
        Some(kept) => kept.due,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ambient::{Clock, ManualClock, SeededEntropy};
    use crate::eventlog::{LogLimits, MemoryLog, Position};
    use crate::subscriptions::{PendingHandshake, Subscriptions, Terms};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// A pending subscription at this address that is due after so many seconds.
    async fn pending(consumer: &str, id: &str, sink: &str, due: Option<u64>) -> Arc<Subscription> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
        let entropy = Arc::new(SeededEntropy::new(1));
        let log = MemoryLog::new(LogLimits::default(), Arc::clone(&clock), entropy);
        let document = json!({
            "consumer": consumer, "sink": sink,
            "config": { "keys": { "jwksUri": "https://shop.example/jwks.json" } },
        });
        let handshake: PendingHandshake = serde_json::from_value(json!({
            "challenge": "sealed", "since": NOW, "began": NOW,
            "due": due.map(|seconds| NOW.after(Duration::from_secs(seconds))),
        }))
        .unwrap();
        let terms = Terms {
            from: Position::START,
            low_watermark: Position::START,
            begins: Position::START,
            shared_secret: None,
            credential: None,
            outer_key_secret: None,
            handshake: Some(handshake),
            entitlement: crate::access::Entitlement::default(),
        };
        let document = serde_json::from_value(document).unwrap();
        let id = id.parse().unwrap();
        Subscriptions::new(log, clock).create(id, document, terms).await.unwrap()
    }

    fn names(attempts: &[HandshakeAttempt]) -> Vec<&str> {
        attempts.iter().map(|attempt| attempt.subscription.id.as_str()).collect()
    }

    #[tokio::test]
    async fn an_address_of_a_consumer_is_asked_for_one_at_a_time_and_left_alone_after_a_no() {
        let mut all = Vec::new();
        for (id, sink) in [("a", "https://s.example/1"), ("b", "https://s.example/2")] {
            all.push(pending("shop", id, sink, Some(0)).await);
        }
        all.push(pending("shop", "c", "https://s.example:444/", Some(0)).await);
        all.push(pending("other", "d", "https://s.example/1", Some(0)).await);
        let mut queue = HandshakeQueue::default();

        let (attempts, next) = queue.take(all.clone(), NOW);
        assert_eq!((names(&attempts), next), (vec!["a", "c", "d"], None));
        assert!(queue.take(all.clone(), NOW).0.is_empty());
        queue.end(&attempts[0], Cooldown::Short, NOW);
        let pause = NOW.after(Duration::from_secs(1));
        let (again, next) = queue.take(all.clone(), NOW);
        assert_eq!((names(&again), next), (vec![], Some(pause)));
        assert_eq!(names(&queue.take(all[1..].to_vec(), pause).0), ["b"]);
        // Whoever has proved itself is not left alone.
        queue.end(&attempts[2], Cooldown::None, NOW);
        assert_eq!(names(&queue.take(all[3..].to_vec(), NOW).0), ["d"]);
    }

    #[tokio::test]
    async fn a_consumer_whose_addresses_do_not_answer_keeps_no_other_waiting() {
        let mut all = Vec::new();
        for number in 0..70 {
            let sink = format!("https://s{number}.example/");
            all.push(pending("shop", &format!("a{number}"), &sink, Some(0)).await);
        }
        all.push(pending("other", "b", "https://s.example/", Some(0)).await);

        let (attempts, _) = HandshakeQueue::default().take(all, NOW);

        assert_eq!(attempts.len(), MOST_OF_A_CONSUMER + 1);
        assert!(names(&attempts).contains(&"b"));
    }

    #[tokio::test]
    async fn a_consumer_with_many_addresses_is_paced_as_a_whole() {
        let mut all = Vec::new();
        for number in 0..40 {
            let sink = format!("https://s{number}.example/");
            all.push(pending("shop", &format!("a{number}"), &sink, Some(0)).await);
        }
        let mut queue = HandshakeQueue::default();
        let (attempts, _) = queue.take(all.clone(), NOW);
        for attempt in &attempts {
            queue.end(attempt, Cooldown::Short, NOW);
        }

        let (none, next) = queue.take(all.clone(), NOW);
        let pause = NOW.after(Duration::from_secs(1));
        assert_eq!((attempts.len(), none.len(), next), (MOST_OF_A_CONSUMER, 0, Some(pause)));
        assert_eq!(queue.take(all, pause).0.len(), MOST_OF_A_CONSUMER);
    }

    #[tokio::test]
    async fn what_is_due_longest_goes_first_and_what_someone_asks_for_before_it() {
        let sink = "https://s.example/";
        let late = pending("shop", "late", sink, Some(10)).await;
        let early = pending("shop", "early", sink, Some(5)).await;
        let never = pending("shop", "never", sink, None).await;
        let all = || vec![Arc::clone(&late), Arc::clone(&early), Arc::clone(&never)];
        let mut queue = HandshakeQueue::default();
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        let go = |queue: &mut HandshakeQueue, now| {
            let (attempts, next) = queue.take(all(), now);
            for attempt in &attempts {
                queue.end(attempt, Cooldown::None, now);
            }
            (
                names(&attempts).concat(),
                attempts.iter().map(|attempt| attempt.asked.len()).sum(),
                next,
            )
        };

        assert_eq!(go(&mut queue, NOW), (String::new(), 0, Some(at(5))));
        assert_eq!(go(&mut queue, at(20)), ("early".to_owned(), 0, None));
        queue.ask(&never, oneshot::channel().0);
        queue.ask(&never, oneshot::channel().0);
        assert_eq!(go(&mut queue, at(20)), ("never".to_owned(), 2, None));
        // The clock was set back by a year.
        let year = Duration::from_hours(365 * 24);
        assert_eq!(go(&mut queue, NOW.before(year)), ("late".to_owned(), 0, None));
    }
}
