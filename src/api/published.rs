//! What anyone may read: the public keys and the contracts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cached::{ASK_AGAIN, CachedText, FOR_EVER, FOR_ONE, has};
use crate::api::contract_query::ContractQuery;
use crate::api::publication_sight::{ContractSight, MaybeCaller, PublicationSight};
use crate::api::query::{Query, parse_given};
use crate::api::{DocumentsInForce, Problem, Services};
use crate::contract::{
    ContractDocument, ContractMessage, Message, PartialMessage, partial_contract,
};
use crate::eventlog::{ContractChoice, TextDigest};
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
    /// Where the JSON Schema of its data is served, for the first publication of it; left out where
    /// there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    /// Who publishes it, in the order of their names.
    publications: Vec<PublishedSchema>,
}

/// A publication of an event, and the schema that its events name.
#[derive(Clone, Serialize, ToSchema)]
pub struct PublishedSchema {
    /// The publication, as `domain/event`.
    publication: String,
    /// Where the JSON Schema of its data is served.
    schema: String,
}

/// Publications that the caller may learn of, by the message that describes them.
struct Publishers {
    by_message: HashMap<*const Message, Vec<PublishedSchema>>,
}

impl Publishers {
    fn of(sight: &PublicationSight<'_>) -> Self {
        let DocumentsInForce { catalog, publications, .. } = &**sight.documents();
        let mut by_message: HashMap<_, Vec<PublishedSchema>> = HashMap::new();
        for publication in publications.iter().filter(|one| sight.sees(one.name())) {
            let message = catalog.message_of(publication);
            if let Some((message, address)) = message.zip(catalog.schema_address(publication)) {
                by_message.entry(Arc::as_ptr(message)).or_default().push(PublishedSchema {
                    publication: publication.name().to_string(),
                    schema: format!("/schemas/{address}"),
                });
            }
        }
        for published in by_message.values_mut() {
            published.sort_by(|a, b| a.publication.cmp(&b.publication));
        }
        Self { by_message }
    }

    fn of_message(&self, message: &Arc<Message>) -> Vec<PublishedSchema> {
        self.by_message.get(&Arc::as_ptr(message)).cloned().unwrap_or_default()
    }
}

impl Contract {
    /// Of a contract that is seen in part, the messages that the caller may hear, and nothing that may
    /// tell of others.
    fn of((document, sight): (&ContractDocument, ContractSight), publishers: &Publishers) -> Self {
        let is_whole = sight == ContractSight::Whole;
        let is_heard = |one: &&ContractMessage| {
            is_whole || one.message().is_some_and(|it| !publishers.of_message(it).is_empty())
        };
        let seen = document.contract_messages().iter().filter(is_heard);
        let messages = seen.map(|message| {
            let publications = message.message().map(|message| publishers.of_message(message));
            let publications = publications.unwrap_or_default();
            Described {
                name: message.name().to_owned(),
                key: message.key().map(str::to_owned),
                publishable: message.can_be_published(),
                title: message.title().map(str::to_owned),
                summary: message.summary().map(str::to_owned),
                channels: message.channels().to_vec(),
                schema: publications.first().map(|one| one.schema.clone()),
                publications,
            }
        });
        Self {
            path: document.path().to_owned(),
            title: document.title().to_owned(),
            version: document.version().to_owned(),
            asyncapi: document.specification().to_owned(),
            description: document.description().filter(|_| is_whole).map(str::to_owned),
            messages: messages.collect(),
        }
    }
}

/// The contracts, and the events that each describes.
#[utoipa::path(
    get, path = "/contracts", tag = "public",
    operation_id = "contracts_list", responses((status = 200, body = Contracts))
)]
pub async fn contracts(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
) -> Json<Contracts> {
    let sight = PublicationSight::of(&services, &caller);
    let publishers = Publishers::of(&sight);
    let seen = sight.documents().catalog.documents().map(|one| (one, sight.contract(one.path())));
    let seen = seen.filter(|(_, sight)| *sight != ContractSight::Nothing);
    let contract = |seen| Contract::of(seen, &publishers);
    Json(Contracts { contracts: seen.map(contract).collect() })
}

/// One contract: the AsyncAPI document as its domain wrote it.
///
/// A contract of several files is one document in JSON, with everything that it refers to in it. Texts
/// that events were made of are served for ever, by their version or digest. To whoever may not hear
/// all that a contract describes, it is a document of the messages that it may hear.
#[utoipa::path(
    get, path = "/contracts/{path}", tag = "public",
    operation_id = "contracts_read",
    params(
        ("path" = String, Path, description = "Its path below the folder of contracts"),
        ContractQuery,
    ),
    responses(
        (status = 200, description = "An AsyncAPI document"),
        (status = 304, description = "Unchanged"),
        (status = 404),
    )
)]
pub async fn contract(
    State(services): State<Arc<Services>>,
    caller: MaybeCaller,
    Path(path): Path<String>,
    Query(query): Query<ContractQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let sight = PublicationSight::of(&services, &caller);
    let seen = sight.contract(&path);
    let catalog = &sight.documents().catalog;
    if seen == ContractSight::Nothing {
        return Err(Problem::not_found("contract"));
    }
    let is_public = sight.is_public_contract(&path);
    let policy = |policy| if is_public { policy } else { FOR_ONE };
    let digest: Option<TextDigest> = parse_given("sha256", query.sha256.as_deref())?;
    let by_version = || query.version.as_deref().map(|it| ContractChoice::Version(it.into()));
    let choice = digest.map(ContractChoice::Digest).or_else(by_version);
    if let Some(choice) = &choice
        && seen == ContractSight::Whole
        && let Some(kept) = services.store.schemas.kept_contract(&path, choice).await?
        && (sight.sees_all_closed()
            || catalog.document(&path).is_some_and(|now| digest_of(now) == kept.digest))
    {
        return Ok(document(&kept.text, kept.digest, policy(FOR_EVER)).answer(&headers));
    }
    let now = catalog.document(&path).filter(|document| match &choice {
        None => true,
        Some(ContractChoice::Version(version)) => **version == *document.version(),
        Some(ContractChoice::Digest(digest)) => *digest == digest_of(document),
    });
    let now = now.ok_or_else(|| Problem::not_found("contract"))?;
    if seen == ContractSight::Partial {
        let text = partial(now, &sight);
        return Ok(document(&text, TextDigest::of(&text), FOR_ONE).answer(&headers));
    }
    Ok(document(now.text(), digest_of(now), policy(ASK_AGAIN)).answer(&headers))
}

/// The messages of a contract that may be seen, as a contract of their own.
fn partial(document: &ContractDocument, sight: &PublicationSight<'_>) -> String {
    let publishers = Publishers::of(sight);
    let heard = document.messages().filter(|one| !publishers.of_message(one).is_empty());
    let messages: Vec<_> = heard
        .map(|message| PartialMessage {
            name: message.name(),
            title: message.title(),
            summary: message.summary(),
            channels: message.channels(),
            schema: message.schema_json(),
        })
        .collect();
    partial_contract((document.title(), document.version()), &messages)
}

const fn digest_of(document: &ContractDocument) -> TextDigest {
    TextDigest::from_bytes(document.digest())
}

fn document<'a>(text: &'a str, digest: TextDigest, policy: &'static str) -> CachedText<'a> {
    let is_json = text.trim_start().starts_with('{');
    let media_type = if is_json { "application/json" } else { "application/yaml" };
    CachedText { text, etag: format!("\"{digest}\""), media_type, policy }
}
