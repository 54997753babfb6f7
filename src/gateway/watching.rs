//! Acts on what delivery tells: closes, pauses, counts, and publishes operational events.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::api::Services;
use crate::deliver::DeliverySignal;
use crate::event::{OWN_SOURCE, Timestamp};
use crate::source::{Envelope, Received, ResponseMode};
use crate::subscriptions::{Subscription, SubscriptionState};
use crate::telemetry::{Metric, error_chain};

/// Acts on every signal until nobody can send one any more.
pub(super) async fn watch(
    services: &Services,
    signals: &Mutex<mpsc::UnboundedReceiver<DeliverySignal>>,
) {
    let mut signals = signals.lock().await;
    while let Some(signal) = signals.recv().await {
        match signal {
            DeliverySignal::SinkGone { subscription, words } => {
                close(services, &subscription, words).await;
            }
            DeliverySignal::OnlyFailing { subscription, since } => {
                pause(services, &subscription, since).await;
            }
            DeliverySignal::ProofMissing { subscription } => {
                tell_of_proof(services, &subscription).await;
            }
            DeliverySignal::SinkLeftAlone { subscription, until } => {
                let labels = [subscription.id.as_str()];
                services.metrics.counter(Metric::SinksLeftAlone, &labels).increment();
                let now = services.clock.now();
                let about = json!({ "since": now, "until": until });
                publish(services, "Sink Left Alone", (&subscription, now), about).await;
            }
        }
    }
    std::future::pending::<()>().await;
}

async fn close(services: &Services, told: &Subscription, words: &str) {
    let Some(closed) = step(services, told, SubscriptionState::Closed, words).await else { return };
    tracing::warn!(
        subscription.id = %closed.id,
        "Subscription {} is closed: {words}", closed.shown(),
    );
}

async fn pause(services: &Services, told: &Subscription, since: Timestamp) {
    let reason = format!("every attempt since {since} has failed");
    let Some(paused) = step(services, told, SubscriptionState::Paused, &reason).await else {
        return;
    };
    tracing::warn!(
        subscription.id = %paused.id,
        "Subscription {} is paused, {reason}; its events are kept until it is resumed",
        paused.shown(),
    );
    let labels = [paused.id.as_str()];
    services.metrics.counter(Metric::SubscriptionsPaused, &labels).increment();
    let about = json!({ "since": since, "reason": reason });
    publish(services, "Subscription Paused", (&paused, since), about).await;
}

/// Moves a subscription on because of its sink, if it still has that.
async fn step(
    services: &Services,
    told: &Subscription,
    to: SubscriptionState,
    reason: &str,
) -> Option<Arc<Subscription>> {
    match services.subscription_service.step_for_sink(told, to, reason.to_owned()).await {
        Ok(moved) => moved,
        Err(error) => {
            tracing::error!(
                subscription.id = %told.id, error = %error_chain(&error),
                "Subscription {} could not become {to}", told.shown(),
            );
            None
        }
    }
}

/// Warns of a subscription that was served and is pending: with an operational event when its first
/// attempt has failed or waits for someone, and without when it is given up.
async fn tell_of_proof(services: &Services, subscription: &Subscription) {
    let id = &subscription.id;
    let Some(handshake) = &subscription.handshake else { return };
    let reason = handshake.reason.clone().or_else(|| subscription.reason.clone());
    let reason = reason.unwrap_or_default();
    tracing::warn!(
        subscription.id = %id,
        "Subscription {} is {} and gets no events, its new sink or keys are not proved: {reason}",
        subscription.shown(), subscription.state,
    );
    services.metrics.counter(Metric::SubscriptionsPending, &[id.as_str()]).increment();
    let is_given_up = handshake.due.is_none() && handshake.attempts > 0;
    if !is_given_up {
        let since = handshake.since;
        let about = json!({ "since": since, "reason": reason });
        publish(services, "Subscription Pending", (subscription, since), about).await;
    }
}

/// Puts an operational event on the way in, like any producer's: it goes where the operator has
/// written a publication and a contract for it, and nowhere else.
pub(super) async fn publish(
    services: &Services,
    detail_type: &str,
    (subscription, since): (&Subscription, Timestamp),
    about: Value,
) {
    let mut detail = json!({
        "subscription": subscription.id,
        "name": subscription.name,
        "consumer": subscription.consumer,
    });
    if let (Value::Object(detail), Value::Object(about)) = (&mut detail, about) {
        detail.extend(about);
    }
    let envelope = Envelope {
        id: format!("{detail_type}/{}/{}", subscription.id, since.unix_nanos()),
        source: OWN_SOURCE.to_owned(),
        detail_type: detail_type.to_owned(),
        time: services.clock.now().into(),
        account: None,
        region: None,
        replay_name: None,
        resources: Vec::new(),
        detail,
    };
    let received = Received { envelope, repeatable: true, traceparent: None };
    for answer in services.admit.admit(vec![received], None, ResponseMode::Asynchronous).await {
        if let Err(refusal) = answer {
            tracing::error!(
                subscription.id = %subscription.id,
                code = refusal.code,
                "The operational event `{detail_type}` of subscription {} was not taken",
                subscription.shown(),
            );
        }
    }
}
