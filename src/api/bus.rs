//! `POST /`: the embedded bus over HTTP, where AWS SDKs expect it, and a word for SDKs that expect
//! another kind of bus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use uuid::Uuid;

use crate::api::body_budget::{BodyBudget, BodySender};
use crate::api::event_body::{self, UnreadBody};
use crate::api::peer::{self, Peer};
use crate::source::aws::{
    Answered, AwsErrorKind, Bus, CBOR_MEDIA_TYPE, Call, RPC_V2_CBOR, speaks_cbor,
};

/// The media type of every answer.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
/// The header that names the request, as AWS spells it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The header that names the protocol of custom event buses.
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// Puts a bus behind `POST`, on whatever path.
pub fn bus_route<S>(bus: Arc<Bus>, bodies: Arc<BodyBudget>) -> MethodRouter<S> {
    post(call).with_state((bus, bodies))
}

/// Puts an answer behind `POST` where SDKs of custom event buses (EventBridgeV2) send their calls.
pub(super) fn cbor_bus_route<S>(bus: Arc<Bus>) -> MethodRouter<S> {
    post(call_of_other_protocol).with_state(bus)
}

/// Answers an AWS SDK. Nothing of the request is changed on the way, since it is signed.
#[utoipa::path(
    post, path = "/", tag = "events",
    operation_id = "bus_call",
    params(
        ("X-Amz-Target" = String, Header,
            description = "`AWSEvents.PutEvents`, `.TestEventPattern`, `.DescribeEventBus` or \
                           `.ListEventBuses`"),
        ("Prefer" = Option<String>, Header,
            description = "`receipt`: sign in `Receipt` what became of each entry of `PutEvents`"),
    ),
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
pub(super) async fn call(
    State((bus, bodies)): State<(Arc<Bus>, Arc<BodyBudget>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let peer = peer::address(&parts.extensions);
    let stranger = bus.refuse_stranger(&parts.headers, peer);
    if speaks_cbor(&parts.headers) {
        return refuse_cbor(&bus, (&parts.headers, body), stranger.is_some()).await;
    }
    if let Some(refused) = stranger {
        return answer(refused);
    }
    let key = bus.named_key(&parts.headers).map(|key| BodySender::AccessKey(key.into()));
    let share =
        bodies.share_of(peer.map(|peer| BodySender::Peer(Peer::of(peer))).into_iter().chain(key));
    let body = match event_body::read(&parts.headers, body, bus.max_body(), &share).await {
        Ok(body) => body,
        Err(UnreadBody::TooLong) => return event_body::closing(answer(bus.refuse_long_body())),
        Err(UnreadBody::Broken) => return answer(bus.refuse_broken_body()),
        Err(UnreadBody::NoRoom) => return event_body::closing(answer(bus.refuse_crowded())),
    };
    let call = Call {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
        headers: &parts.headers,
        body: &body,
        peer,
        room: &share,
    };
    answer(bus.answer(call).await)
}

/// Tells an SDK of custom event buses, in its own protocol, that the gateway speaks the classic one.
#[utoipa::path(
    post, path = "/service/{service}/operation/{operation}", tag = "public",
    operation_id = "bus_call_in_cbor",
    params(
        ("service" = String, Path, description = "`AWSEventsV2`"),
        ("operation" = String, Path, description = "Any"),
    ),
    responses(
        (status = "4XX", description = "An error in CBOR: the classic protocol only",
            body = Vec<u8>, content_type = "application/cbor"),
    ),
)]
pub(super) async fn call_of_other_protocol(
    State(bus): State<Arc<Bus>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let peer = peer::address(&parts.extensions);
    let is_stranger = bus.refuse_stranger(&parts.headers, peer).is_some();
    refuse_cbor(&bus, (&parts.headers, body), is_stranger).await
}

/// Refuses a call in CBOR, of which a stranger's body is not read.
async fn refuse_cbor(
    bus: &Bus,
    (headers, body): (&HeaderMap, Body),
    is_stranger: bool,
) -> Response {
    if !is_stranger {
        event_body::discard(headers, body, bus.max_body()).await;
    }
    let (request_id, refused) = bus.refuse_other_protocol();
    let mut response = (status(refused.kind), refused.to_cbor()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CBOR_MEDIA_TYPE));
    headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static(RPC_V2_CBOR));
    name(headers, request_id);
    response
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
    name(headers, answered.request_id);
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn name(headers: &mut HeaderMap, request_id: Uuid) {
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
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
