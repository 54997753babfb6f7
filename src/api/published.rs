//! What anyone may read: our public keys, the contracts, and the schemas of events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::{Problem, Services};
use crate::contract::{Document, Message};
use crate::keys::PublishedKeys;

/// `GET /.well-known/jwks.json`: every public key that signs, will sign, or signed what is not yet
/// expired (RFC 7517, section 5).
pub async fn jwks(State(services): State<Arc<Services>>, headers: HeaderMap) -> Response {
    let keys = services.ring.jwks();
    let etag = HeaderValue::try_from(&keys.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let cache = HeaderValue::from_static(PublishedKeys::CACHE_CONTROL);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| *known == etag);
    let named = [(ETAG, etag), (CACHE_CONTROL, cache)];
    if known {
        return (StatusCode::NOT_MODIFIED, named).into_response();
    }
    let media_type = HeaderValue::from_static("application/jwk-set+json");
    (named, [(CONTENT_TYPE, media_type)], keys.text.clone()).into_response()
}

/// `GET /contracts`: every AsyncAPI document with its messages.
pub async fn contracts(State(services): State<Arc<Services>>) -> Json<Value> {
    let shown: Vec<Value> = services.catalog.documents().map(show).collect();
    Json(json!({ "contracts": shown }))
}

fn show(document: &Document) -> Value {
    let message = |message: &Arc<Message>| {
        json!({
            "name": message.name(),
            "title": message.title(),
            "summary": message.summary(),
            "channels": message.channels(),
            "schema": format!("/schemas/{}/{}", message.name(), message.version()),
        })
    };
    json!({
        "path": document.path(),
        "asyncapi": document.specification(),
        "title": document.title(),
        "version": document.version(),
        "description": document.description(),
        "messages": document.messages().map(message).collect::<Vec<_>>(),
    })
}

/// `GET /schemas/{message}/{version}`: the JSON Schema (draft-07) of an event's data, which
/// `dataschema` points at. A consumer ignores members that it does not know.
pub async fn schema(
    State(services): State<Arc<Services>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mut messages = services.catalog.documents().flat_map(Document::messages);
    let message = messages
        .find(|message| message.name() == name && message.version() == version)
        .ok_or_else(|| Problem::not_found("schema"))?;
    let media_type = HeaderValue::from_static("application/schema+json");
    let cache = HeaderValue::from_static("public, max-age=3600");
    let headers = [(CONTENT_TYPE, media_type), (CACHE_CONTROL, cache)];
    Ok((headers, message.schema_json().to_string()).into_response())
}
