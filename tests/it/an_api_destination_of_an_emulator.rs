//! The bus of an emulator pushes to the gateway through API destinations, with a connection of each
//! kind, filled in as the docs say.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{
    ApiDestinationHttpMethod, ConnectionAuthorizationType, ConnectionBodyParameter,
    ConnectionHttpParameters, ConnectionOAuthHttpMethod,
    CreateConnectionApiKeyAuthRequestParameters, CreateConnectionAuthRequestParameters,
    CreateConnectionBasicAuthRequestParameters, CreateConnectionOAuthClientRequestParameters,
    CreateConnectionOAuthRequestParameters, PutEventsRequestEntry, Target,
};
use serde_json::json;

use crate::harness::aws::Emulator;
use crate::harness::{Receiver, TestGateway, eventually};

/// The name of a connection, its kind and how it authorizes.
type Connection =
    (&'static str, ConnectionAuthorizationType, CreateConnectionAuthRequestParameters);

/// A connection of each kind, with a caller of its own, as the docs say to fill it in.
fn connections(issuer: &str, key: &str) -> [Connection; 3] {
    let parameters = CreateConnectionAuthRequestParameters::builder;
    let api_key = CreateConnectionApiKeyAuthRequestParameters::builder()
        .api_key_name("x-api-key")
        .api_key_value(key)
        .build()
        .unwrap();
    let basic = CreateConnectionBasicAuthRequestParameters::builder()
        .username("order-bus")
        .password(key)
        .build()
        .unwrap();
    let client = CreateConnectionOAuthClientRequestParameters::builder()
        .client_id("order-bus")
        .client_secret(key)
        .build()
        .unwrap();
    let grant = ConnectionBodyParameter::builder()
        .key("grant_type")
        .value("client_credentials")
        .is_value_secret(false)
        .build();
    let oauth = CreateConnectionOAuthRequestParameters::builder()
        .authorization_endpoint(format!("{issuer}/oauth/token"))
        .http_method(ConnectionOAuthHttpMethod::Post)
        .client_parameters(client)
        .o_auth_http_parameters(ConnectionHttpParameters::builder().body_parameters(grant).build())
        .build()
        .unwrap();
    [
        (
            "api-key",
            ConnectionAuthorizationType::ApiKey,
            parameters().api_key_auth_parameters(api_key).build(),
        ),
        (
            "basic",
            ConnectionAuthorizationType::Basic,
            parameters().basic_auth_parameters(basic).build(),
        ),
        (
            "oauth",
            ConnectionAuthorizationType::OauthClientCredentials,
            parameters().o_auth_parameters(oauth).build(),
        ),
    ]
}

/// A rule that pushes orders to the gateway by a connection of its own for each kind.
async fn push_by_every_kind(bus: &Client, issuer: &str, key: &str) {
    let pattern = json!({ "source": ["order-service"] }).to_string();
    bus.put_rule().name("orders").event_pattern(pattern).send().await.unwrap();
    let mut rule = bus.put_targets().rule("orders");
    for (name, kind, parameters) in connections(issuer, key) {
        let connection = bus
            .create_connection()
            .name(name)
            .authorization_type(kind)
            .auth_parameters(parameters)
            .send()
            .await
            .unwrap();
        let destination = bus
            .create_api_destination()
            .name(name)
            .connection_arn(connection.connection_arn().unwrap())
            .invocation_endpoint(format!("{issuer}/events"))
            .http_method(ApiDestinationHttpMethod::Post)
            .invocation_rate_limit_per_second(300)
            .send()
            .await
            .unwrap();
        let target = Target::builder()
            .id(name)
            .arn(destination.api_destination_arn().unwrap())
            .role_arn("arn:aws:iam::000000000000:role/invoke")
            .build()
            .unwrap();
        rule = rule.targets(target);
    }
    let put = rule.send().await.unwrap();
    assert_eq!(put.failed_entry_count(), 0, "{put:?}");
}

/// Puts an order on the bus; gives the id of its envelope.
async fn put_order(bus: &Client, number: u64) -> String {
    let entry = PutEventsRequestEntry::builder()
        .source("order-service")
        .detail_type("OrderCreated")
        .detail(json!({ "id": number, "amount": 100 }).to_string())
        .build();
    let put = bus.put_events().entries(entry).send().await.unwrap();
    put.entries()[0].event_id().unwrap().to_owned()
}

/// Waits until the gateway has answered all three connections with 202, since it started.
async fn all_were_taken(gateway: &TestGateway) {
    let counter = "sealway_requests_total{route=\"/events\",status=\"202\"} 3";
    eventually("all three kinds are answered 202", async || {
        let metrics = gateway.get("/metrics").await;
        metrics.as_str().unwrap().contains(counter).then_some(())
    })
    .await;
}

/// Asserts that one event came of an envelope, and gives its id.
async fn only_event(gateway: &TestGateway, envelope: &str) -> String {
    let found = gateway.get(&format!("/events?envelope={envelope}")).await;
    let events = found["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "the same event, by three connections: {found}");
    events[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_kind_of_connection_publishes_and_the_event_crosses_once() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let key = gateway.add_caller("order-bus", &["publish:*"]).await;
    let emulator = Emulator::ministack().await;
    let bus = TestGateway::sdk_through(emulator.url(), "any");
    push_by_every_kind(&bus, &gateway.issuer(), &key).await;

    let envelope = put_order(&bus, 101).await;
    all_were_taken(&gateway).await;
    let first = only_event(&gateway, &envelope).await;

    // Its tokens end with the process: the bus is refused once, asks for another, and pushes again.
    gateway.restart().await;
    let envelope = put_order(&bus, 102).await;
    all_were_taken(&gateway).await;
    let second = only_event(&gateway, &envelope).await;
    let metrics = gateway.get("/metrics").await;
    let refused = "sealway_requests_total{route=\"/events\",status=\"401\"} 1";
    assert!(metrics.as_str().unwrap().contains(refused), "{metrics}");

    receiver.wait_for_delivered(2).await;
    assert_eq!(receiver.delivered_ids(), [first, second]);
}
