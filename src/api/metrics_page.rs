//! What was counted, as Prometheus reads it, in parts of a bounded size.
//!
//! What changes with each subscription is not kept as series: the levels of the moment, and the zeros of
//! counters that nothing was counted for yet, are written as the page is. So every series of a
//! subscription is there from its creation, and ten thousand subscriptions cost no memory between two
//! readings.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;

use crate::api::Services;
use crate::deliver::{BreakerPhase, Flow, Reason, Verdict, WorkerStanding};
use crate::event::{SubscriptionId, Timestamp};
use crate::subscriptions::{Subscription, SubscriptionState};
use crate::telemetry::{Metric, Metrics};

/// Subscriptions of one part of the page.
const TOGETHER: usize = 500;
/// The verdicts of attempts whose counters begin at zero.
const VERDICTS: [&str; 2] = [Verdict::Delivered.word(), "retry"];

/// How one subscription stands at the moment.
pub(super) struct SubscriptionLevels {
    subscription: Arc<Subscription>,
    standing: WorkerStanding,
    flow: Option<Flow>,
    /// Entries of the log that it has not taken.
    lag: u64,
    /// How long the oldest has waited that it does not have; nothing where the log cannot be read.
    waiting_seconds: Option<u64>,
    /// Dead letters that wait; nothing where the log cannot be read.
    dead_letters: Option<u64>,
    now: Timestamp,
}

/// Looks at every subscription that has a worker. While the log cannot be read, what it alone knows is
/// left out.
pub(super) async fn levels(services: &Services) -> Vec<SubscriptionLevels> {
    let service = &services.subscription_service;
    let (head, now) = (services.store.log.head().0, services.clock.now());
    // A log that fails is told of by the gateway's own look at who is behind, once a minute. That is
    // when everything else that is counted is wanted most.
    let since: Option<BTreeMap<SubscriptionId, Timestamp>> = service.waiting_since().await.ok();
    let letters = service.dead_letters_waiting().await.ok();
    let level = |(id, standing): (SubscriptionId, WorkerStanding)| {
        let worker = service.worker(&id)?;
        let age = |since: &BTreeMap<_, Timestamp>| {
            since.get(&id).map_or(0, |since| now.since(*since).as_secs())
        };
        Some(SubscriptionLevels {
            subscription: Arc::clone(&worker.subscription.borrow()),
            flow: worker.limiter.as_ref().map(|limiter| limiter.flow(now)),
            // What fails and is tried again is not there yet, either.
            lag: head.saturating_sub(standing.scanned.0) + standing.missing() as u64,
            waiting_seconds: since.as_ref().map(age),
            dead_letters: letters.as_ref().map(|all| all.get(&id).copied().unwrap_or(0)),
            standing,
            now,
        })
    };
    service.standings().into_iter().filter_map(level).collect()
}

/// The callers whose credentials end, each with how many seconds are left; none while the log cannot be
/// read.
pub(super) async fn ends_of_callers(services: &Services) -> Vec<(String, u64)> {
    let (now, ends) = (services.clock.now(), services.callers.ends().await.unwrap_or_default());
    ends.into_iter().map(|(name, until)| (name, until.since(now).as_secs())).collect()
}

/// How many subscriptions are in each state but `closed`, which has no worker.
pub(super) fn count_states(metrics: &Metrics, levels: &[SubscriptionLevels]) {
    use SubscriptionState::{Active, Paused, Pending};
    for state in [Pending, Active, Paused] {
        let count = levels.iter().filter(|one| one.subscription.state == state).count();
        metrics.gauge(Metric::Subscriptions, &[&state.to_string()]).set_count(count as u64);
    }
}

/// The page, part by part.
pub(super) struct MetricsPage {
    metrics: Arc<Metrics>,
    levels: Vec<SubscriptionLevels>,
    /// Callers whose credentials end, each with how many seconds are left.
    ends: Vec<(String, u64)>,
    /// Which metric is written next, and from which subscription on.
    metric: usize,
    from: usize,
    /// Whether the head of that metric is written.
    begun: bool,
}

impl MetricsPage {
    /// Begins it.
    pub(super) const fn new(
        metrics: Arc<Metrics>,
        levels: Vec<SubscriptionLevels>,
        ends: Vec<(String, u64)>,
    ) -> Self {
        Self { metrics, levels, ends, metric: 0, from: 0, begun: false }
    }

    /// Writes what comes next of a metric.
    fn part(&mut self, metric: Metric) -> String {
        let mut lines = String::new();
        if self.from == 0 {
            self.metrics.render_series(metric, &mut lines);
            if metric == Metric::CallerEndsSeconds {
                for (name, left) in &self.ends {
                    metric.sample(&[name], *left, &mut lines);
                }
            }
        }
        for one in self.levels.iter().skip(self.from).take(TOGETHER) {
            one.write(metric, &self.metrics, &mut lines);
        }
        if lines.is_empty() || self.begun {
            return lines;
        }
        self.begun = true;
        metric.head() + &lines
    }
}

impl Iterator for MetricsPage {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let metric = *Metric::ALL.get(self.metric)?;
            let part = self.part(metric);
            self.from += TOGETHER;
            if self.from >= self.levels.len() || !metric.labels().contains(&"subscription") {
                (self.metric, self.from, self.begun) = (self.metric + 1, 0, false);
            }
            if !part.is_empty() {
                return Some(Ok(part.into()));
            }
        }
    }
}

impl SubscriptionLevels {
    /// Writes what is known of it under a metric and not kept as a series.
    fn write(&self, metric: Metric, metrics: &Metrics, text: &mut String) {
        let of = &self.subscription;
        let id = of.id.as_str();
        let mut level = |labels: &[&str], level: Option<u64>| {
            if let Some(level) = level {
                metric.sample(labels, level, text);
            }
        };
        match metric {
            Metric::SubscriptionInfo => {
                level(&[id, of.consumer.as_str(), of.name.as_str()], Some(1));
            }
            Metric::LagEvents => level(&[id], Some(self.lag)),
            Metric::LagSeconds => level(&[id], self.waiting_seconds),
            Metric::RetriesWaiting => level(&[id], Some(self.standing.retrying as u64)),
            Metric::DeadLettersWaiting => level(&[id], self.dead_letters),
            Metric::FailingSeconds => level(&[id], self.flow.map(|flow| self.failing(flow))),
            Metric::BreakerState => level(&[id], self.flow.map(|flow| breaker_state(flow.phase))),
            Metric::ParallelAllowed => level(&[id], self.flow.map(|flow| flow.allowed.into())),
            counter => self.zeros(counter, |labels| {
                if !metrics.has(counter, labels) {
                    counter.sample(labels, 0, text);
                }
            }),
        }
    }

    /// The label values under which a counter of it is there from its creation.
    fn zeros(&self, counter: Metric, mut zero: impl FnMut(&[&str])) {
        let (id, is_pulled) = (self.subscription.id.as_str(), self.subscription.is_pulled());
        match counter {
            Metric::Delivered | Metric::SinksLeftAlone | Metric::SubscriptionsPaused
                if !is_pulled =>
            {
                zero(&[id]);
            }
            Metric::Fetched if is_pulled => zero(&[id]),
            Metric::Attempts if !is_pulled => {
                for word in VERDICTS {
                    zero(&[id, word]);
                }
            }
            Metric::DeadLetters => {
                for reason in Reason::ALL.iter().filter(|one| one.befalls(is_pulled)) {
                    zero(&[id, reason.word()]);
                }
            }
            _ => {}
        }
    }

    fn failing(&self, flow: Flow) -> u64 {
        flow.failing_since.map_or(0, |since| self.now.since(since).as_secs())
    }
}

const fn breaker_state(phase: BreakerPhase) -> u64 {
    match phase {
        BreakerPhase::Closed => 0,
        BreakerPhase::HalfOpen => 1,
        BreakerPhase::Open { .. } => 2,
    }
}
