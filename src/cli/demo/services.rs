//! The services of the choreography: orders, payments, notifications, and an audit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::cli::demo::consumer::Reaction;
use crate::cli::demo::stage::ACCESS_KEY;
use crate::cli::demo::{Consumer, Narrator, Producer, Stage};

/// Payments above this amount fail.
pub const LIMIT: u64 = 500;

/// All of them, running.
pub struct DemoServices {
    /// Publishes orders and consumes payments.
    pub orders: Arc<Orders>,
    /// The order service's consuming half.
    pub order_service: Arc<Consumer>,
    /// Consumes created orders and publishes payments.
    pub payment_service: Arc<Consumer>,
    /// Consumes both domains.
    pub notification_service: Arc<Consumer>,
    /// Consumes everything, by an event pattern.
    pub audit: Arc<Consumer>,
}

/// The orders that were taken, by id: their amount and how they ended.
pub struct Orders {
    book: Mutex<BTreeMap<u64, (u64, Option<&'static str>)>>,
    producer: Producer,
    narrator: Narrator,
}

impl Orders {
    /// Takes an order and publishes that it was created.
    pub async fn take(&self, id: u64, amount: u64) -> anyhow::Result<()> {
        self.book().insert(id, (amount, None));
        self.producer.publish("OrderCreated", &json!({ "id": id, "amount": amount })).await
    }

    /// How an order ended.
    pub fn outcome(&self, id: u64) -> Option<&'static str> {
        self.book().get(&id).and_then(|(_, outcome)| *outcome)
    }

    fn book(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (u64, Option<&'static str>)>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn on_payment(&self, event: Value) {
        let (kind, id) = (text(&event, "/type"), number(&event, "/data/orderId"));
        self.narrator.hop("order-service", &format!("opened {kind} for order {id}"));
        let detail_type = match kind.as_str() {
            "Payment.Succeeded" => "OrderCompleted",
            "Payment.Failed" => "OrderCancelled",
            _ => return,
        };
        let amount = match self.book().get_mut(&id) {
            Some((amount, outcome)) => {
                *outcome = Some(detail_type);
                *amount
            }
            None => return,
        };
        let detail = json!({ "id": id, "amount": amount });
        self.tell(self.producer.publish(detail_type, &detail).await);
    }

    fn tell(&self, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            self.narrator.hop("order-service", &format!("cannot publish: {error:#}"));
        }
    }
}

impl DemoServices {
    /// Starts every service and waits until each has proved its sink and its key.
    pub async fn start(stage: &Stage, narrator: &Narrator) -> anyhow::Result<Self> {
        let key = (ACCESS_KEY, stage.access_secret());
        let orders = Arc::new(Orders {
            book: Mutex::default(),
            producer: Producer::new("order-service", stage.issuer(), key, narrator).await,
            narrator: narrator.clone(),
        });
        let payments = Producer::new("payment-service", stage.issuer(), key, narrator).await;
        let book = Arc::clone(&orders);
        let on_payment: Reaction = Arc::new(move |event| {
            let book = Arc::clone(&book);
            Box::pin(async move { book.on_payment(event).await })
        });
        let wish = json!({ "types": ["Payment.*"] });
        let order_service = Consumer::start("order-service", wish, stage, on_payment).await?;
        let wish = json!({ "types": ["Order.Created"] });
        let on_order = pay(payments, narrator.clone());
        let payment_service = Consumer::start("payment-service", wish, stage, on_order).await?;
        let wish = json!({ "types": ["Order.*", "Payment.*"] });
        let notify = watch("notification-service", narrator.clone());
        let notification_service =
            Consumer::start("notification-service", wish, stage, notify).await?;
        let wish = json!({ "filters": [{ "pattern": { "source": [{ "exists": true }] } }] });
        let audit = Consumer::start("audit", wish, stage, watch("audit", narrator.clone())).await?;
        Ok(Self { orders, order_service, payment_service, notification_service, audit })
    }
}

/// The payment service: an amount up to 500 succeeds.
fn pay(producer: Producer, narrator: Narrator) -> Reaction {
    Arc::new(move |event| {
        let (producer, narrator) = (producer.clone(), narrator.clone());
        Box::pin(async move {
            let id = number(&event, "/data/orderId");
            let amount = number(&event, "/data/amount");
            narrator.hop("payment-service", &format!("opened Order.Created {id} for {amount}"));
            let outcome = if amount > LIMIT { "PaymentFailed" } else { "PaymentSucceeded" };
            if let Err(error) = producer.publish(outcome, &json!({ "id": id })).await {
                narrator.hop("payment-service", &format!("cannot publish: {error:#}"));
            }
        })
    })
}

/// A service that only looks.
fn watch(who: &'static str, narrator: Narrator) -> Reaction {
    Arc::new(move |event| {
        let (kind, id) = (text(&event, "/type"), number(&event, "/data/orderId"));
        narrator.hop(who, &format!("opened {kind} for order {id}"));
        Box::pin(std::future::ready(()))
    })
}

/// The text at a pointer of an event.
pub fn text(event: &Value, pointer: &str) -> String {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The number at a pointer of an event.
pub fn number(event: &Value, pointer: &str) -> u64 {
    event.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
