//! What a gateway refuses that was started to deliver nothing.

use axum::extract::Request;

use crate::api::{Code, Problem, Services};

/// What hands out events, or changes who gets which.
const DELIVERING: [&str; 5] =
    ["/subscriptions", "/redrives", "/replays", "/grants", "/access-requests"];

/// Whether the answer says something of the log under a key of the gateway.
fn is_signed(path: &str) -> bool {
    let of_log = path.starts_with("/log/") || path.starts_with("/subscriptions/");
    of_log && (path.ends_with("/checkpoint") || path.ends_with("/evidence"))
}

/// What would deliver, while the gateway runs with `--no-delivery`, is answered with this problem; all else
/// passes.
pub(super) fn held_back(services: &Services, request: &Request) -> Option<Problem> {
    let path = request.uri().path();
    if services.log_proofs.is_set_back && is_signed(path) {
        let detail = "the log was set back; what would be signed in its name could contradict what was \
                      signed before, so run `sealway log restored` first";
        return Some(Problem::new(Code::WrongState, detail));
    }
    let of_delivery = DELIVERING.iter().any(|begin| path.starts_with(begin));
    let hands_out = path.ends_with("/events") || path.ends_with("/stream");
    if services.delivers || !of_delivery || (request.method().is_safe() && !hands_out) {
        return None;
    }
    let detail = "this gateway was started with --no-delivery, to be looked at";
    Some(Problem::new(Code::WrongState, detail))
}
