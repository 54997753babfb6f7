//! `POST /`: the embedded bus over HTTP, where AWS SDKs expect it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use crate::api::event_body::{self, UnreadBody};
use crate::source::aws::{Answered, AwsErrorKind, Bus, Call};

/// The media type of every answer.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
/// The header that names the request, as AWS spells it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Puts a bus behind `POST`, on whatever path.
pub fn bus_route<S>(bus: Arc<Bus>) -> MethodRouter<S> {
    post(call).with_state(bus)
}

/// Answers an AWS SDK. Nothing of the request is changed on the way, since it is signed.
#[utoipa::path(
    post, path = "/", tag = "events",
    operation_id = "bus_call",
    params(("X-Amz-Target" = String, Header,
        description = "`AWSEvents.PutEvents`, `.TestEventPattern`, `.DescribeEventBus` or \
                       `.ListEventBuses`")),
    request_body(content = Object, content_type = "application/x-amz-json-1.1",
        description = "As the reference of Amazon EventBridge describes it"),
    responses(
        (status = 200, description = "As AWS answers", body = Object,
            content_type = "application/x-amz-json-1.1"),
        (status = "4XX", description = "As AWS refuses", body = Object,
            content_type = "application/x-amz-json-1.1"),
    ),
    security(("signature" = []))
)]
pub(super) async fn call(State(bus): State<Arc<Bus>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip());
    if let Some(refused) = bus.refuse_stranger(&parts.headers, peer) {
        return answer(refused);
    }
    let body = match event_body::read(&parts.headers, body, bus.max_body()).await {
        Ok(body) => body,
        Err(UnreadBody::TooLong) => return event_body::closing(answer(bus.refuse_long_body())),
        Err(UnreadBody::Broken) => return answer(bus.refuse_broken_body()),
    };
    let call = Call {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
        headers: &parts.headers,
        body: &body,
        peer,
    };
    answer(bus.answer(call).await)
}

/// Puts an answer into the protocol's own status, headers and body.
fn answer(answered: Answered) -> Response {
    let (status, body) = match answered.outcome {
        Ok(result) => (StatusCode::OK, result),
        Err(refused) => (status(refused.kind), refused.to_json()),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    if let Ok(id) = HeaderValue::from_str(&answered.request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The status that SDKs expect with a kind of error: they repeat a request after 5xx only.
const fn status(kind: AwsErrorKind) -> StatusCode {
    match kind {
        AwsErrorKind::AccessDenied
        | AwsErrorKind::IncompleteSignature
        | AwsErrorKind::InvalidSignature
        | AwsErrorKind::UnrecognizedClient => StatusCode::FORBIDDEN,
        AwsErrorKind::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
        AwsErrorKind::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        AwsErrorKind::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        AwsErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        AwsErrorKind::InvalidEventPattern
        | AwsErrorKind::MissingAuthenticationToken
        | AwsErrorKind::ResourceNotFound
        | AwsErrorKind::Serialization
        | AwsErrorKind::UnknownOperation
        | AwsErrorKind::Validation => StatusCode::BAD_REQUEST,
    }
}
