//! Events that broke their contract or could not be read: look at them, release them after a fix, or drop them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::access::domain_of;
use crate::api::acting::{Actor, PlannedAction};
use crate::api::lists::{QuarantineListQuery, next};
use crate::api::quarantine_size::{EVENT, MOST_PRODUCERS, ShownQuarantineSize, UNREADABLE};
use crate::api::query::{Query, parse_given};
use crate::api::source_rights::check_release;
use crate::api::unread::{self, ShownBytes, ShownProducer};
use crate::api::withheld::Withheld;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::Timestamp;
use crate::eventlog::{
    ActionKind, Page, QuarantineId, QuarantineKind, QuarantineQuery, Quarantined,
    QuarantinedContent,
};
use crate::source::Received;

/// How many events are in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantineCounts {
    /// Of each publication that has some.
    publications: BTreeMap<String, PublicationCount>,
    /// What could not be read, so that no publication was asked.
    unreadable: PublicationCount,
    /// How much that is of all producers, and how much there may be; missing to who answers for a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<ShownQuarantineSize>,
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
    /// Who sent it; missing for events from before this was noted.
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
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

/// An event that left the quarantine for the log.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
pub struct Released {
    /// Its number in the quarantine.
    released: u64,
    /// The ids of the events that it became, ULIDs.
    pub(super) events: Vec<String>,
    /// How many publications have set it aside again: it could be read, and broke their contract.
    pub(super) quarantined: usize,
}

/// `GET /quarantine`: oldest first, without the events' data. A domain sees what its own publications set
/// aside.
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
    let domains = caller.domains_seen()?;
    let query = QuarantineQuery {
        after: QuarantineId(wanted.after.unwrap_or_default()),
        envelope_id: wanted.envelope.map(Arc::from),
        publication: wanted.publication.map(Arc::from),
        domains,
        kind: wanted.kind.as_deref().map(kind).transpose()?,
        producer: wanted.producer.map(Arc::from),
        code: wanted.code.map(Arc::from),
        from: parse_given("from", wanted.from.as_deref())?,
        to: parse_given("to", wanted.to.as_deref())?,
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
    let domains = caller.domains_seen()?;
    // What all producers take together is not for who answers for a domain.
    let size = match domains {
        Some(_) => None,
        None => Some(services.store.quarantine.quarantine_size(MOST_PRODUCERS).await?),
    };
    let mut counts = QuarantineCounts {
        publications: BTreeMap::new(),
        unreadable: PublicationCount::default(),
        size: size
            .map(|size| ShownQuarantineSize::new(&size, services.retention, &services.source)),
    };
    for one in services.store.quarantine.count_quarantined().await? {
        if !is_of(domains.as_deref(), Some(&*one.publication)) {
            continue;
        }
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

/// `GET /quarantine/{id}`: with the event as it was received, to who may read data.
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
    let quarantined = find(&services, &caller, id).await?;
    let shown = ShownQuarantined::of(&quarantined);
    let withhold = |member| Withheld::from_caller(&caller, &[member]);
    Ok(Json(match &quarantined.content {
        QuarantinedContent::Event(event) => {
            let withheld = withhold("received");
            let received =
                withheld.is_none().then(|| Received::tree(&event.received).unwrap_or(Value::Null));
            ShownQuarantined { received, withheld, ..shown }
        }
        QuarantinedContent::Bytes(bytes) => {
            let withheld = withhold("bytes");
            let bytes = withheld.is_none().then(|| ShownBytes::of(bytes));
            ShownQuarantined { bytes, withheld, ..shown }
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
    actor: Actor,
    Path(id): Path<u64>,
) -> Result<Json<Released>, Problem> {
    let quarantined = find_to_decide(&services, &actor.caller, id).await?;
    let planned = planned(ActionKind::ReleaseQuarantined, &quarantined);
    let change = Box::pin(let_in(&services, &actor.caller, &quarantined));
    actor.act(&services, planned, change).await.map(Json)
}

/// Lets what was in quarantine in, and takes it out there.
pub(super) async fn let_in(
    services: &Services,
    caller: &Caller,
    quarantined: &Quarantined,
) -> Result<Released, Problem> {
    let (events, aside) = match &quarantined.content {
        QuarantinedContent::Event(event) => {
            let received =
                Received::from_json(&event.received).map_err(|error| Problem::internal(&error))?;
            let sent = (event.producer.as_ref(), received.envelope.source.as_str());
            check_release(services, caller, sent).await?;
            let released = services.admit.release(received, &event.publication).await;
            (vec![released.map_err(Problem::refused)?.to_string()], 0)
        }
        QuarantinedContent::Bytes(bytes) => {
            let released = unread::release(services, caller, bytes, quarantined.at).await?;
            (released.events, released.quarantined)
        }
    };
    services.store.quarantine.unquarantine(quarantined.id).await?;
    Ok(Released { released: quarantined.id.0, events, quarantined: aside })
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
    actor: Actor,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    let quarantined = find_to_decide(&services, &actor.caller, id).await?;
    let planned = planned(ActionKind::DiscardQuarantined, &quarantined);
    let change = async {
        if services.store.quarantine.unquarantine(quarantined.id).await? {
            Ok(StatusCode::NO_CONTENT)
        } else {
            Err(absent())
        }
    };
    actor.act(&services, planned, Box::pin(change)).await
}

fn planned(kind: ActionKind, quarantined: &Quarantined) -> PlannedAction {
    let domain = quarantined.publication().and_then(|of| domain_of(of));
    PlannedAction::new(kind, format!("quarantine/{}", quarantined.id.0)).of_domain(domain)
}

fn absent() -> Problem {
    Problem::not_found("event in quarantine")
}

/// Reads which kind of entry is wanted.
pub(super) fn kind(text: &str) -> Result<QuarantineKind, Problem> {
    match text {
        EVENT => Ok(QuarantineKind::Event),
        UNREADABLE => Ok(QuarantineKind::Bytes),
        _ => Err(Problem::new(Code::Invalid, format!("kind: use `{EVENT}` or `{UNREADABLE}`"))),
    }
}

/// Whether a publication is one of these domains', or of any if none are given.
fn is_of(domains: Option<&[Arc<str>]>, publication: Option<&str>) -> bool {
    let domain = publication.and_then(domain_of);
    domains.is_none_or(|own| own.iter().any(|own| Some(&**own) == domain))
}

/// Finds an entry of which the caller may decide; who may only see it is told what that needs.
async fn find_to_decide(
    services: &Services,
    caller: &Caller,
    id: u64,
) -> Result<Quarantined, Problem> {
    let quarantined = find(services, caller, id).await?;
    caller.must_decide_on(quarantined.publication().map(|of| &**of))?;
    Ok(quarantined)
}

/// Finds an entry that the caller may see; one of another domain does not exist for it.
async fn find(services: &Services, caller: &Caller, id: u64) -> Result<Quarantined, Problem> {
    let domains = caller.domains_seen()?;
    let after = QuarantineId(id.checked_sub(1).ok_or_else(absent)?);
    let page = Page { items: 1, ..Page::default() };
    let query = QuarantineQuery { after, ..QuarantineQuery::default() };
    let found = services.store.quarantine.quarantined(&query, page).await?.pop();
    let found = found.filter(|quarantined| quarantined.id.0 == id).ok_or_else(absent)?;
    let publication = found.publication().map(|of| &**of);
    if is_of(domains.as_deref(), publication) { Ok(found) } else { Err(absent()) }
}

impl ShownQuarantined {
    fn of(quarantined: &Quarantined) -> Self {
        Self {
            id: quarantined.id.0,
            at: quarantined.at,
            kind: match quarantined.kind() {
                QuarantineKind::Event => EVENT,
                QuarantineKind::Bytes => UNREADABLE,
            },
            publication: quarantined.publication().map(ToString::to_string),
            producer: quarantined.producer().map(ShownProducer::of),
            envelope: quarantined.envelope_id().to_string(),
            violations: serde_json::from_str(quarantined.violations()).unwrap_or_default(),
            received: None,
            bytes: None,
            withheld: None,
        }
    }
}
