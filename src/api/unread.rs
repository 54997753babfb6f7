//! What arrived asynchronously and could not be read: shown, and read again on release.

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::source_rights::check_release;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{EventProducer, ProducerKind, Timestamp};
use crate::eventlog::UnreadBytes;
use crate::source::intake::UnreadableItem;
use crate::source::queue::read_again;
use crate::source::{AdmitRefusal, Admitted, KeptHeaders, Received, ResponseMode, intake};
use crate::telemetry::error_chain;

/// Who sent what could not be read.
#[derive(Serialize, ToSchema)]
pub struct ShownProducer {
    /// What it has shown to be let in: `caller`, `access-key` or `queue`.
    kind: &'static str,
    /// The caller's name, the access key id, or the ARN of the queue.
    name: String,
}

/// What was sent and could not be read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownBytes {
    /// The headers that say how it is read, each as its name and its value.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Value,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in base64, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl ShownProducer {
    pub(super) fn of(producer: &EventProducer) -> Self {
        Self { kind: producer.kind.text(), name: producer.name.to_string() }
    }
}

impl ShownBytes {
    pub(super) fn of(bytes: &UnreadBytes) -> Self {
        let headers = serde_json::from_str(&bytes.headers).unwrap_or(Value::Null);
        let text = std::str::from_utf8(&bytes.body).map(str::to_owned).ok();
        let encode = || base64_simd::STANDARD.encode_to_string(&bytes.body);
        let body_base64 = text.is_none().then(encode);
        Self { headers, body: text, body_base64 }
    }
}

/// What bytes became that were read on their release.
pub(super) struct ReleasedBytes {
    /// The events in the log.
    pub(super) events: Vec<String>,
    /// How many publications found an event in breach of their contract, and had it quarantined.
    pub(super) quarantined: usize,
}

/// Reads bytes again by the rules and sources of this moment, and lets what was read in through every
/// publication that wants it, as on its first arrival. Without a `time`, an event happened when it
/// arrived first.
///
/// # Errors
///
/// The caller's turn: it still cannot be read, its producer may not publish as its source now, or no
/// publication wants it. Later or ours: as any event. Nothing was stored then, and the entry stays.
pub(super) async fn release(
    services: &Services,
    releaser: &Caller,
    bytes: &UnreadBytes,
    arrived: Timestamp,
) -> Result<ReleasedBytes, Problem> {
    let headers =
        KeptHeaders::from_json(&bytes.headers).map_err(|error| Problem::internal(&error))?;
    let headers = headers.to_map();
    let mut events = read(services, bytes, &headers, arrived)?;
    for event in &mut events {
        let sent = (Some(&bytes.producer), event.envelope.source.as_str());
        check_release(services, releaser, sent).await?;
        event.producer = Some(bytes.producer.clone());
    }
    let outcomes = services.admit.admit(events, ResponseMode::Asynchronous).await;
    let admitted: Result<Vec<Admitted>, AdmitRefusal> = outcomes.into_iter().collect();
    let admitted = admitted.map_err(Problem::refused)?;
    if let Some(other) = admitted.iter().find(|one| one.differs).and_then(|one| one.events.first())
    {
        let detail = format!(
            "event {other} came under the same source and id with another content; have the \
             producer send this one under an id of its own, or remove the entry"
        );
        return Err(Problem::new(Code::WrongState, detail));
    }
    let events: Vec<String> =
        admitted.iter().flat_map(|one| &one.events).map(ToString::to_string).collect();
    let quarantined = admitted.iter().map(|one| one.quarantined).sum();
    if events.is_empty() && quarantined == 0 {
        let detail = "unwanted: it can be read and no publication wants it; widen a `when`, or remove \
                      the entry";
        return Err(Problem::new(Code::WrongState, detail));
    }
    Ok(ReleasedBytes { events, quarantined })
}

/// Reads bytes by the way on which they came: all of them, or none.
fn read(
    services: &Services,
    bytes: &UnreadBytes,
    headers: &HeaderMap,
    arrived: Timestamp,
) -> Result<Vec<Received>, Problem> {
    match bytes.producer.kind {
        ProducerKind::Caller => {
            let posting = intake::read(headers, &bytes.body, &services.source, arrived);
            let events = match posting {
                Ok(posting) => posting.events,
                Err(error) => return Err(still_unreadable(&error_chain(&error).to_string())),
            };
            let words = |item: UnreadableItem| {
                let why = error_chain(&item.error).to_string();
                still_unreadable(&format!("event {} (counted from 0): {why}", item.index))
            };
            events.into_iter().map(|event| event.map_err(words)).collect()
        }
        ProducerKind::AccessKey => {
            let entry = services.bus.read_again(&bytes.body, &bytes.envelope_id, headers, arrived);
            entry.map(|event| vec![event]).map_err(|problem| still_unreadable(&problem))
        }
        ProducerKind::Queue => {
            let (queue, kept) = (&*bytes.producer.name, (headers, &*bytes.body));
            let event = read_again(&services.source, queue, kept, arrived);
            event.map(|event| vec![event]).map_err(|problem| still_unreadable(&problem))
        }
    }
}

fn still_unreadable(why: &str) -> Problem {
    let detail = format!("it still cannot be read: {why}");
    Problem::new(Code::Invalid, detail)
}
