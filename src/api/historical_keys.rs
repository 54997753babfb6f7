//! The keys that have signed, those that have left the key set included.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::api::cached::CachedText;
use crate::api::{Code, Problem, Services};
use crate::keys::{HistoricalKeys, PublishedKeys};
use crate::telemetry::error_chain;

/// The public keys that have checked the gateway's tokens since receipts are kept.
///
/// A JWK Set for whoever checks what is old: those of now, and with `exp` those that have left the set of
/// now. Those that were revoked are named in `revoked`, and their keys are not given.
#[utoipa::path(
    get, path = "/.well-known/historical-jwks.json", tag = "public",
    operation_id = "historical_jwks_read",
    responses((status = 200, description = "A JWK Set"), (status = 304, description = "Unchanged"))
)]
pub async fn historical_jwks(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Strangers read one after the other: the registry is for those who work here.
    let turn = services.log_proofs.reading.acquire().await;
    let _turn = turn.map_err(|error| Problem::internal(&error))?;
    let keys = HistoricalKeys::read(&*services.store.registry).await.map_err(|error| {
        tracing::error!(error = %error_chain(&error), "The keys of before cannot be read");
        Problem::new(Code::Internal, "the keys of before cannot be read")
    })?;
    let PublishedKeys { text, etag } = keys.published();
    let media_type = "application/jwk-set+json";
    let policy = PublishedKeys::CACHE_CONTROL;
    Ok(CachedText { text: &text, etag, media_type, policy }.answer(&headers))
}
