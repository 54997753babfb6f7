//! Events in the log, by id and by range, for operators and auditors; by id also for their domain.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::find_event::{conflict, find_event, missing};
use crate::api::lists::{EventListQuery, page};
use crate::api::query::{Query, range_end, range_start};
use crate::api::withheld::{SEALED_MEMBERS, Withheld, metadata};
use crate::api::{Caller, Problem, Services};
use crate::event::{CloudEvent, EventId, Timestamp};
use crate::eventlog::{Entry, Page};

/// The most entries that are looked through for one answer, so that a rare type cannot hold it up.
const MOST_LOOKED_THROUGH: usize = 20_000;

/// Events in the order of the log.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub struct Events {
    /// CloudEvents in their JSON form.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Box<RawValue>>,
    /// Where to go on, as `from`; missing if there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

/// One event, and what the log knows of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The CloudEvent in its JSON form.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
    /// Its place in the log; missing to its domain, which would learn how much others publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// When the log took it.
    #[schema(value_type = String)]
    accepted: Timestamp,
    /// The publication that let it cross, as `domain/event`.
    publication: String,
    /// The id that it had on its producer's bus.
    envelope_id: String,
    /// The earlier event with the same idempotency key and another content.
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<String>,
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

/// Gives one event, found by what its producer was given; without its data to who may not read it.
#[utoipa::path(
    get, path = "/events/{id}", tag = "events",
    operation_id = "events_read",
    params(("id" = String, Path, description = "The event's ULID, or the id of its envelope: \
        EventBridge's `EventId`, the `id` of the producer's CloudEvent")),
    responses(
        (status = 200, body = Found),
        (status = 409, description = "A problem: several events came of the envelope, all listed"),
    )
)]
pub async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Found>, Problem> {
    caller.domains_seen()?;
    let Some(entry) = find_event(&services, &caller, &id).await? else {
        return Err(missing(&services, &caller, &id).await?);
    };
    Ok(Json(Found {
        event: json(&caller, &entry)?,
        position: caller.sees_metadata().then_some(entry.position.0),
        accepted: entry.accepted,
        publication: entry.publication.to_string(),
        envelope_id: entry.envelope_id.to_string(),
        conflict: conflict(&services, &caller, &entry).await?,
        withheld: Withheld::from_caller(&caller, SEALED_MEMBERS),
    }))
}

/// Lists events in the order of the log; without their data to who may not read it.
#[utoipa::path(
    get, path = "/events", tag = "events",
    operation_id = "events_list",
    params(EventListQuery),
    responses((status = 200, body = Events))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(range): Query<EventListQuery>,
) -> Result<Json<Events>, Problem> {
    caller.must_see_metadata()?;
    let from = range_start(range.from.as_deref())?.unwrap_or(EventId::MIN);
    let to = range_end(range.to.as_deref())?.unwrap_or(EventId::MAX);
    let limit = page(range.limit)?.items;
    let withheld = Withheld::from_caller(&caller, SEALED_MEMBERS);
    let mut answer = Events { events: Vec::new(), next: None, withheld };
    let mut after = services.store.log.seek(from).await?;
    let mut looked_through = 0;
    loop {
        let log = &services.store.log;
        let entries = match &range.envelope {
            Some(envelope) => log.of_envelope(envelope, after, Page::default()).await?,
            None => log.read(after, Page::default()).await?,
        };
        if entries.is_empty() {
            return Ok(Json(answer));
        }
        for entry in entries {
            let id = entry.event.id;
            if id > to {
                return Ok(Json(answer));
            }
            if answer.events.len() == limit || looked_through == MOST_LOOKED_THROUGH {
                answer.next = Some(id.to_string());
                return Ok(Json(answer));
            }
            after = entry.position;
            looked_through += 1;
            let wanted = range.r#type.as_deref();
            if wanted.is_none_or(|wanted| is_wanted(&entry.event, wanted)) {
                answer.events.push(json(&caller, &entry)?);
            }
        }
    }
}

/// Whether an event's type is wanted, or the name that `types` of subscriptions match.
fn is_wanted(event: &CloudEvent, wanted: &str) -> bool {
    [&event.event_type, event.name()].iter().any(|name| is_of(name.as_str(), wanted))
}

/// Whether a type is the one wanted, or below it when `wanted` ends in `.*`.
fn is_of(event_type: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(hierarchy) if hierarchy.ends_with('.') => event_type.starts_with(hierarchy),
        _ => event_type == wanted,
    }
}

/// The event as far as the caller sees it.
fn json(caller: &Caller, entry: &Entry) -> Result<Box<RawValue>, Problem> {
    let event = &entry.event;
    let text = if caller.reads_data() { event.to_json() } else { metadata(event).to_string() };
    RawValue::from_string(text).map_err(|error| Problem::internal(&error))
}
