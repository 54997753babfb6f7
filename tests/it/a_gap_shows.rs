//! A consumer proves offline that it has everything, in order and unaltered.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Receiver, Reply, TestGateway, eventually};

/// Fetches and verifies a checkpoint that has seen `sequence` events.
async fn checkpoint(
    gateway: &TestGateway,
    receiver: &Receiver,
    sequence: u64,
) -> sealway::seal::Checkpoint {
    let path = format!("/subscriptions/{}/checkpoint", receiver.name());
    eventually(format!("a checkpoint at {sequence}"), async || {
        let token = gateway.get(&path).await;
        let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
        (checkpoint.sequence == sequence).then_some(checkpoint)
    })
    .await
}

#[tokio::test]
async fn the_chain_that_a_consumer_computes_is_the_one_that_the_gateway_signs() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "audit").await;
    let before = checkpoint(&gateway, &receiver, 0).await;

    let ids = gateway.orders(1..=20).await;
    receiver.wait_for_delivered(20).await;
    let signed = checkpoint(&gateway, &receiver, 20).await;
    gateway.restart().await;
    let after_restart = checkpoint(&gateway, &receiver, 20).await;

    let (sequence, chain) = receiver.chain();
    assert_eq!((signed.sequence, signed.chain), (sequence, chain));
    assert_eq!((after_restart.sequence, after_restart.chain), (sequence, chain));
    assert_eq!(signed.head.unwrap().to_string(), ids[19]);
    assert_eq!(before.chain, sealway::event::ChainValue::start(&"audit".parse().unwrap()));
}

#[tokio::test]
async fn only_matches_have_numbers_and_silence_is_evidence_too() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "payments-only").await;
    let other = Receiver::start(&gateway, "everything").await;
    gateway.subscribe(&receiver, json!({ "types": ["Payment.*"] })).await;
    gateway.subscribe(&other, json!({})).await;
    let payment = json!({
        "specversion": "1.0", "id": "p-1", "source": "payment-service", "type": "PaymentSucceeded",
        "data": { "id": 1 },
    });

    gateway.orders(1..=3).await;
    let paid = gateway.publish(&payment).await.remove(0);
    gateway.orders(4..=5).await;

    receiver.wait_for_delivered(1).await;
    other.wait_for_delivered(6).await;
    assert_eq!(receiver.delivered()[0].sequence(), Some(1));
    assert_eq!(receiver.delivered_ids(), [paid]);
    assert_eq!(checkpoint(&gateway, &receiver, 1).await.chain, receiver.chain().1);
    assert_eq!(checkpoint(&gateway, &other, 6).await.chain, other.chain().1);
}

#[tokio::test]
async fn a_withheld_event_breaks_the_chain_at_its_place() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "audit").await;
    gateway.subscribe(&receiver, json!({ "config": { "maximumRetryAttempts": 0 } })).await;
    gateway.orders(1..=3).await;
    let mut arrivals = receiver.wait_for_delivered(3).await;
    arrivals.sort_by_key(crate::harness::Arrival::sequence);

    let links: Vec<_> = arrivals.iter().map(|arrival| arrival.opened.place().unwrap()).collect();
    let after: Vec<_> = arrivals
        .iter()
        .map(|arrival| crate::consumer_in_rust::chain_after(&arrival.opened).unwrap())
        .collect();

    assert_eq!((links[1].previous, links[2].previous), (after[0], after[1]));
    assert_ne!(links[2].previous, after[0]);
    assert_eq!(links.iter().map(|link| link.sequence).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_retried_event_keeps_its_place_in_the_chain() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "audit").await;
    gateway.subscribe(&receiver, json!({ "config": { "parallel": 1 } })).await;
    receiver.answer_next([Reply::Status(503)]);
    gateway.orders(1..=4).await;
    receiver.wait_for_delivered(3).await;
    gateway.restart().await;
    receiver.wait_for_delivered(4).await;

    assert_eq!(receiver.arrivals().len(), 5);
    assert_eq!(receiver.delivered()[3].sequence(), Some(1));
    assert_eq!(receiver.chain().0, 4);
}

#[tokio::test]
async fn a_checkpoint_is_for_one_consumer_and_changes_with_a_single_bit() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "audit").await;
    let stranger = Receiver::start(&gateway, "stranger").await;
    gateway.subscribe(&receiver, json!({})).await;
    let answer = gateway.call(Method::GET, "/subscriptions/audit/checkpoint", None).await;
    let token = answer.body.as_str().unwrap();
    let mut altered = token.to_owned().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };

    assert!(receiver.read_checkpoint(token).is_some());
    assert!(stranger.read_checkpoint(token).is_none());
    assert!(receiver.read_checkpoint(&String::from_utf8(altered).unwrap()).is_none());
}
