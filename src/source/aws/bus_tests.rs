//! Tests of the embedded bus over a recording gateway, beside the code they test.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::ambient::{ManualClock, Secret, SecretReference, SeededEntropy};
use crate::event::{EventId, EventProducer, Fault, ProducerKind, Timestamp, Violation};
use crate::source::{AccessKey, AdmitRefusal, Admitted, Signatures, Unparsed};

/// Takes everything but what is on its list of answers, and remembers what it was given.
#[derive(Default)]
struct Recorder {
    received: Mutex<Vec<Received>>,
    /// The answers for the next events, last first; afterwards every event is taken.
    answers: Mutex<Vec<Result<(), AdmitRefusal>>>,
    modes: Mutex<Vec<ResponseMode>>,
    /// What was set aside, one list for each call.
    aside: Mutex<Vec<Vec<Unparsed>>>,
    /// As `answers`, for what is set aside.
    aside_answers: Mutex<Vec<Result<(), AdmitRefusal>>>,
}

#[async_trait]
impl Admit for Recorder {
    async fn admit(
        &self,
        batch: Vec<Received>,
        producer: Option<&EventProducer>,
        response_mode: ResponseMode,
    ) -> Vec<Result<Admitted, AdmitRefusal>> {
        assert_eq!(producer.unwrap().kind, ProducerKind::AccessKey);
        self.modes.lock().unwrap().push(response_mode);
        let mut answers = self.answers.lock().unwrap();
        let outcomes = batch.iter().map(|_| answers.pop().unwrap_or(Ok(())));
        let outcomes = outcomes.map(|answer| answer.map(|()| Admitted::default())).collect();
        self.received.lock().unwrap().extend(batch);
        outcomes
    }

    async fn release(&self, _: Received, _: &str) -> Result<EventId, AdmitRefusal> {
        unreachable!("a bus releases nothing")
    }

    async fn set_aside(&self, batch: Vec<Unparsed>) -> Vec<Result<u64, AdmitRefusal>> {
        let mut answers = self.aside_answers.lock().unwrap();
        let answer = |_: &Unparsed| answers.pop().unwrap_or(Ok(())).map(|()| 7);
        let numbers = batch.iter().map(answer).collect();
        self.aside.lock().unwrap().push(batch);
        numbers
    }
}

impl Recorder {
    fn ids(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|received| received.envelope.id.clone()).collect()
    }

    fn will_answer(&self, answers: impl IntoIterator<Item = Result<(), AdmitRefusal>>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
        self.answers.lock().unwrap().reverse();
    }
}

fn refusal(fault: Fault, code: &'static str) -> AdmitRefusal {
    AdmitRefusal { fault, code, message: "because".to_owned(), violations: Vec::new() }
}

struct House {
    recorder: Arc<Recorder>,
    bus: Bus,
    metrics: Arc<Metrics>,
    peer: Option<IpAddr>,
}

impl House {
    fn new(signatures: Signatures) -> Self {
        let recorder = Arc::new(Recorder::default());
        let config = Config { signatures, ..Config::default() };
        let clock = ManualClock::at(Timestamp::EPOCH.after(Duration::from_secs(1_795_283_489)));
        let admit = Arc::clone(&recorder) as Arc<dyn Admit>;
        let entropy = Arc::new(SeededEntropy::new(1));
        let metrics = Arc::new(Metrics::new());
        let key = AccessKey {
            id: "AKIA1".to_owned(),
            secret: SecretReference::Env("X".into()),
            sources: None,
        };
        let keys = AccessKeys::new([(key, Secret::new("secret".to_owned()))]);
        let inward = (admit, Arc::clone(&metrics));
        let bus = Bus::new(config, keys, inward, Arc::new(clock), entropy);
        Self { recorder, bus, metrics, peer: "127.0.0.1".parse().ok() }
    }

    fn open() -> Self {
        Self::new(Signatures::Off)
    }

    async fn call(&self, pairs: &[(&str, &str)], body: &Value) -> Result<Value, Refused> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let body = body.to_string();
        let call = Call {
            method: "POST",
            path: "/",
            query: "",
            authority: None,
            headers: &headers,
            body: body.as_bytes(),
            peer: self.peer,
            room: &(),
        };
        let answered = self.bus.answer(call).await;
        answered.outcome.map(|json| serde_json::from_str(&json).unwrap())
    }

    async fn put(&self, invocation: Option<&str>, details: &[&str]) -> Result<Value, Refused> {
        let entries: Vec<Value> = details
            .iter()
            .map(|detail| json!({"Source": "orders", "DetailType": "Made", "Detail": detail}))
            .collect();
        let mut pairs = vec![("x-amz-target", "AWSEvents.PutEvents")];
        pairs.extend(invocation.map(|id| ("amz-sdk-invocation-id", id)));
        self.call(&pairs, &json!({ "Entries": entries })).await
    }
}

#[tokio::test]
async fn an_entry_is_answered_with_the_id_of_its_envelope() {
    let house = House::open();

    let answer = house.put(None, &["{\"id\":101}", "broken"]).await.unwrap();

    let received = house.recorder.received.lock().unwrap();
    assert_eq!(received.len(), 1);
    let envelope = &received[0].envelope;
    assert_eq!(answer["FailedEntryCount"], 1);
    assert_eq!(answer["Entries"][0], json!({ "EventId": envelope.id }));
    assert_eq!(answer["Entries"][1]["ErrorCode"], "MalformedDetail");
    assert_eq!(envelope.account.as_deref(), Some("000000000000"));
    assert_eq!(envelope.region.as_deref(), Some("us-east-1"));
    assert_eq!(envelope.time.epoch_seconds(), Some(1_795_283_489));
    assert!(!received[0].repeatable);
}

#[tokio::test]
async fn a_repeated_invocation_gets_the_first_answer_and_another_body_does_not() {
    let house = House::open();

    let first = house.put(Some("i1"), &["{\"id\":1}", "broken"]).await.unwrap();
    let again = house.put(Some("i1"), &["{\"id\":1}", "broken"]).await.unwrap();
    let other = house.put(Some("i1"), &["{\"id\":2}"]).await.unwrap();

    assert_eq!(first, again);
    assert_ne!(first["Entries"][0], other["Entries"][0]);
    assert_eq!(house.recorder.ids().len(), 2);
    assert!(house.recorder.received.lock().unwrap()[0].repeatable);
}

#[tokio::test]
async fn when_nothing_was_stored_for_lack_of_room_the_whole_request_is_to_be_repeated() {
    for invocation in [None, Some("i1")] {
        let house = House::open();
        house.recorder.will_answer([Err(refusal(Fault::Later, "busy"))]);

        let busy = house.put(invocation, &["{}"]).await.unwrap_err();
        let later = house.put(invocation, &["{}"]).await.unwrap();

        assert_eq!(busy.kind, AwsErrorKind::ServiceUnavailable);
        assert_eq!(later["FailedEntryCount"], 0);
        let ids = house.recorder.ids();
        assert_eq!(ids[0] == ids[1], invocation.is_some());
    }
}

#[tokio::test]
async fn when_a_part_was_stored_only_a_recognisable_request_is_repeated_whole() {
    let answers = || [Ok(()), Err(refusal(Fault::Later, "busy")), Err(refusal(Fault::Ours, "x"))];

    let house = House::open();
    house.recorder.will_answer(answers());
    let whole = house.put(Some("i1"), &["{}", "{}", "{}"]).await.unwrap_err();
    assert_eq!(whole.kind, AwsErrorKind::ServiceUnavailable);

    house.recorder.will_answer(answers());
    let answer = house.put(None, &["{}", "{}", "{}"]).await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 2);
    assert_eq!(answer["Entries"][1]["ErrorCode"], "ThrottlingException");
    assert_eq!(answer["Entries"][2]["ErrorCode"], "InternalFailure");
    assert!(!answer["Entries"][2].to_string().contains("because"));
}

#[tokio::test]
async fn a_broken_contract_is_the_entrys_own_fault_and_names_its_violations() {
    let house = House::open();
    let violation = |n| Violation {
        pointer: format!("/lines/{n}"),
        code: "required".into(),
        message: "`sku` is required".into(),
    };
    let mut broken = refusal(Fault::Caller, "contract-violated");
    broken.violations = (0..12).map(violation).collect();
    house.recorder.will_answer([Ok(()), Err(broken), Err(refusal(Fault::Caller, "patch-failed"))]);

    let answer = house.put(None, &["{}", "{}", "{}"]).await.unwrap();

    assert!(answer["Entries"][0]["EventId"].is_string());
    assert_eq!(answer["Entries"][1]["ErrorCode"], "ContractViolation");
    let message = answer["Entries"][1]["ErrorMessage"].as_str().unwrap();
    assert!(message.starts_with("because; at '/lines/0': `sku` is required (required)"));
    assert!(message.ends_with("and 2 more"), "{message}");
    assert_eq!(answer["Entries"][2]["ErrorMessage"], "because (patch-failed)");
}

#[tokio::test]
async fn a_bus_that_quarantines_waits_for_no_producer() {
    let mut house = House::open();
    house.put(None, &["{}"]).await.unwrap();
    house.bus.config.on_violation = OnViolation::Quarantine;
    let answer = house.put(None, &["{}", "broken"]).await.unwrap();

    assert_eq!(
        *house.recorder.modes.lock().unwrap(),
        [ResponseMode::Synchronous, ResponseMode::Asynchronous]
    );
    assert!(answer["Entries"][0]["EventId"].is_string());
    // What nobody has signed is not kept.
    assert_eq!(answer["Entries"][1]["ErrorCode"], "MalformedDetail");
}

#[tokio::test]
async fn refusals_are_counted_by_access_key_once_and_only_under_known_ids() {
    let house = House::open();
    let claim = |id: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/20261121/us-east-1/events/aws4_request, \
                 SignedHeaders=host, Signature=00"
        )
    };
    let entry = |detail| json!({"Source": "s", "DetailType": "t", "Detail": detail});
    let body = json!({"Entries": [entry("{}"), entry("x"), entry("y"), {}]});
    let target = ("x-amz-target", "AWSEvents.PutEvents");
    let (known, made_up) = (claim("AKIA1"), claim("AKIA2"));
    let date = ("x-amz-date", "20261121T175129Z");
    let known = [target, date, ("authorization", &known), ("amz-sdk-invocation-id", "i1")];
    for _ in 0..2 {
        house.call(&known, &body).await.unwrap();
    }
    let made_up = [target, date, ("authorization", &*made_up)];
    house.call(&made_up, &json!({"Entries": []})).await.unwrap_err();

    let text = house.metrics.render();
    for line in [
        r#"{access_key="AKIA1",code="MalformedDetail"} 2"#,
        r#"{access_key="AKIA1",code="InvalidArgument"} 1"#,
        r#"{access_key="(unsigned)",code="ValidationException"} 1"#,
    ] {
        assert!(text.contains(&format!("sealway_put_events_refused_total{line}\n")), "{text}");
    }
    assert!(!text.contains("AKIA2"));
}

#[tokio::test]
async fn unsigned_requests_are_for_loopback_peers_without_a_proxy_between() {
    let mut house = House::open();
    let target = ("x-amz-target", "AWSEvents.ListEventBuses");

    assert!(house.call(&[target], &json!({})).await.is_ok());
    let proxied = house.call(&[target, ("x-forwarded-for", "10.0.0.1")], &json!({})).await;
    assert_eq!(proxied.unwrap_err().kind, AwsErrorKind::AccessDenied);
    house.peer = "10.0.0.1".parse().ok();
    assert_eq!(
        house.call(&[target], &json!({})).await.unwrap_err().kind,
        AwsErrorKind::AccessDenied
    );
    let signed = House::new(Signatures::Required).call(&[target], &json!({})).await;
    assert_eq!(signed.unwrap_err().kind, AwsErrorKind::MissingAuthenticationToken);
}

#[tokio::test]
async fn buses_are_described_and_listed_in_pages_and_nothing_else_is_offered() {
    let mut house = House::open();
    let buses = ["default", "orders", "orders-eu"].map(str::to_owned).to_vec();
    house.bus.buses = Buses::new(&Config { buses, ..Config::default() });
    let ask = async |operation: &str, body| {
        house.call(&[("x-amz-target", &format!("AWSEvents.{operation}"))], &body).await
    };

    let default = ask("DescribeEventBus", json!({})).await.unwrap();
    assert_eq!(default["Arn"], "arn:aws:events:us-east-1:000000000000:event-bus/default");
    let missing = ask("DescribeEventBus", json!({"Name": "x"})).await.unwrap_err();
    assert_eq!(missing.message, "Event bus x does not exist.");
    let page = ask("ListEventBuses", json!({"NamePrefix": "orders", "Limit": 1})).await.unwrap();
    assert_eq!(page["EventBuses"][0]["Name"], "orders");
    let next = json!({"NamePrefix": "orders", "NextToken": page["NextToken"]});
    let last = ask("ListEventBuses", next).await.unwrap();
    assert_eq!(last["EventBuses"][0]["Name"], "orders-eu");
    assert!(last.get("NextToken").is_none());
    assert_eq!(
        ask("ListEventBuses", json!({"Limit": 0})).await.unwrap_err().kind,
        AwsErrorKind::Validation
    );
    assert_eq!(ask("PutRule", json!({})).await.unwrap_err().kind, AwsErrorKind::UnknownOperation);
}

#[test]
fn an_entry_is_read_again_under_the_id_that_its_producer_was_answered() {
    let house = House::open();
    let arrived = Timestamp::from_unix_seconds(1_795_000_000);
    let id = "6f5c1d3e-0d1b-4a5e-9c53-0a5f0f2f7a11";
    let read =
        |entry: &str, id| house.bus.read_again(entry.as_bytes(), id, &HeaderMap::new(), arrived);
    let good = r#"{"Source":"orders","DetailType":"Made","Detail":"{\"n\":1}"}"#;

    let received = read(good, id).unwrap();

    assert_eq!((&*received.envelope.id, received.envelope.time), (id, arrived.into()));
    assert!(received.repeatable && received.envelope.detail == json!({"n": 1}));
    for (entry, id, problem) in [
        (good, "order-1", "event id"),
        (&*good.replace("{\\\"n\\\":1}", "{"), id, "malformed"),
        (&*good.replace("\"orders\"", "\"sealway\""), id, "Not authorized"),
        (&*format!("{good},{good}"), id, "not one entry"),
        ("", id, "entries"),
        ("{", id, "body"),
    ] {
        let told = read(entry, id).unwrap_err();
        assert!(told.contains(problem), "{entry}: {told}");
    }
}

#[path = "bus_pattern_tests.rs"]
mod patterns;
#[path = "bus_unreadable_tests.rs"]
mod unreadable;
