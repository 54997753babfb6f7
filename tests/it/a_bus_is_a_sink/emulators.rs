//! Two domains in two accounts of an emulator: the receiver's own rule picks sealed events out.

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::a_bus_is_a_sink::domain::{Domain, KEY, ROLE};
use crate::harness::aws::Emulator;
use crate::harness::eventually;

/// The receiving account: a bus, a rule for orders and one for challenges, a queue for each.
struct Account {
    queues: aws_sdk_sqs::Client,
    events: aws_sdk_eventbridge::Client,
}

impl Account {
    /// That of the role, as its owner sees it.
    async fn of_role(emulator: &Emulator) -> Self {
        let own = emulator.sdk_config(KEY);
        let config = emulator.sdk_config_of(&own, ROLE, "owner").await;
        let (queues, events) =
            (aws_sdk_sqs::Client::new(&config), aws_sdk_eventbridge::Client::new(&config));
        events.create_event_bus().name("partner").send().await.unwrap();
        Self { queues, events }
    }

    /// A queue that a rule fills with events of this type of ours; gives its address.
    async fn queue(&self, name: &str, detail_type: &str) -> String {
        let queue = self.queues.create_queue().queue_name(name).send().await.unwrap();
        let url = queue.queue_url().unwrap().to_owned();
        let arn = self.queues.get_queue_attributes().queue_url(&url);
        let arn = arn.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
        let arn = arn.attributes().unwrap()[&QueueAttributeName::QueueArn].clone();
        let pattern = json!({ "source": ["sealway"], "detail-type": [detail_type] });
        let rule = self.events.put_rule().name(name).event_bus_name("partner");
        rule.event_pattern(pattern.to_string()).send().await.unwrap();
        let target = Target::builder().id("queue").arn(arn).build().unwrap();
        let put = self.events.put_targets().rule(name).event_bus_name("partner");
        put.targets(target).send().await.unwrap();
        url
    }

    /// The envelope of the next message.
    async fn next(&self, queue: &str) -> Value {
        let receive = || self.queues.receive_message().queue_url(queue).wait_time_seconds(1).send();
        eventually("a message", async || {
            let answer = receive().await.unwrap();
            let message = answer.messages().first()?;
            let delete = self.queues.delete_message().queue_url(queue);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
            Some(serde_json::from_str(message.body().unwrap()).unwrap())
        })
        .await
    }
}

/// Has an order cross from the gateway's account to the receiver's queue; gives its envelope.
async fn an_order_crosses(emulator: &Emulator) -> Value {
    let account = Account::of_role(emulator).await;
    let challenges = account.queue("challenges", "sealway.subscription.challenge").await;
    let orders = account.queue("orders", "Order.Created").await;
    let domain = Domain::start(emulator.url()).await;
    domain.subscribe(json!({})).await;
    let challenge = account.next(&challenges).await;
    domain.answer_challenge(&challenge["detail"]).await;

    let id = domain.orders([101]).await.remove(0);

    let envelope = account.next(&orders).await;
    assert_eq!(
        (&envelope["source"], &envelope["detail-type"]),
        (&json!("sealway"), &json!("Order.Created"))
    );
    let detail = &envelope["detail"];
    assert_eq!((&detail["id"], &detail["source"]), (&json!(id), &json!("/orders")));
    let opened = domain.key.open(detail["data"].as_str().unwrap()).unwrap();
    assert_eq!((opened.id(), &opened.event()["data"]["orderId"]), (&*id, &json!(101)));
    envelope
}

#[tokio::test]
async fn an_order_crosses_two_accounts_of_ministack() {
    let emulator = Emulator::ministack().await;

    let envelope = an_order_crosses(&emulator).await;

    assert_eq!(envelope["account"], "444455556666");
}

#[tokio::test]
async fn an_order_crosses_two_accounts_of_moto() {
    let emulator = Emulator::moto().await;

    an_order_crosses(&emulator).await;
}
