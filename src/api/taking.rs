//! Takes the events of a request, and says of each what became of it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::asked_receipt::AskedReceipt;
use crate::api::outcome::{Outcome, RefusedEvent, Settled};
use crate::api::set_aside::set_aside;
use crate::api::signed_answer::SignedAnswer;
use crate::api::source_rights::foreign_source;
use crate::api::{Caller, Code, Problem};
use crate::event::Fault;
use crate::source::intake::{Posting, UnreadableItem, Warning};
use crate::source::{Admit, AdmitRefusal, Admitted, Envelope, ResponseMode, Unparsed};
use crate::telemetry::error_chain;

/// The body of a 202.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// The events, in the order sent.
    events: Vec<Outcome>,
    /// The rules of CloudEvents that events break where nothing of them crosses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ShownWarning>,
    /// The gateway's signature over what became of each entry, a compact JWS (`accepted+jwt`), where it was asked
    /// for by `Prefer: receipt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
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

/// What an event is answered by.
struct Answer {
    /// Its id, if it could be read.
    id: Option<String>,
    outcome: Result<SettledEvent, AdmitRefusal>,
}

/// How far an event of a request has come.
enum EventStage {
    /// It has this id, and is offered to the gateway.
    Offered(String),
    /// It is not, and this is why.
    Settled(Answer),
}

/// What became of an event, as it is told and as it is signed.
struct SettledEvent {
    settled: Settled,
    admitted: Admitted,
}

impl SettledEvent {
    fn of(admitted: Admitted) -> Self {
        Self { settled: Settled::of(&admitted), admitted }
    }

    fn set_aside(settled: Settled) -> Self {
        Self { settled, admitted: Admitted { quarantined: 1, ..Admitted::default() } }
    }
}

/// Takes the events of a request, of sources as which its caller may publish. `unparsed` are its items
/// that cannot be read and are to be set aside, in order; where there are none, such items are refused.
pub(super) async fn take(
    posting: Posting,
    unparsed: Vec<Unparsed>,
    (caller, response_mode): (&Caller, ResponseMode),
    admit: &dyn Admit,
    asked: Option<AskedReceipt<'_>>,
) -> Result<Response, Problem> {
    let mut ids = unparsed.iter().map(|item| item.id.clone()).collect::<Vec<_>>().into_iter();
    let aside = if unparsed.is_empty() { Vec::new() } else { set_aside(unparsed, admit).await };
    let mut aside = aside.into_iter();
    let mut readable = Vec::with_capacity(posting.events.len());
    let read: Vec<EventStage> = posting
        .events
        .into_iter()
        .map(|event| match event {
            Ok(received) => {
                let Envelope { id, source, .. } = &received.envelope;
                let id = id.clone();
                if let Some(refusal) = foreign_source(caller, source) {
                    return EventStage::Settled(Answer { id: Some(id), outcome: Err(refusal) });
                }
                readable.push(received);
                EventStage::Offered(id)
            }
            Err(item) => {
                let settled = aside.next().unwrap_or_else(|| Err(unreadable_item(&item)));
                let outcome = settled.map(SettledEvent::set_aside);
                EventStage::Settled(Answer { id: ids.next().flatten(), outcome })
            }
        })
        .collect();
    let count = readable.len();
    let outcomes = match count {
        0 => Vec::new(),
        _ => admit.admit(readable, Some(&caller.producer()), response_mode).await,
    };
    if outcomes.len() != count {
        // An `Admit` that does not answer for every event has promised nothing for the others.
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    }
    let mut outcomes = outcomes.into_iter();
    let answers = read.into_iter().filter_map(|event| match event {
        EventStage::Offered(id) => {
            Some(Answer { id: Some(id), outcome: outcomes.next()?.map(SettledEvent::of) })
        }
        EventStage::Settled(answer) => Some(answer),
    });
    let answers: Vec<Answer> = answers.collect();
    let receipt = signed(asked, &answers).await;
    answer(answers, posting.is_batch, (posting.warnings, receipt))
}

/// Has the answers signed, if that is asked.
async fn signed(asked: Option<AskedReceipt<'_>>, answers: &[Answer]) -> Option<SignedAnswer> {
    let outcome = |answer: &Answer| match &answer.outcome {
        Ok(taken) => Ok(taken.admitted.clone()),
        Err(refusal) => Err(refusal.code),
    };
    asked?.sign(answers.iter().map(outcome).collect()).await
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

/// Answers for a body that cannot be read: a producer that waits is told why, and one that does not
/// hears 202 once the bytes are durable. They are described only where they are kept.
pub(super) async fn unreadable(
    problem: Problem,
    unparsed: impl FnOnce() -> Unparsed,
    response_mode: ResponseMode,
    admit: &dyn Admit,
    asked: Option<AskedReceipt<'_>>,
) -> Result<Response, Problem> {
    let is_kept = !matches!(problem.code(), Code::TooLarge | Code::Busy);
    if response_mode == ResponseMode::Synchronous || !is_kept {
        let receipt = match asked {
            Some(asked) => asked.sign(vec![Err(problem.code().text())]).await,
            None => None,
        };
        return Err(problem.signed(receipt));
    }
    let unparsed = unparsed();
    let id = unparsed.id.clone();
    let Some(settled) = set_aside(vec![unparsed], admit).await.pop() else {
        // An `Admit` that does not answer has promised nothing.
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    };
    let answers = vec![Answer { id, outcome: settled.map(SettledEvent::set_aside) }];
    let receipt = signed(asked, &answers).await;
    answer(answers, false, (Vec::new(), receipt))
}

/// Answers 202 if no event was refused. Otherwise the answer is a problem: for a batch with what
/// became of each event, so that the producer can correct and send all of it again, since events
/// that were taken are recognized by their ids.
fn answer(
    answers: Vec<Answer>,
    is_batch: bool,
    (warnings, receipt): (Vec<Warning>, Option<SignedAnswer>),
) -> Result<Response, Problem> {
    let gravest = gravest(&answers).map(|(index, refusal)| (index, refusal.clone()));
    let events: Vec<Outcome> = answers
        .into_iter()
        .enumerate()
        .map(|(index, Answer { id, outcome })| Outcome { index, id, result: settled(outcome) })
        .collect();
    match gravest {
        None => {
            let warnings = warnings.into_iter().map(ShownWarning::from).collect();
            let (receipt, headers) = SignedAnswer::parts(receipt);
            let accepted = Accepted { events, warnings, receipt };
            Ok((StatusCode::ACCEPTED, headers, Json(accepted)).into_response())
        }
        Some((index, refusal)) if is_batch => {
            Err(Problem::refused(in_batch(index, refusal)).with_outcomes(events).signed(receipt))
        }
        Some((_, refusal)) => Err(Problem::refused(refusal).signed(receipt)),
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
        .filter_map(|(index, answer)| Some((index, answer.outcome.as_ref().err()?)))
        .min_by_key(rank)
}

impl From<Warning> for ShownWarning {
    fn from(warning: Warning) -> Self {
        let Warning { id, kind } = warning;
        Self { id, rule: kind.text(), detail: kind.words() }
    }
}

fn settled(outcome: Result<SettledEvent, AdmitRefusal>) -> Settled {
    match outcome {
        Ok(taken) => taken.settled,
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
    use axum::http::{HeaderMap, HeaderValue, header};
    use serde_json::{Value, json};

    use super::*;
    use crate::ambient::Size;
    use crate::event::{EventId, EventProducer, Timestamp, Violation};
    use crate::source::intake::{self, Unreadable};
    use crate::source::{Admitted, CodingError, Config, Received};

    /// Gives each event the answer that its id asks for.
    struct Obliging;

    #[async_trait]
    impl Admit for Obliging {
        async fn admit(
            &self,
            batch: Vec<Received>,
            _: Option<&EventProducer>,
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

    /// May publish as every source but that of `foreign`.
    fn shop() -> Caller {
        let scopes = ["publish:/s", "publish:my orders"].map(|scope| scope.parse().unwrap());
        Caller::for_test("shop", scopes.into())
    }

    fn header(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Posts events with these ids, as a batch if there are several.
    async fn post(ids: &[&str]) -> (u16, Value) {
        let event = |id: &&str| match *id {
            "unreadable" => json!({"specversion": "1.0", "id": "x"}),
            "foreign" => {
                json!({"specversion": "1.0", "id": "x", "source": "/t", "type": "T", "data": {}})
            }
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
        let by = (&shop(), ResponseMode::Synchronous);
        let answered = take(posting, Vec::new(), by, &Obliging, None).await;
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
            take(read.unwrap(), Vec::new(), (&shop(), ResponseMode::Synchronous), &Obliging, None)
                .await
                .unwrap();

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

    #[tokio::test]
    async fn an_event_of_a_foreign_source_is_refused_and_the_others_are_taken() {
        let (status, body) = post(&["foreign"]).await;
        assert_eq!((status, &body["type"]), (403, &json!("/problems/source-not-allowed")));
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains("`shop` may not publish as `/t`"), "{detail}");
        assert!(detail.contains("`publish:/t`"), "{detail}");

        let (status, body) = post(&["a", "foreign", "b"]).await;
        assert_eq!(status, 403);
        let outcomes: Vec<_> = (0..3).map(|at| &body["events"][at]["outcome"]).collect();
        assert_eq!(outcomes, ["accepted", "refused", "accepted"]);
        assert_eq!(body["events"][1]["code"], "source-not-allowed");
        assert_eq!(post(&["foreign", "waits"]).await.0, 503);
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
