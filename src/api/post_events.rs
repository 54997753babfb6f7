//! `POST /events`: events from producers that speak CloudEvents or push EventBridge envelopes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::dry_run::{TriedEvents, try_all};
use crate::api::event_body;
use crate::api::outcome::{Outcome, RefusedEvent, Settled};
use crate::api::publisher::Publisher;
use crate::api::query::Query;
use crate::api::set_aside::{set_aside, unparsed, unparsed_item};
use crate::api::{Code, Problem, Scope, Services};
use crate::event::Fault;
use crate::source::intake::{self, Posting, UnreadableItem, Warning};
use crate::source::{Admit, AdmitRefusal, ResponseMode, Unparsed};
use crate::telemetry::{Metric, error_chain};

/// How EventBridge's API destinations name themselves.
const API_DESTINATIONS: &[u8] = b"Amazon/EventBridge/ApiDestinations";

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(rename = "manner")]
    response_mode: Option<WantedMode>,
    /// Whether the events are only tried.
    #[serde(rename = "dryRun", default)]
    is_dry_run: bool,
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

/// Takes the events of a request, and answers 202 once all of them are settled. An event of a batch
/// that cannot be read is answered by its index, and the others are taken.
#[utoipa::path(
    post, path = "/events", tag = "events",
    operation_id = "events_publish",
    params(
        ("manner" = Option<String>, Query,
            description = "`asynchronous`: what breaks its contract or cannot be read is quarantined, not refused"),
        ("dryRun" = Option<bool>, Query,
            description = "`true`: tell what would become of the events; nothing is stored, counted \
                           or quarantined"),
    ),
    request_body(content = Object,
        description = "A CloudEvent (structured, binary or batched) or an EventBridge envelope"),
    responses(
        (status = 200, body = TriedEvents, description = "With `dryRun=true`: what would become of them"),
        (status = 202, body = Accepted),
        (status = "4XX", description = "A problem; for a batch with the outcome of each event"),
        (status = 503, description = "A problem; the same request may be sent again")
    ),
    security(("caller" = []), ("apiKey" = []), ("basic" = []), ("client" = ["publish"]))
)]
pub async fn publish(
    State(services): State<Arc<Services>>,
    Publisher(caller): Publisher,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Result<Response, Problem> {
    caller.must(&Scope::Publish)?;
    let response_mode = response_mode(parameters.response_mode, request.headers());
    // What cannot be read is kept as it came, in whatever coding, where nobody waits for an answer.
    let is_kept = response_mode == ResponseMode::Asynchronous && !parameters.is_dry_run;
    let received = event_body::receive(request, services.source.max_body, is_kept).await;
    let (headers, body) = match received {
        Ok(received) => received,
        Err(refused) => return Ok(refused),
    };
    let (headers, admit) = (&headers, &*services.admit);
    match intake::read(headers, &body, &services.source, services.clock.now()) {
        Ok(posting) if parameters.is_dry_run => {
            Ok(try_all(&services, &caller, posting.events, response_mode).await)
        }
        Err(error) if parameters.is_dry_run => Err(Problem::unreadable(&error)),
        Ok(posting) => {
            for warning in &posting.warnings {
                services.metrics.counter(Metric::EventsWarned, &[warning.kind.text()]).increment();
            }
            let unreadable = posting.events.iter().filter_map(|event| event.as_ref().err());
            let mut unparsed = Vec::new();
            for item in unreadable {
                match response_mode {
                    ResponseMode::Asynchronous => {
                        unparsed.push(unparsed_item(&caller, headers, item));
                    }
                    ResponseMode::Synchronous => {
                        let reason = Code::InvalidEvent.text();
                        services.metrics.counter(Metric::EventsRefused, &[reason]).increment();
                    }
                }
            }
            take(posting, unparsed, response_mode, admit).await
        }
        Err(error) => {
            let unparsed = unparsed(&caller, headers, &body, &error);
            let problem = Problem::unreadable(&error);
            unreadable(unparsed, problem, response_mode, admit).await
        }
    }
}

/// What an event is answered by: its id, if it could be read, and what became of it.
type Answer = (Option<String>, Result<Settled, AdmitRefusal>);

/// Takes the events of a request. `unparsed` are its items that cannot be read and are to be set
/// aside, in order; where there are none, such items are refused.
async fn take(
    posting: Posting,
    unparsed: Vec<Unparsed>,
    response_mode: ResponseMode,
    admit: &dyn Admit,
) -> Result<Response, Problem> {
    let mut ids = unparsed.iter().map(|item| item.id.clone()).collect::<Vec<_>>().into_iter();
    let aside = if unparsed.is_empty() { Vec::new() } else { set_aside(unparsed, admit).await };
    let mut aside = aside.into_iter();
    let mut readable = Vec::with_capacity(posting.events.len());
    let read: Vec<Result<String, Answer>> = posting
        .events
        .into_iter()
        .map(|event| match event {
            Ok(received) => {
                let id = received.envelope.id.clone();
                readable.push(received);
                Ok(id)
            }
            Err(item) => {
                let settled = aside.next().unwrap_or_else(|| Err(unreadable_item(&item)));
                Err((ids.next().flatten(), settled))
            }
        })
        .collect();
    let count = readable.len();
    let outcomes = if count == 0 { Vec::new() } else { admit.admit(readable, response_mode).await };
    if outcomes.len() != count {
        // An `Admit` that does not answer for every event has promised nothing for the others.
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    }
    let mut outcomes = outcomes.into_iter();
    let answers = read.into_iter().filter_map(|event| match event {
        Ok(id) => {
            let outcome = outcomes.next()?;
            Some((Some(id), outcome.map(|admitted| Settled::of(&admitted))))
        }
        Err(answer) => Some(answer),
    });
    answer(answers.collect(), posting.is_batch, posting.warnings)
}

/// Refuses an event of a batch that cannot be read.
fn unreadable_item(item: &UnreadableItem) -> AdmitRefusal {
    AdmitRefusal {
        fault: Fault::Caller,
        code: Code::InvalidEvent.text(),
        message: error_chain(&item.error).to_string(),
        violations: Vec::new(),
    }
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

/// Answers for a body that cannot be read: a producer that waits is told why, and one that does not
/// hears 202 once the bytes are durable.
async fn unreadable(
    unparsed: Unparsed,
    problem: Problem,
    response_mode: ResponseMode,
    admit: &dyn Admit,
) -> Result<Response, Problem> {
    if response_mode == ResponseMode::Synchronous || problem.code() == Code::TooLarge {
        return Err(problem);
    }
    let id = unparsed.id.clone();
    match set_aside(vec![unparsed], admit).await.pop() {
        Some(Ok(result)) => {
            let events = vec![Outcome { index: 0, id, result }];
            Ok((StatusCode::ACCEPTED, Json(Accepted { events, warnings: Vec::new() }))
                .into_response())
        }
        Some(Err(refusal)) => Err(Problem::refused(refusal)),
        // An `Admit` that does not answer has promised nothing.
        None => Err(Problem::new(Code::Internal, Code::Internal.title())),
    }
}

/// Answers 202 if no event was refused. Otherwise the answer is a problem: for a batch with what
/// became of each event, so that the producer can correct and send all of it again, since events
/// that were taken are recognized by their ids.
fn answer(
    answers: Vec<Answer>,
    is_batch: bool,
    warnings: Vec<Warning>,
) -> Result<Response, Problem> {
    let gravest = gravest(&answers).map(|(index, refusal)| (index, refusal.clone()));
    let events: Vec<Outcome> = answers
        .into_iter()
        .enumerate()
        .map(|(index, (id, outcome))| Outcome { index, id, result: settled(outcome) })
        .collect();
    match gravest {
        None => {
            let warnings = warnings.into_iter().map(ShownWarning::from).collect();
            Ok((StatusCode::ACCEPTED, Json(Accepted { events, warnings })).into_response())
        }
        Some((index, refusal)) if is_batch => {
            Err(Problem::refused(in_batch(index, refusal)).with_outcomes(events))
        }
        Some((_, refusal)) => Err(Problem::refused(refusal)),
    }
}

/// The refusal that decides about the whole request, and of which event: one that time or we must
/// heal comes first, because correcting the request would be in vain.
fn gravest(answers: &[Answer]) -> Option<(usize, &AdmitRefusal)> {
    let rank = |(_, refusal): &(usize, &AdmitRefusal)| match refusal.fault {
        Fault::Ours => 0,
        Fault::Later => 1,
        Fault::Caller => 2,
    };
    let refusals = answers.iter().enumerate();
    refusals
        .filter_map(|(index, (_, outcome))| Some((index, outcome.as_ref().err()?)))
        .min_by_key(rank)
}

impl From<Warning> for ShownWarning {
    fn from(warning: Warning) -> Self {
        let Warning { id, kind } = warning;
        Self { id, rule: kind.text(), detail: kind.words() }
    }
}

fn settled(outcome: Result<Settled, AdmitRefusal>) -> Settled {
    match outcome {
        Ok(settled) => settled,
        Err(refusal) => Settled::Refused(RefusedEvent {
            code: refusal.code,
            // What failed on our side is for our log only.
            detail: match refusal.fault {
                Fault::Ours => Code::Internal.title().to_owned(),
                Fault::Caller | Fault::Later => refusal.message,
            },
            violations: refusal.violations,
        }),
    }
}

/// Names the event in what is said of the whole batch.
fn in_batch(index: usize, refusal: AdmitRefusal) -> AdmitRefusal {
    let message = match refusal.fault {
        Fault::Caller => {
            format!("event {index} of the batch (counted from 0): {}", refusal.message)
        }
        Fault::Later | Fault::Ours => refusal.message,
    };
    AdmitRefusal { message, ..refusal }
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
    use crate::source::intake::Unreadable;
    use crate::source::{Admitted, CodingError, Config, Received};

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

        async fn set_aside(&self, _: Vec<Unparsed>) -> Vec<Result<u64, AdmitRefusal>> {
            unreachable!("what was read is not set aside")
        }
    }

    fn header(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Posts events with these ids, as a batch if there are several.
    async fn post(ids: &[&str]) -> (u16, Value) {
        let event = |id: &&str| match *id {
            "unreadable" => json!({"specversion": "1.0", "id": "x"}),
            id => json!({"specversion": "1.0", "id": id, "source": "/s", "type": "T", "data": {}}),
        };
        let (media_type, body) = match ids {
            [id] => ("application/cloudevents+json", event(id)),
            ids => ("application/cloudevents-batch+json", ids.iter().map(event).collect()),
        };
        let headers = header(header::CONTENT_TYPE, media_type);
        let body = body.to_string();
        let posting =
            intake::read(&headers, body.as_bytes(), &Config::default(), Timestamp::EPOCH).unwrap();
        let answered = take(posting, Vec::new(), ResponseMode::Synchronous, &Obliging).await;
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
                "index": 0, "id": "a", "outcome": "accepted",
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
        let response =
            take(read.unwrap(), Vec::new(), ResponseMode::Synchronous, &Obliging).await.unwrap();

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
        assert_eq!(body["events"][0]["outcome"], "accepted");
        assert_eq!(body["events"][1]["outcome"], "refused");
        assert_eq!(body["events"][1]["violations"][0]["code"], "required");

        assert!(body["detail"].as_str().unwrap().starts_with("event 1 of the batch"), "{body}");

        assert_eq!(post(&["a", "breaks", "waits"]).await.0, 503);
        let (status, body) = post(&["breaks", "waits", "fails"]).await;
        assert_eq!(status, 500);
        assert!(body["detail"].is_null());
        assert!(!body["events"][2].to_string().contains("because"), "{body}");
        assert_eq!(post(&["a", "b"]).await.0, 202);
    }

    #[tokio::test]
    async fn an_unreadable_event_of_a_batch_is_answered_by_its_index_and_the_others_are_taken() {
        let (status, body) = post(&["a", "unreadable", "b"]).await;

        assert_eq!((status, &body["type"]), (400, &json!("/problems/invalid-event")));
        let outcomes: Vec<_> = (0..3).map(|at| &body["events"][at]["outcome"]).collect();
        assert_eq!(outcomes, ["accepted", "refused", "accepted"]);
        assert_eq!(
            body["events"][1],
            json!({"index": 1, "outcome": "refused", "code": "invalid-event",
                "detail": "`source` is missing"})
        );
        assert_eq!(body["detail"], "event 1 of the batch (counted from 0): `source` is missing");
        assert_eq!(post(&["unreadable", "waits"]).await.0, 503);
        assert_eq!(post(&["unreadable", "unreadable"]).await.0, 400);
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
            let error = intake::read(&headers, body, &config, Timestamp::EPOCH).unwrap_err();
            Problem::unreadable(&error).code()
        };

        assert_eq!(code("text/plain", b"{}"), Code::UnsupportedMediaType);
        assert_eq!(code("application/json", b"{}"), Code::InvalidEvent);
        assert_eq!(code("application/json", b"{"), Code::InvalidEvent);
        assert_eq!(code("application/json", &[b' '; 21]), Code::TooLarge);
        let too_long = Unreadable::Coding(CodingError::TooLong { limit: 20 });
        assert_eq!(Problem::unreadable(&too_long).code(), Code::TooLarge);
        assert_eq!(
            Problem::unreadable(&Unreadable::Coding(CodingError::Damaged)).code(),
            Code::InvalidEvent
        );
    }
}
