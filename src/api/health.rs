//! Whether the gateway lives and takes work, and what it has counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::api::{Caller, Code, Problem, Services};
use crate::deliver::{BreakerPhase, WorkerStanding};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::DiskLevel;
use crate::keys::KeyState;
use crate::subscriptions::SubscriptionState;
use crate::telemetry::Metric;

/// `GET /health/live`: answers as long as the process does.
#[utoipa::path(
    get, path = "/health/live", tag = "public",
    operation_id = "health_live",
    responses((status = 200, description = "Done"))
)]
pub async fn live() -> &'static str {
    "live\n"
}

/// `GET /health/ready`: answers 200 while the gateway takes work.
#[utoipa::path(
    get, path = "/health/ready", tag = "public",
    operation_id = "health_ready",
    responses((status = 200, description = "Done"))
)]
pub async fn ready(State(services): State<Arc<Services>>) -> Result<&'static str, Problem> {
    if !services.readiness.is_ready() {
        return Err(Problem::new(Code::NotReady, "the gateway is starting or stopping"));
    }
    if let Some(trouble) = services.readiness.trouble() {
        return Err(Problem::new(Code::NotReady, trouble));
    }
    match services.store.log.disk() {
        DiskLevel::Enough if !services.delivers => Ok("ready; events are not delivered\n"),
        DiskLevel::Enough if services.exports.as_ref().is_some_and(|one| one.is_failing()) => {
            Ok("ready; a bundle of evidence cannot be written\n")
        }
        DiskLevel::Enough => Ok("ready\n"),
        DiskLevel::Low => Ok("ready; the disk is filling up\n"),
        DiskLevel::Full => Err(Problem::new(Code::NotReady, "the disk is full: no event is taken")),
    }
}

/// `GET /metrics`: everything counted, for Prometheus. Its labels name subscriptions, so it is for
/// operators and auditors. While the log cannot be read, everything but the age of what waits is told.
#[utoipa::path(
    get, path = "/metrics", tag = "operate",
    operation_id = "metrics_read",
    responses((status = 200, description = "Done"))
)]
pub async fn metrics(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    caller.must_see_metadata()?;
    let (head, now) = (services.store.log.head().0, services.clock.now());
    // A log that fails is told of by the gateway's own look at who is behind, once a minute. That is
    // when everything else that is counted is wanted most.
    let behind = services.subscription_service.lags().await.ok();
    let since: Option<BTreeMap<_, _>> = behind
        .as_ref()
        .map(|behind| behind.iter().map(|one| (&one.subscription.id, one.since)).collect());
    if since.is_none() {
        services.metrics.leave_out(Metric::LagSeconds);
    }
    let filters = services.subscription_service.wishes().kept() as u64;
    services.metrics.gauge(Metric::FiltersKept, &[]).set_count(filters);
    measure_keys(&services, now);
    let standings = services.subscription_service.standings();
    measure_states(&services, &standings);
    for (subscription, standing) in &standings {
        if let Some(since) = &since {
            let labels = [subscription.as_str()];
            let age = since.get(subscription).map_or(0, |since| now.since(*since).as_secs());
            services.metrics.gauge(Metric::LagSeconds, &labels).set_count(age);
        }
        measure_subscription(&services, head, (subscription, standing));
    }
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], services.metrics.render()))
}

/// How many subscriptions are in each state but `closed`, which has no worker.
fn measure_states(services: &Services, standings: &[(SubscriptionId, WorkerStanding)]) {
    use SubscriptionState::{Active, Paused, Pending};
    let states: Vec<_> = standings
        .iter()
        .filter_map(|(subscription, _)| services.subscription_service.worker(subscription))
        .map(|worker| worker.subscription.borrow().state)
        .collect();
    for state in [Pending, Active, Paused] {
        let count = states.iter().filter(|found| **found == state).count();
        let gauge = services.metrics.gauge(Metric::Subscriptions, &[&state.to_string()]);
        gauge.set_count(count as u64);
    }
}

/// How old the key is that signs by each algorithm.
fn measure_keys(services: &Services, now: Timestamp) {
    for key in services.ring.keys() {
        if let (KeyState::Active, Some(activated)) =
            (key.age.times.state(), key.age.times.activated)
        {
            let gauge = services.metrics.gauge(Metric::SigningKeyAge, &[key.age.algorithm.name()]);
            gauge.set_count(now.since(activated).as_secs());
        }
    }
}

/// How one subscription comes along.
fn measure_subscription(
    services: &Services,
    head: u64,
    (subscription, standing): (&SubscriptionId, &WorkerStanding),
) {
    if let Some(line) = services.subscription_service.worker(subscription) {
        let known = Arc::clone(&line.subscription.borrow());
        let labels = [subscription.as_str(), known.consumer.as_str(), known.name.as_str()];
        services.metrics.gauge(Metric::SubscriptionInfo, &labels).set_count(1);
    }
    let labels = [subscription.as_str()];
    // What fails and is tried again is not there yet, either.
    let unsettled = (standing.open + standing.retrying) as u64;
    let lag = head.saturating_sub(standing.scanned.0) + unsettled;
    services.metrics.gauge(Metric::LagEvents, &labels).set_count(lag);
    let retrying = standing.retrying as u64;
    services.metrics.gauge(Metric::RetriesWaiting, &labels).set_count(retrying);
    if let Some(flow) = services.subscription_service.flow(subscription) {
        let state = match flow.phase {
            BreakerPhase::Closed => 0,
            BreakerPhase::HalfOpen => 1,
            BreakerPhase::Open { .. } => 2,
        };
        services.metrics.gauge(Metric::BreakerState, &labels).set_count(state);
        let allowed = u64::from(flow.allowed);
        services.metrics.gauge(Metric::ParallelAllowed, &labels).set_count(allowed);
    }
}
