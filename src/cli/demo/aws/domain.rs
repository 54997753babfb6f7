//! The sample's services: orders, payments, notifications and a log, each behind a queue of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cli::demo::aws::accounts::{DemoAccount, TEAM_BUS};
use crate::cli::demo::aws::poller::{OnMessage, poll};
use crate::cli::demo::services::{LIMIT, number, text};
use crate::cli::demo::{Narrator, Producer, Stage};

/// The domain, running.
pub struct DemoDomain {
    orders: Arc<OrderBook>,
    seen: BTreeMap<&'static str, watch::Receiver<usize>>,
    log: Arc<Mutex<Vec<Value>>>,
}

/// The orders that were taken: their amount and how they ended.
struct OrderBook {
    book: Mutex<BTreeMap<u64, (u64, Option<&'static str>)>>,
    producer: Producer,
}

impl OrderBook {
    async fn on_payment(&self, event: Value) -> anyhow::Result<()> {
        let id = number(&event, "/detail/id");
        let detail_type = match text(&event, "/detail-type").as_str() {
            "PaymentSucceeded" => "OrderCompleted",
            "PaymentFailed" => "OrderCancelled",
            _ => return Ok(()),
        };
        let Some(amount) = self.end(id, detail_type) else { return Ok(()) };
        self.producer.publish(detail_type, &json!({ "id": id, "amount": amount })).await
    }

    fn end(&self, id: u64, how: &'static str) -> Option<u64> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let (amount, outcome) = book.get_mut(&id)?;
        *outcome = Some(how);
        Some(*amount)
    }
}

impl DemoDomain {
    /// Starts every service on its queue.
    pub async fn start(
        team: &DemoAccount,
        stage: &Stage,
        narrator: &Narrator,
    ) -> anyhow::Result<Self> {
        let producer = |source| Producer::on_bus(source, &team.events, TEAM_BUS, narrator);
        let orders =
            Arc::new(OrderBook { book: Mutex::default(), producer: producer("order-service") });
        let payments = producer("payment-service");
        let book = Arc::clone(&orders);
        let on_payment: OnMessage = {
            let narrator = narrator.clone();
            Arc::new(move |event| {
                let (book, narrator) = (Arc::clone(&book), narrator.clone());
                Box::pin(async move { tell(&narrator, book.on_payment(event).await) })
            })
        };
        let on_order: OnMessage = {
            let narrator = narrator.clone();
            Arc::new(move |event| {
                let (payments, narrator) = (payments.clone(), narrator.clone());
                Box::pin(async move { tell(&narrator, pay(&payments, &event).await) })
            })
        };
        let look: OnMessage = Arc::new(|_| Box::pin(std::future::ready(())));
        let log: Arc<Mutex<Vec<Value>>> = Arc::default();
        let keep: OnMessage = {
            let log = Arc::clone(&log);
            Arc::new(move |event| {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                Box::pin(std::future::ready(()))
            })
        };
        let mut seen = BTreeMap::new();
        for (name, reaction) in [
            ("payment-service", on_order),
            ("order-service", on_payment),
            ("notification-service", look),
            ("log", keep),
        ] {
            let (count, counted) = watch::channel(0);
            let counting: OnMessage = Arc::new(move |event| {
                let reacted = reaction(event);
                let count = count.clone();
                Box::pin(async move {
                    reacted.await;
                    count.send_modify(|count| *count += 1);
                })
            });
            poll(stage.tasks(), team.sqs.clone(), team.queue_url(name).await?, counting);
            seen.insert(name, counted);
        }
        Ok(Self { orders, seen, log })
    }

    /// Takes an order and publishes that it was created.
    pub async fn take(&self, id: u64, amount: u64) -> anyhow::Result<()> {
        self.orders.book.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (amount, None));
        let detail = json!({ "id": id, "amount": amount });
        self.orders.producer.publish("OrderCreated", &detail).await
    }

    /// How an order ended.
    pub fn outcome(&self, id: u64) -> Option<&'static str> {
        let book = self.orders.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.get(&id).and_then(|(_, outcome)| *outcome)
    }

    /// Every envelope that was on the bus, as the log has it.
    pub fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many events a service has seen.
    pub fn seen_by(&self, service: &str) -> usize {
        self.seen.get(service).map_or(0, |count| *count.borrow())
    }

    /// Waits until a service has seen so many events.
    pub async fn wait_for(&self, service: &str, count: usize) {
        if let Some(mut seen) = self.seen.get(service).cloned() {
            // The sender lives as long as the service.
            let _ = seen.wait_for(|seen| *seen >= count).await;
        }
    }
}

/// The payment service, in place of the sample's state machine: an amount up to 500 succeeds.
async fn pay(payments: &Producer, event: &Value) -> anyhow::Result<()> {
    let amount = number(event, "/detail/amount");
    let outcome = if amount > LIMIT { "PaymentFailed" } else { "PaymentSucceeded" };
    payments.publish(outcome, &json!({ "id": number(event, "/detail/id") })).await
}

fn tell(narrator: &Narrator, outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        narrator.hop("domain", &format!("cannot publish: {error:#}"));
    }
}
