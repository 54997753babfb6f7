//! Keeps the schemas that events are about to name, and refuses to let one mean something else.

use std::sync::Arc;

use serde_json::Value;

use crate::contract::{
    Catalog, ContractDocument, Message, SchemaAddress, SchemaAddresses, SchemaMeaning,
};
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
        schemas.keep_old_schemas(schemas_of_before(addresses, catalog, publications)).await?;
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
        let naming = SchemaNaming {
            address: Arc::clone(addresses.address_of(publication)?.text()),
            dataschema: Arc::clone(dataschema),
        };
        let text = identified(message.schema_json(), dataschema);
        let document = catalog.document(publication.contract())?;
        Some((Arc::clone(publication), new_schema(naming, text, (document, message))))
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
    if !SchemaMeaning::differ(&new.meaning, &kept.meaning) {
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
///
/// A message was called as its publications call the event. So their names come before those of the
/// contract, which leads elsewhere where a publication says `message:`.
fn schemas_of_before(
    addresses: &SchemaAddresses,
    catalog: &Catalog,
    publications: &Publications,
) -> Vec<NewSchema> {
    let published = publications.iter().filter_map(|publication| {
        let document = catalog.document(publication.contract())?;
        Some((publication.event(), document, catalog.message_of(publication)?))
    });
    let described = catalog.documents().flat_map(|document| {
        document.messages().map(move |message| (message.name(), document, message))
    });
    let of = |(name, document, message): (&str, &ContractDocument, &Arc<Message>)| {
        let version = document.version();
        let naming = SchemaNaming {
            address: Arc::clone(SchemaAddress::of_before(name, version).text()),
            dataschema: format!("{}/{name}/{version}", addresses.base()).into(),
        };
        new_schema(naming, message.schema_json().to_string(), (document, message))
    };
    published.chain(described).map(of).collect()
}

/// Where a schema is served, and what events call it.
struct SchemaNaming {
    address: Arc<str>,
    dataschema: Arc<str>,
}

/// A schema with where it comes from.
fn new_schema(
    naming: SchemaNaming,
    text: String,
    (document, message): (&ContractDocument, &Message),
) -> NewSchema {
    NewSchema {
        address: naming.address,
        dataschema: naming.dataschema,
        schema: text.into(),
        meaning: SchemaMeaning::of(message.schema()).bytes().into(),
        contract_path: document.path().into(),
        contract_version: document.version().into(),
        contract: Arc::clone(document.text()),
    }
}

/// The schema with its address as its identifier (JSON Schema core, section 8.2.1).
fn identified(schema: &Value, address: &str) -> String {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.insert("$id".to_owned(), address.into());
    }
    schema.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::Timestamp;
    use crate::eventlog::TextDigest;

    const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Orders, version: 1.2.0 }
channels:
  orders:
    address: orders
    messages:
      created: { payload: { type: object, properties: { n: { type: integer } } } }
      other: { payload: { type: object } }
";

    const PUBLICATIONS: &str = "domain: shop
contract: orders.yaml
source: /orders
publications:
  - { event: Order.Created, message: created, when: { source: [a] }, patch: [] }
";

    fn read() -> (Catalog, Publications, SchemaAddresses) {
        let files = |path: &str, text: &str| BTreeMap::from([(path.to_owned(), text.to_owned())]);
        let catalog = Catalog::load(&files("orders.yaml", CONTRACT));
        let publications = Publications::load(&files("shop.yaml", PUBLICATIONS)).unwrap();
        let base = "https://gw.example/schemas";
        let addresses = SchemaAddresses::new(base, &catalog, &publications);
        (catalog, publications, addresses)
    }

    #[test]
    fn addresses_of_before_are_kept_by_the_names_of_events_and_of_messages() {
        let (catalog, publications, addresses) = read();

        let old = schemas_of_before(&addresses, &catalog, &publications);

        let kept: Vec<&str> = old.iter().map(|schema| &*schema.address).collect();
        assert_eq!(kept, ["Order.Created/1.2.0", "created/1.2.0", "other/1.2.0"]);
        assert_eq!(&*old[0].dataschema, "https://gw.example/schemas/Order.Created/1.2.0");
        assert!(old[0].schema.contains("integer"), "{}", old[0].schema);
    }

    #[test]
    fn a_change_is_told_by_the_meaning_that_would_be_kept() {
        let (catalog, publications, addresses) = read();
        let (publication, new) =
            published_schemas(&addresses, &catalog, &publications).pop().unwrap();
        let kept = KeptSchema {
            address: Arc::clone(&new.address),
            schema: Arc::clone(&new.schema),
            digest: TextDigest::of(&new.schema),
            meaning: Arc::clone(&new.meaning),
            contract_path: Arc::clone(&new.contract_path),
            contract_version: Arc::clone(&new.contract_version),
            contract: TextDigest::of(&new.contract),
            named: Some(Timestamp::EPOCH),
            first_event: None,
        };
        assert_eq!(changed(&publication, &catalog, &kept, &new), None);

        let mut meaning = new.meaning.to_vec();
        meaning[32] ^= 1;
        let other = NewSchema { meaning: meaning.into(), ..new };

        assert!(changed(&publication, &catalog, &kept, &other).is_some());
    }
}
