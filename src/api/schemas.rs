//! The schemas that events name, at the addresses that they have for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::api::cached::{ASK_AGAIN, CachedText, FOR_EVER, FOR_ONE};
use crate::api::publication_sight::{ContractSight, MaybeCaller, PublicationSight};
use crate::api::{DocumentsInForce, Problem, Services};
use crate::contract::SchemaAddress;
use crate::enrich::Publication;
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
    let is_public = sight.is_public(&publication);
    let kept = kept(&services, &SchemaAddress::new(&domain, &event, &version)).await?;
    Ok(answer(&kept, (&sight, is_public), &headers))
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
    let is_seen = match sight.contract(&kept.contract_path) {
        ContractSight::Nothing => false,
        ContractSight::Whole => true,
        ContractSight::Partial => is_heard(&sight, (&kept.contract_path, &name)),
    };
    if !is_seen {
        return Err(Problem::not_found("schema"));
    }
    let is_public = sight.is_public_contract(&kept.contract_path);
    Ok(answer(&kept, (&sight, is_public), &headers))
}

/// Whether every publication of a contract that a message of this name may be of is seen, and there is
/// one.
fn is_heard(sight: &PublicationSight<'_>, (contract, name): (&str, &str)) -> bool {
    let DocumentsInForce { catalog, publications, .. } = &**sight.documents();
    let is_called = |one: &&Arc<Publication>| {
        let message = catalog.message_of(one);
        one.event() == name || message.is_some_and(|message| message.name() == name)
    };
    let of_contract = publications.iter().filter(|one| one.contract() == contract);
    let called: Vec<_> = of_contract.filter(is_called).collect();
    !called.is_empty() && called.iter().all(|one| sight.sees(one.name()))
}

async fn kept(services: &Services, address: &SchemaAddress) -> Result<KeptSchema, Problem> {
    let found = services.store.schemas.schema_at(address.text()).await?;
    found.ok_or_else(|| Problem::not_found("schema"))
}

fn answer(
    kept: &KeptSchema,
    (sight, is_public): (&PublicationSight<'_>, bool),
    headers: &HeaderMap,
) -> Response {
    // What caches keep for everybody leads to what everybody may read.
    let is_whole = if is_public {
        sight.is_public_contract(&kept.contract_path)
    } else {
        sight.contract(&kept.contract_path) == ContractSight::Whole
    };
    let contract = HeaderValue::from_str(&contract_of(kept, is_whole)).ok();
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

/// Where the contract is that a schema comes from (RFC 8288; `describedby`: POWDER, section 4.2). The
/// text itself is for whoever may read all of it.
fn contract_of(kept: &KeptSchema, is_whole: bool) -> String {
    let path = SchemaAddress::of_segments(kept.contract_path.split('/'));
    let text = if is_whole { format!("?sha256={}", kept.contract) } else { String::new() };
    format!("</contracts/{path}{text}>; rel=\"describedby\"")
}
