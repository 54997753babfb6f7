//! Another shared secret for a subscription, over HTTP.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::answer_subject::AnswerSubject;
use crate::api::find_subscription::{find_to_change, problem};
use crate::api::json_object::JsonObject;
use crate::api::subscription_shown::{Known, answer};
use crate::api::{Problem, Services};
use crate::eventlog::ActionKind;

/// How a shared secret is replaced.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecretRequest {
    /// How long the former secret is good beside the new one, in seconds, 0 to 604,800; a day if
    /// missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604_800)]
    pub overlap: Option<u32>,
}

/// `POST /subscriptions/{id}/secret`: makes another shared secret, which is in this answer only.
///
/// The former one is good beside it for the overlap: tokens are made with it until the sink takes one
/// that was made with the new secret, at the latest until the overlap is over. A sink that refuses a
/// token is offered the same event under the other secret at once.
#[utoipa::path(
    post, path = "/subscriptions/{id}/secret", tag = "subscriptions",
    operation_id = "subscriptions_rotate_secret",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A name of the request, at most 255 characters: when it comes again \
                           within 24 hours, it is answered as it was, secret included"),
    ),
    request_body(content = Option<SecretRequest>, description = "The overlap; a day without a body"),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn rotate(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    wish: Option<JsonObject<SecretRequest>>,
) -> Result<Response, Problem> {
    let subscription = find_to_change(&services, &actor.caller, &id).await?;
    let overlap = wish.and_then(|JsonObject(wish)| wish.overlap);
    let planned = PlannedAction::of_subscription(ActionKind::RotateSecret, &subscription);
    let change = async {
        let rotation = services.subscription_service.rotate_secret(&subscription, overlap);
        rotation.await.map_err(problem)
    };
    let (changed, secret) = actor.act(&services, planned.at("secret"), Box::pin(change)).await?;
    tracing::info!(
        caller.id = %actor.caller.id(),
        subscription.id = %changed.id,
        "Caller {} had another shared secret made for subscription {}",
        actor.caller.id(), changed.id,
    );
    let answer = answer((&services, &actor.caller), &changed, Some(&secret));
    Ok(AnswerSubject::made(&changed).on(answer))
}
