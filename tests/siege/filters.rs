//! Loads of consumers' filters: many combinations, many lists, large texts, many subscriptions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::ground::{Ground, parcel};
use crate::harness::{ACCESS_SECRET, TestGateway};
use crate::report::{Bounds, Report};
use crate::usage::{cpu, resident};
use crate::watch::Watch;

/// Ten alternatives at three places, and 120 members that every item of an array must lack.
fn wide_pattern() -> Value {
    let alternatives =
        || json!({ "$or": (0..10).map(|c| json!({ "c": [c] })).collect::<Vec<_>>() });
    let lacking = (0..120).map(|name| (name.to_string(), json!([{ "exists": false }])));
    let mut pattern = json!({ "b": ["z"], "a": lacking.collect::<Map<_, _>>() });
    pattern["x"] = alternatives();
    pattern["y"] = alternatives();
    pattern["$or"] = alternatives()["$or"].clone();
    pattern
}

/// Data for which no alternative is true, so that all are tried, over 8,000 items.
fn wide_data() -> Value {
    let c = json!({ "c": -1 });
    json!({ "b": "z", "c": -1, "x": c, "y": c, "a": vec![json!({}); 8000] })
}

/// A subscription whose filter is dear, events that it is dear on, and the same as `TestEventPattern`.
pub async fn patterns() -> Report {
    let ground = Ground::take().await;
    let mut report = Report::default();
    let filters = json!({ "filters": [{ "pattern": { "data": wide_pattern() } }] });
    let wish = ground.pulled("wide", "wide", filters);
    let (status, _) = ground.caller().call(Method::POST, "/subscriptions", Some(&wish)).await;
    report.note(format!("the subscription is answered {status}"));
    let watch = Watch::over(&ground);
    for number in 0..4 {
        let (caller, event) = (ground.caller(), parcel(&format!("wide-{number}"), &wide_data()));
        let (status, _) = caller.publish(&[event]).await;
        report.note(format!("event {number} is answered {status}"));
    }
    let client = TestGateway::sdk_through(ground.gateway.issuer(), ACCESS_SECRET);
    let event = json!({
        "id": "1", "account": "111122223333", "source": "depot", "time": "2026-11-30T00:00:00Z",
        "region": "us-east-1", "resources": [], "detail-type": "ParcelMoved", "detail": wide_data(),
    });
    let mut asked = JoinSet::new();
    for _ in 0..2 {
        let call = client.test_event_pattern().event(event.to_string());
        let call = call.event_pattern(json!({ "detail": wide_pattern() }).to_string());
        asked.spawn(async move { call.send().await.is_ok() });
    }
    let answers = asked.join_all().await;
    report.note(format!("TestEventPattern is done {answers:?}"));
    sleep(Duration::from_secs(8)).await;
    let watched = watch.end().await;
    report.at_most("processor", watched.cpu.as_millis(), 5000, "ms");
    report.watched(&watched, Bounds::memory(200));
    report
}

/// A pattern of seven lists of 140 alternatives.
fn lists() -> Value {
    let list = |list: usize| {
        let all = (0..140).map(|item| json!({ "text": [format!("{list}-{item}")] }));
        (format!("part{list}"), json!({ "$or": all.collect::<Vec<_>>() }))
    };
    // One after the other, not within each other: their combinations are bounded.
    let filters =
        (0..7).map(list).map(|(part, lists)| json!({ "pattern": { "data": { part: lists } } }));
    Value::from(filters.collect::<Vec<_>>())
}

/// 50 subscriptions with such filters, which two callers list without a pause.
pub async fn listing() -> Report {
    let ground = Ground::take().await;
    let mut made = 0;
    for number in 0..50 {
        let id = format!("lists-{number}");
        let wish = ground.pulled(&id, &format!("c{}", number / 10), json!({ "filters": lists() }));
        let (status, _) = ground.caller().call(Method::POST, "/subscriptions", Some(&wish)).await;
        made += usize::from(status == 201);
    }
    let (watch, count) = (Watch::over(&ground), Arc::new(AtomicU64::new(0)));
    let before = cpu(ground.gateway.id());
    let end = Instant::now() + Duration::from_secs(10);
    let mut listing = JoinSet::new();
    for _ in 0..2 {
        let (caller, count) = (ground.caller(), Arc::clone(&count));
        listing.spawn(async move {
            while Instant::now() < end {
                let _ = caller.status("/subscriptions").await;
                count.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    listing.join_all().await;
    let used = cpu(ground.gateway.id()).saturating_sub(before);
    let mut report = Report::default();
    let lists = count.load(Ordering::Relaxed);
    report.note(format!("{made} of 50 subscriptions were made; {lists} lists"));
    let each = used.as_millis() / u128::from(lists.max(1));
    report.at_most("processor for each list", each, 20, "ms");
    report.watched(&watch.end().await, Bounds::memory(200));
    report
}

/// 43 filters of 1.75 MB, one after the other, with an event between each; then none.
pub async fn large_filters() -> Report {
    let ground = Ground::take().await;
    let filters = |round: usize| {
        let name = format!("{round:09}{}", "x".repeat(1_750_000));
        json!({ "filters": [{ "not": { "exact": { "type": name } } }] })
    };
    let wish = ground.pulled("large", "large", json!({}));
    ground.must(Method::POST, "/subscriptions", Some(&wish)).await;
    let before = resident(ground.gateway.id());
    let watch = Watch::over(&ground);
    let mut answers = std::collections::BTreeMap::<u16, usize>::new();
    for round in 0..43 {
        let wish = ground.pulled("large", "large", filters(round));
        let (status, _) =
            ground.caller().call(Method::PUT, "/subscriptions/large", Some(&wish)).await;
        *answers.entry(status).or_default() += 1;
        ground.publish_all(&[crate::ground::order(7_000_000 + round as u64)]).await;
    }
    let mut report = Report::default();
    report.note(format!("replacing is answered {answers:?}"));
    let held = resident(ground.gateway.id());
    ground.must(Method::DELETE, "/subscriptions/large", None).await;
    sleep(Duration::from_secs(3)).await;
    let after = resident(ground.gateway.id());
    report.note(format!("memory {before} MiB before, {held} MiB with all, {after} MiB without"));
    report.at_most("memory kept without it", after.saturating_sub(before), 100, "MiB");
    report.watched(&watch.end().await, Bounds::memory(350));
    report
}

/// 10,000 subscriptions of 100 consumers: what a list costs, memory, and a restart.
pub async fn subscriptions() -> Report {
    let most = crate::number("SUBSCRIPTIONS", 10_000);
    let mut ground = Ground::take().await;
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let made = Arc::new(AtomicU64::new(0));
    let mut making = JoinSet::new();
    for _ in 0..16 {
        let (caller, next, made) = (ground.caller(), Arc::clone(&next), Arc::clone(&made));
        let wish = ground.pulled("", "", json!({ "types": ["Order.Created"] }));
        making.spawn(async move {
            while begun.elapsed() < Duration::from_mins(2) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    break;
                }
                let mut wish = wish.clone();
                wish["id"] = format!("s{number:05}").into();
                wish["consumer"] = format!("consumer-{}", number % 100).into();
                let (status, _) = caller.call(Method::POST, "/subscriptions", Some(&wish)).await;
                made.fetch_add(u64::from(status == 201), Ordering::Relaxed);
            }
        });
    }
    making.join_all().await;
    let mut report = Report::default();
    let made = made.load(Ordering::Relaxed);
    report.note(format!("{made} of {most} were made in {} s", begun.elapsed().as_secs()));
    report.must(made == most, format!("all {most} are made within two minutes"));
    list_and_restart(&mut ground, &mut report).await;
    report
}

async fn list_and_restart(ground: &mut Ground, report: &mut Report) {
    const LISTS: u32 = 20;
    let watch = Watch::over(ground);
    for (who, caller) in [("an operator", ground.caller()), ("a consumer", ground.consumer())] {
        let before = cpu(ground.gateway.id());
        for _ in 0..LISTS {
            let _ = caller.status("/subscriptions").await;
        }
        let used = cpu(ground.gateway.id()).saturating_sub(before) / LISTS;
        report.at_most(&format!("processor for a list by {who}"), used.as_millis(), 20, "ms");
    }
    report.watched(&watch.end().await, Bounds::memory(150));
    ground.gateway.stop().await;
    let asked = Instant::now();
    ground.gateway.serve().await;
    report.at_most("ready after a restart in", asked.elapsed().as_millis(), 3000, "ms");
}
