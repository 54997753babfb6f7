//! Redrives over HTTP: start, watch, cancel.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::answer_subject::AnswerSubject;
use crate::api::dead_letters::Wish;
use crate::api::find_subscription::{find_to_change, problem};
use crate::api::found::{FoundJob, FoundSubscription, JobToChange};
use crate::api::jobs;
use crate::api::json_object::JsonObject;
use crate::api::{Code, Problem, Services};
use crate::deliver::Reason;
use crate::event::{ConsumerId, RedriveId, SubscriptionId, Timestamp};
use crate::eventlog::{ActionKind, DeadLetterId, DeadLetterQuery};
use crate::jobs::{JobState, Redrive, RedriveCounts};
use crate::subscriptions::Subscription;

/// The most dead letters that can be named in one request.
const MOST_IDS: usize = 10_000;

/// Which dead letters to deliver again, and how fast.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    /// These, at most 10,000; nothing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u64>>,
    /// Of all, only those that were given up for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of all, only events of this type, or of a hierarchy such as `Payment.*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Of all, only from here on: the ULID of an event, or when it was accepted, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of all, only up to here: a ULID or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Dead letters per second, 1 to 1000; as the settings say if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// How many dead letters are delivered again.
#[derive(Serialize, ToSchema)]
pub struct Redriven {
    /// Their count.
    redriven: u64,
}

/// The redrives of a subscription.
#[derive(Serialize, ToSchema)]
pub struct AllRedrives {
    /// Oldest first.
    redrives: Vec<ShownRedrive>,
}

/// Dead letters that are brought back at a rate.
#[derive(Serialize, ToSchema)]
#[schema(as = Redrive)]
pub struct ShownRedrive {
    /// Its name.
    #[schema(value_type = String)]
    id: RedriveId,
    /// Of which subscription.
    #[schema(value_type = String)]
    subscription: SubscriptionId,
    /// How many dead letters were named; null: all, as far as the following members do not say
    /// less.
    ids: Option<usize>,
    /// Only those that were given up for this reason.
    reason: Option<String>,
    /// Only events of this type or hierarchy.
    r#type: Option<String>,
    /// From this event on; a ULID.
    from: Option<String>,
    /// Up to this event; a ULID.
    to: Option<String>,
    /// Dead letters per second.
    rate: u32,
    /// Where it stands: `running`, `completed` or `cancelled`.
    #[schema(value_type = String)]
    state: JobState,
    /// How many dead letters are wanted, and how many of them were handed over for delivery:
    /// `matched`, `redriven`.
    #[schema(value_type = Object)]
    counts: RedriveCounts,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
}

/// `POST /subscriptions/{id}/dead-letters/redrive`: a few at once, many as a job with a rate.
#[utoipa::path(
    post, path = "/subscriptions/{id}/dead-letters/redrive", tag = "deliveries",
    operation_id = "redrives_start",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A name of the request, at most 255 characters: when it comes again \
                           within 24 hours, it is answered as it was"),
    ),
    request_body = RedriveRequest,
    responses(
        (status = 200, description = "At most a hundred, which are delivered again", body = Redriven),
        (status = 201, description = "More, with a rate, or while the subscription is paused or has many \
                                     retries: a redrive began", body = ShownRedrive)
    )
)]
pub async fn start(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    JsonObject(request): JsonObject<RedriveRequest>,
) -> Result<Response, Problem> {
    let caller = &actor.caller;
    let subscription = find_to_change(&services, caller, &id).await?;
    let subject = AnswerSubject::done_for(&subscription);
    let rate = request.rate;
    must_have_room(&services, &subscription.consumer).await?;
    let query = wanted(&services, &subscription, request).await?;
    let planned =
        PlannedAction::of_subscription(ActionKind::StartRedrive, &subscription).at("dead-letters");
    let change =
        async { services.replays.redrive(&subscription, query, rate).await.map_err(jobs::problem) };
    let made = |redrive: &Option<Redrive>| {
        redrive.as_ref().map(|redrive| format!("redrives/{}", redrive.id))
    };
    let Some(redrive) = actor.make(&services, planned, Box::pin(change), made).await? else {
        return Ok(subject.on(Json(Redriven { redriven: 0 }).into_response()));
    };
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        redrive.id = %redrive.id,
        "Caller {} started redrive {} of subscription {}",
        caller.id(), redrive.id, subscription.shown(),
    );
    if redrive.state == JobState::Completed {
        let redriven = redrive.counts.redriven;
        return Ok(subject.on(Json(Redriven { redriven }).into_response()));
    }
    Ok(subject.on((StatusCode::CREATED, Json(ShownRedrive::of(&redrive))).into_response()))
}

/// Refuses to bring back more while what was brought back, and nobody has settled, takes as much as all dead
/// letters of a consumer may: it is not dropped, so that it has to be bounded here.
async fn must_have_room(services: &Services, consumer: &ConsumerId) -> Result<(), Problem> {
    let Some(most) = services.retention.dead_letters_size else { return Ok(()) };
    let all = services.subscription_service.list().await.map_err(problem)?;
    let own: BTreeSet<_> =
        all.iter().filter(|one| one.consumer == *consumer).map(|one| &one.id).collect();
    let usage = services.store.dead_letters.dead_letter_usage().await?;
    let own = usage.iter().filter(|one| own.contains(&one.subscription));
    if own.map(|one| one.redriven_bytes).sum::<u64>() < most.0 {
        return Ok(());
    }
    let detail = format!(
        "what was brought back of consumer `{consumer}` and is not delivered takes {most}, as much as its \
         dead letters may (`log.retention.dead-letters-size`); take or acknowledge some of it first"
    );
    Err(Problem::new(Code::TooMany, detail))
}

/// The dead letters that a request wants.
async fn wanted(
    services: &Services,
    subscription: &Subscription,
    request: RedriveRequest,
) -> Result<DeadLetterQuery, Problem> {
    let RedriveRequest { ids, reason, r#type: event_type, from, to, rate: _ } = request;
    let named = ids.is_some();
    if named && (reason.is_some() || event_type.is_some() || from.is_some() || to.is_some()) {
        let detail = "give ids, or what else to choose by, not both";
        return Err(Problem::new(Code::Invalid, detail));
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS) {
        let detail = format!("ids: name at most {MOST_IDS}, or choose by reason, type or range");
        return Err(Problem::new(Code::Invalid, detail));
    }
    let ids = ids.map(|ids| ids.into_iter().map(DeadLetterId).collect::<BTreeSet<_>>());
    let count = ids.as_ref().map(|ids| ids.len() as u64);
    let query = Wish { ids, reason, event_type, from, to }.query(&subscription.id)?;
    let found = services.store.dead_letters.count_chosen(&query).await?;
    if count.is_some_and(|count| found < count) {
        let detail = "some of these dead letters are not there; none is redriven";
        return Err(Problem::new(Code::NotFound, detail));
    }
    must_be_redrivable(services, &query, named).await?;
    Ok(query)
}

/// Refuses to redrive what its consumer may not hear, where a request names nothing else, or names
/// dead letters one by one.
async fn must_be_redrivable(
    services: &Services,
    query: &DeadLetterQuery,
    named: bool,
) -> Result<(), Problem> {
    let withheld = Some(Arc::from(Reason::NotEntitled.word()));
    if !named && query.reason != withheld {
        return Ok(());
    }
    let query = DeadLetterQuery { reason: withheld, ..query.clone() };
    if services.store.dead_letters.count_chosen(&query).await? == 0 {
        return Ok(());
    }
    let detail = "the consumer was not entitled to these events any more: a dead letter with the \
                  reason `not-entitled` cannot be redriven";
    Err(Problem::new(Code::WrongState, detail))
}

/// `GET /subscriptions/{id}/dead-letters/redrives`: oldest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/dead-letters/redrives", tag = "deliveries",
    operation_id = "redrives_list",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = AllRedrives))
)]
pub async fn list(
    FoundSubscription { services, subscription, .. }: FoundSubscription,
) -> Result<Json<AllRedrives>, Problem> {
    let redrives = services.replays.list::<Redrive>(&subscription).await.map_err(jobs::problem)?;
    Ok(Json(AllRedrives { redrives: redrives.iter().map(ShownRedrive::of).collect() }))
}

/// `GET /redrives/{id}`.
#[utoipa::path(
    get, path = "/redrives/{id}", tag = "deliveries",
    operation_id = "redrives_read",
    params(("id" = String, Path, description = "The redrive")),
    responses((status = 200, description = "Done", body = ShownRedrive))
)]
pub async fn read(FoundJob { job }: FoundJob<Redrive>) -> Result<Json<ShownRedrive>, Problem> {
    Ok(Json(ShownRedrive::of(&job)))
}

/// `DELETE /redrives/{id}`: ends one that is running.
#[utoipa::path(
    delete, path = "/redrives/{id}", tag = "deliveries",
    operation_id = "redrives_cancel",
    params(("id" = String, Path, description = "The redrive")),
    responses((status = 202, description = "Done"))
)]
pub async fn cancel(
    JobToChange { services, actor, job, consumer }: JobToChange<Redrive>,
) -> Result<StatusCode, Problem> {
    let target = format!("redrives/{}", job.id);
    let planned = PlannedAction::of_job(ActionKind::CancelRedrive, target, consumer);
    let change = async { services.replays.cancel::<Redrive>(&job.id).await.map_err(jobs::problem) };
    actor.act(&services, planned, Box::pin(change)).await?;
    Ok(StatusCode::ACCEPTED)
}

impl ShownRedrive {
    fn of(redrive: &Redrive) -> Self {
        let query = &redrive.query;
        Self {
            id: redrive.id.clone(),
            subscription: query.subscription.clone(),
            ids: query.ids.as_ref().map(BTreeSet::len),
            reason: query.reason.as_deref().map(str::to_owned),
            r#type: query.event_type.as_deref().map(str::to_owned),
            from: query.from.map(|id| id.to_string()),
            to: query.to.map(|id| id.to_string()),
            rate: redrive.rate,
            state: redrive.state,
            counts: redrive.counts,
            created: redrive.created,
        }
    }
}
