//! What a gateway refuses that was started to deliver nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api::{Code, Problem, Services};

/// What hands out events, or changes who gets which.
const DELIVERING: [&str; 5] =
    ["/subscriptions", "/redrives", "/replays", "/grants", "/access-requests"];

/// Whether the answer says something of the log under a key of the gateway.
fn is_signed(path: &str) -> bool {
    let of_log = path.starts_with("/log/") || path.starts_with("/subscriptions/");
    of_log && (path.ends_with("/checkpoint") || path.ends_with("/evidence"))
}

/// Refuses what would deliver, while the gateway runs with `--no-delivery`; all else passes.
pub async fn hold_back(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if services.log_proofs.is_set_back && is_signed(path) {
        let detail = "the log was set back; what would be signed in its name could contradict what was \
                      signed before, so run `sealway log restored` first";
        return Problem::new(Code::WrongState, detail).into_response();
    }
    let of_delivery = DELIVERING.iter().any(|begin| path.starts_with(begin));
    let hands_out = path.ends_with("/events") || path.ends_with("/stream");
    if services.delivers || !of_delivery || (request.method().is_safe() && !hands_out) {
        return next.run(request).await;
    }
    let detail = "this gateway was started with --no-delivery, to be looked at";
    Problem::new(Code::WrongState, detail).into_response()
}
