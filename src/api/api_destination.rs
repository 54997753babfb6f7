//! What is known of senders that are API destinations of EventBridge.

use std::time::Duration;

use axum::http::{HeaderMap, header};

/// How they name themselves.
const USER_AGENT: &[u8] = b"Amazon/EventBridge/ApiDestinations";

/// How long an answer to one may take here. It gives up after five seconds, with the way there and
/// back, and does not tell a gateway that is late from one that is gone.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(4);

/// Whether an API destination has sent a request.
pub(super) fn is_api_destination(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(USER_AGENT))
}
