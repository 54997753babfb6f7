//! `GET /settings`: what this process runs with, so that a difference from its files shows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::{Caller, InForce, Problem, Services};

/// What this gateway runs with: its settings, what it read, and their digests.
#[utoipa::path(
    get, path = "/settings", tag = "operate",
    operation_id = "settings_read", responses((status = 200, body = InForce))
)]
pub async fn settings(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<InForce>, Problem> {
    caller.must_see_metadata()?;
    Ok(Json(InForce::clone(&services.in_force.load())))
}
