//! The time of an event crosses as its producer wrote it, whatever year and offset it has.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    ACCESS_SECRET, Arrival, Receiver, Reply, TestGateway, eventually, order_created, program,
};

/// Times that producers send, and the seconds since 1970 that a token says.
const TIMES: [(&str, Option<u64>); 12] = [
    ("0001-01-01T00:00:00Z", None),
    ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
    ("0000-01-01T00:00:00+14:00", None),
    ("9999-12-31T23:59:59.999999999999-12:00", Some(253_402_343_999)),
    ("1969-12-31T23:59:59.999Z", None),
    ("1970-01-01T00:00:00Z", Some(0)),
    ("1970-01-01T01:00:00+01:00", Some(0)),
    ("2026-11-21T20:17:00Z", Some(1_795_292_220)),
    ("2026-11-21T21:17:00.250+01:00", Some(1_795_292_220)),
    ("2026-11-21T20:17:00-00:00", Some(1_795_292_220)),
    ("2026-11-21T20:17:00.120Z", Some(1_795_292_220)),
    ("2016-12-31T23:59:60Z", Some(1_483_228_799)),
];

fn order_at(number: usize, time: &str) -> Value {
    let mut event = order_created(&format!("order-{number}"), number as u64 + 1);
    event["time"] = time.into();
    event
}

async fn assert_listed(gateway: &TestGateway, ids: &[String]) {
    for (id, (time, _)) in ids.iter().zip(TIMES) {
        let shown = gateway.get(&format!("/events/{id}")).await;
        assert_eq!(shown["event"]["time"], time, "{shown}");
    }
}

/// Asserts that each event arrived with its time, beside the token too, and `toe` from 1970 on.
fn assert_arrived(arrivals: &[Arrival], ids: &[String]) {
    for (id, (time, occurred)) in ids.iter().zip(TIMES) {
        let arrival = arrivals.iter().find(|arrival| arrival.id() == id).unwrap();
        let claims = arrival.opened.claims();
        assert_eq!(arrival.opened.event()["time"], time, "{claims}");
        assert_eq!(claims.get("toe"), occurred.map(Value::from).as_ref(), "{claims}");
        assert_eq!(arrival.header("ce-time"), Some(time));
    }
}

#[tokio::test]
async fn any_year_and_offset_goes_through_log_token_replay_and_restart() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut ids = Vec::new();
    for (number, (time, _)) in TIMES.iter().enumerate() {
        ids.extend(gateway.publish(&order_at(number, time)).await);
    }

    assert_listed(&gateway, &ids).await;
    assert_arrived(&receiver.wait_for_delivered(ids.len()).await, &ids);
    let again = gateway.send(&order_at(0, TIMES[1].0)).await;
    assert_eq!(again.body["events"][0]["eventIds"], json!([ids[0]]), "time names no event");

    gateway.restart().await;
    assert_listed(&gateway, &ids).await;
    receiver.take_arrivals();
    let wish = json!({ "from": ids[0] });
    gateway.post("/subscriptions/shop/replays", &wish).await;
    let replayed = receiver.wait_for_delivered(ids.len()).await;
    assert!(replayed.iter().all(|arrival| arrival.opened.replay().is_some()));
    assert_arrived(&replayed, &ids);

    gateway.stop().await;
    let data = gateway.path("data");
    let verified = program().args(["log", "verify"]).arg(&data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[tokio::test]
async fn a_dead_letter_comes_back_with_its_time() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "shop").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    receiver.answer(Reply::Status(422));
    let mut ids = Vec::new();
    for (number, (time, _)) in TIMES.iter().enumerate() {
        ids.extend(gateway.publish(&order_at(number, time)).await);
    }
    let path = "/subscriptions/shop/dead-letters";
    eventually("all are dead letters", async || {
        let letters = gateway.get(path).await["deadLetters"].as_array().unwrap().len();
        (letters == ids.len()).then_some(())
    })
    .await;

    receiver.answer(Reply::Status(202));
    gateway.call(Method::POST, &format!("{path}/redrive"), Some(&json!({}))).await;

    assert_arrived(&receiver.wait_for_delivered(ids.len()).await, &ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_the_time_as_it_was_sent() {
    let gateway = TestGateway::start().await;
    let key = gateway.add_caller("operator", &["operate"]).await;
    let id = gateway.publish(&order_at(1, "0001-01-01T00:00:00.0+05:30")).await.remove(0);
    let shown = |arguments: &[&str]| {
        let mut command = program();
        command.args(["--output", "json", "--gateway", &gateway.issuer()]).args(arguments);
        let output = command.env("SEALWAY_CALLER_KEY", &key).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };

    let got = shown(&["events", "get", &id]);
    let listed = shown(&["events", "list"]);

    assert_eq!(got["event"]["time"], "0001-01-01T00:00:00.0+05:30", "{got}");
    assert_eq!(listed[0]["time"], "0001-01-01T00:00:00.0+05:30", "{listed}");
}

#[tokio::test]
async fn the_bus_takes_seconds_and_texts_and_refuses_one_entry_for_its_time_alone() {
    let gateway = TestGateway::start().await;
    let client = TestGateway::sdk_through(&gateway.issuer(), ACCESS_SECRET);
    let entry = |seconds, number: u64| {
        PutEventsRequestEntry::builder()
            .source("order-service")
            .detail_type("OrderCreated")
            .detail(json!({ "id": number, "amount": 100 }).to_string())
            .time(DateTime::from_secs_and_nanos(seconds, 500_000_000))
            .build()
    };
    let put = client
        .put_events()
        .entries(entry(-62_135_596_800, 1))
        .entries(entry(253_402_300_800, 2))
        .entries(entry(253_402_300_799, 3))
        .send()
        .await
        .unwrap();

    assert_eq!(put.failed_entry_count(), 1);
    let wrong = &put.entries()[1];
    assert_eq!(wrong.error_code(), Some("InvalidArgument"));
    assert!(wrong.error_message().unwrap().contains("years 0000 to 9999"), "{wrong:?}");
    let events = gateway.get("/events").await["events"].take();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 2);
    for (event, time) in events.iter().zip(["0001-01-01T00:00:00.5Z", "9999-12-31T23:59:59.5Z"]) {
        assert_eq!(event["time"], time);
    }
}

#[tokio::test]
async fn a_time_that_is_none_is_named_and_letters_are_made_plain() {
    let gateway = TestGateway::start().await;
    for time in [
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-11-21T20:17:00",
        "10000-01-01T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "",
    ] {
        let refused = gateway.send(&order_at(1, time)).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid-event"), "{}", refused.body);
        assert!(refused.body["detail"].to_string().contains("`time` "), "{}", refused.body);
    }
    let id = gateway.publish(&order_at(1, "2026-11-21 20:17:00.50z")).await.remove(0);
    let shown = gateway.get(&format!("/events/{id}")).await;
    assert_eq!(shown["event"]["time"], "2026-11-21T20:17:00.50Z");

    let envelope = json!({
        "version": "0", "id": "e-2", "source": "order-service", "detail-type": "OrderCreated",
        "time": "9999-12-31T23:59:59+02:00", "detail": { "id": 2, "amount": 100 },
    });
    let sent = gateway.send_text("/events", "application/json", envelope.to_string()).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let id = sent.body["events"][0]["eventIds"][0].as_str().unwrap();
    let shown = gateway.get(&format!("/events/{id}")).await;
    assert_eq!(shown["event"]["time"], "9999-12-31T23:59:59+02:00");
}
