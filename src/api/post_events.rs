//! `POST /events`: events from producers that speak CloudEvents or push EventBridge envelopes.

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::api::{Caller, Code, Problem, Scope, Services};
use crate::event::{Fault, Violation, json};
use crate::source::intake::{self, Unreadable};
use crate::source::{Admitted, Manner, Refusal};
use crate::telemetry::chain;

/// How EventBridge's API destinations name themselves.
const API_DESTINATIONS: &[u8] = b"Amazon/EventBridge/ApiDestinations";

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    manner: Option<WantedManner>,
}

/// Whether the producer waits for violations.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WantedManner {
    Synchronous,
    Asynchronous,
}

/// The body of a 202.
#[derive(Serialize)]
struct Accepted {
    events: Vec<Outcome>,
}

/// What became of one event of a request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its place in the request, from 0.
    index: usize,
    /// The id under which the producer sent it.
    id: String,
    #[serde(flatten)]
    result: Settled,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
enum Settled {
    /// It is durable.
    Taken {
        /// The events in the log that it became, one for each publication that wanted it.
        event_ids: Vec<String>,
        /// Whether the log had all of them already.
        repeated: bool,
        /// How many publications had it quarantined.
        quarantined: usize,
    },
    /// Nothing of it was stored.
    Refused {
        code: &'static str,
        detail: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        violations: Vec<Violation>,
    },
}

/// `POST /events`: takes the events of a request, and answers 202 once all of them are durable.
pub async fn publish(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Response, Problem> {
    caller.must(&Scope::Publish)?;
    let (parts, body) = request.into_parts();
    let limit = services.source.max_body;
    let body = to_bytes(body, limit.bytes())
        .await
        .map_err(|_| Problem::new(Code::TooLarge, format!("the body is over {limit}")))?;
    let posting = intake::read(&parts.headers, &body, &services.source, services.clock.now())
        .map_err(|error| unreadable(&error))?;
    let ids: Vec<String> = posting.events.iter().map(|event| event.envelope.id.clone()).collect();
    let manner = manner(parameters.manner, &parts.headers);
    let outcomes = services.admit.admit(posting.events, manner).await;
    answer(ids, outcomes, posting.is_batch)
}

/// Waits for nobody who cannot act on the answer: API destinations repeat a refused event for a day
/// and drop it.
fn manner(wanted: Option<WantedManner>, headers: &HeaderMap) -> Manner {
    let agent = headers.get(header::USER_AGENT);
    let is_push = agent.is_some_and(|agent| agent.as_bytes().starts_with(API_DESTINATIONS));
    match wanted {
        Some(WantedManner::Asynchronous) => Manner::Asynchronous,
        None if is_push => Manner::Asynchronous,
        Some(WantedManner::Synchronous) | None => Manner::Synchronous,
    }
}

fn unreadable(error: &Unreadable) -> Problem {
    let code = match error {
        Unreadable::MediaType(_) => Code::UnsupportedMediaType,
        Unreadable::Json(json::Error::TooLong { .. }) => Code::TooLarge,
        _ => Code::InvalidEvent,
    };
    Problem::new(code, chain(error).to_string())
}

/// Answers 202 if every event was taken. Otherwise the answer is a problem: for a batch with what
/// became of each event, so that the producer can correct and send all of it again, since events
/// that were taken are recognized by their ids.
fn answer(
    ids: Vec<String>,
    outcomes: Vec<Result<Admitted, Refusal>>,
    is_batch: bool,
) -> Result<Response, Problem> {
    let first_refusal = gravest(&outcomes).cloned();
    let events: Vec<Outcome> = ids
        .into_iter()
        .zip(outcomes)
        .enumerate()
        .map(|(index, (id, outcome))| Outcome { index, id, result: settled(outcome) })
        .collect();
    match first_refusal {
        None => Ok((StatusCode::ACCEPTED, Json(Accepted { events })).into_response()),
        Some(refusal) if is_batch => Err(Problem::refused(refusal).with_outcomes(events)),
        Some(refusal) => Err(Problem::refused(refusal)),
    }
}

/// The refusal that decides about the whole request: one that time or we must heal comes first,
/// because correcting the request would be in vain.
fn gravest(outcomes: &[Result<Admitted, Refusal>]) -> Option<&Refusal> {
    let rank = |refusal: &&Refusal| match refusal.fault {
        Fault::Ours => 0,
        Fault::Later => 1,
        Fault::Caller => 2,
    };
    outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).min_by_key(rank)
}

fn settled(outcome: Result<Admitted, Refusal>) -> Settled {
    match outcome {
        Ok(admitted) => Settled::Taken {
            event_ids: admitted.events.iter().map(ToString::to_string).collect(),
            repeated: admitted.repeated,
            quarantined: admitted.quarantined,
        },
        Err(refusal) => Settled::Refused {
            code: refusal.code,
            // What failed on our side is for our log only.
            detail: match refusal.fault {
                Fault::Ours => Code::Internal.title().to_owned(),
                Fault::Caller | Fault::Later => refusal.message,
            },
            violations: refusal.violations,
        },
    }
}
