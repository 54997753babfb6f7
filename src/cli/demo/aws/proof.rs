//! Checks everything that the demo on AWS has claimed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::demo::aws::accounts::{PARTNER, PARTNER_BUS, bus_arn};
use crate::cli::demo::aws::partner::{BusReceiver, TakenEvents};
use crate::cli::demo::aws::story::DemoParties;
use crate::cli::demo::proof::{declares, is_whole, names};
use crate::cli::demo::story::{EVENTS_PER_ORDER, ORDERS};
use crate::cli::demo::{DeliveredToken, Narrator, Stage};

/// The events of all orders.
const ALL: usize = ORDERS.len() * EVENTS_PER_ORDER;

/// Checks the domain, both edges, and what lies between them.
pub async fn check(stage: &Stage, parties: &DemoParties, before: usize, narrator: &Narrator) {
    narrator.chapter("What held");
    in_the_domain(parties, narrator);
    let ledger = parties.ledger.taken();
    let (live, replayed): (Vec<DeliveredToken>, Vec<_>) =
        ledger.tokens.iter().cloned().partition(|one| one.opened.replay().is_none());
    narrator.claim(
        &format!("the ledger, in another account, received all {ALL} events, sealed for it"),
        live.len() == ALL && distinct(&live) == ALL,
    );
    narrator.claim(
        "its sequence numbers have no gap and its hash chain is whole",
        is_whole(parties.ledger.name(), &live),
    );
    narrator.claim("a message that came twice crossed once", before == ALL && live.len() == ALL);
    narrator.claim(
        "the replay brought the same ids and the same idempotency keys",
        replayed.len() == ALL && names(&live) == names(&replayed),
    );
    narrator.claim(
        "every data is only what its contract describes",
        live.iter().all(|one| declares(one.opened.event())),
    );
    on_the_bus(&ledger, narrator);
    between_services(parties, &ledger, narrator);
    let stranger = json!({
        "id": "stranger",
        "consumer": "stranger",
        "protocol": "EVENTBRIDGE",
        "sink": bus_arn(PARTNER, PARTNER_BUS),
        "config": { "keys": { "jwksUri": "https://stranger.example.com/jwks.json" } },
    });
    let refusal = stage.refusal_of(&stranger).await.unwrap_or_default();
    narrator.claim(
        "a stranger cannot name the partner's bus",
        refusal.contains("has not listed this bus for the consumer `stranger`"),
    );
}

fn in_the_domain(parties: &DemoParties, narrator: &Narrator) {
    for (id, amount, expected) in ORDERS {
        let ended = parties.domain.outcome(id) == Some(expected);
        narrator.claim(&format!("order {id} for {amount} ended as {expected}"), ended);
    }
    let seen = |service| parties.domain.seen_by(service) == ALL;
    narrator.claim(
        &format!("the domain's own services saw its {ALL} events as ever"),
        seen("notification-service") && seen("log"),
    );
}

/// What whoever reads the bus can tell.
fn on_the_bus(ledger: &TakenEvents, narrator: &Narrator) {
    let is = |envelope: &Value, name: &str, text: &str| envelope.get(name) == Some(&json!(text));
    narrator.claim(
        "the gateway came as the partner's role: its events are of the partner's account",
        ledger
            .envelopes
            .iter()
            .all(|one| is(one, "account", PARTNER) && is(one, "source", "sealway")),
    );
    let hides = |envelope: &Value| {
        let text = envelope.to_string();
        !["amount", "orderId", "idempotencykey"].iter().any(|word| text.contains(word))
    };
    narrator.claim(
        "the data is nowhere in the clear, and neither is its idempotency key",
        ledger.envelopes.iter().all(hides),
    );
}

/// What the services of the other account can open of each other's.
fn between_services(parties: &DemoParties, ledger: &TakenEvents, narrator: &Narrator) {
    let shipping = parties.shipping.taken();
    let completed = ORDERS.iter().filter(|(_, _, how)| *how == "OrderCompleted").count();
    narrator.claim(
        &format!("shipping received the {completed} completed orders and nothing else"),
        shipping.tokens.len() == completed
            && shipping.envelopes.iter().all(|one| {
                one.get("detail-type").and_then(Value::as_str) == Some("Order.Completed")
            }),
    );
    let opens_none = |who: &BusReceiver, of: &TakenEvents| {
        of.tokens.iter().all(|delivered| who.open(&delivered.token).is_err())
    };
    narrator.claim(
        "on one bus, neither can open what was sealed for the other",
        opens_none(&parties.shipping, ledger) && opens_none(&parties.ledger, &shipping),
    );
}

/// How many different events there are.
fn distinct(delivered: &[DeliveredToken]) -> usize {
    delivered.iter().map(|one| one.opened.id()).collect::<BTreeSet<_>>().len()
}
