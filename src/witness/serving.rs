//! The HTTP interface of a witness, as C2SP tlog-witness has it: one call, `add-checkpoint`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use crate::ambient::Clock;
use crate::telemetry::error_chain;
use crate::transparency::{AddCheckpoint, WitnessRefusal};
use crate::witness::{BookError, WitnessBook};

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// The media type of a tree size.
pub(super) const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness, and what time it is.
#[derive(Clone)]
struct Serving {
    book: Arc<WitnessBook>,
    clock: Arc<dyn Clock>,
}

/// The routes of a witness.
pub fn witness_routes(book: Arc<WitnessBook>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "use POST\n"))
        .fallback(async || (StatusCode::NOT_FOUND, "a witness has /add-checkpoint alone\n"))
        .with_state(Serving { book, clock })
}

async fn add_checkpoint(State(serving): State<Serving>, body: Body) -> Response {
    let read = tokio::time::timeout(PATIENCE, to_bytes(body, AddCheckpoint::LONGEST));
    let Ok(Ok(body)) = read.await else {
        return (StatusCode::BAD_REQUEST, "the request is too long, or was cut\n").into_response();
    };
    let request = std::str::from_utf8(&body).ok().and_then(|body| body.parse().ok());
    let Some(request) = request else {
        return (StatusCode::BAD_REQUEST, "this is no request to add a checkpoint\n")
            .into_response();
    };
    let work = move || {
        let now = serving.clock.now();
        (serving.book.cosign(&request, now), request)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok((Ok(signature), request)) => {
            let mut lines = request.note.text.lines();
            let (origin, size) =
                (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            tracing::info!(log.origin = origin, "Cosigned the tree of {size} leaves of {origin}");
            (StatusCode::OK, format!("{signature}\n")).into_response()
        }
        Ok((Err(error), request)) => refused(&error, &request),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(error: &BookError, request: &AddCheckpoint) -> Response {
    let BookError::Refused(refusal) = error else {
        tracing::error!(error = %error_chain(error), "The witness cannot cosign");
        return (StatusCode::INTERNAL_SERVER_ERROR, "the witness is broken\n").into_response();
    };
    if matches!(refusal, WitnessRefusal::Forked(_)) {
        // A key of the log has signed it: this is the proof that it has two histories.
        tracing::error!(note = %request.note, "A log does not follow itself: {refusal}");
    } else if matches!(refusal, WitnessRefusal::Unproved) {
        // Anybody can send a true checkpoint with a false proof.
        tracing::warn!("Not cosigned: {refusal}");
    } else {
        tracing::debug!("Not cosigned: {refusal}");
    }
    let status = match refusal {
        WitnessRefusal::Malformed => StatusCode::BAD_REQUEST,
        WitnessRefusal::Unsigned => StatusCode::FORBIDDEN,
        WitnessRefusal::UnknownLog => StatusCode::NOT_FOUND,
        WitnessRefusal::Unproved => StatusCode::UNPROCESSABLE_ENTITY,
        WitnessRefusal::OtherSize(size) | WitnessRefusal::Forked(size) => {
            let body = ([(CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n"));
            return (StatusCode::CONFLICT, body).into_response();
        }
    };
    (status, format!("{refusal}\n")).into_response()
}
