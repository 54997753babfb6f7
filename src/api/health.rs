//! Whether the gateway lives and takes work, and what it has counted.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use futures_util::stream;

use crate::api::metrics_page::{self, MetricsPage};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::Timestamp;
use crate::eventlog::DiskLevel;
use crate::keys::KeyState;
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
    let filters = services.subscription_service.wishes().kept() as u64;
    services.metrics.gauge(Metric::FiltersKept, &[]).set_count(filters);
    measure_keys(&services, services.clock.now());
    let levels = metrics_page::levels(&services).await;
    let ends = metrics_page::ends_of_callers(&services).await;
    metrics_page::count_states(&services.metrics, &levels);
    let page = MetricsPage::new(Arc::clone(&services.metrics), levels, ends);
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], Body::from_stream(stream::iter(page))))
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
