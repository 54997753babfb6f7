//! The contract of a schema in a bundle: as it is kept, or as much of it as the consumer may read.

use std::sync::Arc;

use serde_json::Value;

use crate::api::Services;
use crate::api::publication_sight::{ContractSight, PublicationSight};
use crate::contract::{Catalog, ContractDocument, PartialMessage, SchemaAddress, partial_contract};
use crate::event::ConsumerId;
use crate::eventlog::{ContractChoice, KeptSchema, LogError};

/// The contract of a `dataschema` and its schema, as they are kept with the log; nothing if they are not.
///
/// # Errors
///
/// Ours: the log cannot be read, or holds a schema that is no JSON.
pub(super) async fn kept(
    services: &Services,
    consumer: &ConsumerId,
    dataschema: &str,
) -> Result<Option<(Arc<str>, Value)>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(kept) = schema(services, dataschema).await? else { return Ok(None) };
    let choice = ContractChoice::Digest(kept.contract);
    let schemas = &services.store.schemas;
    let contract = schemas.kept_contract(&kept.contract_path, &choice).await?;
    let schema: Value = serde_json::from_str(&kept.schema)?;
    let sight = PublicationSight::of_consumer(services, consumer);
    let catalog = &sight.documents().catalog;
    let now = catalog.document(&kept.contract_path);
    let is_of_now = now.is_some_and(|now| now.digest() == kept.contract.to_bytes());
    let is_whole = sight.contract(&kept.contract_path) == ContractSight::Whole
        && (is_of_now || sight.sees_all_closed());
    Ok(contract.map(|contract| {
        let text = if is_whole { contract.text } else { partial(catalog, &kept, &schema).into() };
        (text, schema)
    }))
}

async fn schema(services: &Services, dataschema: &str) -> Result<Option<KeptSchema>, LogError> {
    let schemas = &services.store.schemas;
    let kept = schemas.schema_named(dataschema).await?;
    if kept.is_none()
        && let Some((rest, version)) = dataschema.rsplit_once('/')
        && let Some((_, name)) = rest.rsplit_once('/')
    {
        // A gateway of before gave the name, under another address of its own.
        let address = SchemaAddress::of_before(name, version);
        return schemas.schema_at(address.text()).await;
    }
    Ok(kept)
}

/// A contract of the message of one schema, for a consumer who may not read all of the whole one.
fn partial(catalog: &Catalog, kept: &KeptSchema, schema: &Value) -> String {
    let now = catalog.document(&kept.contract_path);
    let title = now.map_or(&*kept.contract_path, ContractDocument::title);
    let message = PartialMessage {
        // What the address names before the version.
        name: kept.address.rsplit('/').nth(1).unwrap_or(title),
        title: None,
        summary: None,
        channels: &[],
        schema,
    };
    partial_contract((title, &kept.contract_version), &[message])
}
