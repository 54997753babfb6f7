//! Releases what a filter chooses from the quarantine, a bounded number at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::json_object::JsonObject;
use crate::api::quarantine::{kind, let_in};
use crate::api::query::parse_given;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::Timestamp;
use crate::eventlog::{
    ActionKind, Page, QuarantineId, QuarantineQuery, Quarantined, QuarantinedContent,
};
use crate::source::Received;

/// Entries of one request, if it does not say.
const DEFAULT_LIMIT: u16 = 100;
/// The most entries of one request.
const MOST: u16 = 1000;
/// The most entries that one request looks at.
const MOST_LOOKED_AT: usize = 20_000;
/// Entries that are read together.
const PAGE: Page = Page { items: 200, bytes: 4 << 20 };
/// How long one request releases: a part of what it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Refusals that are told one by one.
const MOST_REFUSED: usize = 100;

/// Which entries to release: those to which all applies that is given.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReleaseRequest {
    /// Every entry that the other members do not leave out; needed where they are all missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only what this publication wanted, as `domain/event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication: Option<String>,
    /// Only what has a violation of this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only what was sent by this caller, access key or queue (its ARN).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
    /// `event`: only what broke its contract; `unreadable`: only what could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only events of this source; never what could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Only events of this type on their producer's bus (`detail-type`); never what could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Only what was set aside then or later; a time as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only what was set aside then or earlier; a time as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only entries with a higher number: the `next` of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The most entries, 1 to 1000; 100 if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
    /// Only count; release nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What became of the entries that a filter chose.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleasedByFilter {
    /// Whether they were only counted.
    dry_run: bool,
    /// How many were chosen.
    matched: usize,
    /// How many of each publication, as `domain/event`; an empty name for what could not be read.
    publications: BTreeMap<String, usize>,
    /// How many have left the quarantine.
    released: usize,
    /// How many events they became.
    events: usize,
    /// How many times publications have set some of them aside again: what could be read now and broke their
    /// contract.
    quarantined: usize,
    /// How many stay, by the code of the problem.
    stayed: BTreeMap<&'static str, usize>,
    /// Why they stay, one by one, at most 100.
    refused: Vec<StayedEntry>,
    /// Where to go on, as `after`, if there may be more; null at the end.
    next: Option<u64>,
    /// When the last was set aside that may be chosen, for the request that goes on: the `to` of this one, or
    /// its beginning. What is set aside meanwhile waits for another release.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
}

/// An entry that stays in quarantine.
#[derive(Debug, Serialize, ToSchema)]
struct StayedEntry {
    /// Its number.
    id: u64,
    /// The code of the problem.
    code: &'static str,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A filter that was checked.
struct EntryFilter {
    query: QuarantineQuery,
    source: Option<String>,
    detail_type: Option<String>,
    limit: usize,
}

/// `POST /quarantine/release`: releases what a filter chooses, oldest first, each as
/// `POST /quarantine/{id}/release` does. At most `limit` entries, for at most ten seconds: `next` says where
/// to go on. What still cannot be let in stays, and the rest goes on.
#[utoipa::path(
    post, path = "/quarantine/release", tag = "quarantine",
    operation_id = "quarantine_release_by_filter",
    request_body = ReleaseRequest,
    responses((status = 200, description = "Done", body = ReleasedByFilter))
)]
pub async fn release(
    State(services): State<Arc<Services>>,
    actor: Actor,
    JsonObject(request): JsonObject<ReleaseRequest>,
) -> Result<Json<ReleasedByFilter>, Problem> {
    let filter = checked(&actor.caller, &request)?;
    if request.dry_run {
        let counted = walk((&services, &actor.caller), filter, true).await?;
        return Ok(Json(counted));
    }
    let domain = request.publication.as_deref().and_then(crate::api::access::domain_of);
    let planned =
        PlannedAction::new(ActionKind::ReleaseQuarantined, "quarantine").of_domain(domain);
    let change = Box::pin(walk((&services, &actor.caller), filter, false));
    actor.act(&services, planned, change).await.map(Json)
}

fn checked(caller: &Caller, request: &ReleaseRequest) -> Result<EntryFilter, Problem> {
    // Who only sees the quarantine is told what deciding needs.
    let domains = caller.domains_seen()?;
    if domains.is_none() {
        caller.must_decide_on(request.publication.as_deref())?;
    }
    let invalid = |detail: &str| Problem::new(Code::Invalid, detail);
    let given = [
        &request.publication,
        &request.code,
        &request.producer,
        &request.kind,
        &request.source,
        &request.r#type,
        &request.from,
        &request.to,
    ];
    if !request.all && given.iter().all(|one| one.is_none()) {
        return Err(invalid("say which entries, or `all`: true"));
    }
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(invalid("/limit: use 1 to 1000"));
    }
    let text = |one: Option<&str>| one.map(Arc::from);
    let query = QuarantineQuery {
        after: QuarantineId(request.after.unwrap_or_default()),
        envelope_id: None,
        publication: text(request.publication.as_deref()),
        domains,
        kind: request.kind.as_deref().map(kind).transpose()?,
        producer: text(request.producer.as_deref()),
        code: text(request.code.as_deref()),
        from: parse_given("from", request.from.as_deref())?,
        to: parse_given("to", request.to.as_deref())?,
    };
    let (source, detail_type) = (request.source.clone(), request.r#type.clone());
    Ok(EntryFilter { query, source, detail_type, limit: limit.into() })
}

/// Goes through the entries that a filter chooses, and releases them or only counts.
async fn walk(
    (services, caller): (&Services, &Caller),
    mut filter: EntryFilter,
    dry_run: bool,
) -> Result<ReleasedByFilter, Problem> {
    let now = services.clock.now();
    // What its own releases set aside again would otherwise be chosen, too.
    let to = filter.query.to.map_or(now, |to| to.min(now));
    filter.query.to = Some(to);
    let until = now.after(PATIENCE);
    let mut done = ReleasedByFilter::of(dry_run, to);
    let mut looked_at = 0;
    loop {
        let page = services.store.quarantine.quarantined(&filter.query, PAGE).await?;
        if page.is_empty() {
            return Ok(done);
        }
        for entry in page {
            let is_over = done.matched >= filter.limit
                || looked_at >= MOST_LOOKED_AT
                || services.clock.now() > until;
            if is_over {
                done.next = Some(filter.query.after.0);
                return Ok(done);
            }
            looked_at += 1;
            if filter.chooses(&entry) {
                match decide((services, caller), &entry, &mut done).await {
                    Ok(()) => {}
                    // The next request is told why, if it is still so.
                    Err(_) if done.released > 0 => {
                        done.next = Some(filter.query.after.0);
                        return Ok(done);
                    }
                    Err(problem) => return Err(problem),
                }
            }
            filter.query.after = entry.id;
        }
    }
}

/// Releases an entry, or only counts it.
///
/// # Errors
///
/// Later or ours: the same may succeed another time, and so it is with those that follow.
async fn decide(
    (services, caller): (&Services, &Caller),
    entry: &Quarantined,
    done: &mut ReleasedByFilter,
) -> Result<(), Problem> {
    let publication = entry.publication().map(ToString::to_string).unwrap_or_default();
    if !done.dry_run {
        match let_in(services, caller, entry).await {
            Ok(released) => {
                done.released += 1;
                done.events += released.events.len();
                done.quarantined += released.quarantined;
            }
            Err(problem) if problem.code().status().is_server_error() => return Err(problem),
            Err(problem) => done.stays(entry, &problem),
        }
    }
    done.matched += 1;
    *done.publications.entry(publication).or_default() += 1;
    Ok(())
}

impl ReleasedByFilter {
    const fn of(dry_run: bool, to: Timestamp) -> Self {
        Self {
            dry_run,
            matched: 0,
            publications: BTreeMap::new(),
            released: 0,
            events: 0,
            quarantined: 0,
            stayed: BTreeMap::new(),
            refused: Vec::new(),
            next: None,
            to,
        }
    }

    fn stays(&mut self, entry: &Quarantined, problem: &Problem) {
        let code = problem.code().text();
        *self.stayed.entry(code).or_default() += 1;
        if self.refused.len() < MOST_REFUSED {
            let detail = problem.detail().map(ToOwned::to_owned);
            self.refused.push(StayedEntry { id: entry.id.0, code, detail });
        }
    }
}

impl EntryFilter {
    /// Whether it chooses an entry that its query has found.
    fn chooses(&self, entry: &Quarantined) -> bool {
        if self.source.is_none() && self.detail_type.is_none() {
            return true;
        }
        let QuarantinedContent::Event(event) = &entry.content else { return false };
        let Ok(received) = Received::from_json(&event.received) else { return false };
        let envelope = &received.envelope;
        self.source.as_ref().is_none_or(|source| *source == envelope.source)
            && self.detail_type.as_ref().is_none_or(|wanted| *wanted == envelope.detail_type)
    }
}
