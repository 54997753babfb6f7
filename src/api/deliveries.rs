//! What became of deliveries: their attempts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::find_subscription::find;
use crate::api::lists::{AttemptListQuery, page};
use crate::api::query::{Query, parse_given};
use crate::api::withheld::{SINK_WORDS, Withheld, words};
use crate::api::{Caller, Problem, Services};
use crate::event::{ReplayId, Timestamp};
use crate::eventlog::Attempt;

/// Attempts to deliver.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempts)]
pub struct AttemptPage {
    /// Newest first.
    attempts: Vec<ShownAttempt>,
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
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
    /// What went wrong; empty on success, and missing where the sink's words are withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
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
        AttemptListQuery,
    ),
    responses((status = 200, description = "Done", body = AttemptPage))
)]
pub async fn attempts(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(newest): Query<AttemptListQuery>,
) -> Result<Json<AttemptPage>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let (page, event) = (page(newest.limit)?, parse_given("event", newest.event.as_deref())?);
    let attempts = services.store.attempts.attempts(Some(&subscription.id), event, page).await?;
    let withheld = Withheld::from_reader((&caller, &subscription.consumer), SINK_WORDS);
    let show = |attempt| ShownAttempt::of(attempt, withheld.is_none());
    Ok(Json(AttemptPage { attempts: attempts.iter().map(show).collect(), withheld }))
}

impl ShownAttempt {
    fn of(attempt: &Attempt, reads_data: bool) -> Self {
        Self {
            event: attempt.key.event.to_string(),
            replay: attempt.key.replay.clone(),
            number: attempt.number,
            at: attempt.at,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            verdict: attempt.verdict.to_string(),
            detail: words(&attempt.detail, attempt.status, reads_data),
            receipt: attempt.receipt.as_deref().map(str::to_owned),
        }
    }
}
