//! Why an event arrived, or did not: everything the gateway knows of its way, in one answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::find_event::{find_event, missing};
use crate::api::find_subscription::{find, problem};
use crate::api::query::Query;
use crate::api::{Caller, Code, Problem, Scope, Services};
use crate::deliver::{BlockedBy, DeliveryStatus, Explanation, FilterMatching};
use crate::enrich::{Mode, PatchStep};
use crate::event::{EventId, Timestamp, Violation};
use crate::eventlog::{Attempt, Entry, Observed};
use crate::subscriptions::Subscription;

/// Subscriptions that are told why they did not want an event, if none is named.
const MOST_UNWANTED: usize = 100;

/// For whom the way of an event is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// Only for this subscription.
    subscription: Option<String>,
}

/// The way of an event.
#[derive(Serialize, ToSchema)]
pub struct EventTrace {
    /// The event's id, a ULID.
    event: String,
    /// The event's type; null if the log does not hold it any more.
    r#type: Option<String>,
    /// How it came in, for operators; null if the log does not hold it any more.
    received: Option<ReceivedTrace>,
    /// What became of it, subscription by subscription.
    deliveries: Vec<DeliveryTrace>,
}

/// How an event came in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReceivedTrace {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    accepted: Timestamp,
    /// Its place in the log.
    position: u64,
    /// The id that it had on its producer's bus.
    envelope_id: String,
    /// The producer's trace id.
    trace_id: Option<String>,
    /// The name of its content.
    idempotency_key: String,
    /// The earlier event with the same key and another content.
    conflict: Option<String>,
    /// Where the schema of its data is served.
    dataschema: Option<String>,
    /// The publication that let it cross, as `domain/event`.
    publication: String,
    /// How it broke its contract then and was let through, because the publication only observed:
    /// the first violations, each with `pointer`, `code` and `message`.
    #[schema(value_type = Vec<Object>)]
    violations: Vec<Violation>,
    /// How many violations were found then, kept or not.
    violations_found: usize,
    /// That publication as it is today: `contract`, `version`, `mode` and the `patch` without
    /// values; null if it is gone.
    #[schema(value_type = Option<Object>)]
    today: Option<Value>,
}

/// What became of an event for one subscription.
#[derive(Serialize, ToSchema)]
struct DeliveryTrace {
    /// The subscription.
    subscription: String,
    /// Whether the filter that applied at the event's place wants it; null if the event is gone.
    matched: Option<bool>,
    /// What kept it from matching: for each field its `path` and the `reason`.
    #[schema(value_type = Vec<Object>)]
    mismatches: Vec<Value>,
    /// The sequence number of its delivery, as far as it is known.
    sequence: Option<u64>,
    /// Where its delivery stands, as a word that docs/trace.md lists.
    state: &'static str,
    /// What belongs to that word: `at`, `reason`, `number`, `attempts`, `nextAttempt`, `redriven`,
    /// `because`, `until`, `behind`, `behindSequence`, `deadLetter`.
    #[schema(value_type = Object)]
    detail: Value,
    /// Every attempt of the last seven days, oldest first: `number`, `at`, `durationMs`, `status`,
    /// `verdict`, `detail`, `replay`.
    #[schema(value_type = Vec<Object>)]
    attempts: Vec<Value>,
    /// The replays that carried it.
    replays: BTreeSet<String>,
    /// When the consumer signed for it.
    #[schema(value_type = Vec<String>)]
    receipts: Vec<Timestamp>,
}

/// `GET /events/{id}/trace?subscription=`: a consumer learns of its own subscriptions, and only of
/// events that these want or were sent.
#[utoipa::path(
    get, path = "/events/{id}/trace", tag = "events",
    operation_id = "events_trace",
    params(
        ("id" = String, Path, description = "The event's ULID; for operators also the id of its \
            envelope: EventBridge's `EventId`, the `id` of the producer's CloudEvent"),
        ("subscription" = Option<String>, Query, description = "Only for this subscription"),
    ),
    responses(
        (status = 200, description = "Done", body = EventTrace),
        (status = 409, description = "A problem: several events came of the envelope, all listed"),
    )
)]
pub async fn trace(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<EventTrace>, Problem> {
    let operates = caller.may(&Scope::Operate);
    if !operates && caller.consumers().next().is_none() {
        caller.must(&Scope::Operate)?;
    }
    let parsed = id.parse().map_err(|error| Problem::new(Code::BadRequest, format!("{error}")));
    let found = if operates { find_event(&services, &id).await? } else { None };
    let event: EventId = match (&found, parsed) {
        (Some(entry), _) => entry.event.id,
        (None, Ok(event)) => event,
        (None, Err(_)) if operates => return Err(missing(&services, &id).await?),
        (None, Err(unreadable)) => return Err(unreadable),
    };
    let subscriptions = match &whose.subscription {
        Some(id) => vec![find(&services, &caller, id).await?],
        None => services.subscription_service.list().await.map_err(problem)?,
    };
    let entry = match found {
        Some(entry) => Some(entry),
        None => services.store.log.find(&[event]).await?.into_iter().next().flatten(),
    };
    let mut deliveries = Vec::new();
    let mut unwanted = 0;
    let seen: Vec<_> = subscriptions.into_iter().filter(|one| caller.sees(&one.consumer)).collect();
    let traces = services
        .subscription_service
        .explain(&seen, (event, entry.as_deref()))
        .await
        .map_err(problem)?;
    for (subscription, traced) in seen.iter().zip(traces) {
        // Nothing is told of what its consumer may not hear, as if there were no such event.
        if !operates && !may_hear(&services, subscription, entry.as_deref()) {
            continue;
        }
        if !concerns(&traced) {
            // Whether an event exists that a consumer does not want is not the consumer's to know.
            unwanted += 1;
            let is_named = whose.subscription.is_some();
            if !operates || entry.is_none() || (unwanted > MOST_UNWANTED && !is_named) {
                continue;
            }
        }
        deliveries.push(delivery(subscription, &traced));
    }
    if deliveries.is_empty() && !operates {
        return Err(Problem::not_found("event"));
    }
    if deliveries.is_empty() && entry.is_none() {
        return Err(missing(&services, &id).await?);
    }
    let received = match entry.as_deref().filter(|_| operates) {
        Some(entry) => Some(received(&services, entry).await?),
        None => None,
    };
    Ok(Json(EventTrace {
        event: event.to_string(),
        r#type: entry.as_ref().map(|entry| entry.event.event_type.as_str().to_owned()),
        received,
        deliveries,
    }))
}

/// Whether the consumer of a subscription may hear an event, as far as the log has it.
fn may_hear(services: &Services, subscription: &Subscription, entry: Option<&Entry>) -> bool {
    let access = services.subscription_service.access();
    entry.is_none_or(|entry| {
        let of = (&*entry.publication, &entry.event);
        access.lets(&subscription.consumer, of, entry.position)
    })
}

/// Whether a subscription wanted the event, or has something to show for it.
fn concerns(trace: &Explanation) -> bool {
    let is_on_record = matches!(
        trace.delivery_status,
        DeliveryStatus::Retrying { .. } | DeliveryStatus::DeadLetter { .. }
    ) || !trace.attempts.is_empty()
        || !trace.receipts.is_empty();
    trace.matching == FilterMatching::Matched || is_on_record
}

async fn received(services: &Services, entry: &Entry) -> Result<ReceivedTrace, Problem> {
    let observed = services.store.log.observed(entry.position).await?;
    let event = &entry.event;
    let publication = services.publications.get(&entry.publication);
    let today = publication.map(|publication| {
        let contract = services.catalog.document(publication.contract());
        json!({
            "contract": publication.contract(),
            "version": contract.map(crate::contract::ContractDocument::version),
            "mode": if publication.mode() == Mode::Observe { "observe" } else { "enforce" },
            "patch": publication.patch().steps().map(without_values).collect::<Vec<_>>(),
        })
    });
    Ok(ReceivedTrace {
        accepted: entry.accepted,
        position: entry.position.0,
        envelope_id: entry.envelope_id.to_string(),
        trace_id: event.trace.as_ref().map(|trace| trace.trace_id().to_string()),
        idempotency_key: event.idempotency_key.to_string(),
        conflict: entry.conflict.map(|id| id.to_string()),
        dataschema: event.dataschema.as_deref().map(str::to_owned),
        publication: entry.publication.to_string(),
        violations_found: observed.as_ref().map_or(0, Observed::found),
        violations: observed.map_or_else(Vec::new, |observed| observed.violations().to_vec()),
        today,
    })
}

/// An operation of a patch, which may carry data of a domain in its values.
fn without_values(step: &PatchStep) -> Value {
    let mut shown = serde_json::to_value(step.operation()).unwrap_or(Value::Null);
    if let Some(members) = shown.as_object_mut() {
        members.remove("value");
        let ours = [
            ("optional", step.is_optional()),
            ("mapped", step.values().is_some()),
            ("conditional", step.is_conditional()),
        ];
        let ours = ours.into_iter().filter(|(_, holds)| *holds);
        members.extend(ours.map(|(name, holds)| (name.to_owned(), holds.into())));
    }
    shown
}

fn delivery(subscription: &Subscription, trace: &Explanation) -> DeliveryTrace {
    let mismatches = match &trace.matching {
        FilterMatching::Missed(mismatches) => mismatches.as_slice(),
        FilterMatching::Matched | FilterMatching::Unknown => &[],
    };
    let mismatch = |one: &crate::route::Mismatch| json!({ "path": one.path, "reason": one.reason });
    DeliveryTrace {
        subscription: subscription.id.to_string(),
        matched: match trace.matching {
            FilterMatching::Matched => Some(true),
            FilterMatching::Missed(_) => Some(false),
            FilterMatching::Unknown => None,
        },
        mismatches: mismatches.iter().map(mismatch).collect(),
        sequence: trace.sequence,
        state: trace.delivery_status.word(),
        detail: detail(&trace.delivery_status),
        attempts: trace.attempts.iter().map(attempt).collect(),
        replays: trace
            .attempts
            .iter()
            .filter_map(|attempt| attempt.key.replay.as_ref().map(ToString::to_string))
            .collect(),
        receipts: trace.receipts.iter().map(|receipt| receipt.at).collect(),
    }
}

fn detail(delivery_status: &DeliveryStatus) -> Value {
    match delivery_status {
        DeliveryStatus::Retrying { attempts, due, redriven, because } => {
            let mut told =
                json!({ "attempts": attempts, "nextAttempt": due, "redriven": redriven });
            if let (Some(told), Some(because)) = (told.as_object_mut(), because) {
                told.extend(blocked_by(because));
            }
            told
        }
        DeliveryStatus::Delivered { at } => json!({ "at": at }),
        DeliveryStatus::DeadLetter { number, reason, at } => {
            json!({ "number": number.0, "reason": reason, "at": at })
        }
        DeliveryStatus::Dropped { reason } => json!({ "reason": reason }),
        DeliveryStatus::Waiting { because } => Value::Object(blocked_by(because).collect()),
        DeliveryStatus::Blocked { by } => json!({ "deadLetter": by.0 }),
        _ => json!({}),
    }
}

/// The members that tell of what keeps a delivery.
fn blocked_by(because: &BlockedBy) -> impl Iterator<Item = (String, Value)> {
    let more = match because {
        BlockedBy::SinkLeftAlone(until) => vec![("until", json!(until))],
        BlockedBy::Subject { event, sequence } => {
            vec![("behind", json!(event.to_string())), ("behindSequence", json!(sequence))]
        }
        BlockedBy::Pending | BlockedBy::Paused | BlockedBy::Turn => Vec::new(),
    };
    let told = std::iter::once(("because", json!(because.word()))).chain(more);
    told.map(|(name, value)| (name.to_owned(), value))
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number,
        "at": attempt.at,
        "durationMs": attempt.duration_ms,
        "status": attempt.status,
        "verdict": attempt.verdict,
        "detail": attempt.detail,
        "replay": attempt.key.replay,
    })
}
