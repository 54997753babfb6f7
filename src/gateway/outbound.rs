//! The way out, on one screen: follow, match, seal, attempt, judge, record.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ambient::{Clock, Entropy};
use crate::deliver::{
    Answer, AttemptFailure, AttemptOutcome, AttemptResult, Carry, Delivery, DeliverySignal,
    DeliverySignals, Destination, Dispatch, Ledger, Parcel, Policy, Reason, ReceiptChecker,
    Schedule, Sealer, SealerError, SignedReceipt, Situation, Verdict, body, word_of,
};
use crate::egress::EgressRefusal;
use crate::eventlog::{EventLog, Page};
use crate::seal::ReceiptFault;
use crate::subscriptions::{ContentMode, Subscription};
use crate::telemetry::{Metric, Metrics, error_chain};

/// Hands every new entry of the log to the couriers of those it is for, in order, until the log
/// fails or the future is dropped.
pub async fn follow(log: &dyn EventLog, dispatch: &Dispatch, clock: &dyn Clock) {
    let mut head = log.watch();
    let mut position = dispatch.followed();
    loop {
        match log.read(position, Page::default()).await {
            Ok(entries) if entries.is_empty() => {
                if head.changed().await.is_err() {
                    return;
                }
            }
            Ok(entries) => {
                position = dispatch.hand(&entries).unwrap_or(position);
                // Entries from memory are there at once, and others need their turn.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "The follower cannot read the log");
                clock.sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Carries one delivery to its sink.
pub struct Outbound {
    /// Makes tokens.
    pub sealer: Arc<Sealer>,
    /// Speaks to sinks.
    pub destination: Arc<dyn Destination>,
    /// Checks the receipts that sinks sign.
    pub receipts: ReceiptChecker,
    /// Where outcomes are noted.
    pub ledger: Arc<Ledger>,
    /// The delays between attempts.
    pub schedule: Schedule,
    /// How long a sink may take to answer.
    pub timeout: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Takes word of sinks that are gone.
    pub signals: DeliverySignals,
}

/// What became of a receipt.
type Checked = Result<SignedReceipt, ReceiptFault>;

#[async_trait]
impl Carry for Outbound {
    async fn carry(&self, delivery: &Delivery) -> AttemptResult {
        let began = self.clock.now();
        let (answer, receipt) = self.attempt(delivery).await;
        let now = self.clock.now();
        let situation = Situation {
            made: delivery.attempts.saturating_add(1),
            ages_from: delivery.ages_from(began),
            now,
        };
        let verdict = self.policy(delivery).judge(&answer, situation, &*self.entropy);
        let carried =
            AttemptResult { verdict, health: answer.health(), retry_after: answer.retry_after() };
        if let Some(receipt) = &receipt {
            let labels = [delivery.subscription.id.as_str(), word_of(receipt)];
            self.metrics.counter(Metric::Receipts, &labels).increment();
        }
        self.ledger
            .record(delivery, &AttemptOutcome { answer, verdict, began, ended: now, receipt });
        self.observe(delivery, verdict, now.since(began));
        if verdict == Verdict::GiveUp(Reason::SinkGone) {
            self.signals.tell(DeliverySignal::SinkGone(Arc::clone(&delivery.subscription)));
        }
        carried
    }

    fn expired(&self, subscription: &Subscription, count: usize) {
        let labels = [subscription.id.as_str(), Reason::Expired.word()];
        self.metrics.counter(Metric::DeadLetters, &labels).add(count as u64);
    }
}

impl Outbound {
    /// Gives the sink's answer, and what became of the receipt in it if one is asked for.
    async fn attempt(&self, delivery: &Delivery) -> (Answer, Option<Checked>) {
        let Some(sink) = delivery.subscription.sink.clone() else {
            return (Answer::failed(AttemptFailure::NoSink, ""), None);
        };
        let sealed = match self.sealer.seal(delivery).await {
            Ok(sealed) => sealed,
            Err(error) => return (unsealed(&error), None),
        };
        let mode = delivery.subscription.document.config.content_mode;
        let parcel = Parcel {
            method: reqwest::Method::POST,
            sink,
            credential: delivery.subscription.credential.clone(),
            headers: headers(delivery, self.clock.now().unix_seconds()),
            content_type: mode.media_type(),
            body: body(mode, sealed.token(), clear_attributes(delivery)),
            timeout: self.timeout,
        };
        let mut answer = self.destination.attempt(parcel).await;
        let receipts = delivery.subscription.receipts.as_ref().filter(|_| answer.is_yes());
        let mut checked = None;
        if let Some(receipts) = receipts {
            let of = (delivery, receipts);
            let receipt = self.receipts.check(of, sealed.token(), answer.body()).await;
            if let (Err(fault), true) = (&receipt, receipts.required) {
                answer = answer.without_receipt(*fault);
            }
            checked = Some(receipt);
        }
        if answer.asks_for_another_key() {
            self.sealer.renew(delivery).await;
        } else if !answer.is_yes() {
            self.sealer.keep(delivery, sealed).await;
        }
        (answer, checked)
    }

    fn policy(&self, delivery: &Delivery) -> Policy {
        let settings = &delivery.subscription.document.config;
        Policy {
            schedule: self.schedule.clone(),
            maximum_retry_attempts: settings.maximum_retry_attempts,
            maximum_event_age: delivery.subscription.maximum_event_age(),
            give_up_after_refusals: settings.give_up_after_refusals,
        }
    }

    fn observe(&self, delivery: &Delivery, verdict: Verdict, took: Duration) {
        let subscription = delivery.subscription.id.as_str();
        let count = |metric, labels: &[&str]| self.metrics.counter(metric, labels).increment();
        count(Metric::Attempts, &[subscription, verdict.word()]);
        self.metrics.histogram(Metric::AttemptSeconds, &[]).observe_duration(took);
        match verdict {
            Verdict::Delivered => {
                count(Metric::Delivered, &[subscription]);
                if delivery.replay.is_some() {
                    count(Metric::Replayed, &[subscription]);
                } else if !delivery.redriven {
                    let age = self.clock.now().since(delivery.entry.accepted);
                    self.metrics.histogram(Metric::EndToEndSeconds, &[]).observe_duration(age);
                }
            }
            Verdict::GiveUp(reason) => count(Metric::DeadLetters, &[subscription, reason.word()]),
            Verdict::Retry { .. } => {}
        }
    }
}

fn unsealed(error: &SealerError) -> Answer {
    // The consumer's keys may lie where the egress guard lets nobody go.
    let is_refused = EgressRefusal::among_causes(error).is_some();
    let failure = if is_refused { AttemptFailure::Refused } else { AttemptFailure::Seal };
    Answer::failed(failure, &error_chain(error).to_string())
}

/// The attributes of a structured CloudEvent.
fn clear_attributes(delivery: &Delivery) -> impl Iterator<Item = (&'static str, String)> {
    let event = &delivery.entry.event;
    let sequence = delivery.link.map(|(sequence, _)| ("sequence", sequence.to_string()));
    let replay = delivery.replay.as_ref().map(|id| ("sealwayreplay", id.to_string()));
    let id = [("id", event.id.to_string())];
    let own = event.text_attributes().filter(|(name, _)| *name != "datacontenttype");
    id.into_iter().chain(own).chain(sequence).chain(replay)
}

/// The clear attributes (CloudEvents HTTP binding, section 3.1.3) and the names that receivers of
/// webhooks look for.
fn headers(delivery: &Delivery, now: i64) -> Vec<(&'static str, String)> {
    let event = &delivery.entry.event;
    let id = event.id.to_string();
    let mut headers = vec![
        ("webhook-id", id.clone()),
        ("webhook-timestamp", now.to_string()),
        ("sealway-attempt", delivery.attempts.saturating_add(1).to_string()),
    ];
    match delivery.subscription.document.config.content_mode {
        ContentMode::Binary => {}
        // A CloudEvent in JSON shows its attributes itself.
        ContentMode::Structured => return headers,
        // RFC 8935, section 2.1: refusals are explained in JSON.
        ContentMode::Set => {
            headers.push(("accept", "application/json".to_owned()));
            return headers;
        }
    }
    headers.extend([("ce-specversion", "1.0".to_owned()), ("ce-id", id)]);
    if delivery.subscription.hides_attributes() {
        return headers;
    }
    headers.push(("idempotency-key", event.idempotency_key.to_string()));
    if let Some((sequence, _)) = delivery.link {
        headers.push(("ce-sequence", sequence.to_string()));
    }
    if let Some(replay) = &delivery.replay {
        headers.push(("sealway-replay", replay.to_string()));
    }
    if let Some(trace) = &event.trace {
        headers.push(("traceparent", trace.to_string()));
    }
    headers.extend(event.text_attributes().filter_map(|(name, value)| {
        let header = match name {
            "source" => "ce-source",
            "type" => "ce-type",
            "subject" => "ce-subject",
            "time" => "ce-time",
            "dataschema" => "ce-dataschema",
            "idempotencykey" => "ce-idempotencykey",
            "traceparent" => "ce-traceparent",
            // In binary mode the content type is the header of that name, which is the token's.
            _ => return None,
        };
        Some((header, percent_encoded(&value)))
    }));
    headers
}

/// Encodes what a header cannot carry (CloudEvents HTTP binding, section 3.1.3.2).
fn percent_encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '!'..='~') && !matches!(character, '"' | '%') {
            encoded.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_carry_is_percent_encoded() {
        assert_eq!(percent_encoded("Payment.Authorised"), "Payment.Authorised");
        assert_eq!(percent_encoded("Euro € 100%\""), "Euro%20%E2%82%AC%20100%25%22");
    }
}
