//! Deliveries that wait for another attempt, dropped over HTTP.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::acting::PlannedAction;
use crate::api::find_subscription::problem;
use crate::api::found::SubscriptionToChange;
use crate::api::json_object::JsonObject;
use crate::api::{Code, Problem};
use crate::eventlog::ActionKind;
use crate::route::Filter;

/// The most types that a request names.
const MOST_TYPES: usize = 100;

/// Which deliveries are to be dropped that wait for another attempt.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = RetriesToDrop)]
pub struct DropRequest {
    /// Only events of these types, written as in a subscription: `Order.*` for everything below
    /// `Order`. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
}

/// What was dropped.
#[derive(Serialize, ToSchema)]
#[schema(as = DroppedRetries)]
pub struct DroppedCount {
    /// How many deliveries are dead letters now, with the reason `dropped`.
    dropped: usize,
}

/// `POST /subscriptions/{id}/retries/drop`: what waits for another attempt has none, and is a dead
/// letter. A redrive brings it back.
///
/// Attempts that are in flight are left alone.
#[utoipa::path(
    post, path = "/subscriptions/{id}/retries/drop", tag = "deliveries",
    operation_id = "retries_drop",
    params(("id" = String, Path, description = "The subscription")),
    request_body(content = Option<DropRequest>, description = "Which; all without a body"),
    responses((status = 200, description = "Done", body = DroppedCount))
)]
pub async fn drop_waiting(
    SubscriptionToChange { services, actor, subscription }: SubscriptionToChange,
    wish: Option<JsonObject<DropRequest>>,
) -> Result<Json<DroppedCount>, Problem> {
    let types = wish.map(|JsonObject(wish)| wish.types).unwrap_or_default();
    if types.len() > MOST_TYPES {
        return Err(Problem::new(Code::Invalid, format!("/types: use at most {MOST_TYPES}")));
    }
    let wanted = Filter::new(&types, &[])
        .map_err(|error| Problem::new(Code::Invalid, format!("/types: {error}")))?;
    let planned = PlannedAction::of_subscription(ActionKind::DropRetries, &subscription);
    let change = async {
        let dropping = services.subscription_service.drop_retries(&subscription, &wanted);
        dropping.await.map_err(problem)
    };
    let dropped = actor.act(&services, planned.at("retries"), Box::pin(change)).await?;
    tracing::info!(
        caller.id = %actor.caller.id(),
        subscription.id = %subscription.id,
        "Caller {} dropped {dropped} deliveries of subscription {} that waited for another attempt",
        actor.caller.id(), subscription.id,
    );
    Ok(Json(DroppedCount { dropped }))
}
