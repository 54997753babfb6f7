//! What became of deliveries: their attempts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::query::Query;
use crate::api::subscriptions::find;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{EventId, ReplayId, Timestamp};
use crate::eventlog::{Attempt, Page};

/// Which attempts are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// How many at most, 1 to 1000.
    limit: Option<usize>,
    /// Only of this event.
    event: Option<String>,
}

impl Newest {
    fn event(&self) -> Result<Option<EventId>, Problem> {
        let parse = |text: &String| text.parse::<EventId>();
        let event = self.event.as_ref().map(parse).transpose();
        event.map_err(|error| Problem::new(Code::Invalid, format!("event: {error}")))
    }
}

/// Reads how much is wanted at once.
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

/// `GET /subscriptions/{id}/attempts?event=&limit=`: newest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/attempts", tag = "deliveries",
    operation_id = "attempts_list",
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
