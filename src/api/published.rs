//! What anyone may read: the public keys, the contracts and the schemas of events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::{Problem, Services};
use crate::contract::{ContractDocument, Message};
use crate::keys::PublishedKeys;

/// The public keys that check the gateway's tokens.
///
/// A JWK Set (RFC 7517, section 5). It may be kept for ten minutes, and a new key is in it long
/// before it signs.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "public",
    operation_id = "jwks_read",
    responses((status = 200, description = "A JWK Set"), (status = 304, description = "Unchanged"))
)]
pub async fn jwks(State(services): State<Arc<Services>>, headers: HeaderMap) -> Response {
    let keys = services.ring.jwks();
    let fixed =
        [(header::CACHE_CONTROL, PublishedKeys::CACHE_CONTROL), (header::ETAG, keys.etag.as_str())];
    if has(&headers, &keys.etag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let media_type = (header::CONTENT_TYPE, "application/jwk-set+json");
    (fixed, [media_type], keys.text.clone()).into_response()
}

/// Whether a client says that it has this version (RFC 9110, section 13.1.2: a weak comparison).
fn has(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).into_iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// Every contract.
#[derive(Serialize, ToSchema)]
pub struct Contracts {
    /// In order of their paths.
    contracts: Vec<Contract>,
}

/// A contract and the events that it describes.
#[derive(Serialize, ToSchema)]
pub struct Contract {
    /// Its path below `/contracts/`.
    path: String,
    /// What it is called.
    title: String,
    /// Its own version.
    version: String,
    /// The AsyncAPI version that it is written in.
    asyncapi: String,
    /// What it is about, in CommonMark.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The messages, also those that cannot be published.
    messages: Vec<Described>,
}

/// A message that a contract describes.
#[derive(Serialize, ToSchema)]
pub struct Described {
    /// What the contract calls it; several messages may be called alike.
    name: String,
    /// Its key in a channel, or among the components.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whether a publication may publish it: its contract has no mistake about it, and its
    /// application does not only receive it.
    publishable: bool,
    /// A heading for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// What it is, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// The addresses of the channels that carry it.
    channels: Vec<String>,
    /// Where the JSON Schema of its data is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
}

impl Contract {
    fn of(document: &ContractDocument) -> Self {
        let schema =
            |message: &Arc<Message>| format!("/schemas/{}/{}", message.name(), message.version());
        let messages = document.contract_messages().iter().map(|message| Described {
            name: message.name().to_owned(),
            key: message.key().map(str::to_owned),
            publishable: message.can_be_published(),
            title: message.title().map(str::to_owned),
            summary: message.summary().map(str::to_owned),
            channels: message.channels().to_vec(),
            schema: message.message().map(schema),
        });
        Self {
            path: document.path().to_owned(),
            title: document.title().to_owned(),
            version: document.version().to_owned(),
            asyncapi: document.specification().to_owned(),
            description: document.description().map(str::to_owned),
            messages: messages.collect(),
        }
    }
}

/// The contracts, and the events that each describes.
#[utoipa::path(
    get, path = "/contracts", tag = "public",
    operation_id = "contracts_list", responses((status = 200, body = Contracts))
)]
pub async fn contracts(State(services): State<Arc<Services>>) -> Json<Contracts> {
    Json(Contracts { contracts: services.catalog.documents().map(Contract::of).collect() })
}

/// One contract: the AsyncAPI document as its domain wrote it.
#[utoipa::path(
    get, path = "/contracts/{path}", tag = "public",
    operation_id = "contracts_read",
    params(("path" = String, Path, description = "Its path below the folder of contracts")),
    responses((status = 200, description = "An AsyncAPI document"), (status = 404))
)]
pub async fn contract(
    State(services): State<Arc<Services>>,
    Path(path): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let found = services.catalog.document(&path).ok_or_else(|| Problem::not_found("contract"))?;
    let is_json = found.text().trim_start().starts_with('{');
    let media_type = if is_json { "application/json" } else { "application/yaml" };
    Ok(([(header::CONTENT_TYPE, media_type)], found.text().to_string()))
}

/// The JSON Schema (draft-07) of an event's data: where the attribute `dataschema` leads.
#[utoipa::path(
    get, path = "/schemas/{name}/{version}", tag = "public",
    operation_id = "schemas_read",
    params(
        ("name" = String, Path, description = "The event name"),
        ("version" = String, Path, description = "The version of its contract"),
    ),
    responses((status = 200, description = "A JSON Schema"), (status = 404))
)]
pub async fn schema(
    State(services): State<Arc<Services>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let messages = services.catalog.documents().filter_map(|document| document.message(&name));
    let found = messages.into_iter().find(|message| message.version() == version);
    let schema: Value = found.ok_or_else(|| Problem::not_found("schema"))?.schema_json().clone();
    let headers = [
        (header::CONTENT_TYPE, "application/schema+json"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, schema.to_string()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_that_has_the_version_is_told_so() {
        let had = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            has(&headers, "\"abc\"")
        };

        for value in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(had(value), "{value}");
        }
        for value in ["\"x\"", "abc", ""] {
            assert!(!had(value), "{value}");
        }
    }
}
