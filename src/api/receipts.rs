//! What consumers have signed for.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::find_subscription::find;
use crate::api::lists::{ReceiptListQuery, next, page};
use crate::api::query::{Query, parse_given};
use crate::api::{Caller, Problem, Services};
use crate::event::{ReplayId, Timestamp};
use crate::eventlog::{KeptReceipt, ReceiptId};

/// Receipts of delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipts)]
pub struct ReceiptPage {
    /// Oldest first.
    receipts: Vec<ShownReceipt>,
    /// Where to go on, as `after`; null if this page is empty, and the end.
    next: Option<u64>,
}

/// A consumer's signed word that it has received a token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
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
        ReceiptListQuery,
    ),
    responses((status = 200, description = "Done", body = ReceiptPage))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<ReceiptListQuery>,
) -> Result<Json<ReceiptPage>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let event = parse_given("event", wanted.event.as_deref())?;
    let (after, page) = (ReceiptId(wanted.after.unwrap_or_default()), page(wanted.limit)?);
    let receipts = services.store.receipts.receipts(&subscription.id, event, after, page).await?;
    let next = next(&receipts, |receipt| receipt.id.0);
    Ok(Json(ReceiptPage { receipts: receipts.iter().map(ShownReceipt::of).collect(), next }))
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

/// Receipts without those that say again, under another signature, what one before them says.
pub(super) fn each_once<'a>(receipts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut said = BTreeSet::new();
    receipts.filter(|jws| said.insert(jws.rsplit_once('.').map(|(signed, _)| signed))).collect()
}
