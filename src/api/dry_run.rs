//! `POST /events?dryRun=true`: what would become of events, told without storing or counting them.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::source_rights::foreign_source;
use crate::api::taking::ShownWarning;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{CloudEvent, SubscriptionId, Violation};
use crate::route::Mismatch;
use crate::source::intake::{Posting, UnreadableItem};
use crate::source::{AdmitRefusal, PatchedEvent, Received, ResponseMode, Trial, TrialVerdict};
use crate::telemetry::error_chain;

/// What would become of the events of a request.
#[derive(Serialize, ToSchema)]
pub struct TriedEvents {
    /// The events, in the order sent.
    events: Vec<TriedEvent>,
    /// The rules of CloudEvents that events break where nothing of them crosses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ShownWarning>,
}

/// What would become of one event.
#[derive(Serialize, ToSchema)]
pub struct TriedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The id under which its producer sends it, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What its producer would be told: `accepted`; `refused`, and nothing of it is stored;
    /// `quarantined`, if nobody waits for the answer; `unwanted`. Whether it is a repeat is not
    /// looked up.
    pub outcome: &'static str,
    /// Why no publication is asked: a stable word, as in problems; missing if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why it cannot be read, or no publication is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What each publication would make of it: first those that want it, then the others, with
    /// those first that come closest.
    pub publications: Vec<TriedPublication>,
}

/// What one publication would make of an event.
#[derive(Serialize, ToSchema)]
pub struct TriedPublication {
    /// The publication, as `domain/event`.
    pub publication: String,
    /// `crosses`, `refused` or `unwanted`.
    pub verdict: &'static str,
    /// Why it does not want the event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<TriedField>,
    /// Why it cannot let the event cross: a stable word, as in problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// How the event breaks its contract: for each place its `pointer`, a `code` and a `message`.
    /// An event that crosses nevertheless is only observed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub violations: Vec<Violation>,
    /// The event as it would cross, or as far as its patch and names fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<TriedAttributes>,
    /// The subscriptions that want it now, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub subscriptions: Option<Vec<SubscriptionId>>,
}

/// A field of a publication's `when` that fails.
#[derive(Serialize, ToSchema)]
pub struct TriedField {
    /// The member names that lead to the field, joined by dots.
    pub path: String,
    /// What the field lacks; never a value of the event.
    pub reason: String,
}

/// The event as it would cross. It has no id, because only the log gives one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriedAttributes {
    /// The CloudEvents `type`.
    pub r#type: String,
    /// The CloudEvents `source`.
    pub source: String,
    /// The CloudEvents `subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The CloudEvents `time`; missing if the event does not cross.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where the schema of its data is served; missing if the event does not cross.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// The name of its content; missing if the event does not cross.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Its extension attributes, without the gateway's own; missing if it has none or does not cross.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub extensions: Map<String, Value>,
    /// What the patch moved into the data.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

/// Tries the events of a request, one after the other.
pub(super) async fn try_all(
    services: &Services,
    caller: &Caller,
    posting: Posting,
    response_mode: ResponseMode,
) -> Response {
    let mut tried = Vec::with_capacity(posting.events.len());
    for (index, event) in posting.events.into_iter().enumerate() {
        match try_one((services, caller), index, event, response_mode).await {
            Ok(event) => tried.push(event),
            Err(error) => return Problem::internal(&error).into_response(),
        }
        // A batch of many events must not keep everybody else waiting.
        tokio::task::yield_now().await;
    }
    let warnings = posting.warnings.into_iter().map(ShownWarning::from).collect();
    Json(TriedEvents { events: tried, warnings }).into_response()
}

async fn try_one(
    (services, caller): (&Services, &Caller),
    index: usize,
    event: Result<Received, UnreadableItem>,
    response_mode: ResponseMode,
) -> Result<TriedEvent, serde_json::Error> {
    let received = match event {
        Ok(received) => Arc::new(received),
        Err(item) => {
            let words = error_chain(&item.error).to_string();
            return Ok(TriedEvent::unreadable(index, words, response_mode));
        }
    };
    if let Some(refusal) = foreign_source(caller, &received.envelope.source) {
        return Ok(TriedEvent::foreign((index, &received), refusal));
    }
    let mut trials = services.admit.trials(&received).await;
    trials.retain(|trial| may_be_told(services, caller, trial));
    TriedEvent::new((index, &received), trials, response_mode, |event| {
        caller.sees_metadata().then(|| services.subscription_service.wanting(event))
    })
}

/// Whether a caller is told of a publication: of each that wants its event.
fn may_be_told(services: &Services, caller: &Caller, trial: &Trial) -> bool {
    let documents = services.documents.load();
    let publication = documents.publications.get(&trial.publication);
    let pattern = publication.map_or("{}", |publication| publication.pattern().text());
    !matches!(trial.verdict, TrialVerdict::Unwanted(_)) || caller.sees_publication(pattern)
}

/// Tells of a body that cannot be read what would become of it: a producer that waits is told why, as
/// it would be.
pub(super) fn try_unreadable(
    problem: Problem,
    response_mode: ResponseMode,
) -> Result<Response, Problem> {
    if response_mode == ResponseMode::Synchronous || problem.code() == Code::TooLarge {
        return Err(problem);
    }
    let words = problem.detail().unwrap_or_default().to_owned();
    let events = vec![TriedEvent::unreadable(0, words, response_mode)];
    Ok(Json(TriedEvents { events, warnings: Vec::new() }).into_response())
}

impl TriedEvent {
    /// Tells of an event what each publication would make of it, and where it would go: `wanting`
    /// knows the subscriptions that want an event, or keeps them to itself.
    ///
    /// # Errors
    ///
    /// Ours: data cannot be written as JSON.
    pub fn new(
        (index, received): (usize, &Received),
        trials: Vec<Trial>,
        response_mode: ResponseMode,
        wanting: impl Fn(&CloudEvent) -> Option<Vec<SubscriptionId>>,
    ) -> Result<Self, serde_json::Error> {
        let tell = |trial| TriedPublication::new(trial, &wanting);
        let publications: Vec<_> = trials.into_iter().map(tell).collect::<Result<_, _>>()?;
        let outcome = outcome(&publications, response_mode);
        let id = Some(received.envelope.id.clone());
        Ok(Self { index, id, outcome, code: None, detail: None, publications })
    }

    fn unreadable(index: usize, words: String, response_mode: ResponseMode) -> Self {
        let outcome = match response_mode {
            ResponseMode::Synchronous => "refused",
            ResponseMode::Asynchronous => "quarantined",
        };
        let (detail, publications) = (Some(words), Vec::new());
        Self { index, id: None, outcome, code: None, detail, publications }
    }

    /// Tells of an event as whose source its caller may not publish.
    fn foreign((index, received): (usize, &Received), refusal: AdmitRefusal) -> Self {
        Self {
            index,
            id: Some(received.envelope.id.clone()),
            outcome: "refused",
            code: Some(refusal.code),
            detail: Some(refusal.message),
            publications: Vec::new(),
        }
    }
}

/// What a producer would be told: one that waits for the answer has its event taken whole or not at
/// all.
fn outcome(publications: &[TriedPublication], response_mode: ResponseMode) -> &'static str {
    let any = |verdict| publications.iter().any(|one| one.verdict == verdict);
    match response_mode {
        ResponseMode::Synchronous if any("refused") => "refused",
        _ if any("crosses") => "accepted",
        _ if any("refused") => "quarantined",
        _ => "unwanted",
    }
}

impl TriedPublication {
    fn new(
        trial: Trial,
        wanting: impl Fn(&CloudEvent) -> Option<Vec<SubscriptionId>>,
    ) -> Result<Self, serde_json::Error> {
        let told = Self {
            publication: trial.publication.to_string(),
            verdict: "unwanted",
            mismatches: Vec::new(),
            code: None,
            violations: Vec::new(),
            event: None,
            subscriptions: None,
        };
        Ok(match trial.verdict {
            TrialVerdict::Unwanted(mismatches) => {
                let field = |Mismatch { path, reason }| TriedField { path, reason };
                Self { mismatches: mismatches.into_iter().map(field).collect(), ..told }
            }
            TrialVerdict::Refused { code, violations, patched } => {
                let event = patched.as_ref().map(TriedAttributes::of_patched).transpose()?;
                Self { verdict: "refused", code: Some(code), violations, event, ..told }
            }
            TrialVerdict::Crosses { event, observed } => Self {
                verdict: "crosses",
                violations: observed,
                subscriptions: wanting(&event),
                event: Some(TriedAttributes::of(&event)?),
                ..told
            },
        })
    }
}

impl TriedAttributes {
    fn of(event: &CloudEvent) -> Result<Self, serde_json::Error> {
        Ok(Self {
            r#type: event.event_type.to_string(),
            source: event.source.to_string(),
            subject: event.subject.as_ref().map(ToString::to_string),
            time: Some(event.time.to_string()),
            dataschema: event.dataschema.as_deref().map(str::to_owned),
            idempotency_key: Some(event.idempotency_key.to_string()),
            extensions: event
                .extensions()
                .map(|(name, value)| (name.to_string(), value.to_json()))
                .collect(),
            data: RawValue::from_string(event.data.text().to_owned())?,
        })
    }

    fn of_patched(event: &PatchedEvent) -> Result<Self, serde_json::Error> {
        Ok(Self {
            r#type: event.event_type.to_string(),
            source: event.source.to_string(),
            subject: Some(event.subject.to_string()),
            time: None,
            dataschema: None,
            idempotency_key: None,
            extensions: Map::new(),
            data: RawValue::from_string(event.data.to_string())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::Envelope;

    fn unwanted() -> Trial {
        let mismatch =
            Mismatch { path: "source".into(), reason: "its value is another one".into() };
        Trial { publication: "a/A".into(), verdict: TrialVerdict::Unwanted(vec![mismatch]) }
    }

    fn refused() -> Trial {
        let (code, violations) = ("contract-violated", Vec::new());
        let verdict = TrialVerdict::Refused { code, violations, patched: None };
        Trial { publication: "b/B".into(), verdict }
    }

    fn outcome_of(trials: Vec<Trial>, response_mode: ResponseMode) -> &'static str {
        let received = Received {
            envelope: Envelope::example(json!({})),
            repeatable: true,
            traceparent: None,
        };
        TriedEvent::new((0, &received), trials, response_mode, |_| None).unwrap().outcome
    }

    #[test]
    fn the_outcome_is_what_the_producer_would_be_told() {
        let (waits, gone) = (ResponseMode::Synchronous, ResponseMode::Asynchronous);

        assert_eq!(outcome_of(vec![], waits), "unwanted");
        assert_eq!(outcome_of(vec![unwanted()], gone), "unwanted");
        assert_eq!(outcome_of(vec![refused(), unwanted()], waits), "refused");
        assert_eq!(outcome_of(vec![refused(), unwanted()], gone), "quarantined");
    }
}
