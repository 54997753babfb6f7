//! Events that broke their contract or could not be read: look at them, release them after a fix, or drop them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::lists::{QuarantineListQuery, next};
use crate::api::query::Query;
use crate::api::source_rights::check_release;
use crate::api::unread::{self, ShownBytes, ShownProducer};
use crate::api::{Caller, Code, Problem, Scope, Services};
use crate::event::{EventProducer, Timestamp};
use crate::eventlog::{
    Page, QuarantineId, QuarantineKind, QuarantineQuery, Quarantined, QuarantinedContent,
};
use crate::source::Received;

/// The kind of an event that broke its contract.
const EVENT: &str = "event";
/// The kind of what could not be read.
const UNREADABLE: &str = "unreadable";

/// How many events are in quarantine.
#[derive(Default, Serialize, ToSchema)]
pub struct QuarantineCounts {
    /// Of each publication that has some.
    publications: BTreeMap<String, PublicationCount>,
    /// What could not be read, so that no publication was asked.
    unreadable: PublicationCount,
}

/// How many events of one publication are in quarantine.
#[derive(Default, Serialize, ToSchema)]
pub struct PublicationCount {
    /// By the code of a violation; an event with several codes counts for each.
    codes: BTreeMap<String, u64>,
    /// All of them.
    total: u64,
}

/// Events that broke their contract or could not be read.
#[derive(Serialize, ToSchema)]
pub struct Kept {
    /// Oldest first, without the events' data.
    quarantined: Vec<ShownQuarantined>,
    /// Where to go on, as `after`; null if this page is empty, and the end.
    next: Option<u64>,
}

/// An event that broke its contract, or bytes that could not be read.
#[derive(Serialize, ToSchema)]
#[schema(as = Quarantined)]
pub struct ShownQuarantined {
    /// Its number.
    id: u64,
    /// When it was kept aside.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `event`: it broke the contract of a publication. `unreadable`: it could not be read.
    kind: &'static str,
    /// The publication that wanted it, as `domain/event`; missing if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    publication: Option<String>,
    /// Who sent it; of an event that broke its contract, where one alone is shown and it was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    producer: Option<ShownProducer>,
    /// The id that it had on its producer's bus; empty if that cannot be told.
    envelope: String,
    /// How it breaks its contract, or why it cannot be read: for each place its `pointer`, a `code`
    /// and a `message`.
    #[schema(value_type = Vec<Object>)]
    violations: Value,
    /// The event as it was received, where one alone is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    received: Option<Value>,
    /// What could not be read, as it was sent, where one alone is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<ShownBytes>,
}

/// An event that left the quarantine for the log.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub struct Released {
    /// Its number in the quarantine.
    released: u64,
    /// The ids of the events that it became, ULIDs.
    events: Vec<String>,
    /// How many publications have set it aside again: it could be read, and broke their contract.
    quarantined: usize,
}

/// `GET /quarantine`: oldest first, without the events' data.
#[utoipa::path(
    get, path = "/quarantine", tag = "quarantine",
    operation_id = "quarantine_list",
    params(QuarantineListQuery),
    responses((status = 200, description = "Done", body = Kept))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(wanted): Query<QuarantineListQuery>,
) -> Result<Json<Kept>, Problem> {
    caller.must(&Scope::Operate)?;
    let query = QuarantineQuery {
        after: QuarantineId(wanted.after.unwrap_or_default()),
        envelope_id: wanted.envelope.map(Arc::from),
        publication: wanted.publication.map(Arc::from),
        kind: wanted.kind.as_deref().map(kind).transpose()?,
        producer: wanted.producer.map(Arc::from),
    };
    let events = services.store.quarantine.quarantined(&query, Page::default()).await?;
    let next = next(&events, |event| event.id.0);
    Ok(Json(Kept { quarantined: events.iter().map(ShownQuarantined::of).collect(), next }))
}

/// `GET /quarantine/counts`: by publication and by the codes of violations.
#[utoipa::path(
    get, path = "/quarantine/counts", tag = "quarantine",
    operation_id = "quarantine_count",
    responses((status = 200, description = "Done", body = QuarantineCounts))
)]
pub async fn counts(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<QuarantineCounts>, Problem> {
    caller.must(&Scope::Operate)?;
    let mut counts = QuarantineCounts::default();
    for one in services.store.quarantine.count_quarantined().await? {
        let publication = match &*one.publication {
            "" => &mut counts.unreadable,
            name => counts.publications.entry(name.to_owned()).or_default(),
        };
        publication.total += one.count;
        for code in one.codes.split(',').filter(|code| !code.is_empty()) {
            *publication.codes.entry(code.to_owned()).or_default() += one.count;
        }
    }
    Ok(Json(counts))
}

/// `GET /quarantine/{id}`: with the event as it was received.
#[utoipa::path(
    get, path = "/quarantine/{id}", tag = "quarantine",
    operation_id = "quarantine_read",
    params(("id" = u64, Path, description = "The number of the event in quarantine")),
    responses((status = 200, description = "Done", body = ShownQuarantined))
)]
pub async fn read(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Json<ShownQuarantined>, Problem> {
    caller.must(&Scope::Operate)?;
    let quarantined = find(&services, id).await?;
    let shown = ShownQuarantined::of(&quarantined);
    Ok(Json(match &quarantined.content {
        QuarantinedContent::Event(event) => {
            let mut received = Received::tree(&event.received).unwrap_or(Value::Null);
            let producer = received.as_object_mut().and_then(|members| members.remove("producer"));
            let producer = producer.and_then(|producer| EventProducer::deserialize(producer).ok());
            let producer = producer.as_ref().map(ShownProducer::of);
            ShownQuarantined { received: Some(received), producer, ..shown }
        }
        QuarantinedContent::Bytes(bytes) => {
            ShownQuarantined { bytes: Some(ShownBytes::of(bytes)), ..shown }
        }
    }))
}

/// `POST /quarantine/{id}/release`: lets the event through the publication that set it aside; bytes are
/// read again, and go through every publication that wants what was read.
///
/// It leaves the quarantine only once the log has it. It stays if it still breaks its contract or
/// cannot be read, if the publication is gone or does not want it any more, or if its producer may not
/// publish as its source now and the caller is no admin.
#[utoipa::path(
    post, path = "/quarantine/{id}/release", tag = "quarantine",
    operation_id = "quarantine_release",
    params(("id" = u64, Path, description = "The number of the event in quarantine")),
    responses(
        (status = 200, description = "Done", body = Released),
        (status = 409, description = "A problem; also if its producer has lost the source of the event"),
    )
)]
pub async fn release(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Json<Released>, Problem> {
    caller.must(&Scope::Operate)?;
    let quarantined = find(&services, id).await?;
    let (events, aside) = match &quarantined.content {
        QuarantinedContent::Event(event) => {
            let received =
                Received::from_json(&event.received).map_err(|error| Problem::internal(&error))?;
            let sent = (received.producer.as_ref(), received.envelope.source.as_str());
            check_release(&services, &caller, sent).await?;
            let released = services.admit.release(received, &event.publication).await;
            (vec![released.map_err(Problem::refused)?.to_string()], 0)
        }
        QuarantinedContent::Bytes(bytes) => {
            let released = unread::release(&services, &caller, bytes, quarantined.at).await?;
            (released.events, released.quarantined)
        }
    };
    services.store.quarantine.unquarantine(quarantined.id).await?;
    Ok(Json(Released { released: id, events, quarantined: aside }))
}

/// `DELETE /quarantine/{id}`: drops the event for good.
#[utoipa::path(
    delete, path = "/quarantine/{id}", tag = "quarantine",
    operation_id = "quarantine_remove",
    params(("id" = u64, Path, description = "The number of the event in quarantine")),
    responses((status = 204, description = "Done"))
)]
pub async fn remove(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    caller.must(&Scope::Operate)?;
    if services.store.quarantine.unquarantine(QuarantineId(id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("event in quarantine"))
    }
}

/// Reads which kind of entry is wanted.
fn kind(text: &str) -> Result<QuarantineKind, Problem> {
    match text {
        EVENT => Ok(QuarantineKind::Event),
        UNREADABLE => Ok(QuarantineKind::Bytes),
        _ => Err(Problem::new(Code::Invalid, format!("kind: use `{EVENT}` or `{UNREADABLE}`"))),
    }
}

async fn find(services: &Services, id: u64) -> Result<Quarantined, Problem> {
    let absent = || Problem::not_found("event in quarantine");
    let after = QuarantineId(id.checked_sub(1).ok_or_else(absent)?);
    let page = Page { items: 1, ..Page::default() };
    let query = QuarantineQuery { after, ..QuarantineQuery::default() };
    let found = services.store.quarantine.quarantined(&query, page).await?.pop();
    found.filter(|quarantined| quarantined.id.0 == id).ok_or_else(absent)
}

impl ShownQuarantined {
    fn of(quarantined: &Quarantined) -> Self {
        Self {
            id: quarantined.id.0,
            at: quarantined.at,
            kind: match quarantined.content {
                QuarantinedContent::Event(_) => EVENT,
                QuarantinedContent::Bytes(_) => UNREADABLE,
            },
            publication: quarantined.publication().map(ToString::to_string),
            producer: quarantined.producer().map(ShownProducer::of),
            envelope: quarantined.envelope_id().to_string(),
            violations: serde_json::from_str(quarantined.violations()).unwrap_or_default(),
            received: None,
            bytes: None,
        }
    }
}
