//! External ids over HTTP: what a consumer's role at AWS asks of the gateway.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::find_subscription::problem;
use crate::api::query::parse;
use crate::api::{Caller, Problem, Services};
use crate::event::ConsumerId;

/// The external id of a consumer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExternalId)]
pub struct ShownExternalId {
    /// The consumer.
    #[schema(value_type = String)]
    consumer: ConsumerId,
    /// What the trust policy of its role asks for, as `sts:ExternalId`.
    external_id: String,
    /// Whether the operator lists a bus for the consumer (`delivery.event-buses`), as the gateway's file
    /// was when it started.
    listed: bool,
}

/// `GET /external-ids/{consumer}`: the external id with which the gateway takes roles for a consumer.
///
/// It is made when it is asked for first, and never changes.
#[utoipa::path(
    get, path = "/external-ids/{consumer}", tag = "subscriptions",
    operation_id = "external_ids_read",
    params(("consumer" = String, Path, description = "The consumer")),
    responses((status = 200, description = "Done", body = ShownExternalId))
)]
pub async fn read(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(consumer): Path<String>,
) -> Result<Json<ShownExternalId>, Problem> {
    let consumer: ConsumerId = parse("consumer", &consumer)?;
    caller.must_steer(&consumer)?;
    let ids = services.subscription_service.external_ids();
    let id = ids.of(&consumer).await.map_err(|error| problem(error.into()))?;
    let listed = services.subscription_service.lists_bus_of(&consumer);
    Ok(Json(ShownExternalId { consumer, external_id: id.to_string(), listed }))
}
