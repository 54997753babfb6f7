//! What became of deliveries: attempts, dead letters, and their way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::subscriptions::{find, problem};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{EventId, ReplayId, Timestamp};
use crate::eventlog::{Attempt, DeadLetter, DeadLetterId, DeadLetterQuery, Page};

/// Which attempts are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// How many at most, 1 to 1000.
    limit: Option<usize>,
    /// Only of this event.
    event: Option<String>,
}

/// Which part of the dead letters is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Only what comes after this.
    #[serde(default)]
    after: u64,
    /// How many at most, 1 to 1000.
    limit: Option<usize>,
}

impl Newest {
    fn event(&self) -> Result<Option<EventId>, Problem> {
        let parse = |text: &String| text.parse::<EventId>();
        let event = self.event.as_ref().map(parse).transpose();
        event.map_err(|error| Problem::new(Code::Invalid, format!("event: {error}")))
    }
}

pub(super) fn page(limit: Option<usize>) -> Result<Page, Problem> {
    match limit.unwrap_or(100) {
        items @ 1..=1000 => Ok(Page { items, ..Page::default() }),
        _ => Err(Problem::new(Code::Invalid, "limit: use 1 to 1000")),
    }
}

/// Attempts to deliver.
#[derive(Serialize, ToSchema)]
pub struct Attempts {
    /// Newest first.
    attempts: Vec<ShownAttempt>,
}

/// An attempt to deliver an event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
struct ShownAttempt {
    /// The event's id, a ULID.
    event: String,
    /// The replay that made it; null for a live delivery.
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
    /// Its count, from 1.
    number: u32,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How long it took, in milliseconds.
    duration_ms: u32,
    /// The status of the sink's answer; null if there was none.
    status: Option<u16>,
    /// What it meant, as one of the words of the metric of attempts.
    verdict: String,
    /// What went wrong; empty on success.
    detail: String,
    /// What became of the receipt in the answer: `valid` or why not, as a stable word; null if none
    /// is asked for, or the sink did not say yes.
    receipt: Option<String>,
}

/// Deliveries that were given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Oldest first.
    dead_letters: Vec<ShownDeadLetter>,
    /// Where to go on, as `after`; null if this page is empty, and the end.
    next: Option<u64>,
}

/// A delivery that was given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
struct ShownDeadLetter {
    /// Its number.
    id: u64,
    /// The event's id, a ULID.
    event: String,
    /// The event's type.
    r#type: String,
    /// The sequence number of the delivery; null in a replay.
    sequence: Option<u64>,
    /// The replay that it belongs to; null for a live delivery.
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
    /// Why it was given up, as a stable word.
    reason: String,
    /// How many attempts were made.
    attempts: u32,
    /// The status of the sink's last answer; null if there was none.
    status: Option<u16>,
    /// What went wrong last.
    detail: String,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// How many dead letters are delivered again.
#[derive(Serialize, ToSchema)]
pub struct Redriven {
    /// Their count.
    redriven: usize,
}

/// `GET /subscriptions/{id}/attempts?event=&limit=`: newest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/attempts", tag = "deliveries",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("event" = Option<String>, Query, description = "Only of this event; a ULID"),
        ("limit" = Option<usize>, Query, description = "How many at most, 1 to 1000"),
    ),
    responses(
        (status = 200, description = "Done", body = Attempts),
        (status = "4XX", description = "A problem")
    )
)]
pub async fn attempts(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(newest): Query<Newest>,
) -> Result<Json<Attempts>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let (page, event) = (page(newest.limit)?, newest.event()?);
    let attempts = services.log.attempts(Some(&subscription.id), event, page).await?;
    Ok(Json(Attempts { attempts: attempts.iter().map(ShownAttempt::of).collect() }))
}

/// `GET /subscriptions/{id}/dead-letters?after=&limit=`: oldest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/dead-letters", tag = "deliveries",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("after" = Option<u64>, Query, description = "Only what comes after this"),
        ("limit" = Option<usize>, Query, description = "How many at most, 1 to 1000"),
    ),
    responses(
        (status = 200, description = "Done", body = DeadLetters),
        (status = "4XX", description = "A problem")
    )
)]
pub async fn dead_letters(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<DeadLetters>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let all = DeadLetterQuery::all(subscription.id.clone());
    let query = DeadLetterQuery { after: DeadLetterId(part.after), ..all };
    let letters = services.log.dead_letters(&query, page(part.limit)?).await?;
    // A page ends by its bytes too, so only an empty one is known to be the end.
    let next = letters.last().map(|last| last.id.0);
    Ok(Json(DeadLetters { dead_letters: letters.iter().map(ShownDeadLetter::of).collect(), next }))
}

/// Which dead letters to deliver again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    /// These; nothing: all.
    ids: Option<Vec<u64>>,
    /// Of all, only those that were given up for this reason.
    reason: Option<String>,
}

/// `POST /subscriptions/{id}/dead-letters/redrive`.
#[utoipa::path(
    post, path = "/subscriptions/{id}/dead-letters/redrive", tag = "deliveries",
    params(
        ("id" = String, Path, description = "The subscription"),
    ),
    request_body = RedriveRequest,
    responses(
        (status = 200, description = "Done", body = Redriven),
        (status = "4XX", description = "A problem")
    )
)]
pub async fn redrive(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<RedriveRequest>,
) -> Result<Json<Redriven>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let named = request.ids.map(|ids| ids.into_iter().map(DeadLetterId).collect::<BTreeSet<_>>());
    let wanted = named.as_ref().map(|ids| ids.len() as u64);
    let query = DeadLetterQuery {
        ids: named,
        reason: request.reason.map(Arc::from),
        ..DeadLetterQuery::all(subscription.id.clone())
    };
    let found = services.log.count_chosen(&query).await?;
    if wanted.is_some_and(|wanted| found < wanted) {
        let detail = "some of these dead letters are not there; none is redriven";
        return Err(Problem::new(Code::NotFound, detail));
    }
    let count = services.office.redrive(&subscription, query).await.map_err(problem)?;
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        "Caller {} redrove {count} dead letters of subscription {}", caller.id(), subscription.id,
    );
    Ok(Json(Redriven { redriven: count }))
}

impl ShownAttempt {
    fn of(attempt: &Attempt) -> Self {
        Self {
            event: attempt.key.event.to_string(),
            replay: attempt.key.replay.clone(),
            number: attempt.number,
            at: attempt.at,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            verdict: attempt.verdict.to_string(),
            detail: attempt.detail.to_string(),
            receipt: attempt.receipt.as_deref().map(str::to_owned),
        }
    }
}

impl ShownDeadLetter {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.0,
            event: letter.key.event.to_string(),
            r#type: letter.event.event_type.as_str().to_owned(),
            sequence: letter.link.map(|(sequence, _)| sequence),
            replay: letter.key.replay.clone(),
            reason: letter.reason.to_string(),
            attempts: letter.attempts,
            status: letter.status,
            detail: letter.detail.to_string(),
            at: letter.at,
        }
    }
}
