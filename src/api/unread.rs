//! What arrives asynchronously and cannot be read: kept as bytes, shown, and read again on release.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::outcome::{Outcome, Settled};
use crate::api::post_events::{Accepted, gravest, unreadable};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{EventProducer, ProducerKind, Timestamp, Violation};
use crate::eventlog::UnreadBytes;
use crate::source::intake::{self, Unreadable, told_id};
use crate::source::{
    Admit, Admitted, KeptHeaders, ResponseMode, Unparsed, may_publish_as,
};

/// Who sent what could not be read.
#[derive(Serialize, ToSchema)]
pub struct ShownProducer {
    /// What it has shown to be let in: `caller` or `access-key`.
    kind: &'static str,
    /// The caller's name, or the access key id.
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
        match std::str::from_utf8(&bytes.body) {
            Ok(text) => Self { headers, body: Some(text.to_owned()), body_base64: None },
            Err(_) => {
                let text = base64_simd::STANDARD.encode_to_string(&bytes.body);
                Self { headers, body: None, body_base64: Some(text) }
            }
        }
    }
}

/// Describes a body that cannot be read, as the quarantine keeps it.
pub(super) fn unparsed(
    caller: &Caller,
    headers: &HeaderMap,
    body: &[u8],
    error: &Unreadable,
) -> Unparsed {
    let problem = unreadable(error);
    Unparsed {
        producer: EventProducer {
            kind: ProducerKind::Caller,
            name: Arc::from(caller.id().to_string()),
        },
        headers: KeptHeaders::of(headers),
        body: body.to_vec(),
        id: told_id(headers, body),
        reason: Violation {
            pointer: error.pointer(),
            code: problem.code().text().to_owned(),
            message: problem.detail().unwrap_or_default().to_owned(),
        },
    }
}

/// Answers for a body that cannot be read: a producer that waits is told why, and one that does not
/// hears 202 once the bytes are durable.
///
/// # Errors
///
/// The caller's turn: it waits, or the body is too large to be kept. Later: it has as much in
/// quarantine as it may, or the store is busy.
pub(super) async fn answer_unreadable(
    unparsed: Unparsed,
    response_mode: ResponseMode,
    admit: &dyn Admit,
) -> Result<Response, Problem> {
    let Violation { code, message, .. } = unparsed.reason.clone();
    let code = Code::from_text(&code).unwrap_or(Code::InvalidEvent);
    if response_mode == ResponseMode::Synchronous || code == Code::TooLarge {
        return Err(Problem::new(code, message));
    }
    let id = unparsed.id.clone();
    match admit.set_aside(vec![unparsed]).await.pop() {
        Some(Ok(entry)) => {
            let result = Settled::Quarantined { entry, code: code.text(), detail: message };
            let events = vec![Outcome { index: 0, id, result }];
            Ok((StatusCode::ACCEPTED, Json(Accepted { events })).into_response())
        }
        Some(Err(refusal)) => Err(Problem::refused(refusal)),
        // An `Admit` that does not answer has promised nothing.
        None => Err(Problem::new(Code::Internal, Code::Internal.title())),
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
/// The caller's turn: it still cannot be read, its producer may not publish as its source, or no
/// publication wants it. Later or ours: as any event. Nothing was stored then, and the entry stays.
pub(super) async fn release(
    services: &Services,
    bytes: &UnreadBytes,
    arrived: Timestamp,
) -> Result<ReleasedBytes, Problem> {
    let headers = KeptHeaders::from_json(&bytes.headers).map_err(|error| Problem::internal(&error))?;
    let headers = headers.to_map();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(still_unreadable("its content coding could not be undone"));
    }
    let posting = intake::read(&headers, &bytes.body, &services.source, arrived)
        .map_err(|error| still_unreadable(unreadable(&error).detail().unwrap_or_default()))?;
    let producer = &bytes.producer;
    let may = |source: &str| may_publish_as(&services.source, producer, source);
    if posting.events.iter().any(|event| !may(&event.envelope.source)) {
        let detail = format!(
            "{producer} may not publish as the source of the event; widen its `sources`, or remove \
             the entry"
        );
        return Err(Problem::new(Code::WrongState, detail));
    }
    let outcomes = services.admit.admit(posting.events, ResponseMode::Asynchronous).await;
    if let Some(refusal) = gravest(&outcomes) {
        return Err(Problem::refused(refusal.clone()));
    }
    let admitted: Vec<Admitted> = outcomes.into_iter().flatten().collect();
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

fn still_unreadable(why: &str) -> Problem {
    let detail = format!("it still cannot be read: {why}");
    Problem::new(Code::Invalid, detail)
}
