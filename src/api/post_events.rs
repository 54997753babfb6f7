//! `POST /events`: events from producers that speak CloudEvents or push EventBridge envelopes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use crate::api::api_destination::is_api_destination;
use crate::api::asked_receipt::AskedReceipt;
use crate::api::body_budget::BodySender;
use crate::api::dry_run::{TriedEvents, try_all, try_unreadable};
use crate::api::event_body;
use crate::api::publisher::Publisher;
use crate::api::query::Query;
use crate::api::set_aside::{unparsed, unparsed_item};
use crate::api::taking::{Accepted, take, unreadable};
use crate::api::{Caller, Code, Problem, Services};
use crate::source::intake::{self, Posting, UnreadableItem};
use crate::source::{BodyRoom, ResponseMode, Unparsed};
use crate::telemetry::{Metric, Metrics};

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(rename = "manner")]
    response_mode: Option<WantedMode>,
    /// Whether the events are only tried.
    #[serde(rename = "dryRun", default)]
    is_dry_run: bool,
}

/// Whether the producer waits for violations.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WantedMode {
    Synchronous,
    Asynchronous,
}

/// Takes the events of a request, and answers 202 once all of them are settled. An event of a batch
/// that cannot be read is answered by its index, and the others are taken.
#[utoipa::path(
    post, path = "/events", tag = "events",
    operation_id = "events_publish",
    params(
        ("manner" = Option<String>, Query,
            description = "`asynchronous`: what breaks its contract or cannot be read is quarantined, not refused"),
        ("dryRun" = Option<bool>, Query,
            description = "`true`: tell what would become of the events; nothing is stored, counted \
                           or quarantined"),
        ("Prefer" = Option<String>, Header,
            description = "`receipt`: sign in `receipt` what became of each event; the answer has \
                           `Preference-Applied: receipt` then"),
    ),
    request_body(content = Object,
        description = "A CloudEvent (structured, binary or batched) or an EventBridge envelope"),
    responses(
        (status = 200, body = TriedEvents, description = "With `dryRun=true`: what would become of them"),
        (status = 202, body = Accepted),
        (status = "4XX", description = "A problem; for a batch with the outcome of each event"),
        (status = 503, description = "A problem; the same request may be sent again")
    ),
    security(("caller" = []), ("apiKey" = []), ("basic" = []), ("client" = ["publish"]))
)]
pub async fn publish(
    State(services): State<Arc<Services>>,
    Publisher(caller): Publisher,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_publish()?;
    let response_mode = response_mode(parameters.response_mode, request.headers());
    // What cannot be read is kept as it came, in whatever coding, where nobody waits for an answer.
    let is_kept = response_mode == ResponseMode::Asynchronous;
    let share = services.bodies.share_of([BodySender::Caller(caller.id().clone())]);
    let received = event_body::receive(request, (services.source.max_body, &share), is_kept).await;
    let (headers, body) = match received {
        Ok(received) => received,
        Err(refused) => return Ok(refused),
    };
    let (headers, admit) = (&headers, &*services.admit);
    let within = (&services.source, &share as &dyn BodyRoom);
    let asked = |is_batch| AskedReceipt::of(&services, &caller, (headers, &body, is_batch), &share);
    match intake::read_within(headers, &body, within, services.clock.now()) {
        Ok(posting) if parameters.is_dry_run => {
            Ok(try_all(&services, &caller, posting, response_mode).await)
        }
        Err(error) if parameters.is_dry_run => {
            try_unreadable(Problem::unreadable(&error), response_mode)
        }
        Ok(posting) => {
            let unparsed = set_apart(&posting, response_mode, &services.metrics, |item| {
                unparsed_item(&caller, headers, item)
            });
            count_foreign(&posting, &caller, &services.metrics);
            let asked = asked(posting.is_batch);
            take(posting, unparsed, (&caller, response_mode), admit, asked).await
        }
        Err(error) => {
            let describe = || unparsed(&caller, headers, &body, &error);
            let problem = Problem::unreadable(&error);
            unreadable(problem, describe, response_mode, admit, asked(false)).await
        }
    }
}

/// Counts what is odd and what is refused, and gives the items that cannot be read and are kept.
fn set_apart(
    posting: &Posting,
    response_mode: ResponseMode,
    metrics: &Metrics,
    unparsed: impl Fn(&UnreadableItem) -> Unparsed,
) -> Vec<Unparsed> {
    for warning in &posting.warnings {
        metrics.counter(Metric::EventsWarned, &[warning.kind.text()]).increment();
    }
    let unreadable = posting.events.iter().filter_map(|event| event.as_ref().err());
    if response_mode == ResponseMode::Asynchronous {
        return unreadable.map(unparsed).collect();
    }
    for _ in unreadable {
        metrics.counter(Metric::EventsRefused, &[Code::InvalidEvent.text()]).increment();
    }
    Vec::new()
}

/// Counts the events as whose source the caller may not publish.
fn count_foreign(posting: &Posting, caller: &Caller, metrics: &Metrics) {
    let sources = posting.events.iter().flatten().map(|event| &event.envelope.source);
    for _ in sources.filter(|source| !caller.publishes(source)) {
        let refused = metrics.counter(Metric::EventsRefused, &[Code::SourceNotAllowed.text()]);
        refused.increment();
    }
}

/// Waits for nobody who cannot act on the answer: API destinations repeat a refused event for a day
/// and drop it.
fn response_mode(wanted: Option<WantedMode>, headers: &HeaderMap) -> ResponseMode {
    match wanted {
        Some(WantedMode::Asynchronous) => ResponseMode::Asynchronous,
        None if is_api_destination(headers) => ResponseMode::Asynchronous,
        Some(WantedMode::Synchronous) | None => ResponseMode::Synchronous,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn header(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn an_api_destination_waits_for_nothing_unless_it_says_so() {
        let agent = |name| header(header::USER_AGENT, name);
        let push = agent("Amazon/EventBridge/ApiDestinations");

        assert_eq!(response_mode(None, &push), ResponseMode::Asynchronous);
        assert_eq!(response_mode(Some(WantedMode::Synchronous), &push), ResponseMode::Synchronous);
        assert_eq!(response_mode(None, &agent("curl/8")), ResponseMode::Synchronous);
        assert_eq!(
            response_mode(Some(WantedMode::Asynchronous), &agent("x")),
            ResponseMode::Asynchronous
        );
    }
}
