//! An unmodified AWS SDK whose endpoint is the gateway is a producer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_eventbridge::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use sealway::ambient::{
    Clock as _, Secret, SecretReference, Size, SystemClock, SystemEntropy, Tasks,
};
use sealway::api::{BodyBudget, bus_route, serve};
use sealway::event::{EventId, EventProducer, Fault};
use sealway::source::aws::{AccessKeys, Bus};
use sealway::source::{
    AccessKey, Admit, AdmitRefusal, Admitted, Config, Received, ResponseMode, Unparsed,
};
use sealway::telemetry::Metrics;

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "a secret of forty characters, more or less";

/// A gateway without a log: it remembers what it was given, and is busy as often as it is told.
#[derive(Default)]
struct Recorder {
    received: Mutex<Vec<Received>>,
    busy: Mutex<VecDeque<bool>>,
}

#[async_trait]
impl Admit for Recorder {
    async fn admit(
        &self,
        batch: Vec<Received>,
        _: Option<&EventProducer>,
        _: ResponseMode,
    ) -> Vec<Result<Admitted, AdmitRefusal>> {
        let is_busy = self.busy.lock().unwrap().pop_front().unwrap_or(false);
        let answers = batch.iter().map(|_| {
            if is_busy {
                let message = "too much waits for the disk".to_owned();
                Err(AdmitRefusal { fault: Fault::Later, code: "busy", message, violations: vec![] })
            } else {
                Ok(Admitted::default())
            }
        });
        let answers = answers.collect();
        self.received.lock().unwrap().extend(batch);
        answers
    }

    async fn release(&self, _: Received, _: &str) -> Result<EventId, AdmitRefusal> {
        unreachable!("a bus releases nothing")
    }

    async fn set_aside(&self, _: Vec<Unparsed>) -> Vec<Result<u64, AdmitRefusal>> {
        unreachable!("a bus answers what it cannot read")
    }
}

/// A real server on a port of its own.
struct Server {
    recorder: Arc<Recorder>,
    url: String,
    tasks: Tasks,
}

impl Server {
    async fn start() -> Self {
        let recorder = Arc::new(Recorder::default());
        let sources = Some(vec!["order-service".parse().unwrap(), "shop.*".parse().unwrap()]);
        let key = AccessKey { id: KEY.into(), secret: SecretReference::Env("X".into()), sources };
        let keys = AccessKeys::new([(key, Secret::new(SECRET.to_owned()))]);
        let admit = Arc::clone(&recorder) as Arc<dyn Admit>;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let inward = (admit, Arc::new(Metrics::new()));
        let bus = Bus::new(Config::default(), keys, inward, clock, entropy);
        let router =
            Router::new().route("/", bus_route(Arc::new(bus), BodyBudget::new(Size(64 << 20))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn(async move {
            serve(&listener, router, &sealway::api::Config::default(), &inner).await;
        });
        Self { recorder, url, tasks }
    }

    fn client(&self, secret: &str) -> Client {
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new(KEY, secret, None, None, "test"))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .build();
        Client::from_conf(config)
    }

    fn received(&self) -> Vec<Received> {
        self.recorder.received.lock().unwrap().clone()
    }

    /// Sends a request that the vendor's signer signed, with headers that stay unsigned.
    async fn send(
        &self,
        target: &str,
        body: impl AsRef<[u8]>,
        unsigned: &[(&str, &str)],
    ) -> reqwest::Response {
        let body = body.as_ref();
        let identity = Credentials::new(KEY, SECRET, None, None, "test").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("events")
            .time(std::time::UNIX_EPOCH + SystemClock.now().since(sealway::event::Timestamp::EPOCH))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let target = format!("AWSEvents.{target}");
        let signed = [("x-amz-target", target.as_str())];
        let signable = SignableBody::Bytes(body);
        let request =
            SignableRequest::new("POST", format!("{}/", self.url), signed.into_iter(), signable)
                .unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let mut request = reqwest::Client::new().post(&self.url).body(body.to_vec());
        let headers = signed.into_iter().chain(instructions.headers());
        for (name, value) in headers.chain(unsigned.iter().copied()) {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

fn entry(source: &str, detail: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .source(source)
        .detail_type("OrderCreated")
        .detail(detail)
        .build()
}

#[tokio::test]
async fn what_the_sdk_puts_arrives_as_an_envelope_under_the_id_that_it_was_answered() {
    let server = Server::start().await;
    let whole = PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail("{\"id\":101,\"note\":\"\u{e9}\"}")
        .resources("arn:x")
        .time(DateTime::from_secs_and_nanos(1_704_164_645, 123_456_789))
        .trace_header("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
        .event_bus_name("default")
        .build();

    let answer = server.client(SECRET).put_events().entries(whole).send().await.unwrap();

    assert_eq!(answer.failed_entry_count(), 0);
    let received = server.received();
    let [event] = received.as_slice() else { panic!("{received:?}") };
    let envelope = &event.envelope;
    assert_eq!(answer.entries()[0].event_id(), Some(envelope.id.as_str()));
    assert_eq!(envelope.source, "order-service");
    assert_eq!(envelope.detail_type, "OrderCreated");
    assert_eq!(envelope.detail, json!({"id": 101, "note": "\u{e9}"}));
    assert_eq!(envelope.resources, ["arn:x"]);
    assert_eq!(envelope.time.to_string(), "2024-01-02T03:04:05.123456789Z");
    assert_eq!(event.trace().unwrap().trace_id(), "5759e988bd862e3fe1be46a994272793");
    assert!(event.repeatable);
}

#[tokio::test]
async fn a_wrong_secret_is_told_in_the_words_of_aws_and_nothing_is_taken() {
    let server = Server::start().await;

    let put = server.client("another").put_events().entries(entry("order-service", "{}"));
    let error = put.send().await.unwrap_err();

    assert_eq!(error.code(), Some("InvalidSignatureException"));
    assert!(error.message().unwrap().starts_with("The request signature we calculated"));
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn an_entry_that_is_wrong_fails_alone() {
    let server = Server::start().await;

    let answer = server
        .client(SECRET)
        .put_events()
        .entries(entry("order-service", "{\"n\":1}"))
        .entries(entry("order-service", "not JSON"))
        .entries(entry("payment-service", "{}"))
        .entries(entry("aws.s3", "{}"))
        .entries(entry("shop.eu", "{\"n\":2}"))
        .send()
        .await
        .unwrap();

    let codes: Vec<_> = answer.entries().iter().map(|entry| entry.error_code()).collect();
    let foreign = Some("NotAuthorizedForSourceException");
    assert_eq!(answer.failed_entry_count(), 3);
    assert_eq!(codes, [None, Some("MalformedDetail"), foreign, foreign, None]);
    let details: Vec<_> = server.received().iter().map(|e| e.envelope.detail.clone()).collect();
    assert_eq!(details, [json!({"n": 1}), json!({"n": 2})]);
}

#[tokio::test]
async fn the_sdk_repeats_a_request_that_found_no_room_and_the_event_keeps_its_id() {
    let server = Server::start().await;
    server.recorder.busy.lock().unwrap().extend([true, true]);

    let put = server.client(SECRET).put_events().entries(entry("order-service", "{}"));
    let answer = put.send().await.unwrap();

    let ids: Vec<_> = server.received().into_iter().map(|event| event.envelope.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| Some(id.as_str()) == answer.entries()[0].event_id()));
}

#[tokio::test]
async fn a_repeated_invocation_is_given_the_first_answer_and_not_taken_again() {
    let server = Server::start().await;
    let body = json!({"Entries": [
        {"Source": "order-service", "DetailType": "T", "Detail": "{}"},
        {"Source": "order-service", "DetailType": "T", "Detail": "x"},
    ]});
    let mut answers = Vec::new();
    for invocation in ["i1", "i1", "i2"] {
        let unsigned = [("amz-sdk-invocation-id", invocation)];
        let answer = server.send("PutEvents", &body.to_string(), &unsigned).await;
        assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.1");
        assert!(answer.headers().contains_key("x-amzn-requestid"));
        answers.push(answer.json::<Value>().await.unwrap());
    }

    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
    assert_eq!(answers[0]["FailedEntryCount"], 1);
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn errors_of_a_request_carry_the_status_and_the_code_that_sdks_act_on() {
    let server = Server::start().await;
    let long = "x".repeat(8 * 1024 * 1024 + 1);
    let eleven = json!({"Entries": vec![json!({}); 11]}).to_string();

    for (target, body, status, code) in [
        ("PutRule", "{}", 400, "UnknownOperationException"),
        ("PutEvents", "{\"Entries\":", 400, "SerializationException"),
        ("PutEvents", eleven.as_str(), 400, "ValidationException"),
        ("PutEvents", long.as_str(), 413, "RequestEntityTooLargeException"),
        ("DescribeEventBus", "{\"Name\":\"x\"}", 400, "ResourceNotFoundException"),
    ] {
        let answer = server.send(target, body, &[]).await;
        assert_eq!(answer.status().as_u16(), status, "{code}");
        assert_eq!(answer.json::<Value>().await.unwrap()["__type"], code);
    }
    let unsigned = reqwest::Client::new().post(&server.url).send().await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 400);
    let words = unsigned.json::<Value>().await.unwrap();
    assert_eq!(words["__type"], "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn the_sdk_can_look_at_buses_and_test_a_pattern() {
    let server = Server::start().await;
    let client = server.client(SECRET);
    let event = json!({
        "id": "e", "account": "123456789012", "source": "orders", "time": "2024-01-02T03:04:05Z",
        "region": "eu-west-1", "resources": [], "detail-type": "Made", "detail": {},
    });

    let buses = client.list_event_buses().send().await.unwrap();
    let bus = client.describe_event_bus().send().await.unwrap();
    let test = client.test_event_pattern().event(event.to_string());
    let matches = test.clone().event_pattern(r#"{"source":["orders"]}"#).send().await.unwrap();
    let mistake = test.event_pattern("[]").send().await.unwrap_err();

    assert_eq!(buses.event_buses()[0].name(), Some("default"));
    assert_eq!(bus.arn(), Some("arn:aws:events:us-east-1:000000000000:event-bus/default"));
    assert!(matches.result());
    assert_eq!(mistake.code(), Some("InvalidEventPatternException"));
}

#[tokio::test]
async fn a_compressed_request_is_verified_as_it_was_sent_and_then_decompressed() {
    use std::io::Write as _;

    let server = Server::start().await;
    let entry =
        json!({"Source": "order-service", "DetailType": "OrderCreated", "Detail": "{\"id\":1}"});
    let body = json!({"Entries": [entry]}).to_string();
    let gzip = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let coded = |coding| [("content-encoding", coding)];

    let taken = server.send("PutEvents", gzip(body.as_bytes()), &coded("gzip")).await;
    assert_eq!(taken.status().as_u16(), 200, "{}", taken.text().await.unwrap());
    assert_eq!(server.received()[0].envelope.detail, json!({"id": 1}));

    let bomb = gzip(&vec![b' '; 20_000_000]);
    for (coding, body, status, kind) in [
        ("br", body.into_bytes(), 415, "UnsupportedMediaTypeException"),
        ("gzip", b"{}".to_vec(), 400, "SerializationException"),
        ("gzip", bomb, 413, "RequestEntityTooLargeException"),
    ] {
        let refused = server.send("PutEvents", body, &coded(coding)).await;
        let accepted = refused.headers().get("accept-encoding").cloned();
        assert_eq!(refused.status().as_u16(), status);
        assert_eq!(accepted.is_some_and(|value| value == "gzip"), status == 415);
        let answer: Value = refused.json().await.unwrap();
        assert!(answer["__type"].as_str().unwrap().ends_with(kind), "{answer}");
    }
    assert_eq!(server.received().len(), 1);
}
