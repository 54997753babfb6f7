//! Checks everything that the demo has claimed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cli::demo::story::{EVENTS_PER_ORDER, ORDERS};
use crate::cli::demo::{DeliveredToken, DemoServices, Narrator};
use crate::event::ChainValue;

/// Checks how the orders ended, that nothing is missing, and that the replay was exact.
pub fn check(services: &DemoServices, narrator: &Narrator) {
    narrator.chapter("What held");
    for (id, amount, expected) in ORDERS {
        let ended = services.orders.outcome(id) == Some(expected);
        narrator.claim(&format!("order {id} for {amount} ended as {expected}"), ended);
    }
    let all = ORDERS.len() * EVENTS_PER_ORDER;
    let (live, replayed): (Vec<_>, Vec<_>) = services
        .audit
        .delivered()
        .into_iter()
        .partition(|delivered| delivered.opened.replay().is_none());
    narrator
        .claim(&format!("the audit received all {all} events, sealed for it"), live.len() == all);
    narrator.claim(
        "its sequence numbers have no gap and its hash chain is whole",
        is_whole(services.audit.name(), &live),
    );
    narrator.claim(
        "the replay brought the same ids and the same idempotency keys",
        replayed.len() == all && names(&live) == names(&replayed),
    );
    narrator.claim(
        "every data is only what its contract describes",
        live.iter().all(|delivered| declares(delivered.opened.event())),
    );
}

/// The pairs of id and idempotency key.
pub fn names(delivered: &[DeliveredToken]) -> BTreeSet<(String, String)> {
    let key = |one: &DeliveredToken| {
        let key = one.opened.event().get("idempotencykey").and_then(Value::as_str);
        (one.opened.id().to_owned(), key.unwrap_or_default().to_owned())
    };
    delivered.iter().map(key).collect()
}

/// Follows the chain as `docs/verify.md` describes it.
pub fn is_whole(subscription: &str, delivered: &[DeliveredToken]) -> bool {
    let Ok(subscription) = subscription.parse() else { return false };
    let mut sorted: Vec<_> =
        delivered.iter().filter_map(|one| Some((one.opened.place()?, one))).collect();
    sorted.sort_by_key(|(place, _)| place.sequence);
    let mut chain = ChainValue::start(&subscription);
    for (number, (place, one)) in (1..).zip(&sorted) {
        let Some(after) = one.opened.chain_after() else { return false };
        if place.sequence != number || place.previous != chain {
            return false;
        }
        chain = after;
    }
    sorted.len() == delivered.len()
}

/// Whether an event's data holds nothing but what the contracts describe.
pub fn declares(event: &Value) -> bool {
    let members = event.get("data").and_then(Value::as_object);
    members
        .is_some_and(|data| data.keys().all(|name| ["orderId", "amount"].contains(&name.as_str())))
}
