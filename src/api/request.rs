//! What happens around every handler: an id, a time limit, a count, and problems instead of bare
//! statuses.

use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

use crate::api::acting::RequestId;
use crate::api::api_destination::{ANSWER_TIME, is_api_destination};
use crate::api::no_delivery::held_back;
use crate::api::rates::RateSlot;
use crate::api::{Code, Problem, Services};
use crate::telemetry::Metric;

/// The header that names a request in answers and log lines.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest refusal of the router or an extractor that is passed on.
const REFUSAL_BYTES: usize = 2048;

/// Names a request, gives it up after the time limit, counts it, and answers refusals of the router
/// as problems.
pub async fn around(
    State(services): State<Arc<Services>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("{:032x}", services.entropy.next_u128());
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = %id, request.route = %route);
    let started = Instant::now();

    let waits_for_a_word = request.headers().contains_key(header::EXPECT);
    let is_pushed = is_api_destination(request.headers());
    let limit = services.config.request_timeout.0;
    let limit = if is_pushed { limit.min(ANSWER_TIME) } else { limit };
    let mut request = request.map(|body| ending(body, started + limit));
    let rate = RateSlot::default();
    request.extensions_mut().insert(rate.clone());
    request.extensions_mut().insert(RequestId(id.as_str().into()));
    // Both here and not in layers of their own, each of which costs every request a dozen allocations.
    DefaultBodyLimit::max(services.config.max_body.bytes()).apply(&mut request);
    let answered = match held_back(&services, &request) {
        Some(problem) => Ok(problem.into_response()),
        None => timeout(limit, next.run(request).instrument(span)).await,
    };
    let mut response = if let Ok(response) = answered {
        explained(response).await
    } else if is_pushed {
        let detail = "it takes longer than an API destination waits; send the event again, it is \
                      recognized if it was stored meanwhile";
        Problem::new(Code::TimedOut, detail).into_response()
    } else {
        let detail = "the gateway gave up on this request; its log may say why";
        Problem::new(Code::TimedOut, detail).into_response()
    };

    let status = response.status();
    if waits_for_a_word && (status.is_client_error() || status.is_server_error()) {
        // Whether the body comes now or never, it is not read (RFC 9110, section 10.1.1).
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    services
        .metrics
        .histogram(Metric::RequestSeconds, &[&route])
        .observe_duration(started.elapsed());
    services.metrics.counter(Metric::Requests, &[&route, status.as_str()]).increment();
    let headers = response.headers_mut();
    rate.tell(headers);
    protect(headers);
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Keeps an answer from being taken for another type than it says, and from being kept by whoever
/// it passes through, unless its handler says for how long it is good.
fn protect(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let entry = headers.entry(header::CACHE_CONTROL);
    entry.or_insert(HeaderValue::from_static("no-store"));
}

/// Ends a body that has not arrived in time with an error, because what reads it may outlive the
/// answer, and a connection is kept for as long as its body is read.
fn ending(body: Body, deadline: Instant) -> Body {
    let chunks = stream::unfold(Some(body.into_data_stream()), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(deadline, chunks.next()).await {
            Ok(Some(chunk)) => Some((chunk.map_err(BoxError::from), Some(chunks))),
            Ok(None) => None,
            Err(late) => Some((Err(BoxError::from(late)), None)),
        }
    });
    Body::from_stream(chunks)
}

/// Runs a change to its end, also if its client goes away or its time is up: one that is dropped
/// half way would leave registry, table and workers out of step, or a producer in doubt.
pub async fn to_the_end(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let change = services.tasks.spawn(next.run(request).in_current_span());
    change.await.unwrap_or_else(|error| Problem::internal(&error).into_response())
}

/// Does a part of a request to its end, whatever becomes of its client.
///
/// # Errors
///
/// Ours: it panicked.
pub(super) async fn to_its_end<T: Send + 'static>(
    services: &Services,
    part: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    services.tasks.spawn(part.in_current_span()).await.map_err(|error| Problem::internal(&error))
}

/// Turns an answer that failed without explanation into a problem.
///
/// The router and the extractors of axum refuse in plain text, in words of theirs that change with
/// their versions; every other answer is someone's deliberate words and stays.
async fn explained(response: Response) -> Response {
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_plain = media_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !is_plain {
        return response;
    }
    let (parts, body) = response.into_parts();
    let code = Code::from_status(status);
    let words = text_of(body).await;
    let words = match code {
        Code::BadRequest if words.starts_with("Invalid URL: Cannot parse") => {
            "a part of the path has to be a number; see /openapi.json".to_owned()
        }
        Code::BadRequest if words.starts_with("Invalid URL") => {
            "a part of the path is not UTF-8 once its percent signs are decoded".to_owned()
        }
        Code::BadRequest => "the request cannot be read; see /openapi.json".to_owned(),
        Code::TooLarge => "the body is longer than the gateway takes".to_owned(),
        Code::UnsupportedMediaType => {
            "this path does not take the media type; see /openapi.json".to_owned()
        }
        Code::NotFound => "the gateway has no such path; see /openapi.json".to_owned(),
        Code::MethodNotAllowed => "the header Allow lists the methods of this path".to_owned(),
        _ => code.title().to_lowercase(),
    };
    let mut problem = Problem::new(code, words).into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

async fn text_of(body: Body) -> String {
    let bytes = to_bytes(body, REFUSAL_BYTES).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
