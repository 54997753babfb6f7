//! What the listener still answers while the gateway stops.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::api::{Code, Problem, Services, health};

/// The routes of a gateway that drains: that it lives, that it is not ready, and nothing else, so that a
/// load balancer asks another one and not a closed port.
pub fn draining_router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(services)
        .fallback(refuse)
}

async fn refuse() -> impl IntoResponse {
    let stops = "the gateway stops, and takes nothing more; ask again when it is there";
    ([(header::CONNECTION, "close")], Problem::new(Code::NotReady, stops))
}
