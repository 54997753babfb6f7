//! Slows producers down while deliveries fall behind for want of the gateway's own processor: what is
//! accepted is delivered soon, and the log does not grow faster than it is read.
//!
//! A sink that hangs, is slow, is paused or is fetched from slows nobody: its events wait in the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::RuntimeMetrics;
use tokio::time::Instant;

use crate::api::Services;
use crate::deliver::Dispatch;
use crate::event::{EventProducer, SubscriptionId, Timestamp};
use crate::telemetry::Metric;

/// How often it is looked who waits.
const TICK: Duration = Duration::from_millis(250);
/// Of a thousand requests so many are taken at the least.
const LEAST: u32 = 50;
const ALL: u32 = 1_000;
/// By how many of a thousand more each tick takes, once nobody waits for long.
const STEP: u32 = 25;
/// A producer sends rarely that has not asked for so many looks.
const RARELY: u64 = 3;
/// Of so many who send rarely a request is taken between two looks, whatever the share.
const MOST_SPARED: u32 = 16;
/// Turns that are waited for to learn how long one takes.
const TURNS: u32 = 4;
/// For so many looks in a row the gateway is not busy before it is forgotten who waits.
const MOST_QUIET: u32 = 8;
/// From which share of the time on its threads the gateway is busy, in hundredths.
const BUSY: u128 = 80;

/// How much of what producers send is taken.
#[derive(Debug)]
pub struct Pacing {
    /// How long a match may wait for the gateway before producers are slowed down; nothing: for ever.
    patience: Option<Duration>,
    /// Of a thousand requests.
    share: AtomicU32,
    asked: AtomicU32,
    lately: Mutex<Lately>,
}

/// Who has asked lately, and in which look.
#[derive(Debug, Default)]
struct Lately {
    asked: HashMap<EventProducer, u64>,
    look: u64,
    /// How many have been spared since.
    spared: u32,
}

impl Pacing {
    /// Takes everything, until a match has waited for so long.
    pub fn new(patience: Option<Duration>) -> Self {
        let (share, asked) = (AtomicU32::new(ALL), AtomicU32::new(0));
        Self { patience, share, asked, lately: Mutex::default() }
    }

    /// Whether the next request is taken: that of who sends rarely, so that one who sends much costs few
    /// others, and of all others the share that is, spread evenly.
    pub fn takes(&self, producer: Option<&EventProducer>) -> bool {
        let share = self.share();
        if share >= ALL {
            return true;
        }
        if producer.is_some_and(|producer| self.lately().spares(producer)) {
            return true;
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed) % ALL;
        (number * share) % ALL < share
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self) -> u32 {
        self.share.load(Ordering::Relaxed)
    }

    /// Takes less while the gateway is busy and what waits does so for too long and for no shorter than before.
    fn follow(&self, (waits, before): (Duration, Duration), is_busy: bool) {
        let share = self.share();
        let next = if self.patience.is_none_or(|patience| waits <= patience) {
            (share + STEP).min(ALL)
        } else if is_busy && waits + TICK / 10 > before {
            (share * 9 / 10).max(LEAST)
        } else {
            share
        };
        self.share.store(next, Ordering::Relaxed);
        self.lately().pass();
    }
}

impl Lately {
    fn spares(&mut self, producer: &EventProducer) -> bool {
        if let Some(asked) = self.asked.get_mut(producer) {
            *asked = self.look;
            return false;
        }
        self.asked.insert(producer.clone(), self.look);
        let is_spared = self.spared < MOST_SPARED;
        self.spared += u32::from(is_spared);
        is_spared
    }

    fn pass(&mut self) {
        self.look += 1;
        self.spared = 0;
        let look = self.look;
        self.asked.retain(|_, asked| look - *asked < RARELY);
    }
}

/// Looks who waits, for ever.
pub(super) async fn pace(services: &Services, dispatch: &Dispatch, pacing: &Arc<Pacing>) {
    let (mut busy, mut waiting) = (BusyTime::new(), WaitingMatches::default());
    let share = services.metrics.gauge(Metric::AdmittedShare, &[]);
    let mut before = Duration::ZERO;
    loop {
        share.set(f64::from(pacing.share()) / f64::from(ALL));
        services.clock.sleep(TICK).await;
        let now = services.clock.now();
        let is_busy = busy.is_busy();
        // Nobody is asked for nothing, neither where no one is slowed nor where the gateway has time.
        let waits = if pacing.patience.is_some() && waiting.is_followed(is_busy) {
            waiting.longest(dispatch.waiting_for_gateway(step().await), now)
        } else {
            Duration::ZERO
        };
        pacing.follow((waits, before), is_busy);
        before = waits;
    }
}

/// How long work that is ready waits for its turn.
async fn step() -> Duration {
    let began = Instant::now();
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    began.elapsed() / TURNS
}

/// Who waits for the gateway.
#[derive(Default)]
struct WaitingMatches {
    /// The subscriptions with a match that could be sent: since when they have one, and when that was seen
    /// last.
    since: HashMap<SubscriptionId, (Timestamp, Timestamp)>,
    /// For how many looks in a row the gateway had time.
    quiet: u32,
}

impl WaitingMatches {
    /// Whether who waits is still of interest. A saturated gateway has idle moments, which must not make it
    /// forget: only what waited already when it began to look counts for nothing.
    fn is_followed(&mut self, is_busy: bool) -> bool {
        self.quiet = if is_busy { 0 } else { self.quiet.saturating_add(1) };
        let is_followed = self.quiet < MOST_QUIET;
        if !is_followed {
            self.since = HashMap::new();
        }
        is_followed
    }

    /// How long a match has waited at the most. What had waited already when it could be sent, because its
    /// sink was paused or did not answer, is caught up with, and counts for nothing.
    fn longest(
        &mut self,
        found: impl IntoIterator<Item = (SubscriptionId, Timestamp)>,
        now: Timestamp,
    ) -> Duration {
        // Of a sink that is full for a moment nothing is forgotten.
        self.since.retain(|_, (_, seen)| now.since(*seen) <= 4 * TICK);
        let mut longest = Duration::ZERO;
        for (id, accepted) in found {
            let (since, seen) = self.since.entry(id).or_insert_with(|| (now.before(2 * TICK), now));
            *seen = now;
            if accepted >= *since {
                longest = longest.max(now.since(accepted));
            }
        }
        longest
    }
}

/// How busy the threads of the gateway were since it was looked last.
struct BusyTime {
    runtime: RuntimeMetrics,
    looked: Instant,
    busy: Duration,
}

impl BusyTime {
    fn new() -> Self {
        let runtime = tokio::runtime::Handle::current().metrics();
        Self { busy: total(&runtime), runtime, looked: Instant::now() }
    }

    fn is_busy(&mut self) -> bool {
        let (busy, looked) = (total(&self.runtime), Instant::now());
        let worked = busy.saturating_sub(std::mem::replace(&mut self.busy, busy));
        let passed = looked - std::mem::replace(&mut self.looked, looked);
        is_share(worked, passed, self.runtime.num_workers())
    }
}

fn total(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

fn is_share(worked: Duration, passed: Duration, workers: usize) -> bool {
    worked.as_nanos() * 100 >= passed.as_nanos() * workers as u128 * BUSY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProducerKind;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn id(name: &str) -> SubscriptionId {
        name.parse().unwrap()
    }

    fn taken(pacing: &Pacing) -> usize {
        (0..1_000).filter(|_| pacing.takes(None)).count()
    }

    #[test]
    fn producers_are_slowed_while_what_waits_grows_and_not_while_it_shrinks() {
        let pacing = Pacing::new(Some(Duration::from_secs(2)));
        let seconds = Duration::from_secs;
        assert_eq!(taken(&pacing), 1_000);
        pacing.follow((seconds(2), seconds(1)), true);
        assert_eq!(taken(&pacing), 1_000, "it may wait for so long");
        pacing.follow((seconds(3), seconds(2)), false);
        assert_eq!(taken(&pacing), 1_000, "the gateway has time");

        pacing.follow((seconds(3), seconds(2)), true);
        assert_eq!(taken(&pacing), 900);
        pacing.follow((seconds(3), seconds(3)), true);
        assert_eq!(taken(&pacing), 810);
        pacing.follow((seconds(3), seconds(4)), true);
        assert_eq!(taken(&pacing), 810);
        for _ in 0..100 {
            pacing.follow((seconds(9), seconds(8)), true);
        }
        assert_eq!(taken(&pacing), 50, "nobody is shut out");

        for _ in 0..38 {
            pacing.follow((seconds(1), seconds(1)), true);
        }
        assert_eq!(taken(&pacing), 1_000);
    }

    #[test]
    fn what_is_refused_is_spread_evenly() {
        let pacing = Pacing::new(Some(Duration::from_secs(2)));
        pacing.share.store(500, Ordering::Relaxed);
        let answers: Vec<bool> = (0..6).map(|_| pacing.takes(None)).collect();
        assert_eq!(answers, [true, false, true, false, true, false]);
    }

    #[test]
    fn who_sends_rarely_is_taken_whatever_others_send() {
        let pacing = Pacing::new(Some(Duration::from_secs(2)));
        pacing.share.store(LEAST, Ordering::Relaxed);
        let [much, rarely] = ["much", "rarely"]
            .map(|name| EventProducer { kind: ProducerKind::Caller, name: name.into() });
        for look in 0..12 {
            let of_much = (0..1_000).filter(|_| pacing.takes(Some(&much))).count();
            assert_eq!(of_much, if look == 0 { 51 } else { 50 });
            if look % RARELY == 0 {
                assert!(pacing.takes(Some(&rarely)));
            }
            pacing.follow((Duration::from_secs(9), Duration::from_secs(8)), true);
        }
    }

    #[test]
    fn many_who_send_rarely_are_together_as_little_as_one_who_sends_much() {
        let pacing = Pacing::new(Some(Duration::from_secs(2)));
        pacing.share.store(LEAST, Ordering::Relaxed);
        let many = (0..1_000).map(|number| EventProducer {
            kind: ProducerKind::Caller,
            name: format!("rarely-{number}").into(),
        });

        let taken = many.filter(|one| pacing.takes(Some(one))).count();

        assert!((60..=70).contains(&taken), "{taken}");
        for _ in 0..RARELY {
            pacing.follow((Duration::from_secs(9), Duration::from_secs(8)), true);
        }
        assert!(pacing.lately().asked.is_empty());
    }

    #[test]
    fn an_idle_moment_makes_nobody_forget_who_waits_and_some_of_them_do() {
        let mut waiting = WaitingMatches::default();
        let at = |looks| NOW.after(TICK * looks);
        assert!(waiting.is_followed(true));
        waiting.longest([(id("a"), NOW)], at(1));

        for look in 2..10 {
            assert!(waiting.is_followed(look % 4 == 0), "{look}");
            assert_eq!(waiting.longest([(id("a"), NOW)], at(look)), TICK * look);
        }

        let followed: Vec<_> = (0..10).map(|_| waiting.is_followed(false)).collect();
        assert_eq!(followed.iter().filter(|is_followed| **is_followed).count(), 6, "{followed:?}");
        assert!(waiting.is_followed(true));
        assert_eq!(waiting.longest([(id("a"), NOW)], at(20)), Duration::ZERO, "it catches up");
    }

    #[test]
    fn what_waits_longest_counts_and_what_is_caught_up_with_does_not() {
        let mut waiting = WaitingMatches::default();
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        assert_eq!(waiting.longest([(id("a"), NOW), (id("b"), NOW)], NOW), Duration::ZERO);
        for second in 1..5 {
            waiting.longest([(id("a"), at(1)), (id("b"), at(1))], at(second));
        }
        // It was paused, and has an hour to catch up with.
        let paused = (id("c"), NOW.before(Duration::from_hours(1)));

        let longest = waiting.longest([(id("a"), at(1)), (id("b"), at(3)), paused], at(5));
        assert_eq!(longest, Duration::from_secs(4));
        assert_eq!(waiting.longest([(id("c"), at(4))], at(5)), Duration::ZERO, "before it could");
        assert_eq!(waiting.longest([(id("c"), at(5))], at(6)), Duration::from_secs(1));
        assert_eq!(waiting.longest([(id("c"), at(5))], at(7)), Duration::from_secs(2));
        assert_eq!(waiting.longest([(id("a"), at(1))], at(9)), Duration::ZERO, "it waits anew");
    }

    #[test]
    fn the_gateway_is_busy_when_most_of_its_time_is_spent() {
        let millis = Duration::from_millis;
        assert!(is_share(millis(400), millis(250), 2));
        assert!(!is_share(millis(399), millis(250), 2));
        assert!(!is_share(millis(400), millis(250), 4));
    }
}
