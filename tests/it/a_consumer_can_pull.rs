//! A consumer without a sink fetches its events, with the numbers that delivery would give them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};
use sealway::config::Config;
use sealway::event::ChainValue;

use crate::consumer_in_rust::chain_after;
use crate::harness::{
    Answer, Receiver, Reply, TestGateway, answer, eventually, order_created, program,
};

/// The wish of a consumer that fetches.
fn pulled() -> Value {
    json!({ "sink": null, "protocol": "PULL" })
}

async fn fetch(gateway: &TestGateway, of: &Receiver, query: &str) -> Answer {
    gateway.call(Method::GET, &format!("/subscriptions/{}/events{query}", of.name()), None).await
}

async fn poll(gateway: &TestGateway, of: &Receiver, body: Value) -> Value {
    gateway.post(&format!("/subscriptions/{}/poll", of.name()), &body).await
}

/// The ids and tokens of a page.
fn events(page: &Answer) -> Vec<(String, String)> {
    assert_eq!(page.status, 200, "{}", page.body);
    let event = |event: &Value| {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    };
    page.body["events"].as_array().unwrap().iter().map(event).collect()
}

/// Opens tokens in order and checks that they continue a chain; gives what they come to.
async fn follow_chain(
    of: &Receiver,
    (mut sequence, mut chain): (u64, ChainValue),
    tokens: impl IntoIterator<Item = &String>,
) -> (u64, ChainValue) {
    for token in tokens {
        let opened = of.open(token).await.expect("a token opens");
        let place = opened.place().unwrap();
        assert_eq!((place.sequence, place.previous), (sequence + 1, chain));
        (sequence, chain) = (place.sequence, chain_after(&opened).unwrap());
    }
    (sequence, chain)
}

fn start(of: &Receiver) -> (u64, ChainValue) {
    (0, ChainValue::start(&of.name().parse().unwrap()))
}

async fn waiting(gateway: &TestGateway, of: &Receiver) -> u64 {
    let shown = gateway.get(&format!("/subscriptions/{}", of.name())).await;
    shown["progress"]["underWay"].as_u64().unwrap()
}

#[tokio::test]
async fn pages_form_one_chain_across_restarts_and_other_filters() {
    let mut gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "puller").await;
    let created = gateway.subscribe(&consumer, pulled()).await;
    assert_eq!((&created["state"], &created["protocol"]), (&json!("active"), &json!("PULL")));
    let mut wanted = gateway.orders(1..=7).await;
    let (mut ids, mut tokens, mut after) = (Vec::new(), Vec::new(), String::new());
    let mut take = |page: Answer| {
        let page_events = events(&page);
        let next = page.body["next"].as_str().unwrap().to_owned();
        let (some_ids, some_tokens): (Vec<_>, Vec<_>) = page_events.into_iter().unzip();
        ids.extend(some_ids);
        tokens.extend(some_tokens);
        next
    };
    eventually("seven wait", async || (waiting(&gateway, &consumer).await == 7).then_some(()))
        .await;

    after.push_str(&take(fetch(&gateway, &consumer, "?limit=3").await));
    after = take(fetch(&gateway, &consumer, &format!("?limit=3&after={after}")).await);
    gateway.restart().await;
    after = take(fetch(&gateway, &consumer, &format!("?limit=3&after={after}")).await);

    // Payments only, then everything again.
    let key = gateway.add_caller("puller", &["consume:puller"]).await;
    for types in [json!(["Payment.*"]), json!([])] {
        let path = format!("/subscriptions/{}", consumer.name());
        let mut document = consumer.document(pulled());
        document["types"] = types.clone();
        let request = gateway.request(Method::PUT, &path).header("if-match", "*");
        let put = answer(request.bearer_auth(&key).json(&document)).await;
        assert_eq!(put.status, 200, "{}", put.body);
        let orders = gateway.orders(if types == json!([]) { 20..=22 } else { 10..=12 }).await;
        if types == json!([]) {
            wanted.extend(orders);
        }
    }
    gateway.restart().await;
    let page = eventually("three more", async || {
        let page = fetch(&gateway, &consumer, &format!("?after={after}")).await;
        (events(&page).len() == 3).then_some(page)
    })
    .await;
    after = take(page);
    assert_eq!(ids, wanted);
    let end = follow_chain(&consumer, start(&consumer), &tokens).await;
    let checkpoint = gateway.get("/subscriptions/puller/checkpoint").await;
    let checkpoint = consumer.read_checkpoint(checkpoint.as_str().unwrap()).unwrap();
    assert_eq!((checkpoint.sequence, checkpoint.chain), end);

    // Everything is acknowledged, and can be read again all the same.
    assert_eq!(fetch(&gateway, &consumer, &format!("?limit=0&after={after}")).await.status, 200);
    assert_eq!(waiting(&gateway, &consumer).await, 0);
    assert_eq!(events(&fetch(&gateway, &consumer, "").await), []);
    let again = fetch(&gateway, &consumer, &format!("?after={}", ids[4])).await;
    let again: Vec<String> = events(&again).into_iter().map(|(id, _)| id).collect();
    assert_eq!(again, ids[5..]);
}

#[tokio::test]
async fn push_pull_and_poll_give_an_event_the_same_number_and_link() {
    let gateway = TestGateway::start().await;
    let pushed = Receiver::start(&gateway, "both-ways").await;
    gateway.subscribe(&pushed, json!({ "config": { "parallel": 1 } })).await;
    let ids = gateway.orders(1..=5).await;
    pushed.wait_for_delivered(5).await;

    let first = format!("?after={}", "0".repeat(26));
    let read = events(&fetch(&gateway, &pushed, &first).await);
    assert_eq!(read.iter().map(|(id, _)| id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    for (arrival, (_, token)) in pushed.delivered().iter().zip(&read) {
        let opened = pushed.open(token).await.unwrap();
        assert_eq!(opened.place(), arrival.opened.place());
        assert_eq!(opened.event(), arrival.opened.event());
    }
    // Whoever names no event follows what comes from now on; and nothing was acknowledged.
    assert_eq!(events(&fetch(&gateway, &pushed, "").await), []);
    let refused =
        gateway.call(Method::POST, "/subscriptions/both-ways/poll", Some(&json!({}))).await;
    assert_eq!((refused.status, refused.code()), (409, "wrong-state"));

    // The same subscription without its sink: what was delivered stays delivered.
    let document = pushed.document(pulled());
    let key = gateway.add_caller("mover", &["operate"]).await;
    let put = gateway.request(Method::PUT, "/subscriptions/both-ways").header("if-match", "*");
    let put = answer(put.bearer_auth(&key).json(&document)).await;
    assert_eq!((put.status, &put.body["state"]), (200, &json!("active")), "{}", put.body);
    let sixth = gateway.order(6).await;
    let polled = eventually("the sixth is there", async || {
        let polled = poll(&gateway, &pushed, json!({ "returnImmediately": true })).await;
        polled["sets"].as_object().filter(|sets| !sets.is_empty()).cloned()
    })
    .await;
    let token = polled[&sixth].as_str().unwrap();
    let place = pushed.open(token).await.unwrap().place().unwrap();
    assert_eq!((polled.len(), place.sequence, place.previous), (1, 6, pushed.chain().1));

    // With the sink again, what was not acknowledged is delivered.
    let document = pushed.document(json!({}));
    let put = gateway.request(Method::PUT, "/subscriptions/both-ways").header("if-match", "*");
    let put = answer(put.bearer_auth(&key).json(&document)).await;
    assert_eq!(put.status, 200, "{}", put.body);
    pushed.wait_for_delivered(6).await;
    assert_eq!(pushed.chain().0, 6);
}

#[tokio::test]
async fn a_poll_settles_in_any_order_and_brings_the_rest_again() {
    let mut gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "poller").await;
    gateway.subscribe(&consumer, pulled()).await;
    let ids = gateway.orders(1..=5).await;
    let all = eventually("five wait", async || {
        let polled = poll(&gateway, &consumer, json!({ "returnImmediately": true })).await;
        (polled["sets"].as_object().unwrap().len() == 5).then_some(polled)
    })
    .await;
    assert_eq!(all.get("moreAvailable"), None);
    let two = poll(&gateway, &consumer, json!({ "maxEvents": 2 })).await;
    assert_eq!(two["moreAvailable"], json!(true));
    let names = |polled: &Value| -> Vec<String> {
        polled["sets"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&two), ids[..2]);

    // The second and fourth are acknowledged, the third is refused.
    let token = all["sets"][&ids[2]].as_str().unwrap();
    let body = json!({
        "ack": [ids[3], ids[1], "01M80161XDFMCHG7JG9T1VM8Z1"],
        "setErrs": { ids[2].as_str(): {
            "err": "invalid_audience", "description": format!("not for me: {token}"),
        }},
        "returnImmediately": true,
    });
    assert_eq!(names(&poll(&gateway, &consumer, body).await), [ids[0].clone(), ids[4].clone()]);
    // The answer has come, so it is there.
    let letters = gateway.get("/subscriptions/poller/dead-letters").await;
    let letter = &letters["deadLetters"][0];
    assert_eq!(
        (&letter["event"], &letter["reason"], &letter["sequence"], &letter["detail"]),
        (
            &json!(ids[2]),
            &json!("refused-by-consumer"),
            &json!(3),
            &json!("invalid_audience: not for me:")
        )
    );

    gateway.restart().await;
    let now = json!({ "returnImmediately": true });
    let rest = eventually("two wait", async || {
        let names = names(&poll(&gateway, &consumer, now.clone()).await);
        (names.len() == 2).then_some(names)
    })
    .await;
    assert_eq!(rest, [ids[0].clone(), ids[4].clone()]);
    let redrive = "/subscriptions/poller/dead-letters/redrive";
    assert_eq!(gateway.post(redrive, &json!({})).await["redriven"], json!(1));
    eventually("the refused one is back", async || {
        let back = poll(&gateway, &consumer, now.clone()).await;
        let place = consumer.open(back["sets"][&ids[2]].as_str()?).await.unwrap().place();
        (place.unwrap().sequence == 3).then_some(())
    })
    .await;
    let last = json!({ "ack": [ids[4], ids[0], ids[2]], "returnImmediately": true });
    assert_eq!(names(&poll(&gateway, &consumer, last).await).len(), 0);
    let delivered = eventually("all is settled", async || {
        let shown = gateway.get("/subscriptions/poller").await;
        (shown["progress"]["underWay"] == 0 && shown["progress"]["retrying"] == 0).then_some(shown)
    })
    .await;
    assert_eq!(delivered["progress"]["sequence"], 5);
    for member in ["parallel", "breaker", "heldUntil", "failingSince"] {
        assert!(delivered["progress"].get(member).is_none(), "{member} is for sinks");
    }
}

#[tokio::test]
async fn who_waits_is_woken_by_an_event_and_not_before() {
    let gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "patient").await;
    gateway.subscribe(&consumer, pulled()).await;
    let began = tokio::time::Instant::now();

    let (page, polled, id) = tokio::join!(
        fetch(&gateway, &consumer, "?wait=20"),
        poll(&gateway, &consumer, json!({})),
        async {
            eventually("both wait", async || {
                let metrics = gateway.get("/metrics").await;
                metrics.as_str().unwrap().contains("sealway_waiting_readers 2").then_some(())
            })
            .await;
            gateway.order(1).await
        },
    );

    assert_eq!(events(&page)[0].0, id);
    assert!(polled["sets"][&id].is_string(), "{polled}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let page = fetch(&gateway, &consumer, &format!("?wait=1&after={id}")).await;
    assert_eq!(events(&page), []);
    assert_eq!(waiting(&gateway, &consumer).await, 0);
}

#[tokio::test]
async fn the_command_line_writes_tokens_and_acknowledges_what_it_wrote() {
    let gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "shell").await;
    gateway.subscribe(&consumer, pulled()).await;
    let key = gateway.add_caller("shell", &["consume:shell"]).await;
    let ids = gateway.orders(1..=3).await;
    eventually("three wait", async || (waiting(&gateway, &consumer).await == 3).then_some(()))
        .await;
    let pull = async |more: &[&str]| {
        let mut command = program();
        command.args(["subscriptions", "pull", "shell"]).args(more);
        command.env("SEALWAY_GATEWAY", gateway.issuer()).env("SEALWAY_CALLER_KEY", &key);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };

    let kept = pull(&["--keep", "--output", "json"]).await;
    let named: Vec<Value> = kept.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(named.iter().map(|event| event["id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(waiting(&gateway, &consumer).await, 3);

    let two = pull(&["--limit", "2"]).await;
    assert_eq!(waiting(&gateway, &consumer).await, 1);
    let rest = pull(&[]).await;
    assert_eq!(waiting(&gateway, &consumer).await, 0);
    assert_eq!(pull(&[]).await, Vec::<String>::new());
    follow_chain(&consumer, start(&consumer), two.iter().chain(&rest)).await;
    assert_eq!((two.len(), rest.len()), (2, 1));
    assert_eq!(pull(&["--after", &ids[0]]).await.len(), 2);
}

#[tokio::test]
async fn what_is_gone_is_told_and_what_is_not_acknowledged_stays() {
    let day = Duration::from_hours(24);
    let clock = ManualClock::at(SystemClock.now());
    let change = |config: &mut Config| config.log.retention.age = Some(HumanDuration(day));
    let mut gateway = TestGateway::with(Some(clock.clone()), change).await;
    let (both, puller) =
        (Receiver::start(&gateway, "both").await, Receiver::start(&gateway, "puller").await);
    let failing = Receiver::start(&gateway, "failing").await;
    gateway.subscribe(&both, json!({})).await;
    gateway.subscribe(&puller, pulled()).await;
    gateway.subscribe(&failing, json!({ "types": ["Payment.*"] })).await;
    failing.answer(Reply::Status(503));
    let payment = json!({
        "specversion": "1.0", "id": "p-1", "source": "payment-service",
        "type": "PaymentSucceeded", "data": { "id": 1 },
    });
    let mut all = gateway.orders(1..=1).await;
    // It waits for another attempt, and stays where all around it goes.
    all.extend(gateway.publish(&payment).await);
    all.extend(gateway.orders(3..=6).await);
    both.wait_for_delivered(6).await;
    eventually("six wait", async || (waiting(&gateway, &puller).await == 6).then_some(())).await;
    let through = format!("?limit=0&after={}", all[4]);
    assert_eq!(fetch(&gateway, &puller, &through).await.status, 200);

    clock.advance(day);
    all.extend(gateway.orders(7..=8).await);
    both.wait_for_delivered(8).await;
    eventually("old events are gone", async || {
        clock.advance(Duration::from_secs(10));
        let listed = gateway.get("/events").await;
        (listed["events"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;

    gateway.restart().await;
    // What was not acknowledged is there, with its numbers, though no sequence checkpoint lies so near.
    let page = eventually("three are there", async || {
        let page = fetch(&gateway, &puller, "").await;
        (events(&page).len() == 3).then_some(page)
    })
    .await;
    let ids: Vec<String> = events(&page).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, all[5..]);
    assert_eq!(page.body["events"][0]["sequence"], 6);
    for after in [&"0".repeat(26), &all[0], &all[1], &all[3]] {
        let lost = fetch(&gateway, &puller, &format!("?after={after}")).await;
        assert_eq!((lost.status, lost.code()), (410, "gone"), "{after}");
        let detail = lost.body["detail"].as_str().unwrap();
        let readable = detail.rsplit(' ').next().unwrap();
        assert!(detail.contains("read on after at."), "{detail}");
        let page = fetch(&gateway, &puller, &format!("?after={readable}&acknowledge=false")).await;
        assert_eq!(events(&page)[0].0, all[5], "{}", page.body);
    }
    let lost = fetch(&gateway, &both, &format!("?after={}", all[0])).await;
    assert_eq!(lost.code(), "gone", "{}", lost.body);
    let readable = lost.body["detail"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(fetch(&gateway, &both, &format!("?after={readable}")).await.status, 200);
}

#[tokio::test]
async fn a_poll_looks_at_so_much_and_the_next_one_goes_on_from_there() {
    let gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "sparse").await;
    let wish = json!({ "sink": null, "protocol": "PULL", "types": ["Payment.*"] });
    gateway.subscribe(&consumer, wish).await;
    let payment = |id: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "payment-service",
            "type": "PaymentSucceeded", "data": { "id": 1 },
        })
    };
    let first = gateway.publish(&payment("p-1")).await.remove(0);
    // More than one poll looks at.
    for batch in 0..170_u64 {
        let batch: Vec<_> = (batch * 100 + 1..=batch * 100 + 100)
            .map(|number| order_created(&format!("order-{number}"), number))
            .collect();
        let media_type = "application/cloudevents-batch+json";
        let sent = gateway.send_text("/events", media_type, json!(batch).to_string()).await;
        assert_eq!(sent.status, 202, "{}", sent.body);
    }
    let second = gateway.publish(&payment("p-2")).await.remove(0);
    eventually("two wait", async || (waiting(&gateway, &consumer).await == 2).then_some(())).await;

    let polled = poll(&gateway, &consumer, json!({})).await;
    let names: Vec<_> = polled["sets"].as_object().unwrap().keys().cloned().collect();
    assert_eq!((names, &polled["moreAvailable"]), (vec![first.clone()], &json!(true)));
    // What was not handed out is not settled either; what was, is.
    let polled = poll(&gateway, &consumer, json!({ "ack": [first, second] })).await;
    assert_eq!(polled, json!({ "sets": {}, "moreAvailable": true }), "it did not wait");
    let polled = poll(&gateway, &consumer, json!({})).await;
    assert!(polled["sets"][&second].is_string() && polled.get("moreAvailable").is_none());
    let polled = json!({ "ack": [second], "returnImmediately": true });
    assert_eq!(poll(&gateway, &consumer, polled).await, json!({ "sets": {} }));
    assert_eq!(waiting(&gateway, &consumer).await, 0);
}

#[tokio::test]
async fn who_waits_for_a_subscription_that_ends_is_told() {
    let gateway = TestGateway::start().await;
    let consumer = Receiver::start(&gateway, "ending").await;
    gateway.subscribe(&consumer, pulled()).await;
    let nothing = json!({});
    let (page, polled, removed) = tokio::join!(
        fetch(&gateway, &consumer, "?wait=20"),
        gateway.call(Method::POST, "/subscriptions/ending/poll", Some(&nothing)),
        async {
            eventually("both wait", async || {
                let metrics = gateway.get("/metrics").await;
                metrics.as_str().unwrap().contains("sealway_waiting_readers 2").then_some(())
            })
            .await;
            gateway.call(Method::DELETE, "/subscriptions/ending", None).await
        },
    );
    assert_eq!(removed.status, 204);
    assert_eq!((page.status, page.code()), (409, "wrong-state"));
    assert_eq!((polled.status, polled.code()), (409, "wrong-state"));
}

#[tokio::test]
async fn wrong_polls_and_strangers_are_told() {
    let gateway = TestGateway::with(None, |config| config.api.subscription_readers = 1).await;
    let consumer = Receiver::start(&gateway, "strict").await;
    gateway.subscribe(&consumer, pulled()).await;
    let id = gateway.order(1).await;
    let path = "/subscriptions/strict/poll";
    for body in [
        "{".to_owned(),
        "[]".to_owned(),
        json!({ "maxEvent": 1 }).to_string(),
        json!({ "maxEvents": -1 }).to_string(),
        json!({ "ack": "x" }).to_string(),
        json!({ "ack": ["not-an-id"] }).to_string(),
        json!({ "setErrs": { id.as_str(): {} } }).to_string(),
        json!({ "ack": [id], "setErrs": { id.as_str(): { "err": "x" } } }).to_string(),
        json!({ "ack": vec![&id; 1025] }).to_string(),
    ] {
        let refused = gateway.send_text(path, "application/json", body.clone()).await;
        assert_eq!((refused.status, refused.code()), (400, "bad-request"), "{body}");
    }
    for (query, status) in
        [("?limit=1001", 422), ("?wait=26", 422), ("?after=x", 422), ("?of=1", 400)]
    {
        assert_eq!(fetch(&gateway, &consumer, query).await.status, status, "{query}");
    }
    let future = format!("?after=7{}", "Z".repeat(25));
    assert_eq!(fetch(&gateway, &consumer, &future).await.code(), "invalid");

    let stranger = gateway.add_caller("stranger", &["consume:someone-else"]).await;
    for (method, path) in [
        (Method::GET, "/subscriptions/strict/events"),
        (Method::POST, "/subscriptions/strict/poll"),
        (Method::GET, "/subscriptions/strict/stream"),
    ] {
        let refused = gateway.call_as(&stranger, (method, path), Some(&json!({}))).await;
        assert_eq!((refused.status, refused.code()), (404, "not-found"), "{path}");
    }

    let key = gateway.add_caller("own", &["consume:strict"]).await;
    let stream = gateway.request(Method::GET, "/subscriptions/strict/stream").bearer_auth(&key);
    let stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let second = fetch(&gateway, &consumer, "?wait=5").await;
    assert_eq!((second.status, second.code()), (429, "too-many"));
    assert_eq!(fetch(&gateway, &consumer, "").await.code(), "too-many", "who does not wait, too");
    let polled = json!({ "returnImmediately": true });
    let polled = gateway.call(Method::POST, path, Some(&polled)).await;
    assert_eq!((polled.status, polled.code()), (429, "too-many"));
    drop(stream);

    gateway.post("/subscriptions/strict/pause", &Value::Null).await;
    eventually("the place is free and the subscription paused", async || {
        (fetch(&gateway, &consumer, "").await.code() == "wrong-state").then_some(())
    })
    .await;
    let replay = json!({ "from": id });
    let replay = gateway.call(Method::POST, "/subscriptions/strict/replays", Some(&replay)).await;
    assert!(replay.body["detail"].as_str().unwrap().contains("fetch"), "{}", replay.body);
}
