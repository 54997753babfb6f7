//! Events with optional members, line items, internal codes and kinds of their own cross as ordinary
//! publications say, and nothing else of them does.

use std::fs;

use serde_json::{Value, json};

use sealway::config::Config;

use crate::harness::{Answer, Receiver, TestGateway};

const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels:
  shop:
    address: shop
    messages:
      Order.Placed:
        payload:
          type: object
          required: [orderId, lines, status]
          properties:
            orderId: { type: integer }
            coupon: { type: string }
            status: { enum: [authorised, captured] }
            method: { const: card }
            last4: { type: string }
            lines:
              type: array
              items:
                type: object
                required: [sku, quantity]
                properties:
                  sku: { type: string }
                  quantity: { type: integer }
                  giftNote: { type: string }
operations:
  publish: { action: send, channel: { $ref: '#/channels/shop' } }
";

const PUBLICATIONS: &str = "domain: shop
contract: asyncapi/shop.yaml
source: /shop
publications:
  - event: Order.Placed
    when: { source: [till], detail-type: [OrderPlaced] }
    patch:
      - { op: copy, from: /detail/id, path: /data/orderId }
      - { op: copy, from: /detail/coupon, path: /data/coupon, optional: true }
      - { op: copy, from: /detail/lines/*/sku, path: /data/lines/*/sku }
      - { op: copy, from: /detail/lines/*/qty, path: /data/lines/*/quantity }
      - { op: copy, from: /detail/lines/*/gift, path: /data/lines/*/giftNote, optional: true }
      - { op: copy, from: /detail/state, path: /data/status, map: { A: authorised, C: captured } }
      - when: { detail: { kind: [card] } }
        patch:
          - { op: add, path: /data/method, value: card }
          - { op: copy, from: /detail/card/last4, path: /data/last4 }
";

fn shop(config: &mut Config) {
    fs::write(config.contracts.join("shop.yaml"), CONTRACT).unwrap();
    fs::write(config.publications.join("shop.yaml"), PUBLICATIONS).unwrap();
}

async fn post(gateway: &TestGateway, id: &str, data: Value) -> Answer {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "till", "type": "OrderPlaced", "data": data,
    });
    let body = event.to_string().into_bytes();
    gateway.send_text("/events", "application/cloudevents+json", body).await
}

#[tokio::test]
async fn optional_members_items_codes_and_kinds_cross_and_the_cost_stays_inside() {
    let gateway = TestGateway::with(None, shop).await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let lines = json!([
        {"sku": "a", "qty": 1, "cost": 4111}, {"sku": "b", "qty": 2, "cost": 4111, "gift": "Hi"},
    ]);
    let plain = json!({"id": 1, "lines": lines, "state": "A"});
    let card = json!({
        "id": 2, "lines": [], "state": "C", "coupon": "MAY", "kind": "card",
        "card": {"last4": "1111", "number": "4111"},
    });

    for (id, data) in [("a", plain), ("b", card)] {
        let answer = post(&gateway, id, data).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    let arrivals = receiver.wait_for_delivered(2).await;
    let of = |order: u32| {
        arrivals.iter().map(|one| one.data().clone()).find(|data| data["orderId"] == order).unwrap()
    };
    assert_eq!(
        of(1),
        json!({
            "orderId": 1, "status": "authorised",
            "lines": [
                {"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2, "giftNote": "Hi"},
            ],
        })
    );
    assert_eq!(
        of(2),
        json!({
            "orderId": 2, "status": "captured", "lines": [], "coupon": "MAY", "method": "card",
            "last4": "1111",
        })
    );
}

#[tokio::test]
async fn a_producer_is_told_which_item_and_which_operation_do_not_fit() {
    let gateway = TestGateway::with(None, shop).await;
    let refused = async |id: &str, data: Value| {
        let answer = post(&gateway, id, data).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(!answer.body.to_string().contains("4111"), "{}", answer.body);
        answer.body["violations"][0].clone()
    };

    let item = json!({"id": 1, "state": "A", "lines": [{"sku": "a", "qty": 1}, {"qty": 4111}]});
    let violation = refused("a", item).await;
    assert_eq!(violation["code"], "patch-failed");
    let message = violation["message"].as_str().unwrap();
    assert!(message.contains("operation 2, `copy` at `/data/lines/*/sku`, item 1: "), "{message}");

    let code = json!({"id": 1, "state": "4111", "lines": []});
    let violation = refused("b", code).await;
    assert_eq!(violation["code"], "value-not-mapped");
    assert_eq!(violation["pointer"], "/status");

    let group = json!({"id": 1, "state": "A", "lines": [], "kind": "card"});
    let violation = refused("c", group).await;
    let message = violation["message"].as_str().unwrap();
    assert!(message.contains("operation 6.1, `copy` at `/data/last4`: "), "{message}");
}
