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
/// How long an address is left alone that has not proved itself, so that many subscriptions do not
/// flood it.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest delay that a handshake has: what is due even later was planned before the clock was set
/// back.
const LONGEST_DELAY: Duration = Duration::from_hours(30);

/// Who waits for the outcome of an attempt that it has asked for.
pub(super) type Waiting = oneshot::Sender<Result<Arc<Subscription>, VerifyError>>;

/// Where the handshakes of a consumer meet: a host and its port, or an address without a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane(ConsumerId, String);

impl Lane {
    fn of(subscription: &Subscription) -> Self {
        let sink = subscription.sink.as_ref();
        let place = sink.map_or_else(String::new, |sink| match sink.host_str() {
            Some(host) => format!("{host}:{}", sink.port_or_known_default().unwrap_or(0)),
            None => sink.to_string(),
        });
        Self(subscription.consumer.clone(), place)
    }
}

/// An attempt that may be made now.
pub(super) struct Turn {
    /// For whom, as it was seen.
    pub(super) subscription: Arc<Subscription>,
    /// Who has asked for it; nobody if it is due.
    pub(super) asked: Vec<Waiting>,
    lane: Lane,
}

struct Asked {
    subscription: Arc<Subscription>,
    waiting: Vec<Waiting>,
}

/// The handshakes of a gateway: who is in flight, who was asked for, and who has to wait.
#[derive(Default)]
pub(super) struct Line {
    in_flight: BTreeSet<SubscriptionId>,
    busy: BTreeSet<Lane>,
    /// When a lane is free again that is not busy.
    free_at: BTreeMap<Lane, Timestamp>,
    asked: BTreeMap<SubscriptionId, Asked>,
}

impl Line {
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
    ) -> (Vec<Turn>, Option<Timestamp>) {
        self.free_at.retain(|_, at| *at > now && *at <= now.after(PAUSE));
        let mut next: Option<Timestamp> = None;
        let mut look_at = |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at)));
        let asked = self.asked.values().map(|asked| (None, Arc::clone(&asked.subscription)));
        let mut wanting: Vec<(Option<Timestamp>, Arc<Subscription>)> = asked.collect();
        for subscription in pending {
            match due(&subscription, now) {
                _ if self.asked.contains_key(&subscription.id) => {}
                Some(due) if due <= now => wanting.push((Some(due), subscription)),
                Some(later) => look_at(later),
                None => {}
            }
        }
        wanting.sort_by_key(|(due, _)| *due);
        let mut turns = Vec::new();
        for (_, subscription) in wanting {
            // Whoever ends has this called again.
            if self.in_flight.len() >= MOST_AT_ONCE {
                break;
            }
            let lane = Lane::of(&subscription);
            if self.in_flight.contains(&subscription.id) || self.busy.contains(&lane) {
                continue;
            }
            if let Some(at) = self.free_at.get(&lane) {
                look_at(*at);
                continue;
            }
            self.in_flight.insert(subscription.id.clone());
            self.busy.insert(lane.clone());
            let asked = self.asked.remove(&subscription.id).map(|asked| asked.waiting);
            turns.push(Turn { subscription, asked: asked.unwrap_or_default(), lane });
        }
        (turns, next)
    }

    /// Ends a turn; an address that has not proved itself is left alone for a moment.
    pub(super) fn end(&mut self, turn: &Turn, proved: bool, now: Timestamp) {
        self.in_flight.remove(&turn.subscription.id);
        self.busy.remove(&turn.lane);
        if !proved {
            self.free_at.insert(turn.lane.clone(), now.after(PAUSE));
        }
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
            shared_secret: None,
            credential: None,
            handshake: Some(handshake),
        };
        let document = serde_json::from_value(document).unwrap();
        let id = id.parse().unwrap();
        Subscriptions::new(log, clock).create(id, document, terms).await.unwrap()
    }

    fn names(turns: &[Turn]) -> Vec<&str> {
        turns.iter().map(|turn| turn.subscription.id.as_str()).collect()
    }

    #[tokio::test]
    async fn an_address_of_a_consumer_is_asked_for_one_at_a_time_and_left_alone_after_a_no() {
        let mut all = Vec::new();
        for (id, sink) in [("a", "https://s.example/1"), ("b", "https://s.example/2")] {
            all.push(pending("shop", id, sink, Some(0)).await);
        }
        all.push(pending("shop", "c", "https://s.example:444/", Some(0)).await);
        all.push(pending("other", "d", "https://s.example/1", Some(0)).await);
        let mut line = Line::default();

        let (turns, next) = line.take(all.clone(), NOW);
        assert_eq!((names(&turns), next), (vec!["a", "c", "d"], None));
        assert!(line.take(all.clone(), NOW).0.is_empty());
        line.end(&turns[0], false, NOW);
        let pause = NOW.after(PAUSE);
        let (again, next) = line.take(all.clone(), NOW);
        assert_eq!((names(&again), next), (vec![], Some(pause)));
        assert_eq!(names(&line.take(all[1..].to_vec(), pause).0), ["b"]);
        // Whoever has proved itself is not left alone.
        line.end(&turns[2], true, NOW);
        assert_eq!(names(&line.take(all[3..].to_vec(), NOW).0), ["d"]);
    }

    #[tokio::test]
    async fn what_is_due_longest_goes_first_and_what_someone_asks_for_before_it() {
        let sink = "https://s.example/";
        let late = pending("shop", "late", sink, Some(10)).await;
        let early = pending("shop", "early", sink, Some(5)).await;
        let never = pending("shop", "never", sink, None).await;
        let all = || vec![Arc::clone(&late), Arc::clone(&early), Arc::clone(&never)];
        let mut line = Line::default();
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        let go = |line: &mut Line, now| {
            let (turns, next) = line.take(all(), now);
            turns.iter().for_each(|turn| line.end(turn, true, now));
            (names(&turns).concat(), turns.iter().map(|turn| turn.asked.len()).sum(), next)
        };

        assert_eq!(go(&mut line, NOW), (String::new(), 0, Some(at(5))));
        assert_eq!(go(&mut line, at(20)), ("early".to_owned(), 0, None));
        line.ask(&never, oneshot::channel().0);
        line.ask(&never, oneshot::channel().0);
        assert_eq!(go(&mut line, at(20)), ("never".to_owned(), 2, None));
        // The clock was set back by a year.
        let year = Duration::from_hours(365 * 24);
        assert_eq!(go(&mut line, NOW.before(year)), ("late".to_owned(), 0, None));
    }
}
