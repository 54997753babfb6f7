//! Replays over HTTP: count, start, watch, cancel.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::answer_subject::AnswerSubject;
use crate::api::find_event::dropped_through;
use crate::api::find_subscription::find_to_change;
use crate::api::found::{FoundJob, FoundSubscription, JobToChange};
use crate::api::jobs::problem;
use crate::api::json_object::JsonObject;
use crate::api::query::{parse, range_end};
use crate::api::{Problem, Services};
use crate::event::{EventBound, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::ActionKind;
use crate::jobs::{JobState, NewReplay, Replay, ReplayCounts};

/// What to replay.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayRequest {
    /// Where to begin, included: the ULID of an event, or when it was accepted, in RFC 3339.
    pub from: String,
    /// Where to end, included: an id or a time; the newest event that is there if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only these types, or hierarchies such as `Payment.*`; all that the subscription wants if
    /// empty.
    #[serde(default)]
    pub types: Vec<String>,
    /// Events per second; as the settings say if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a replay would deliver.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DryRun)]
pub struct Counted {
    /// The first id, a ULID.
    from: String,
    /// The last id, a ULID.
    to: String,
    /// How many events match.
    matched: u64,
    /// Always true.
    dry_run: bool,
    /// The newest event that retention has dropped, for consumers the end of its minute, if `from` is not
    /// after that: what is dropped is neither counted nor delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_through: Option<String>,
}

/// The replays of a subscription.
#[derive(Serialize, ToSchema)]
pub struct AllReplays {
    /// Oldest first.
    replays: Vec<ShownReplay>,
}

/// A range of the log that is delivered once more.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ShownReplay {
    /// Its name, which its tokens carry as the claim `rpl`.
    #[schema(value_type = String)]
    id: ReplayId,
    /// For whom.
    #[schema(value_type = String)]
    subscription: SubscriptionId,
    /// The first id, a ULID.
    from: String,
    /// The last id, a ULID.
    to: String,
    /// Only these types; all that the subscription wants if empty.
    types: Vec<String>,
    /// Events per second; 0 for no bound.
    rate: u32,
    /// Where it stands.
    #[schema(value_type = String)]
    state: JobState,
    /// How many events match, and what became of them at their first attempt: `matched`,
    /// `delivered`, `retrying`, `givenUp`.
    #[schema(value_type = Object)]
    counts: ReplayCounts,
    /// How many events were attempted.
    attempted: u64,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Told at the start only: the newest event that retention has dropped, for consumers the end of its
    /// minute, if `from` is not after that: what is dropped is neither counted nor delivered.
    #[serde(rename = "droppedThrough", skip_serializing_if = "Option::is_none")]
    dropped_through: Option<String>,
}

/// `POST /subscriptions/{id}/replays`: counts, and starts unless it is a dry run.
#[utoipa::path(
    post, path = "/subscriptions/{id}/replays", tag = "replays",
    operation_id = "replays_start",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A name of the request, at most 255 characters: when it comes again \
                           within 24 hours, it is answered as it was"),
    ),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "Counted, for a dry run", body = Counted),
        (status = 201, description = "Started", body = ShownReplay)
    )
)]
pub async fn start(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    JsonObject(wanted): JsonObject<ReplayRequest>,
) -> Result<Response, Problem> {
    let caller = &actor.caller;
    let subscription = find_to_change(&services, caller, &id).await?;
    let subject = AnswerSubject::done_for(&subscription);
    let request = NewReplay {
        from: parse::<EventBound>("from", &wanted.from)?.first(),
        to: range_end(wanted.to.as_deref())?,
        types: wanted.types,
        rate: wanted.rate,
    };
    let dropped = || {
        let low_watermark = services.store.log.low_watermark();
        dropped_through(caller, low_watermark, request.from).map(|id| id.to_string())
    };
    if wanted.dry_run {
        let counted = services.replays.count(&subscription, &request).await;
        let (selection, matched) = counted.map_err(problem)?;
        let (from, to) = (selection.from.to_string(), selection.to.to_string());
        let dropped_through = dropped();
        let counted = Counted { from, to, matched, dry_run: true, dropped_through };
        return Ok(subject.on(Json(counted).into_response()));
    }
    let planned =
        PlannedAction::of_subscription(ActionKind::StartReplay, &subscription).at("replays");
    let change = async { services.replays.start(&subscription, &request).await.map_err(problem) };
    let made = |replay: &Replay| Some(format!("replays/{}", replay.id));
    let replay = actor.make(&services, planned, Box::pin(change), made).await?;
    // Since it began nothing of its range goes.
    let shown = ShownReplay { dropped_through: dropped(), ..ShownReplay::of(&replay) };
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        replay.id = %replay.id,
        "Caller {} started replay {} of subscription {}",
        caller.id(), replay.id, subscription.shown(),
    );
    Ok(subject.on((StatusCode::CREATED, Json(shown)).into_response()))
}

/// `GET /subscriptions/{id}/replays`: oldest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/replays", tag = "replays",
    operation_id = "replays_list",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = AllReplays))
)]
pub async fn list(
    FoundSubscription { services, subscription, .. }: FoundSubscription,
) -> Result<Json<AllReplays>, Problem> {
    let replays = services.replays.list::<Replay>(&subscription).await.map_err(problem)?;
    Ok(Json(AllReplays { replays: replays.iter().map(ShownReplay::of).collect() }))
}

/// `GET /replays/{id}`.
#[utoipa::path(
    get, path = "/replays/{id}", tag = "replays",
    operation_id = "replays_read",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 200, description = "Done", body = ShownReplay))
)]
pub async fn read(FoundJob { job }: FoundJob<Replay>) -> Result<Json<ShownReplay>, Problem> {
    Ok(Json(ShownReplay::of(&job)))
}

/// `DELETE /replays/{id}`: ends one that is running.
#[utoipa::path(
    delete, path = "/replays/{id}", tag = "replays",
    operation_id = "replays_cancel",
    params(("id" = String, Path, description = "The replay")),
    responses((status = 202, description = "Done"))
)]
pub async fn cancel(
    JobToChange { services, actor, job, consumer }: JobToChange<Replay>,
) -> Result<StatusCode, Problem> {
    let target = format!("replays/{}", job.id);
    let planned = PlannedAction::of_job(ActionKind::CancelReplay, target, consumer);
    let change = async { services.replays.cancel::<Replay>(&job.id).await.map_err(problem) };
    actor.act(&services, planned, Box::pin(change)).await?;
    Ok(StatusCode::ACCEPTED)
}

impl ShownReplay {
    fn of(replay: &Replay) -> Self {
        Self {
            id: replay.id.clone(),
            subscription: replay.subscription.clone(),
            from: replay.selection.from.to_string(),
            to: replay.selection.to.to_string(),
            types: replay.selection.types.clone(),
            rate: replay.rate,
            state: replay.state,
            counts: replay.counts,
            attempted: replay.counts.attempted(),
            created: replay.created,
            dropped_through: None,
        }
    }
}
