//! The credential of a sink alone, over HTTP: to rotate it, or to take it away.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::find_subscription::{find_to_change, problem};
use crate::api::found::SubscriptionToChange;
use crate::api::json_object::JsonObject;
use crate::api::subscription_shown::{Known, answer};
use crate::api::subscriptions::must_match;
use crate::api::{Problem, Services};
use crate::eventlog::ActionKind;
use crate::subscriptions::{CredentialAlone, SinkCredential, SubscriptionDocument};

/// `PUT /subscriptions/{id}/sink-credential`: how the gateway shows itself to the sink from the next
/// attempt on.
///
/// Secrets that are left out are kept, as far as they go where they went. The former credential is
/// tried for the overlap where this one is refused. The sink need not prove itself again.
#[utoipa::path(
    put, path = "/subscriptions/{id}/sink-credential", tag = "subscriptions",
    operation_id = "sink_credential_replace",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("If-Match" = String, Header, description = "The `ETag` of the subscription that is changed"),
    ),
    request_body(content = Object, description = "A credential"),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn replace(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonObject(CredentialAlone(credential)): JsonObject<CredentialAlone>,
) -> Result<Response, Problem> {
    let subscription = find_to_change(&services, &actor.caller, &id).await?;
    let found = SubscriptionToChange { services, actor, subscription };
    change(found, (&headers, true), Some(credential)).await
}

/// `DELETE /subscriptions/{id}/sink-credential`: the token alone says who sent it.
#[utoipa::path(
    delete, path = "/subscriptions/{id}/sink-credential", tag = "subscriptions",
    operation_id = "sink_credential_remove",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn remove(found: SubscriptionToChange, headers: HeaderMap) -> Result<Response, Problem> {
    change(found, (&headers, false), None).await
}

async fn change(
    SubscriptionToChange { services, actor, subscription: current }: SubscriptionToChange,
    (headers, must_know): (&HeaderMap, bool),
    sinkcredential: Option<SinkCredential>,
) -> Result<Response, Problem> {
    must_match(headers, &current, must_know)?;
    let kind = match &sinkcredential {
        Some(_) => ActionKind::ReplaceSinkCredential,
        None => ActionKind::RemoveSinkCredential,
    };
    let planned = PlannedAction::of_subscription(kind, &current).at("sink-credential");
    let sinkcredential = sinkcredential.map(Box::new);
    let document = SubscriptionDocument { sinkcredential, ..current.whole_document() };
    let change =
        async { services.subscription_service.update(&current, document).await.map_err(problem) };
    let (changed, _) = actor.act(&services, planned, Box::pin(change)).await?;
    let caller = &actor.caller;
    if changed.revision != current.revision {
        tracing::info!(
            caller.id = %caller.id(),
            subscription.id = %changed.id,
            "Caller {} changed the sink credential of subscription {}",
            caller.id(), changed.shown(),
        );
    }
    Ok(answer((&services, caller), &changed, None))
}
