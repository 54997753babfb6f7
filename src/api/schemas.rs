//! The schemas that events name, at the addresses that they have for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::api::cached::{ASK_AGAIN, CachedText, FOR_EVER, FOR_ONE};
use crate::api::publication_sight::{MaybeCaller, PublicationSight};
use crate::api::{Problem, Services};
use crate::contract::SchemaAddress;
use crate::eventlog::KeptSchema;

/// The JSON Schema of an event's data: where the attribute `dataschema` leads.
///
/// Once an event names it, it never changes and is served for ever, whatever becomes of its contract.
#[utoipa::path(
    get, path = "/schemas/{domain}/{event}/{version}", tag = "public",
    operation_id = "schemas_read",
    params(
        ("domain" = String, Path, description = "The domain that publishes the event"),
        ("event" = String, Path, description = "The name of the event"),
        ("version" = String, Path, description = "The version of the message or of its contract"),
    ),
    responses(
        (status = 200, description = "A JSON Schema"),
        (status = 304, description = "Unchanged"),
        (status = 404),
    )
)]
pub async fn schema(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Path((domain, event, version)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sight = PublicationSight::of(&services, &caller);
    let publication = format!("{domain}/{event}");
    if !sight.sees(&publication) {
        return Err(Problem::not_found("schema"));
    }
    let is_public = sight.is_public(&[&publication]);
    let kept = kept(&services, &SchemaAddress::new(&domain, &event, &version)).await?;
    Ok(answer(&kept, is_public, &headers))
}

/// The same at an address that was given before addresses had a domain.
///
/// Events of then name it. It answers with what the contracts said when the gateway was upgraded.
#[utoipa::path(
    get, path = "/schemas/{name}/{version}", tag = "public",
    operation_id = "schemas_read_old",
    params(
        ("name" = String, Path, description = "The name of the message"),
        ("version" = String, Path, description = "The version of its contract"),
    ),
    responses(
        (status = 200, description = "A JSON Schema"),
        (status = 304, description = "Unchanged"),
        (status = 404),
    )
)]
pub async fn old_schema(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let address = SchemaAddress::of_segments([name.as_str(), version.as_str()]);
    let kept = kept(&services, &address).await?;
    let sight = PublicationSight::of(&services, &caller);
    // Such an address does not name a publication; its contract does.
    if !sight.sees_contract(&kept.contract_path) {
        return Err(Problem::not_found("schema"));
    }
    let is_public = sight.is_public(&sight.of_contract(&kept.contract_path));
    Ok(answer(&kept, is_public, &headers))
}

async fn kept(services: &Services, address: &SchemaAddress) -> Result<KeptSchema, Problem> {
    let found = services.store.schemas.schema_at(address.text()).await?;
    found.ok_or_else(|| Problem::not_found("schema"))
}

fn answer(kept: &KeptSchema, is_public: bool, headers: &HeaderMap) -> Response {
    let contract = HeaderValue::from_str(&contract_of(kept)).ok();
    let policy = match (is_public, kept.named.is_some()) {
        (false, _) => FOR_ONE,
        (true, true) => FOR_EVER,
        (true, false) => ASK_AGAIN,
    };
    let text = CachedText {
        text: &kept.schema,
        etag: format!("\"{}\"", kept.digest),
        media_type: "application/schema+json",
        policy,
    };
    let mut response = text.answer(headers);
    response.headers_mut().extend(contract.map(|link| (header::LINK, link)));
    response
}

/// Where the contract is that a schema comes from (RFC 8288; `describedby`: POWDER, section 4.2).
fn contract_of(kept: &KeptSchema) -> String {
    let path = SchemaAddress::of_segments(kept.contract_path.split('/'));
    format!("</contracts/{path}?sha256={}>; rel=\"describedby\"", kept.contract)
}
