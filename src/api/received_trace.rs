//! How an event came in, as its trace tells it.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::find_event::conflict;
use crate::api::{Caller, Problem, Services};
use crate::enrich::{Mode, PatchStep};
use crate::event::{Timestamp, Violation};
use crate::eventlog::{Entry, Observed};

/// How an event came in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedTrace {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    accepted: Timestamp,
    /// Its place in the log; missing to its domain, which would learn how much others publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// The id that it had on its producer's bus.
    envelope_id: String,
    /// The producer's trace id.
    trace_id: Option<String>,
    /// The name of its content; missing to who may not read data.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    /// The earlier event with the same key and another content.
    conflict: Option<String>,
    /// Where the schema of its data is served.
    dataschema: Option<String>,
    /// The publication that let it cross, as `domain/event`.
    publication: String,
    /// How it broke its contract then and was let through, because the publication only observed:
    /// the first violations, each with `pointer`, `code` and `message`.
    #[schema(value_type = Vec<Object>)]
    violations: Vec<Violation>,
    /// How many violations were found then, kept or not.
    violations_found: usize,
    /// That publication as it is today: `contract`, `version`, `mode` and the `patch` without
    /// values; null if it is gone.
    #[schema(value_type = Option<Object>)]
    today: Option<Value>,
}

/// How an entry came in.
pub(super) async fn received(
    services: &Services,
    caller: &Caller,
    entry: &Entry,
) -> Result<ReceivedTrace, Problem> {
    let observed = services.store.log.observed(entry.position).await?;
    let event = &entry.event;
    let documents = services.documents.load_full();
    let publication = documents.publications.get(&entry.publication);
    let today = publication.map(|publication| {
        let contract = documents.catalog.document(publication.contract());
        json!({
            "contract": publication.contract(),
            "version": contract.map(crate::contract::ContractDocument::version),
            "mode": if publication.mode() == Mode::Observe { "observe" } else { "enforce" },
            "patch": publication.patch().steps().map(without_values).collect::<Vec<_>>(),
        })
    });
    Ok(ReceivedTrace {
        accepted: entry.accepted,
        position: caller.sees_metadata().then_some(entry.position.0),
        envelope_id: entry.envelope_id.to_string(),
        trace_id: event.trace.as_ref().map(|trace| trace.trace_id().to_string()),
        idempotency_key: caller.reads_data().then(|| event.idempotency_key.to_string()),
        conflict: conflict(services, caller, entry).await?,
        dataschema: event.dataschema.as_deref().map(str::to_owned),
        publication: entry.publication.to_string(),
        violations_found: observed.as_ref().map_or(0, Observed::found),
        violations: observed.map_or_else(Vec::new, |observed| observed.violations().to_vec()),
        today,
    })
}

/// An operation of a patch, which may carry data of a domain in its values.
fn without_values(step: &PatchStep) -> Value {
    let mut shown = serde_json::to_value(step.operation()).unwrap_or(Value::Null);
    if let Some(members) = shown.as_object_mut() {
        members.remove("value");
        let ours = [
            ("optional", step.is_optional()),
            ("mapped", step.values().is_some()),
            ("conditional", step.is_conditional()),
        ];
        let ours = ours.into_iter().filter(|(_, holds)| *holds);
        members.extend(ours.map(|(name, holds)| (name.to_owned(), holds.into())));
    }
    shown
}
