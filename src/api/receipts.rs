//! What consumers have signed for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::deliveries::page;
use crate::api::query::Query;
use crate::api::subscriptions::find;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{EventId, ReplayId, Timestamp};
use crate::eventlog::{KeptReceipt, ReceiptId};

/// Which receipts are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Only of this event.
    event: Option<String>,
    /// Only what comes after this.
    #[serde(default)]
    after: u64,
    /// How many at most, 1 to 1000.
    limit: Option<usize>,
}

/// Receipts of delivery.
#[derive(Serialize, ToSchema)]
pub struct Receipts {
    /// Oldest first.
    receipts: Vec<ShownReceipt>,
    /// Where to go on, as `after`; null if this page is empty, and the end.
    next: Option<u64>,
}

/// A consumer's signed word that it has received a token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KeptReceipt)]
struct ShownReceipt {
    /// Its number.
    id: u64,
    /// The event's id, a ULID.
    event: String,
    /// The sequence number of the delivery; null in a replay.
    sequence: Option<u64>,
    /// The replay that it belongs to; null for a live delivery.
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The SHA-256 of the token that was received, in unpadded base64url.
    token_sha256: String,
    /// The receipt, a compact JWS that was checked when it came.
    receipt: String,
}

/// `GET /subscriptions/{id}/receipts?event=&after=&limit=`: oldest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/receipts", tag = "deliveries",
    operation_id = "receipts_list",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("event" = Option<String>, Query, description = "Only of this event; a ULID"),
        ("after" = Option<u64>, Query, description = "Only what comes after this"),
        ("limit" = Option<usize>, Query, description = "How many at most, 1 to 1000"),
    ),
    responses(
        (status = 200, description = "Done", body = Receipts),
        (status = "4XX", description = "A problem")
    )
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<Receipts>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let event = part.event.as_deref().map(str::parse::<EventId>).transpose();
    let event = event.map_err(|error| Problem::new(Code::Invalid, format!("event: {error}")))?;
    let (after, page) = (ReceiptId(part.after), page(part.limit)?);
    let receipts = services.log.receipts(&subscription.id, event, after, page).await?;
    // A page ends by its bytes too, so only an empty one is known to be the end.
    let next = receipts.last().map(|last| last.id.0);
    Ok(Json(Receipts { receipts: receipts.iter().map(ShownReceipt::of).collect(), next }))
}

impl ShownReceipt {
    fn of(receipt: &KeptReceipt) -> Self {
        Self {
            id: receipt.id.0,
            event: receipt.key.event.to_string(),
            sequence: receipt.sequence,
            replay: receipt.key.replay.clone(),
            at: receipt.at,
            token_sha256: receipt.token.to_string(),
            receipt: receipt.jws.to_string(),
        }
    }
}
