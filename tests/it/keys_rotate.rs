//! Signing keys turn and are revoked while the gateway runs, and no event is lost.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use sealway::ambient::{Clock as _, ManualClock, SystemClock};

use crate::harness::{Receiver, Reply, TestGateway, eventually, program};

/// A gateway whose keys the command line finds, on time that a test moves.
pub async fn gateway(clock: &ManualClock) -> TestGateway {
    TestGateway::with(Some(clock.clone()), |config| {
        let text = "keys: { directory: keys }\n";
        std::fs::write(config.directory.join("gateway.yaml"), text).unwrap();
    })
    .await
}

pub fn keys(gateway: &TestGateway, arguments: &[&str]) -> Output {
    let settings = gateway.path("gateway.yaml");
    let output =
        program().arg("--config").arg(settings).arg("keys").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub async fn published(gateway: &TestGateway) -> Vec<String> {
    let jwks = gateway.get("/.well-known/jwks.json").await;
    let kids = jwks["keys"].as_array().unwrap().iter();
    kids.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the running gateway publishes what the files say.
pub async fn published_once(
    gateway: &TestGateway,
    clock: &ManualClock,
    holds: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    eventually("the gateway notices the files", async || {
        clock.advance(Duration::from_secs(5));
        let kids = published(gateway).await;
        holds(&kids).then_some(kids)
    })
    .await
}

/// Waits until an attempt has failed and the next one is waited for.
async fn wait_for_retry(gateway: &TestGateway) {
    eventually("the retry is waited for", async || {
        let shown: Value = gateway.get("/subscriptions/shop").await;
        (shown["progress"]["retrying"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_tokens_of_the_old_one_still_open() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = gateway(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.order(1).await;
    receiver.wait_for_delivered(1).await;
    let before = published(&gateway).await;
    assert_eq!(before.len(), 1);

    keys(&gateway, &["rotate", "--now"]);
    let both = published_once(&gateway, &clock, |kids| kids.len() == 2).await;
    gateway.order(2).await;

    let arrivals = receiver.wait_for_delivered(2).await;
    let (old, new) = (&arrivals[0].token, &arrivals[1].token);
    assert!(both.contains(&before[0]));
    assert_eq!(receiver.signed_with(old), before[0]);
    assert_ne!(receiver.signed_with(new), before[0]);
    assert!(both.contains(&receiver.signed_with(new)));
    assert!(receiver.open(old).await.is_some() && receiver.open(new).await.is_some());
    assert_eq!(receiver.chain().0, 2);
}

#[tokio::test]
async fn a_successor_is_published_before_it_signs() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = gateway(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let before = published(&gateway).await.remove(0);

    keys(&gateway, &["rotate"]);
    published_once(&gateway, &clock, |kids| kids.len() == 2).await;
    gateway.order(1).await;
    let early = receiver.wait_for_delivered(1).await.remove(0);
    let early = receiver.signed_with(&early.token);
    clock.advance(Duration::from_hours(25));
    let later = eventually("the successor signs", async || {
        clock.advance(Duration::from_secs(5));
        let count = receiver.arrivals().len();
        let number = count as u64 + 1;
        gateway.order(number).await;
        let arrival = receiver.wait_for_delivered(count + 1).await.remove(count);
        (receiver.signed_with(&arrival.token) != before).then_some(arrival)
    })
    .await;

    assert_eq!(early, before);
    assert!(published(&gateway).await.contains(&receiver.signed_with(&later.token)));
    receiver.chain();
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_what_waits_is_sealed_anew() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = gateway(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer(Reply::Status(503));
    gateway.order(1).await;
    // Twice, so that the next attempt is minutes away and none is in flight at the revocation.
    receiver.wait_for_arrivals(1).await;
    wait_for_retry(&gateway).await;
    clock.advance(Duration::from_secs(7));
    let failed = receiver.wait_for_arrivals(2).await.remove(0);
    wait_for_retry(&gateway).await;
    let old = published(&gateway).await.remove(0);

    keys(&gateway, &["revoke", &old]);
    let left = published_once(&gateway, &clock, |kids| !kids.contains(&old)).await;
    receiver.answer(Reply::Status(204));
    clock.advance(Duration::from_mins(7));
    let again = receiver.wait_for_delivered(1).await.remove(0);

    assert_eq!(receiver.signed_with(&failed.token), old);
    assert_ne!(failed.token, again.token);
    assert!(left.contains(&receiver.signed_with(&again.token)));
    assert_eq!((failed.id(), failed.sequence()), (again.id(), again.sequence()));
    assert!(receiver.open(&again.token).await.is_some());
    assert!(receiver.open(&failed.token).await.is_none(), "a revoked key proves nothing");
}

#[tokio::test]
async fn a_near_retry_sends_the_same_token() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = gateway(&clock).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    receiver.answer_next([Reply::Status(503)]);
    gateway.order(1).await;
    receiver.wait_for_arrivals(1).await;
    wait_for_retry(&gateway).await;

    clock.advance(Duration::from_secs(7));

    let arrivals = receiver.wait_for_arrivals(2).await;
    assert_eq!(arrivals[0].token, arrivals[1].token);
}

#[tokio::test]
async fn the_key_set_names_its_version_and_how_long_it_is_good_for() {
    let gateway = TestGateway::start().await;
    let get = || gateway.request(reqwest::Method::GET, "/.well-known/jwks.json");

    let first = get().send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let again = get().header("if-none-match", etag).send().await.unwrap();

    assert_eq!(first.headers()["cache-control"], "public, max-age=600");
    assert_eq!(again.status().as_u16(), 304);
    assert!(!first.text().await.unwrap().contains("\"d\""));
}
