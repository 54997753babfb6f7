//! Keeps the schemas that events are about to name, and refuses to let one mean something else.

use std::sync::Arc;

use serde_json::Value;

use crate::contract::{Catalog, Message, SchemaAddress, SchemaAddresses, SchemaMeaning};
use crate::enrich::{Publication, Publications};
use crate::event::Diagnostic;
use crate::eventlog::{KeptSchema, NewSchema, Schemas};
use crate::gateway::build_error::BuildError;

/// Keeps the schema of every publication under its address, before the first event can name it.
///
/// # Errors
///
/// The operator's turn: every schema that events of the log name and that lets something else pass
/// by now. Ours: the store failed.
pub(super) async fn keep_schemas(
    schemas: &dyn Schemas,
    addresses: &SchemaAddresses,
    (catalog, publications): (&Catalog, &Publications),
) -> Result<(), BuildError> {
    if schemas.lacks_old_schemas().await? {
        schemas.keep_old_schemas(schemas_of_before(addresses, catalog)).await?;
    }
    let mut new = Vec::new();
    let mut changes = Vec::new();
    for (publication, schema) in published_schemas(addresses, catalog, publications) {
        let kept = schemas.schema_at(&schema.address).await?;
        changes.extend(kept.and_then(|kept| changed(&publication, catalog, &kept, &schema)));
        new.push(schema);
    }
    if !changes.is_empty() {
        return Err(BuildError::Documents(changes));
    }
    Ok(schemas.keep_schemas(new).await?)
}

/// What is to be kept for each publication.
pub fn published_schemas(
    addresses: &SchemaAddresses,
    catalog: &Catalog,
    publications: &Publications,
) -> Vec<(Arc<Publication>, NewSchema)> {
    let of = |publication: &Arc<Publication>| {
        let dataschema = addresses.dataschema_of(publication)?;
        let message = catalog.message_of(publication)?;
        let schema = NewSchema {
            address: Arc::clone(addresses.address_of(publication)?.text()),
            dataschema: Arc::clone(dataschema),
            schema: identified(message.schema_json(), dataschema).into(),
            ..described(catalog, publication.contract(), message)?
        };
        Some((Arc::clone(publication), schema))
    };
    publications.iter().filter_map(of).collect()
}

/// The mistake of a publication whose events would name a schema that lets something else pass than
/// when the first of them named it.
pub fn changed(
    publication: &Publication,
    catalog: &Catalog,
    kept: &KeptSchema,
    new: &NewSchema,
) -> Option<Diagnostic> {
    let since = kept.named?;
    let message = catalog.message_of(publication)?;
    if !SchemaMeaning::of(message.schema()).differs_from(&kept.meaning) {
        return None;
    }
    let first = match kept.first_event {
        Some(event) => format!("event {event}, of {since},"),
        None => "an event of before".to_owned(),
    };
    let problem = format!(
        "publication `{}`: the schema at /schemas/{} lets something else pass than when {first} named \
         it, and consumers rely on what it said",
        publication.name(),
        new.address,
    );
    let help = format!(
        "raise `info.version` of {} or the message's own `x-version`, now {}, so that the new schema \
         has an address of its own; or take the change back",
        publication.contract(),
        message.version(),
    );
    let mistake = Diagnostic::of_file(publication.contract(), problem).with_help(help);
    Some(Diagnostic { place: Some(message.place()), ..mistake })
}

/// What a gateway of before served, by the addresses that it gave: those of the contracts of now, since
/// nobody knows the ones of then.
fn schemas_of_before(addresses: &SchemaAddresses, catalog: &Catalog) -> Vec<NewSchema> {
    let mut old = Vec::new();
    for document in catalog.documents() {
        for message in document.messages() {
            let (name, version) = (message.name(), document.version());
            let address = SchemaAddress::of_before(name, version);
            let schema = described(catalog, document.path(), message).map(|described| NewSchema {
                address: Arc::clone(address.text()),
                dataschema: format!("{}/{name}/{version}", addresses.base()).into(),
                schema: message.schema_json().to_string().into(),
                ..described
            });
            old.extend(schema);
        }
    }
    old
}

/// What a schema says of where it comes from.
fn described(catalog: &Catalog, contract: &str, message: &Message) -> Option<NewSchema> {
    let document = catalog.document(contract)?;
    Some(NewSchema {
        address: "".into(),
        dataschema: "".into(),
        schema: "".into(),
        meaning: SchemaMeaning::of(message.schema()).bytes().into(),
        contract_path: contract.into(),
        contract_version: document.version().into(),
        contract: Arc::clone(document.text()),
    })
}

/// The schema with its address as its identifier (JSON Schema core, section 8.2.1).
fn identified(schema: &Value, address: &str) -> String {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.insert("$id".to_owned(), address.into());
    }
    schema.to_string()
}
