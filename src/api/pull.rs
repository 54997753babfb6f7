//! Events that consumers fetch page by page, and what all ways of fetching share.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::find_subscription::{find, problem as of_service};
use crate::api::lists::{DEFAULT_LIMIT, FetchQuery, MOST};
use crate::api::query::Query;
use crate::api::readers::ReaderPlace;
use crate::api::request::to_its_end;
use crate::api::{Caller, Code, Problem, Services, reading_place};
use crate::deliver::{Collected, PullError, SequenceReadError, Served, WorkerHandle};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Page, Position};
use crate::subscriptions::Subscription;
use crate::telemetry::error_chain;

/// The longest wait for an event, if the gateway's own time limit allows it.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// So much of an answer is handed to a connection at once.
const CHUNK: usize = 16 * 1024;

/// Tokens are for one reader at one time.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Sealed events, in order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// The events.
    events: Vec<FetchedEvent>,
    /// Where to go on, as `after`: a place that only the gateway reads.
    next: String,
    /// Whether more events wait.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_available: bool,
    /// A signed checkpoint, while what the consumer could hear has ended within the last 30 days, or ends
    /// soon: its `ended` names each publication and why, its `ending` each and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
}

/// A sealed event.
#[derive(Serialize, ToSchema)]
struct FetchedEvent {
    /// Its id, a ULID: the `jti` of the token.
    id: String,
    /// Its sequence number: the `seq` of the token.
    sequence: u64,
    /// The token.
    token: String,
}

/// `GET /subscriptions/{id}/events?after=&limit=&wait=`: sealed events, in order.
///
/// Of a subscription with the protocol `PULL`, `after` acknowledges everything up to that event;
/// any other is read and not changed.
#[utoipa::path(
    get, path = "/subscriptions/{id}/events", tag = "fetching",
    operation_id = "subscriptions_fetch",
    params(
        ("id" = String, Path, description = "The subscription"),
        FetchQuery,
    ),
    responses((status = 200, description = "Done", body = Fetched))
)]
pub async fn events(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<FetchQuery>,
) -> Result<Response, Problem> {
    let line = line_to_take(&services, &caller, &id).await?;
    let id = line.look().subscription.id.clone();
    let failed = |error| problem(&services, &id, error);
    let place_of = |text| reading_place::read(&services.data_key, ("after", text), &id);
    let after = wanted.after.as_deref().map(place_of).transpose()?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT.into());
    if limit > MOST {
        return Err(Problem::new(Code::Invalid, format!("limit: use 0 to {MOST}")));
    }
    let patience = patience(&services, wanted.wait.unwrap_or_default())?;
    let mut place = enter(&services, &caller, &line)?;
    let deadline = services.clock.now().after(patience);
    let begin = services.pull_service.begin(&line, after).await.map_err(failed)?;
    let acknowledges = wanted.acknowledge.unwrap_or(true);
    if acknowledges && after.is_some() && line.ack_state.is_some() {
        let (pull_service, of) = (Arc::clone(&services.pull_service), line.clone());
        // With the place, which is taken for as long as there is work.
        let settling = async move { pull_service.acknowledge(&of, begin).await.map(|()| place) };
        place = to_its_end(&services, settling).await?.map_err(failed)?;
    }
    let mut served = Served::nothing(begin);
    if limit > 0 {
        let page = Page { items: limit, ..Page::default() };
        served =
            services.pull_service.read(&line, begin, (page, deadline)).await.map_err(failed)?;
    }
    let next = next_place(&services, &id, served.reached);
    let checkpoint = end_checkpoint(&services, &line).await?;
    let more_available = served.more;
    let events = served.events.into_iter().map(FetchedEvent::of).collect();
    Ok(answer(&Fetched { events, next, more_available, checkpoint }, place))
}

/// A place of the log as the readers of a subscription are told it.
fn next_place(services: &Services, subscription: &SubscriptionId, place: Position) -> String {
    let with = (&*services.data_key, &*services.entropy);
    reading_place::write(with, subscription, place)
}

/// How long an end of access is told with what is fetched.
const TOLD_FOR: Duration = Duration::from_hours(30 * 24);

/// The ends of access that a subscription is told of with what it fetches: those of the last days, and
/// those that come soon.
pub(super) fn ends_to_tell(
    services: &Services,
    subscription: &Subscription,
) -> Vec<(String, Timestamp)> {
    let since = services.clock.now().before(TOLD_FOR);
    let ended = subscription.ended.iter().filter(|one| one.at >= since);
    let ended = ended.map(|one| (one.publication.clone(), one.at));
    let coming = services.subscription_service.coming_ends(subscription);
    ended.chain(coming.into_iter().map(|one| (one.publication, one.at))).collect()
}

/// A signed checkpoint for a consumer that cannot hear something any more, or soon cannot, and may not know
/// yet.
pub(super) async fn end_checkpoint(
    services: &Services,
    line: &WorkerHandle,
) -> Result<Option<String>, Problem> {
    let subscription = Arc::clone(&line.subscription.borrow());
    if ends_to_tell(services, &subscription).is_empty() {
        return Ok(None);
    }
    let token = services.subscription_service.checkpoint(&subscription).await;
    token.map(Some).map_err(of_service)
}

/// Finds the handle of a subscription that the caller may see.
pub(super) async fn line(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<WorkerHandle, Problem> {
    let subscription = find(services, caller, id).await?;
    let closed = || Problem::new(Code::WrongState, "the subscription is closed");
    let line = services.subscription_service.worker(&subscription.id).ok_or_else(closed)?;
    // Another subscription may have taken the name meanwhile; it is not the caller's.
    if line.look().subscription.created == subscription.created {
        Ok(line)
    } else {
        Err(Problem::not_found("subscription"))
    }
}

/// Finds the handle of a subscription whose events the caller may take; who may only see it is told what
/// that needs.
pub(super) async fn line_to_take(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<WorkerHandle, Problem> {
    let line = line(services, caller, id).await?;
    caller.must_steer(&line.look().subscription.consumer)?;
    Ok(line)
}

/// Takes a place among those who read, whether one waits or not.
pub(super) fn enter(
    services: &Services,
    caller: &Caller,
    line: &WorkerHandle,
) -> Result<ReaderPlace, Problem> {
    services.readers.enter(caller, &line.look().subscription.id)
}

/// An answer of tokens, which keeps its reader's place until the connection takes the last of it.
pub(super) fn answer(content: &impl Serialize, place: ReaderPlace) -> Response {
    let json = match serde_json::to_vec(content) {
        Ok(json) => Bytes::from(json),
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let length = HeaderValue::from(json.len());
    let body = stream::unfold((json, Some(place)), async |(mut rest, mut place)| {
        let next = rest.split_to(rest.len().min(CHUNK));
        if rest.is_empty() {
            place = None;
        }
        (!next.is_empty()).then_some((Ok::<_, Infallible>(next), (rest, place)))
    });
    let media_type = HeaderValue::from_static("application/json");
    let headers = [(CACHE_CONTROL, NO_STORE), (CONTENT_TYPE, media_type), (CONTENT_LENGTH, length)];
    (headers, Body::from_stream(body)).into_response()
}

/// An answer has to be on its way before the gateway gives the request up.
pub(super) fn longest_wait(services: &Services) -> Duration {
    LONGEST_WAIT.min(services.config.request_timeout.0 * 5 / 6)
}

fn patience(services: &Services, seconds: u64) -> Result<Duration, Problem> {
    let most = longest_wait(services);
    let wanted = Duration::from_secs(seconds);
    if wanted > most {
        let detail = format!("wait: use 0 to {} seconds", most.as_secs());
        return Err(Problem::new(Code::Invalid, detail));
    }
    Ok(wanted)
}

/// Turns a failure into the problem that fits it.
pub(super) fn problem(
    services: &Services,
    subscription: &SubscriptionId,
    error: PullError,
) -> Problem {
    if let PullError::Read(SequenceReadError::Gone { place, .. }) = &error {
        let place = next_place(services, subscription, *place);
        return Problem::new(Code::Gone, format!("{error}; read on after {place}"));
    }
    let code = match &error {
        PullError::NotActive(_)
        | PullError::HasSink
        | PullError::Ended
        | PullError::NeedsReceipts => Code::WrongState,
        PullError::NotYet => Code::Invalid,
        _ => return error.into(),
    };
    Problem::new(code, error_chain(&error).to_string())
}

impl FetchedEvent {
    fn of(event: Collected) -> Self {
        Self { id: event.id.to_string(), sequence: event.sequence, token: event.token }
    }
}
