//! Access requests over HTTP: a consumer asks, the owner of the domain decides.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{
    AccessDecision, AccessRequest, AccessRequestDocument, AccessRequestState, GrantId,
    GrantedPublication,
};
use crate::api::acting::{Actor, PlannedAction};
use crate::api::grants::{ShownGrant, follow, problem, shown as shown_grant};
use crate::api::json_object::JsonObject;
use crate::api::lists::{AccessRequestListQuery, WithdrawQuery};
use crate::api::query::Query;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{AccessRequestId, ConsumerId, Timestamp};
use crate::eventlog::ActionKind;

/// Access requests.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllAccessRequests {
    /// In the order in which they came.
    access_requests: Vec<ShownAccessRequest>,
}

/// A consumer's wish for a grant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessRequest)]
pub struct ShownAccessRequest {
    /// Its name.
    #[schema(value_type = String)]
    id: AccessRequestId,
    /// For whom.
    #[schema(value_type = String)]
    consumer: ConsumerId,
    /// What it wants to hear.
    #[schema(value_type = String)]
    publication: GrantedPublication,
    /// How far back.
    history: String,
    /// What for.
    reason: String,
    /// The caller who asks.
    asked_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Where it stands: `open`, `approved`, `refused` or `withdrawn`.
    #[schema(value_type = String)]
    state: AccessRequestState,
    /// Who has decided it, or taken it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided: Option<Timestamp>,
    /// What was said then.
    #[serde(skip_serializing_if = "String::is_empty")]
    answer: String,
    /// The grant that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    grant: Option<GrantId>,
}

/// An access request that was approved, and its grant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovedAccess {
    /// The request.
    access_request: ShownAccessRequest,
    /// What came of it.
    grant: ShownGrant,
}

/// Why a request is refused.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessRefusal {
    /// Why, at most 512 characters; the consumer is told.
    pub reason: String,
}

impl ShownAccessRequest {
    fn of(request: AccessRequest) -> Self {
        Self {
            grant: request.grant_id(),
            id: request.id,
            consumer: request.consumer,
            publication: request.publication,
            history: request.history.to_string(),
            reason: request.reason,
            asked_by: request.asked_by,
            created: request.created,
            state: request.state,
            decided_by: request.decided_by,
            decided: request.decided,
            answer: request.answer,
        }
    }
}

/// `GET /access-requests`: a consumer sees its own, the owner of a domain those for it.
#[utoipa::path(
    get, path = "/access-requests", tag = "access", operation_id = "access_requests_list",
    params(AccessRequestListQuery),
    responses((status = 200, description = "Done", body = AllAccessRequests))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(wanted): Query<AccessRequestListQuery>,
) -> Result<Json<AllAccessRequests>, Problem> {
    caller.must_list_grants()?;
    let all = services.subscription_service.access().requests().await.map_err(problem)?;
    let is_wanted = |one: &AccessRequest| {
        let state = match one.state {
            AccessRequestState::Open => "open",
            AccessRequestState::Approved => "approved",
            AccessRequestState::Refused => "refused",
            AccessRequestState::Withdrawn => "withdrawn",
        };
        sees(&caller, one) && wanted.state.as_ref().is_none_or(|wanted| wanted == state)
    };
    let found = all.into_iter().filter(is_wanted).map(ShownAccessRequest::of);
    Ok(Json(AllAccessRequests { access_requests: found.collect() }))
}

/// `POST /access-requests`: asks for a grant. The answer is the same whether or not there is such a
/// publication.
#[utoipa::path(
    post, path = "/access-requests", tag = "access", operation_id = "access_requests_ask",
    request_body(content = Object, description = "What is asked for: `consumer`, `publication`, and \
        if wanted `history` and `reason`"),
    responses((status = 201, description = "Done", body = ShownAccessRequest))
)]
pub async fn ask(
    State(services): State<Arc<Services>>,
    actor: Actor,
    JsonObject(document): JsonObject<AccessRequestDocument>,
) -> Result<Response, Problem> {
    let caller = &actor.caller;
    caller.must_steer(&document.consumer)?;
    let access = services.subscription_service.access();
    let planned = PlannedAction::new(ActionKind::RequestAccess, "access-requests")
        .of_consumer(&document.consumer)
        .of_domain(Some(document.publication.domain()));
    let ask = async { access.ask(document, caller.id().as_str()).await.map_err(problem) };
    let made = |request: &AccessRequest| Some(format!("access-requests/{}", request.id));
    let request = actor.make(&services, planned, Box::pin(ask), made).await?;
    tracing::info!(
        caller.id = %caller.id(),
        "Consumer {} asks to hear {}: `sealway access approve {}` or `sealway access refuse {}`",
        request.consumer, request.publication, request.id, request.id,
    );
    Ok((StatusCode::CREATED, Json(ShownAccessRequest::of(request))).into_response())
}

/// `GET /access-requests/{id}`.
#[utoipa::path(
    get, path = "/access-requests/{id}", tag = "access", operation_id = "access_requests_read",
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, description = "Done", body = ShownAccessRequest))
)]
pub async fn read(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownAccessRequest>, Problem> {
    Ok(Json(ShownAccessRequest::of(find(&services, &caller, &id).await?)))
}

/// `POST /access-requests/{id}/approve`: gives a grant of the same name.
#[utoipa::path(
    post, path = "/access-requests/{id}/approve", tag = "access",
    operation_id = "access_requests_approve",
    params(("id" = String, Path, description = "The request")),
    request_body(content = Object, description = "What is other than asked for: `history`, `until`, \
        `reason`; `{}` if nothing is"),
    responses((status = 200, description = "Done", body = ApprovedAccess))
)]
pub async fn approve(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    JsonObject(decision): JsonObject<AccessDecision>,
) -> Result<Json<ApprovedAccess>, Problem> {
    let caller = &actor.caller;
    let request = find(&services, caller, &id).await?;
    caller.must_own(&request.publication)?;
    let access = services.subscription_service.access();
    if !access.knows(&request.publication) {
        let detail = format!("nothing is published as `{}`", request.publication);
        return Err(Problem::new(Code::Invalid, detail));
    }
    let by = caller.id().as_str();
    let decide = async { access.approve(&request.id, decision, by).await.map_err(problem) };
    let planned = planned(ActionKind::ApproveAccess, &request);
    let (request, grant) = actor.act(&services, planned, Box::pin(decide)).await?;
    tracing::info!(
        caller.id = %caller.id(), grant.id = %grant.id(),
        "Caller {} has approved access request {}", caller.id(), request.id,
    );
    follow(&services, &grant.consumer).await;
    let grant = shown_grant(&services, &grant);
    Ok(Json(ApprovedAccess { access_request: ShownAccessRequest::of(request), grant }))
}

/// `POST /access-requests/{id}/refuse`.
#[utoipa::path(
    post, path = "/access-requests/{id}/refuse", tag = "access",
    operation_id = "access_requests_refuse",
    params(("id" = String, Path, description = "The request")),
    request_body = AccessRefusal,
    responses((status = 200, description = "Done", body = ShownAccessRequest))
)]
pub async fn refuse(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    JsonObject(refusal): JsonObject<AccessRefusal>,
) -> Result<Json<ShownAccessRequest>, Problem> {
    let caller = &actor.caller;
    let request = find(&services, caller, &id).await?;
    caller.must_own(&request.publication)?;
    let access = services.subscription_service.access();
    let by = (caller.id().as_str(), refusal.reason);
    let refuse = async { access.refuse(&request.id, by).await.map_err(problem) };
    let planned = planned(ActionKind::RefuseAccess, &request);
    let refused = actor.act(&services, planned, Box::pin(refuse)).await?;
    tracing::info!(
        caller.id = %caller.id(),
        "Caller {} has refused access request {}", caller.id(), refused.id,
    );
    Ok(Json(ShownAccessRequest::of(refused)))
}

/// `DELETE /access-requests/{id}?reason=`: takes it back for its consumer, while nobody has decided it.
#[utoipa::path(
    delete, path = "/access-requests/{id}", tag = "access",
    operation_id = "access_requests_withdraw",
    params(("id" = String, Path, description = "The request"), WithdrawQuery),
    responses((status = 200, description = "Done", body = ShownAccessRequest))
)]
pub async fn withdraw(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Query(why): Query<WithdrawQuery>,
) -> Result<Json<ShownAccessRequest>, Problem> {
    let caller = &actor.caller;
    let request = find(&services, caller, &id).await?;
    caller.must_steer(&request.consumer)?;
    let access = services.subscription_service.access();
    let by = (caller.id().as_str(), why.reason.unwrap_or_default());
    let withdraw = async { access.withdraw(&request.id, by).await.map_err(problem) };
    let planned = planned(ActionKind::WithdrawAccess, &request);
    let withdrawn = actor.act(&services, planned, Box::pin(withdraw)).await?;
    tracing::info!(
        caller.id = %caller.id(),
        "Caller {} has withdrawn access request {}", caller.id(), withdrawn.id,
    );
    Ok(Json(ShownAccessRequest::of(withdrawn)))
}

fn planned(kind: ActionKind, request: &AccessRequest) -> PlannedAction {
    PlannedAction::new(kind, format!("access-requests/{}", request.id))
        .of_consumer(&request.consumer)
        .of_domain(Some(request.publication.domain()))
}

async fn find(services: &Services, caller: &Caller, id: &str) -> Result<AccessRequest, Problem> {
    let absent = || Problem::not_found("access request");
    let id: AccessRequestId = id.parse().map_err(|_| absent())?;
    let request = services.subscription_service.access().request(&id).await.map_err(problem)?;
    if sees(caller, &request) { Ok(request) } else { Err(absent()) }
}

fn sees(caller: &Caller, request: &AccessRequest) -> bool {
    caller.sees_metadata()
        || caller.owns(request.publication.domain())
        || caller.sees(&request.consumer)
}
