//! What stands on a bus, who has put it there, and with how many calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use sealway::event::OWN_SOURCE;
use sealway::subscriptions::CHALLENGE_TYPE;

use crate::a_bus_is_a_sink::domain::{BUS, Domain, KEY, OWN, ROLE};
use crate::harness::aws::{AwsFault, AwsRequest, AwsStub, StubBus};
use crate::harness::eventually;

/// The ids of the events in each call of PutEvents, in order.
fn ids_of_calls(stub: &AwsStub) -> Vec<Vec<String>> {
    let ids = |entry: &Value| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        detail["id"].as_str().unwrap().to_owned()
    };
    let calls = stub.calls_of("PutEvents");
    let of_call = |entries: &Value| entries.as_array().unwrap().iter().map(ids).collect();
    calls.iter().map(|call| of_call(&call.asked.body["Entries"])).collect()
}

#[tokio::test]
async fn the_challenge_travels_as_an_event_and_the_consumer_tells_its_nonce() {
    let (domain, stub, bus, _role) = Domain::with_stub().await;

    let created = domain.subscribe(json!({})).await;

    assert_eq!(created["state"], "pending");
    assert_eq!(created["externalId"], json!(domain.external_id("shop").await));
    let challenge = bus.wait_for(1).await.remove(0);
    assert_eq!((&*challenge.source, &*challenge.detail_type), (OWN_SOURCE, CHALLENGE_TYPE));
    assert_eq!(challenge.detail["type"], CHALLENGE_TYPE);
    let waits = domain.orders([1]).await;
    domain.answer_challenge(&challenge.detail).await;
    let event = bus.wait_for(2).await.remove(1);
    assert_eq!(event.detail["id"], json!(waits[0]));
    let taken = &stub.calls_of("AssumeRole")[0].asked;
    assert_eq!((&*taken.access_key, taken.text("RoleArn")), (KEY, Some(ROLE)));
    assert_eq!(taken.text("ExternalId"), created["externalId"].as_str());
    assert!(bus.entries().iter().all(|entry| entry.principal == ROLE));
}

#[tokio::test]
async fn an_entry_shows_what_rules_match_on_and_only_the_consumer_opens_its_token() {
    let (domain, _stub, bus, _role) = Domain::subscribed(json!({})).await;

    let id = domain.orders([101]).await.remove(0);

    let entry = bus.wait_for(2).await.remove(1);
    assert_eq!((&*entry.source, &*entry.detail_type), ("sealway", "Order.Created"));
    let issuer = domain.process.issuer();
    assert_eq!(entry.resources, [format!("{issuer}/subscriptions/shop")]);
    assert!(entry.time.is_some_and(|seconds| seconds.fract() == 0.0), "{:?}", entry.time);
    let detail = entry.detail.as_object().unwrap();
    let mut members: Vec<&str> = detail.keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected = [
        "data",
        "datacontenttype",
        "dataschema",
        "id",
        "sequence",
        "source",
        "specversion",
        "subject",
        "time",
        "type",
    ];
    assert_eq!(members, expected, "neither the key of the content nor anything of the data");
    assert_eq!((&detail["source"], &detail["type"]), (&json!("/orders"), &json!("Order.Created")));
    assert_eq!((&detail["id"], &detail["sequence"]), (&json!(id), &json!("1")));
    assert_eq!(detail["datacontenttype"], "application/jwt");
    let opened = domain.key.open(detail["data"].as_str().unwrap()).unwrap();
    assert_eq!(opened.id(), id);
    assert_eq!(opened.event()["data"], json!({ "orderId": 101, "amount": 100 }));
    assert!(opened.event()["idempotencykey"].is_string());
    let attempt = domain.attempts(1).await.remove(0);
    assert_eq!((&attempt["status"], &attempt["verdict"]), (&json!(200), &json!("delivered")));
}

#[tokio::test]
async fn with_the_id_alone_an_entry_shows_that_something_is_sealed_and_no_more() {
    let (domain, _stub, bus, _role) = Domain::subscribed(json!({ "attributes": "id" })).await;

    let id = domain.orders([101]).await.remove(0);

    let entry = bus.wait_for(2).await.remove(1);
    assert_eq!((&*entry.source, &*entry.detail_type), ("sealway", "sealway.sealed"));
    let issuer = domain.process.issuer();
    assert_eq!(entry.resources, [format!("{issuer}/subscriptions/shop")]);
    assert_eq!(entry.time, None, "EventBridge shows when it was put there");
    let mut detail = entry.detail.clone();
    let token = detail["data"].take();
    let expected = json!({
        "id": id, "source": issuer, "type": "sealway.sealed", "specversion": "1.0",
        "datacontenttype": "application/jwt", "data": null,
    });
    assert_eq!(detail, expected);
    let opened = domain.key.open(token.as_str().unwrap()).unwrap();
    assert_eq!(opened.event()["type"], "Order.Created");
}

/// The detail of an order whose publication takes the subject from its data, and says this besides.
async fn detail_where_the_publication_says(also: &str) -> Value {
    let stub = AwsStub::start().await;
    let bus = stub.bus(BUS).allowing(OWN);
    let process = Domain::prepare(stub.url(), &format!("{{ consumer: shop, bus: '{BUS}' }}"));
    let file = process.directory().join("publications/orders.yaml");
    let published = std::fs::read_to_string(&file).unwrap();
    let event = "- event: Order.Created\n";
    let with_subject = format!("{event}    subject: /detail/id\n{also}");
    assert!(published.contains(event));
    std::fs::write(&file, published.replace(event, &with_subject)).unwrap();
    let domain = Domain::start_as(process).await;
    domain.subscribe(json!({})).await;
    domain.answer_challenge(&bus.wait_for(1).await[0].detail).await;

    domain.orders([101]).await;

    let detail = bus.wait_for(2).await.remove(1).detail;
    let opened = domain.key.open(detail["data"].as_str().unwrap()).unwrap();
    assert_eq!(opened.event()["subject"], "101", "the token has it in any case");
    detail
}

#[tokio::test]
async fn a_subject_of_the_data_is_in_the_clear_only_if_the_publication_names_it() {
    let hidden = detail_where_the_publication_says("").await;
    assert_eq!(hidden.get("subject"), None);

    let clear = detail_where_the_publication_says("    clear: [subject]\n").await;
    assert_eq!(clear["subject"], "101");
}

/// Events that open the window of attempts in flight far enough for a whole call and more.
const EARLIER: u16 = 200;

/// Has ten events gather while two calls are in flight, and gives their ids. What comes of the calls
/// after these two is for `fault` to say, of which the first is the call with the ten.
async fn gathered(
    domain: &Domain,
    (stub, bus): (&AwsStub, &StubBus),
    fault: impl Fn(usize, &AwsRequest) -> Option<AwsFault> + Send + Sync + 'static,
) -> Vec<String> {
    domain.orders(1..=u64::from(EARLIER / 2)).await;
    domain.orders(u64::from(EARLIER / 2) + 1..=u64::from(EARLIER)).await;
    bus.wait_for(1 + usize::from(EARLIER)).await;
    let called = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&called);
    stub.behave(move |request| {
        if request.operation != "PutEvents" {
            return None;
        }
        match counter.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Some(AwsFault::Slow(Duration::from_secs(2))),
            later => fault(later - 2, request),
        }
    });
    for number in 1..=2 {
        domain.orders([u64::from(EARLIER) + number]).await;
        let begun = async || (called.load(Ordering::SeqCst) as u64 == number).then_some(());
        eventually("a call begins", begun).await;
    }
    domain.orders(u64::from(EARLIER) + 11..=u64::from(EARLIER) + 20).await
}

#[tokio::test]
async fn three_failures_among_ten_resend_three() {
    let (mut domain, stub, bus, _role) = Domain::subscribed(json!({ "parallel": 32 })).await;
    let failing = [(2, "ThrottlingException"), (5, "InternalFailure"), (7, "InternalException")];

    let ten = gathered(&domain, (&stub, &bus), move |call, _| {
        (call == 0).then(|| AwsFault::entries(failing))
    })
    .await;

    let count = 1 + usize::from(EARLIER) + 2 + 10;
    assert_eq!(bus.wait_for(count).await.len(), count);
    let calls = ids_of_calls(&stub);
    let sent: Vec<&Vec<String>> = calls.iter().filter(|ids| ten.contains(&ids[0])).collect();
    let [batch, resent @ ..] = sent.as_slice() else { panic!("nothing was sent") };
    assert_eq!(batch.iter().collect::<BTreeSet<_>>(), ten.iter().collect::<BTreeSet<_>>());
    let resent: BTreeSet<&String> = resent.iter().flat_map(|ids| ids.iter()).collect();
    assert_eq!(resent, [&batch[2], &batch[5], &batch[7]].into());
    let mut failed = domain.attempts(count + 2).await;
    failed.retain(|attempt| attempt["verdict"] == "retry");
    let mut words: Vec<_> = failed.iter().map(|one| one["detail"].as_str().unwrap()).collect();
    words.sort_unstable();
    let internal = ["InternalException: scripted", "InternalFailure: scripted"];
    assert_eq!(words, [internal[0], internal[1], "ThrottlingException: scripted"]);
    assert!(domain.process.stop().await.success());
}

#[tokio::test]
async fn a_repeat_carries_the_same_id_and_number() {
    let (domain, stub, bus, _role) = Domain::subscribed(json!({})).await;
    stub.fail("PutEvents", [AwsFault::AnswerLost]);

    let id = domain.orders([1]).await.remove(0);

    let entries = bus.wait_for(3).await;
    for entry in &entries[1..] {
        assert_eq!((&entry.detail["id"], &entry.detail["sequence"]), (&json!(id), &json!("1")));
        assert_eq!(domain.key.open(entry.detail["data"].as_str().unwrap()).unwrap().id(), id);
    }
    let first = domain.attempts(2).await.pop().unwrap();
    assert!(first["detail"].as_str().unwrap().starts_with("connection-broken"), "{first}");
}

#[tokio::test]
async fn a_call_that_is_refused_for_one_entry_harms_that_one_alone() {
    let config = json!({ "parallel": 32, "giveUpAfterRefusals": 1 });
    let (domain, stub, bus, _role) = Domain::subscribed(config).await;
    let bad = format!("\"sequence\":\"{}\"", EARLIER + 2 + 5);

    let ten = gathered(&domain, (&stub, &bus), move |_, request| {
        let mut entries = request.body["Entries"].as_array().unwrap().iter();
        let is_bad = |entry: &Value| entry["Detail"].as_str().unwrap().contains(&bad);
        let refusal = AwsFault::refused(400, "ValidationException", "Value '[all of it]'");
        entries.any(is_bad).then_some(refusal)
    })
    .await;

    let letter = domain.dead_letters(1).await.remove(0);
    assert_eq!((&letter["event"], &letter["reason"]), (&json!(ten[4]), &json!("refused")));
    assert_eq!(
        (&letter["status"], &letter["detail"]),
        (&json!(400), &json!("ValidationException"))
    );
    let count = 1 + usize::from(EARLIER) + 2 + 9;
    let arrived = bus.wait_for(count).await;
    assert_eq!(arrived.len(), count);
    let arrived: Vec<_> = arrived.iter().map(|one| one.detail["id"].as_str().unwrap()).collect();
    assert!(ten.iter().all(|id| arrived.contains(&id.as_str()) == (*id != ten[4])));
    let tries = ids_of_calls(&stub).into_iter().filter(|ids| ids.contains(&ten[4]));
    let tries: Vec<usize> = tries.map(|ids| ids.len()).collect();
    assert_eq!(tries, [10, 1], "together with the others, then alone");
}

#[tokio::test]
async fn a_call_that_is_refused_for_its_bus_is_made_once() {
    let config = json!({ "parallel": 32, "giveUpAfterRefusals": 1 });
    let (domain, stub, bus, _role) = Domain::subscribed(config).await;

    let ten =
        gathered(&domain, (&stub, &bus), |call, _| (call == 0).then(AwsFault::not_found)).await;

    let letters = domain.dead_letters(10).await;
    assert!(letters.iter().all(|letter| letter["reason"] == "refused"), "{letters:?}");
    let calls = ids_of_calls(&stub);
    let tries: Vec<&Vec<String>> = calls.iter().filter(|ids| ten.contains(&ids[0])).collect();
    assert_eq!(tries.len(), 1, "{tries:?}");
    assert_eq!(tries[0].len(), 10);
}

#[tokio::test]
async fn an_end_of_access_stands_on_the_bus_as_an_event_of_its_own_name() {
    let (domain, _stub, bus, _role) = Domain::closed().await;
    let wish = json!({ "consumer": "shop", "publication": "orders/*" });
    let given = domain.call(reqwest::Method::POST, "/grants", Some(&wish)).await;
    let id = given.body["id"].as_str().unwrap().replace('/', "%2F");
    domain.subscribe(json!({})).await;
    domain.answer_challenge(&bus.wait_for(1).await.remove(0).detail).await;
    domain.orders([1]).await;
    bus.wait_for(2).await;

    let path = format!("/grants/{id}?reason=over");
    let recalled = domain.call(reqwest::Method::DELETE, &path, None).await;
    assert_eq!(recalled.status, 200, "{}", recalled.body);

    let told = bus.wait_for(3).await.remove(2);
    let name = "sealway.subscription.checkpoint";
    assert_eq!((&*told.source, &*told.detail_type), (OWN_SOURCE, name));
    let issuer = domain.process.issuer();
    assert_eq!(told.resources, [format!("{issuer}/subscriptions/shop")]);
    assert_eq!(told.detail["type"], name);
    let token = told.detail["data"].as_str().unwrap();
    assert!(domain.key.open(token).is_none(), "nobody takes it for an event");
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["seq"], &claims["ended"][0]["reason"]), (&json!(1), &json!("recalled")));
}
