//! Why an event arrived, or did not: everything the gateway knows of its way, in one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::find_event::{find_event, missing};
use crate::api::find_subscription::{find, problem};
use crate::api::lists::{TraceQuery, page};
use crate::api::query::{Query, parse};
use crate::api::received_trace::{ReceivedTrace, received};
use crate::api::withheld::{SINK_WORDS, Withheld, words};
use crate::api::{Caller, Code, Problem, Services};
use crate::deliver::{BlockedBy, DeliveryStatus, Explanation, FilterMatching};
use crate::event::{EventId, QualifiedName, Timestamp};
use crate::eventlog::{Attempt, Entry};
use crate::subscriptions::Subscription;

/// Subscriptions that are told why they did not want an event, if none is named.
const MOST_UNWANTED: usize = 100;

/// Subscriptions that are looked at for one answer where the log does not hold the event any more.
const MOST_LOOKED_AT: usize = 1000;
/// The most subscriptions that a domain is told the number of.
const MOST_COUNTED: usize = 100;

/// The way of an event.
#[derive(Serialize, ToSchema)]
pub struct EventTrace {
    /// The event's id, a ULID.
    event: String,
    /// The event's type; null if the log does not hold it any more.
    r#type: Option<String>,
    /// How it came in, for operators, auditors and its domain; null if the log does not hold it any more.
    received: Option<ReceivedTrace>,
    /// What became of it, subscription by subscription, the caller's own first.
    deliveries: Vec<DeliveryTrace>,
    /// How many subscriptions want it, by where its delivery stands, of 100 at most; for its domain, which is
    /// not told whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<BTreeMap<&'static str, usize>>,
    /// How many subscriptions that the caller may see want it and began after it; they are listed
    /// only where they are asked for by name, or a replay brought it.
    #[serde(rename = "beforeStart")]
    before_start: usize,
    /// What to send as `after` for more deliveries; missing if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

/// What became of an event for one subscription.
#[derive(Serialize, ToSchema)]
struct DeliveryTrace {
    /// The id of the subscription.
    subscription: String,
    /// What its consumer calls it, as `consumer/name`.
    name: String,
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
    #[serde(skip)]
    hides_words: bool,
}

/// `GET /events/{id}/trace?subscription=`: a consumer learns of its own subscriptions, and only of
/// events that these want or were sent. A domain learns of its own events how they came in, and how many
/// subscriptions have them.
#[utoipa::path(
    get, path = "/events/{id}/trace", tag = "events",
    operation_id = "events_trace",
    params(
        ("id" = String, Path, description = "The event's ULID; for operators and its domain also the id of its \
            envelope: EventBridge's `EventId`, the `id` of the producer's CloudEvent"),
        TraceQuery,
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
    Query(query): Query<TraceQuery>,
) -> Result<Json<EventTrace>, Problem> {
    let sees_all = caller.sees_metadata();
    let is_consumer = caller.consumers().next().is_some();
    let sees_events = match caller.domains_seen() {
        Err(problem) if !is_consumer => return Err(problem),
        seen => seen.is_ok(),
    };
    let parsed = id.parse().map_err(|error| Problem::new(Code::BadRequest, format!("{error}")));
    let found = if sees_events { find_event(&services, &caller, &id).await? } else { None };
    let event: EventId = match (&found, parsed) {
        (Some(entry), _) => entry.event.id,
        (None, Ok(event)) => event,
        (None, Err(_)) if sees_events => return Err(missing(&services, &caller, &id).await?),
        (None, Err(unreadable)) => return Err(unreadable),
    };
    let limit = page(query.limit)?.items;
    // What came in, to who sees that; a consumer may be sent it all the same.
    let own = found.clone();
    let named = match &query.subscription {
        Some(id) => Some(find(&services, &caller, id).await?),
        None => None,
    };
    let entry = match found {
        Some(entry) => Some(entry),
        // Who is no consumer is not to learn, nor to measure, whether there is an event of others.
        None if sees_all || is_consumer => {
            services.store.log.find(&[event]).await?.into_iter().next().flatten()
        }
        None => None,
    };
    let deliveries = if let Some(named) = named {
        let told = explained((&services, &caller), vec![named], (event, entry.as_deref())).await?;
        let (before_start, next) = (0, None);
        Deliveries {
            listed: listed(&caller, &told, sees_all && entry.is_some()),
            before_start,
            next,
        }
    } else {
        let after = query.after.map(|after| parse("after", &after)).transpose()?;
        let asked = (event, entry.as_deref(), after.as_ref());
        deliveries(&services, &caller, asked, limit).await?
    };
    let Deliveries { listed, before_start, next } = deliveries;
    if listed.is_empty() && next.is_none() && before_start == 0 && own.is_none() {
        return Err(if sees_events {
            missing(&services, &caller, &id).await?
        } else {
            Problem::not_found("event")
        });
    }
    let received = match own.as_deref() {
        Some(entry) => Some(received(&services, &caller, entry).await?),
        None => None,
    };
    let states = match own.as_deref().filter(|_| !sees_all) {
        Some(entry) => Some(states(&services, entry).await?),
        None => None,
    };
    Ok(Json(EventTrace {
        event: event.to_string(),
        r#type: entry.as_ref().map(|entry| entry.event.event_type.as_str().to_owned()),
        withheld: withheld(&caller, &listed, received.is_some()),
        received,
        states,
        deliveries: listed,
        before_start,
        next,
    }))
}

/// What became of an event for some subscriptions.
struct Deliveries {
    listed: Vec<DeliveryTrace>,
    before_start: usize,
    next: Option<String>,
}

/// What became of an event for those whom it may concern, a page of them.
async fn deliveries(
    services: &Services,
    caller: &Caller,
    (event, entry, after): (EventId, Option<&Entry>, Option<&QualifiedName>),
    limit: usize,
) -> Result<Deliveries, Problem> {
    let (own, sees_all) = (caller.consumers().cloned().collect(), caller.sees_metadata());
    let service = &services.subscription_service;
    let (mut some, before_start, most) = if let Some(entry) = entry {
        let mut all = service.seen((&own, sees_all), None).await.map_err(problem)?;
        if all.is_empty() {
            return Ok(Deliveries { listed: Vec::new(), before_start: 0, next: None });
        }
        if !sees_all {
            // Also what is only counted tells that there is such an event.
            all.retain(|one| may_hear(services, one, Some(entry)));
        }
        // Whether an event exists that a consumer does not want is not the consumer's to know.
        let unwanted = if sees_all { MOST_UNWANTED } else { 0 };
        let concerned = service.concerned(all, entry, unwanted).await?;
        (concerned.to_explain, concerned.before_start, limit)
    } else {
        let all = service.seen((&own, sees_all), after).await.map_err(problem)?;
        (all, 0, limit.max(MOST_LOOKED_AT))
    };
    if let (Some(_), Some(after)) = (entry, after) {
        let passed = (!own.contains(&after.consumer), after.clone());
        some.retain(|one| (!own.contains(&one.consumer), one.qualified_name()) > passed);
    }
    let last = some.get(most.saturating_sub(1)).filter(|_| some.len() > most);
    let next = last.map(|last| last.qualified_name().to_string());
    some.truncate(most);
    let mut told = explained((services, caller), some, (event, entry)).await?;
    let looked_at = told.len();
    told.retain(|(_, trace)| !began_later(trace));
    let before_start = before_start + looked_at - told.len();
    Ok(Deliveries {
        listed: listed(caller, &told, sees_all && entry.is_some()),
        before_start,
        next,
    })
}

/// How many subscriptions have or want an event, whosever they are, by where its delivery stands.
async fn states(
    services: &Services,
    entry: &Entry,
) -> Result<BTreeMap<&'static str, usize>, Problem> {
    let service = &services.subscription_service;
    let all = service.seen((&BTreeSet::new(), true), None).await.map_err(problem)?;
    let mut wanting = service.concerned(all, entry, 0).await?.to_explain;
    // Who could not hear it takes nobody's place.
    wanting.retain(|one| one.epoch_at(entry.position).is_none() || one.could_hear(entry));
    wanting.truncate(MOST_COUNTED);
    let told = service.explain(&wanting, (entry.event.id, Some(entry))).await.map_err(problem)?;
    let mut states = BTreeMap::new();
    for one in told.iter().filter(|one| concerns(one) && !began_later(one)) {
        *states.entry(one.delivery_status.word()).or_default() += 1;
    }
    Ok(states)
}

/// What became of an event for each of some subscriptions.
type Explained = Vec<(Arc<Subscription>, Explanation)>;

async fn explained(
    (services, caller): (&Services, &Caller),
    mut subscriptions: Vec<Arc<Subscription>>,
    event: (EventId, Option<&Entry>),
) -> Result<Explained, Problem> {
    if !caller.sees_metadata() {
        // Nothing is told of what its consumer may not hear, as if there were no such event.
        subscriptions.retain(|one| may_hear(services, one, event.1));
    }
    let traces = services.subscription_service.explain(&subscriptions, event).await;
    Ok(subscriptions.into_iter().zip(traces.map_err(problem)?).collect())
}

/// Those whom it concerns, or all of them.
fn listed(caller: &Caller, told: &Explained, all: bool) -> Vec<DeliveryTrace> {
    let shown = told.iter().filter(|(_, trace)| all || concerns(trace));
    shown.map(|(subscription, trace)| delivery(caller, subscription, trace)).collect()
}

/// Whether a subscription began after the event, and nothing has brought it since.
fn began_later(trace: &Explanation) -> bool {
    trace.delivery_status == DeliveryStatus::BeforeStart
        && trace.attempts.is_empty()
        && trace.receipts.is_empty()
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

/// What the caller is not told of an event and its deliveries.
fn withheld(caller: &Caller, deliveries: &[DeliveryTrace], tells_more: bool) -> Option<Withheld> {
    let hides_words = deliveries.iter().any(|delivery| delivery.hides_words);
    let mut members = Vec::new();
    if tells_more && !caller.reads_data() {
        members.push("received.idempotencyKey");
    }
    if hides_words {
        members.extend(SINK_WORDS);
    }
    (!members.is_empty()).then(|| Withheld::data(&members))
}

fn delivery(caller: &Caller, subscription: &Subscription, trace: &Explanation) -> DeliveryTrace {
    let reads_data = caller.reads_data_of(&subscription.consumer);
    let mismatches = match &trace.matching {
        FilterMatching::Missed(mismatches) => mismatches.as_slice(),
        FilterMatching::Matched | FilterMatching::Undecided | FilterMatching::Unknown => &[],
    };
    let mismatch = |one: &crate::route::Mismatch| json!({ "path": one.path, "reason": one.reason });
    DeliveryTrace {
        subscription: subscription.id.to_string(),
        name: subscription.qualified_name().to_string(),
        matched: match trace.matching {
            FilterMatching::Matched => Some(true),
            FilterMatching::Missed(_) => Some(false),
            FilterMatching::Undecided | FilterMatching::Unknown => None,
        },
        mismatches: mismatches.iter().map(mismatch).collect(),
        sequence: trace.sequence,
        state: trace.delivery_status.word(),
        detail: detail(&trace.delivery_status),
        attempts: trace.attempts.iter().map(|one| attempt(one, reads_data)).collect(),
        hides_words: !reads_data,
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
        BlockedBy::Pending | BlockedBy::Paused | BlockedBy::Undecided | BlockedBy::Turn => {
            Vec::new()
        }
    };
    let told = std::iter::once(("because", json!(because.word()))).chain(more);
    told.map(|(name, value)| (name.to_owned(), value))
}

fn attempt(attempt: &Attempt, reads_data: bool) -> Value {
    let mut told = json!({
        "number": attempt.number,
        "at": attempt.at,
        "durationMs": attempt.duration_ms,
        "status": attempt.status,
        "verdict": attempt.verdict,
        "replay": attempt.key.replay,
    });
    if let (Some(told), Some(detail)) =
        (told.as_object_mut(), words(&attempt.detail, attempt.status, reads_data))
    {
        told.insert("detail".to_owned(), detail.into());
    }
    told
}
