//! Grants over HTTP: give, list, read, move the end, recall.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{
    AccessError, Grant, GrantDocument, GrantId, GrantReference, GrantState, GrantedPublication,
};
use crate::api::acting::{Actor, PlannedAction};
use crate::api::answer_subject::AnswerSubject;
use crate::api::json_object::JsonObject;
use crate::api::lists::{GrantListQuery, MOST, RecallQuery, page};
use crate::api::query::{Query, parse_given};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::ActionKind;
use crate::telemetry::error_chain;

/// When a grant ends from now on.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantChange {
    /// The moment, in RFC 3339; null: never by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Grants.
#[derive(Serialize, ToSchema)]
pub struct AllGrants {
    /// In the order of their names.
    grants: Vec<ShownGrant>,
    /// Where to go on, as `after`; null if there is nothing more.
    next: Option<String>,
}

/// A grant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Grant)]
pub struct ShownGrant {
    /// Its name among all, `domain/name`.
    #[schema(value_type = String)]
    id: GrantId,
    /// Who may hear.
    #[schema(value_type = String)]
    consumer: ConsumerId,
    /// What: `domain/event`, or `domain/*`.
    #[schema(value_type = String)]
    publication: GrantedPublication,
    /// How far back it reaches: `from-grant`, `all` or a duration.
    history: String,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When it ends; null: never by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Why it was given.
    reason: String,
    /// The caller who has given it; `upgrade`: the gateway, to whoever heard the publication before.
    decided_by: String,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Where it stands: `planned`, `active`, `expired` or `recalled`.
    #[schema(value_type = String)]
    state: GrantState,
    /// Whether it ends within `access.tell-before`.
    ends_soon: bool,
    /// How it ended; missing if it has not, or only its time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<ShownGrantEnd>,
    /// Told when it is given only: why it lets nobody hear more.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// How a grant ended.
#[derive(Serialize, ToSchema)]
#[schema(as = GrantEnd)]
struct ShownGrantEnd {
    /// From when on nothing of it begins.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `expired` or `recalled`.
    why: &'static str,
    /// The caller who has recalled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// What that caller said.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

pub(super) fn shown(services: &Services, grant: &Grant) -> ShownGrant {
    let now = services.clock.now();
    let ahead = services.subscription_service.access().config().tell_before.0;
    ShownGrant {
        id: grant.id(),
        consumer: grant.consumer.clone(),
        publication: grant.publication.clone(),
        history: grant.history.to_string(),
        from: grant.from,
        until: grant.until,
        reason: grant.reason.clone(),
        decided_by: grant.decided_by.clone(),
        created: grant.created,
        state: grant.state(now),
        ends_soon: grant.ends_soon(now, ahead),
        ended: grant.ended.as_ref().map(|end| ShownGrantEnd {
            at: end.at,
            why: end.why.word(),
            by: end.by.clone(),
            reason: end.reason.clone(),
        }),
        warning: None,
    }
}

/// Why a grant of a publication lets nobody hear more: everybody hears it.
fn needless(services: &Services, publication: &GrantedPublication) -> Option<String> {
    let all = services.subscription_service.access().publications();
    let is_closed = all.iter().any(|one| one.by_grant && publication.covers(&one.name));
    (!is_closed).then(|| {
        format!(
            "`{publication}` is public: every consumer hears it, with this grant and without; its file says \
             `access: grant` where that is not meant"
        )
    })
}

/// `GET /grants`: a consumer sees its own, the owner of a domain those of its publications.
#[utoipa::path(
    get, path = "/grants", tag = "access", operation_id = "grants_list",
    params(GrantListQuery),
    responses((status = 200, description = "Done", body = AllGrants))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(wanted): Query<GrantListQuery>,
) -> Result<Json<AllGrants>, Problem> {
    caller.must_list_grants()?;
    let consumer: Option<ConsumerId> = parse_given("consumer", wanted.consumer.as_deref())?;
    let after: Option<GrantId> = parse_given("after", wanted.after.as_deref())?;
    let limit = page(wanted.limit.or(Some(MOST)))?.items;
    let now = services.clock.now();
    let publication = wanted.publication.as_deref();
    let is_wanted = |grant: &Arc<Grant>| {
        sees(&caller, grant)
            && consumer.as_ref().is_none_or(|one| grant.consumer == *one)
            && publication.is_none_or(|one| {
                grant.publication.as_str() == one || grant.publication.covers(one)
            })
            && wanted.state.as_ref().is_none_or(|state| grant.state(now).to_string() == *state)
            && after.as_ref().is_none_or(|after| grant.id() > *after)
    };
    let all = services.subscription_service.access().grants();
    let mut found: Vec<Arc<Grant>> =
        all.into_iter().filter(is_wanted).take(limit.saturating_add(1)).collect();
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| is_more).map(|grant| grant.id().to_string());
    let grants = found.iter().map(|grant| shown(&services, grant)).collect();
    Ok(Json(AllGrants { grants, next }))
}

/// `POST /grants`: gives a consumer a grant.
#[utoipa::path(
    post, path = "/grants", tag = "access", operation_id = "grants_give",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "A name of the request, at most 255 characters: when it comes again within \
                       24 hours, it is answered as it was")),
    request_body(content = Object, description = "A grant: `consumer`, `publication`, and if wanted \
        `id`, `history`, `from`, `until`, `reason`"),
    responses((status = 201, description = "Done", body = ShownGrant))
)]
pub async fn give(
    State(services): State<Arc<Services>>,
    actor: Actor,
    JsonObject(document): JsonObject<GrantDocument>,
) -> Result<Response, Problem> {
    let caller = &actor.caller;
    caller.must_own(&document.publication)?;
    let access = services.subscription_service.access();
    if !access.knows(&document.publication) {
        let detail = format!("/publication: nothing is published as `{}`", document.publication);
        return Err(Problem::new(Code::Invalid, detail));
    }
    let planned = PlannedAction::new(ActionKind::GiveGrant, "grants")
        .of_consumer(&document.consumer)
        .of_domain(Some(document.publication.domain()));
    let give = async { access.give(document, caller.id().as_str()).await.map_err(problem) };
    let made = |grant: &Arc<Grant>| Some(format!("grants/{}", grant.id()));
    let grant = actor.make(&services, planned, Box::pin(give), made).await?;
    tracing::info!(
        caller.id = %caller.id(), grant.id = %grant.id(),
        "Caller {} has given grant {}: {} hears {}",
        caller.id(), grant.id(), grant.consumer, grant.publication,
    );
    follow(&services, &grant.consumer).await;
    let warning = needless(&services, &grant.publication);
    let told = ShownGrant { warning, ..shown(&services, &grant) };
    let mut response = (StatusCode::CREATED, Json(told)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/grants/{}", grant.id().segment())) {
        response.headers_mut().insert(LOCATION, location);
    }
    let subject = AnswerSubject::Grant { id: grant.id(), publication: grant.publication.clone() };
    Ok(subject.on(response))
}

/// `GET /grants/{id}`.
#[utoipa::path(
    get, path = "/grants/{id}", tag = "access", operation_id = "grants_read",
    params(("id" = String, Path, description = "The grant: `domain%2Fname`, or its name alone")),
    responses((status = 200, description = "Done", body = ShownGrant))
)]
pub async fn read(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownGrant>, Problem> {
    let grant = find(&services, &caller, &id)?;
    Ok(Json(shown(&services, &grant)))
}

/// `PUT /grants/{id}`: moves the end of one that has not ended.
#[utoipa::path(
    put, path = "/grants/{id}", tag = "access", operation_id = "grants_change",
    params(("id" = String, Path, description = "The grant: `domain%2Fname`, or its name alone")),
    request_body = GrantChange,
    responses((status = 200, description = "Done", body = ShownGrant))
)]
pub async fn change(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    JsonObject(change): JsonObject<GrantChange>,
) -> Result<Json<ShownGrant>, Problem> {
    let grant = find(&services, &actor.caller, &id)?;
    actor.caller.must_own(&grant.publication)?;
    let access = services.subscription_service.access();
    let end = async { access.end_at(&grant.id(), change.until).await.map_err(problem) };
    let planned = planned(ActionKind::ChangeGrant, &grant);
    let grant = actor.act(&services, planned, Box::pin(end)).await?;
    follow(&services, &grant.consumer).await;
    Ok(Json(shown(&services, &grant)))
}

/// `DELETE /grants/{id}?reason=`: takes it back. Nothing of it begins once this is answered.
#[utoipa::path(
    delete, path = "/grants/{id}", tag = "access", operation_id = "grants_recall",
    params(("id" = String, Path, description = "The grant: `domain%2Fname`, or its name alone"), RecallQuery),
    responses((status = 200, description = "Done: the grant as it ended", body = ShownGrant))
)]
pub async fn recall(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Query(why): Query<RecallQuery>,
) -> Result<Json<ShownGrant>, Problem> {
    let caller = &actor.caller;
    let grant = find(&services, caller, &id)?;
    caller.must_own(&grant.publication)?;
    let reason = why.reason.unwrap_or_default();
    let access = services.subscription_service.access();
    let by = (caller.id().as_str(), reason.as_str());
    let recall = async { access.recall(&grant.id(), by).await.map_err(problem) };
    let planned = planned(ActionKind::RecallGrant, &grant);
    let grant = actor.act(&services, planned, Box::pin(recall)).await?;
    tracing::info!(
        caller.id = %caller.id(), grant.id = %grant.id(),
        "Caller {} has recalled grant {}: {} hears {} no more",
        caller.id(), grant.id(), grant.consumer, grant.publication,
    );
    follow(&services, &grant.consumer).await;
    Ok(Json(shown(&services, &grant)))
}

fn planned(kind: ActionKind, grant: &Grant) -> PlannedAction {
    PlannedAction::new(kind, format!("grants/{}", grant.id()))
        .of_consumer(&grant.consumer)
        .of_domain(Some(grant.publication.domain()))
}

/// Has the subscriptions of a consumer record what it may hear now. What cannot be recorded now is
/// soon, and nothing waits for that which may not be heard.
pub(super) async fn follow(services: &Services, consumer: &ConsumerId) {
    if !services.delivers {
        return;
    }
    if let Err(error) = services.subscription_service.entitle_consumer(consumer).await {
        tracing::error!(
            error = %error_chain(&error),
            "What consumer {consumer} hears cannot be recorded with its subscriptions; trying again",
        );
    }
}

fn find(services: &Services, caller: &Caller, id: &str) -> Result<Arc<Grant>, Problem> {
    let absent = || Problem::not_found("grant");
    let reference: GrantReference = id.parse().map_err(|_| absent())?;
    let mut found = services.subscription_service.access().grants_called(&reference);
    found.retain(|grant| sees(caller, grant));
    match (found.pop(), found.pop()) {
        (Some(grant), None) => Ok(grant),
        (None, _) => Err(absent()),
        (Some(one), Some(other)) => {
            let detail = format!(
                "`{reference}` may be {} or {}; name the domain, too",
                other.id(),
                one.id()
            );
            Err(Problem::new(Code::Ambiguous, detail))
        }
    }
}

fn sees(caller: &Caller, grant: &Grant) -> bool {
    caller.sees_metadata()
        || caller.owns(grant.publication.domain())
        || caller.sees(&grant.consumer)
}

/// Turns a failure into the problem that fits it.
pub(super) fn problem(error: AccessError) -> Problem {
    let code = match &error {
        AccessError::Invalid { .. } => Code::Invalid,
        AccessError::Exists(_) => Code::AlreadyExists,
        AccessError::Unknown | AccessError::NoRequest => Code::NotFound,
        AccessError::Over { .. } | AccessError::Decided(_) => Code::WrongState,
        AccessError::TooMany(_) => Code::TooMany,
        AccessError::Stale => Code::Changed,
        AccessError::Damaged { .. } | AccessError::Registry(_) => return error.into(),
    };
    Problem::new(code, error.to_string())
}
