//! A signed request that somebody recorded on its way brings no event that it has not brought before,
//! and the repeats of honest producers are neither refused nor doubled.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_eventbridge::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, ManualClock};
use sealway::event::Timestamp;

use crate::harness::{ACCESS_KEY, ACCESS_SECRET, TestGateway};

const TARGET: (&str, &str) = ("x-amz-target", "AWSEvents.PutEvents");

/// A `PutEvents` of one order, signed at the clock's moment as boto3 signs: without its invocation id.
struct Recording {
    headers: Vec<(String, String)>,
    body: String,
}

impl Recording {
    fn of(gateway: &TestGateway, clock: &ManualClock, order: u64) -> Self {
        let body = json!({"Entries": [{
            "Source": "order-service", "DetailType": "OrderCreated",
            "Detail": json!({"id": order, "amount": 5}).to_string(),
        }]});
        let body = body.to_string();
        let identity = Credentials::new(ACCESS_KEY, ACCESS_SECRET, None, None, "test").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("events")
            .time(UNIX_EPOCH + clock.now().since(Timestamp::EPOCH))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(
            "POST",
            format!("{}/", gateway.issuer()),
            [TARGET].into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
        let headers = [TARGET].into_iter().chain(instructions.headers());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { headers, body }
    }

    /// Sends it under an invocation id, and gives the id of the event that it is answered.
    async fn send(&self, gateway: &TestGateway, invocation: Option<&str>) -> String {
        let mut request = gateway.request(Method::POST, "/").body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(id) = invocation {
            request = request.header("amz-sdk-invocation-id", id);
        }
        let response = request.send().await.unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["Entries"][0]["EventId"].as_str().unwrap().to_owned()
    }
}

async fn events(gateway: &TestGateway) -> usize {
    gateway.get("/events").await["events"].as_array().unwrap().len()
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_unix_seconds(1_795_283_489))
}

#[tokio::test]
async fn a_recording_under_another_invocation_is_answered_as_the_first_also_after_a_restart() {
    let clock = clock();
    let mut gateway = TestGateway::at(&clock).await;
    let recording = Recording::of(&gateway, &clock, 1);
    let first = recording.send(&gateway, Some("first")).await;

    clock.advance(Duration::from_secs(6));
    assert_eq!(recording.send(&gateway, Some("forged")).await, first);
    assert_eq!(recording.send(&gateway, None).await, first);

    gateway.restart().await;
    clock.advance(Duration::from_mins(4));
    assert_eq!(recording.send(&gateway, Some("forged again")).await, first);
    assert_eq!(events(&gateway).await, 1);
}

#[tokio::test]
async fn an_honest_repeat_is_answered_as_the_first_however_late_and_however_it_is_signed() {
    let clock = clock();
    let mut gateway = TestGateway::at(&clock).await;
    let request = Recording::of(&gateway, &clock, 1);
    let first = request.send(&gateway, Some("first")).await;

    assert_eq!(request.send(&gateway, Some("first")).await, first, "within the same second");
    clock.advance(Duration::from_secs(20));
    let signed_anew = Recording::of(&gateway, &clock, 1);
    assert_eq!(signed_anew.send(&gateway, Some("first")).await, first);
    gateway.restart().await;
    assert_eq!(request.send(&gateway, Some("first")).await, first, "and it came late");
    // What was recorded of the repeat brings nothing either.
    clock.advance(Duration::from_secs(20));
    assert_eq!(signed_anew.send(&gateway, Some("forged")).await, first);
    assert_eq!(events(&gateway).await, 1);
}

#[tokio::test]
async fn equal_requests_of_one_second_are_two_and_their_repeats_stay_apart() {
    let clock = clock();
    let mut gateway = TestGateway::at(&clock).await;
    let request = Recording::of(&gateway, &clock, 1);

    let first = request.send(&gateway, Some("first")).await;
    let second = request.send(&gateway, Some("second")).await;

    assert_ne!(first, second);
    gateway.restart().await;
    clock.advance(Duration::from_mins(1));
    assert_eq!(request.send(&gateway, Some("second")).await, second);
    assert_eq!(request.send(&gateway, Some("first")).await, first);
    assert_eq!(events(&gateway).await, 2);
}

#[tokio::test]
async fn a_client_without_invocation_ids_is_known_by_its_signature() {
    let clock = clock();
    let gateway = TestGateway::at(&clock).await;
    let request = Recording::of(&gateway, &clock, 1);

    let first = request.send(&gateway, None).await;

    assert_eq!(request.send(&gateway, None).await, first);
    clock.advance(Duration::from_mins(1));
    assert_eq!(request.send(&gateway, Some("forged")).await, first);
    let next = Recording::of(&gateway, &clock, 1);
    assert_ne!(next.send(&gateway, None).await, first);
    assert_eq!(events(&gateway).await, 2);
}
