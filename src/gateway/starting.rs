//! What a start says: how much there is, which egress is open, and which keys are new.

use std::fmt::Write as _;

use crate::access::GrantState;
use crate::api::{Callers, InForce, Services};
use crate::egress::{EgressConfig, Network};
use crate::event::{Timestamp, number_of};
use crate::keys::{KeyRing, KeyState};
use crate::subscriptions::SubscriptionState;
use crate::telemetry::error_chain;

/// Says it, in a few lines that people and programs read.
///
/// What cannot be counted is told as such, and keeps no gateway from starting.
pub(super) async fn tell_start(services: &Services, egress: &EgressConfig, began: Timestamp) {
    let in_force = services.in_force.load();
    let (contracts, publications) = (in_force.counts.contracts, in_force.counts.publications);
    let callers = callers(&services.callers).await;
    let states = states(services).await;
    let grants = services.subscription_service.access().grants();
    let now = services.clock.now();
    let active = grants.iter().filter(|grant| grant.state(now) == GrantState::Active).count();
    let subscriptions: usize = states.iter().map(|(_, count)| count).sum();
    tracing::info!(
        contracts,
        publications,
        callers,
        subscriptions,
        grants = active,
        "Gateway has {}, {}, {}, {} and {}",
        number_of(contracts, "contract"),
        number_of(publications, "publication"),
        callers.map_or_else(|| "unknown callers".to_owned(), |count| number_of(count, "caller")),
        in_states(&states),
        number_of(active, "active grant"),
    );
    tell_of_nothing(&in_force, callers);
    let open = opened(egress);
    tracing::info!(egress.open = open, "Egress: {open}");
    tell_new_keys(&services.ring, began);
    let digest = &in_force.digests.settings;
    tracing::info!(settings.digest = digest, "Settings in force have the digest {digest}");
}

async fn callers(callers: &Callers) -> Option<usize> {
    match callers.list().await {
        Ok(all) => Some(all.len()),
        // The reason is told with the callers of before.
        Err(_) => None,
    }
}

/// How many subscriptions are in each state, of those states that there are.
async fn states(services: &Services) -> Vec<(SubscriptionState, usize)> {
    use SubscriptionState::{Active, Closed, Paused, Pending};
    let all = match services.subscription_service.list().await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), "The subscriptions cannot be counted");
            Vec::new()
        }
    };
    let count = |state| (state, all.iter().filter(|one| one.state == state).count());
    [Active, Paused, Pending, Closed].map(count).into_iter().filter(|(_, n)| *n > 0).collect()
}

fn in_states(states: &[(SubscriptionState, usize)]) -> String {
    let total: usize = states.iter().map(|(_, count)| count).sum();
    let mut text = number_of(total, "subscription");
    if !states.is_empty() {
        let each: Vec<String> =
            states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, " ({})", each.join(", "));
    }
    text
}

/// Says what a new operator has yet to do.
fn tell_of_nothing(in_force: &InForce, callers: Option<usize>) {
    if in_force.counts.publications == 0 {
        tracing::warn!("Nothing is published, so every event is unwanted: write a publication");
    }
    if callers == Some(0) {
        tracing::warn!("Nobody may call: add a caller with `sealway callers add`");
    }
}

/// What is open.
fn opened(egress: &EgressConfig) -> String {
    let listed = |networks: &[Network]| {
        networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut text = "public addresses over https".to_owned();
    let kinds = [
        ("besides, ", &egress.allow),
        ("plain http to ", &egress.plain_http),
        ("never ", &egress.block),
    ];
    for (word, networks) in kinds.into_iter().filter(|(_, networks)| !networks.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {word}{}", listed(networks));
    }
    text
}

fn tell_new_keys(ring: &KeyRing, began: Timestamp) {
    for key in ring.keys() {
        let (times, algorithm) = (&key.age.times, key.age.algorithm.name());
        if times.published < began {
            continue;
        }
        let does = if times.state() == KeyState::Active { "signs" } else { "is published" };
        tracing::info!(
            key.id = key.age.kid,
            "Key {} ({algorithm}) is new and {does}; back up the key directory",
            key.age.kid,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_named_and_subscriptions_are_told_by_state() {
        let open = EgressConfig::loopback();
        let config = EgressConfig { block: open.allow.clone(), ..open };

        assert_eq!(
            opened(&config),
            "public addresses over https; besides, 127.0.0.0/8, ::1/128; plain http to 127.0.0.0/8, ::1/128; never 127.0.0.0/8, ::1/128"
        );
        assert_eq!(opened(&EgressConfig::default()), "public addresses over https");
        let states = [(SubscriptionState::Active, 2), (SubscriptionState::Paused, 1)];
        assert_eq!(in_states(&states), "3 subscriptions (2 active, 1 paused)");
        assert_eq!(in_states(&[]), "0 subscriptions");
    }
}
