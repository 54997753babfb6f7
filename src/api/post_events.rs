//! `POST /events`: events from producers that speak CloudEvents or push EventBridge envelopes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::event_body;
use crate::api::outcome::{Outcome, Settled};
use crate::api::query::Query;
use crate::api::{Caller, Code, Problem, Scope, Services};
use crate::event::{Fault, json};
use crate::source::intake::{self, Posting, Unreadable, Warning};
use crate::source::{Admit, AdmitRefusal, Admitted, CodingError, ResponseMode};
use crate::telemetry::{Metric, error_chain};

/// How EventBridge's API destinations name themselves.
const API_DESTINATIONS: &[u8] = b"Amazon/EventBridge/ApiDestinations";

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(rename = "manner")]
    response_mode: Option<WantedMode>,
}

/// Whether the producer waits for violations.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WantedMode {
    Synchronous,
    Asynchronous,
}

/// The body of a 202.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// The events, in the order sent.
    events: Vec<Outcome>,
    /// The rules of CloudEvents that events break where nothing of them crosses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ShownWarning>,
}

/// A rule that an event breaks, which was taken all the same.
#[derive(Serialize, ToSchema)]
pub struct ShownWarning {
    /// The event's id on its producer's bus.
    id: String,
    /// The rule: `source`, `dataschema`, `attribute-name`, `extension-value` or `traceparent`.
    rule: &'static str,
    /// What is wrong, and what became of it.
    detail: &'static str,
}

/// Takes the events of a request, and answers 202 once all of them are durable.
#[utoipa::path(
    post, path = "/events", tag = "events",
    operation_id = "events_publish",
    params(("manner" = Option<String>, Query,
        description = "`asynchronous`: an event that breaks its contract is quarantined, not refused")),
    request_body(content = Object,
        description = "A CloudEvent (structured, binary or batched) or an EventBridge envelope"),
    responses(
        (status = 202, body = Accepted),
        (status = "4XX", description = "A problem; for a batch with the outcome of each event"),
        (status = 503, description = "A problem; the same request may be sent again")
    )
)]
pub async fn publish(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Response, Problem> {
    caller.must(&Scope::Publish)?;
    let (headers, body) = match event_body::receive(request, services.source.max_body).await {
        Ok(read) => read,
        Err(refused) => return Ok(refused),
    };
    let posting = intake::read(&headers, &body, &services.source, services.clock.now())
        .map_err(|error| unreadable(&error))?;
    for warning in &posting.warnings {
        services.metrics.counter(Metric::EventsWarned, &[warning.kind.text()]).increment();
    }
    take(posting, response_mode(parameters.response_mode, &headers), &*services.admit).await
}

async fn take(
    posting: Posting,
    response_mode: ResponseMode,
    admit: &dyn Admit,
) -> Result<Response, Problem> {
    let ids: Vec<String> = posting.events.iter().map(|event| event.envelope.id.clone()).collect();
    let outcomes = admit.admit(posting.events, response_mode).await;
    if outcomes.len() != ids.len() {
        // An `Admit` that does not answer for every event has promised nothing for the others.
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    }
    answer(ids, outcomes, posting.is_batch, posting.warnings)
}

/// Waits for nobody who cannot act on the answer: API destinations repeat a refused event for a day
/// and drop it.
fn response_mode(wanted: Option<WantedMode>, headers: &HeaderMap) -> ResponseMode {
    let agent = headers.get(header::USER_AGENT);
    let is_push = agent.is_some_and(|agent| agent.as_bytes().starts_with(API_DESTINATIONS));
    match wanted {
        Some(WantedMode::Asynchronous) => ResponseMode::Asynchronous,
        None if is_push => ResponseMode::Asynchronous,
        Some(WantedMode::Synchronous) | None => ResponseMode::Synchronous,
    }
}

fn unreadable(error: &Unreadable) -> Problem {
    let code = match error {
        Unreadable::MediaType(_) | Unreadable::Coding(CodingError::Unsupported) => {
            Code::UnsupportedMediaType
        }
        Unreadable::Json(json::Error::TooLong { .. })
        | Unreadable::Coding(CodingError::TooLong { .. }) => Code::TooLarge,
        _ => Code::InvalidEvent,
    };
    Problem::new(code, error_chain(error).to_string())
}

/// Answers 202 if every event was taken. Otherwise the answer is a problem: for a batch with what
/// became of each event, so that the producer can correct and send all of it again, since events
/// that were taken are recognized by their ids.
fn answer(
    ids: Vec<String>,
    outcomes: Vec<Result<Admitted, AdmitRefusal>>,
    is_batch: bool,
    warnings: Vec<Warning>,
) -> Result<Response, Problem> {
    let first_refusal = gravest(&outcomes).cloned();
    let events: Vec<Outcome> = ids
        .into_iter()
        .zip(outcomes)
        .enumerate()
        .map(|(index, (id, outcome))| Outcome { index, id, result: settled(outcome) })
        .collect();
    match first_refusal {
        None => {
            let warnings = warnings.into_iter().map(ShownWarning::from).collect();
            Ok((StatusCode::ACCEPTED, Json(Accepted { events, warnings })).into_response())
        }
        Some(refusal) if is_batch => Err(Problem::refused(refusal).with_outcomes(events)),
        Some(refusal) => Err(Problem::refused(refusal)),
    }
}

/// The refusal that decides about the whole request: one that time or we must heal comes first,
/// because correcting the request would be in vain.
fn gravest(outcomes: &[Result<Admitted, AdmitRefusal>]) -> Option<&AdmitRefusal> {
    let rank = |refusal: &&AdmitRefusal| match refusal.fault {
        Fault::Ours => 0,
        Fault::Later => 1,
        Fault::Caller => 2,
    };
    outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).min_by_key(rank)
}

impl From<Warning> for ShownWarning {
    fn from(warning: Warning) -> Self {
        let Warning { id, kind } = warning;
        Self { id, rule: kind.text(), detail: kind.words() }
    }
}

fn settled(outcome: Result<Admitted, AdmitRefusal>) -> Settled {
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use axum::body::to_bytes;
    use axum::http::HeaderValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::Size;
    use crate::event::{EventId, Timestamp, Violation};
    use crate::source::{Config, Received};

    /// Gives each event the answer that its id asks for.
    struct Obliging;

    #[async_trait]
    impl Admit for Obliging {
        async fn admit(
            &self,
            batch: Vec<Received>,
            _: ResponseMode,
        ) -> Vec<Result<Admitted, AdmitRefusal>> {
            let refuse = |fault, code, violations| {
                Err(AdmitRefusal { fault, code, message: "because".to_owned(), violations })
            };
            let answer = |received: Received| match received.envelope.id.as_str() {
                "breaks" => {
                    let violation = Violation {
                        pointer: "/id".into(),
                        code: "required".into(),
                        message: "`id` is required".into(),
                    };
                    refuse(Fault::Caller, "contract-violated", vec![violation])
                }
                "waits" => refuse(Fault::Later, "busy", vec![]),
                "fails" => refuse(Fault::Ours, "internal", vec![]),
                _ => Ok(Admitted { events: vec![EventId::first_of(7)], ..Admitted::default() }),
            };
            batch.into_iter().map(answer).collect()
        }

        async fn release(&self, _: Received, _: &str) -> Result<EventId, AdmitRefusal> {
            unreachable!("posting releases nothing")
        }
    }

    fn header(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Posts events with these ids, as a batch if there are several.
    async fn post(ids: &[&str]) -> (u16, Value) {
        let event = |id: &&str| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "T", "data": {}});
        let (media_type, body) = match ids {
            [id] => ("application/cloudevents+json", event(id)),
            ids => ("application/cloudevents-batch+json", ids.iter().map(event).collect()),
        };
        let headers = header(header::CONTENT_TYPE, media_type);
        let body = body.to_string();
        let posting =
            intake::read(&headers, body.as_bytes(), &Config::default(), Timestamp::EPOCH).unwrap();
        let answered = take(posting, ResponseMode::Synchronous, &Obliging).await;
        let response = answered.unwrap_or_else(IntoResponse::into_response);
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn an_event_that_was_taken_is_answered_with_its_new_ids() {
        let (status, body) = post(&["a"]).await;

        assert_eq!(status, 202);
        assert_eq!(
            body,
            json!({"events": [{
                "index": 0, "id": "a", "outcome": "taken",
                "eventIds": [EventId::first_of(7).to_string()], "repeated": false, "quarantined": 0,
            }]})
        );
    }

    #[tokio::test]
    async fn a_rule_that_is_broken_where_nothing_crosses_is_told_with_the_answer() {
        let headers = header(header::CONTENT_TYPE, "application/cloudevents+json");
        let event = json!({"specversion": "1.0", "id": "a", "source": "my orders", "type": "T"});
        let read = intake::read(
            &headers,
            event.to_string().as_bytes(),
            &Config::default(),
            Timestamp::EPOCH,
        );
        let response = take(read.unwrap(), ResponseMode::Synchronous, &Obliging).await.unwrap();

        assert_eq!(response.status().as_u16(), 202);
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["warnings"][0]["id"], "a");
        assert_eq!(body["warnings"][0]["rule"], "source");
        assert_eq!(body["warnings"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_event_that_breaks_its_contract_is_answered_with_its_violations() {
        let (status, body) = post(&["breaks"]).await;

        assert_eq!(status, 422);
        assert_eq!(body["type"], "/problems/contract-violated");
        assert_eq!(body["violations"][0]["pointer"], "/id");
        assert!(body.get("events").is_none());
    }

    #[tokio::test]
    async fn a_batch_is_answered_for_each_event_under_its_gravest_refusal() {
        let (status, body) = post(&["a", "breaks"]).await;
        assert_eq!(status, 422);
        assert_eq!(body["events"][0]["outcome"], "taken");
        assert_eq!(body["events"][1]["outcome"], "refused");
        assert_eq!(body["events"][1]["violations"][0]["code"], "required");

        assert_eq!(post(&["a", "breaks", "waits"]).await.0, 503);
        let (status, body) = post(&["breaks", "waits", "fails"]).await;
        assert_eq!(status, 500);
        assert!(body["detail"].is_null());
        assert!(!body["events"][2].to_string().contains("because"), "{body}");
        assert_eq!(post(&["a", "b"]).await.0, 202);
    }

    #[test]
    fn an_api_destination_waits_for_nothing_unless_it_says_so() {
        let agent = |name| header(header::USER_AGENT, name);
        let push = agent("Amazon/EventBridge/ApiDestinations");

        assert_eq!(response_mode(None, &push), ResponseMode::Asynchronous);
        assert_eq!(response_mode(Some(WantedMode::Synchronous), &push), ResponseMode::Synchronous);
        assert_eq!(response_mode(None, &agent("curl/8")), ResponseMode::Synchronous);
        assert_eq!(
            response_mode(Some(WantedMode::Asynchronous), &agent("x")),
            ResponseMode::Asynchronous
        );
    }

    #[test]
    fn what_cannot_be_read_has_the_code_of_its_reason() {
        let code = |media_type, body: &[u8]| {
            let headers = header(header::CONTENT_TYPE, media_type);
            let config = Config { max_body: Size(20), ..Config::default() };
            unreadable(&intake::read(&headers, body, &config, Timestamp::EPOCH).unwrap_err()).code()
        };

        assert_eq!(code("text/plain", b"{}"), Code::UnsupportedMediaType);
        assert_eq!(code("application/json", b"{}"), Code::InvalidEvent);
        assert_eq!(code("application/json", b"{"), Code::InvalidEvent);
        assert_eq!(code("application/json", &[b' '; 21]), Code::TooLarge);
        let too_long = Unreadable::Coding(CodingError::TooLong { limit: 20 });
        assert_eq!(unreadable(&too_long).code(), Code::TooLarge);
        assert_eq!(
            unreadable(&Unreadable::Coding(CodingError::Damaged)).code(),
            Code::InvalidEvent
        );
    }
}
