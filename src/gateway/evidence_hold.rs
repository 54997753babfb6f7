//! What retention leaves for a while, because no bundle of evidence has it yet.

use crate::ambient::HumanDuration;
use crate::api::Services;
use crate::event::SubscriptionId;
use crate::eventlog::{LogError, Position};
use crate::gateway::exporting::is_exported;
use crate::telemetry::Metric;

/// How far retention may drop: what it wants to, but for events that still wait for their bundle.
///
/// It asks for those bundles at once. Where they cannot be written, the disk wins: a log that presses against
/// its size or the disk drops all that is wanted, and an event that is older than its age and the time that
/// it waits for a bundle goes in any case.
///
/// # Errors
///
/// Ours: the log failed.
pub(super) async fn spared(
    services: &Services,
    (wanted, presses): (Position, bool),
    age: Option<HumanDuration>,
) -> Result<Position, LogError> {
    let Some(exports) = &services.exports else { return Ok(wanted) };
    let Some(bundled) = bundled(services).filter(|bundled| *bundled < wanted) else {
        return Ok(wanted);
    };
    exports.urge();
    if presses {
        return Ok(wanted);
    }
    let overdue = match age {
        Some(age) => services.store.log.aged(age.0.saturating_add(exports.hold())).await?.position,
        None => Position::START,
    };
    Ok(bundled.max(overdue.min(wanted)))
}

/// The position up to which no subscription waits for a bundle; nothing if none wants any.
fn bundled(services: &Services) -> Option<Position> {
    let of = |id: &_| through_of(services, id);
    services.subscription_service.standings().iter().filter_map(|(id, _)| of(id)).min()
}

/// Up to where a subscription has its bundles; nothing if it wants none. One that was not looked at since the
/// start has none.
fn through_of(services: &Services, id: &SubscriptionId) -> Option<Position> {
    let exports = services.exports.as_ref()?;
    let line = services.subscription_service.worker(id)?;
    if !is_exported(exports, &line) {
        return None;
    }
    let created = line.look().subscription.created;
    Some(exports.standing(id, created).map_or(Position::START, |standing| standing.through))
}

/// The subscriptions that wait for bundles of what is about to go, and up to where each has them.
pub(super) fn unbundled(services: &Services, through: Position) -> Vec<(SubscriptionId, Position)> {
    let waits = |(id, _): (SubscriptionId, _)| {
        through_of(services, &id).filter(|bundled| *bundled < through).map(|bundled| (id, bundled))
    };
    services.subscription_service.standings().into_iter().filter_map(waits).collect()
}

/// Counts, and tells of, what was dropped though no bundle has it.
pub(super) fn tell_of_lost_evidence(
    services: &Services,
    unbundled: &[(SubscriptionId, Position)],
    (before, through): (Position, Position),
) {
    for (id, bundled) in unbundled {
        let lost = through.0.saturating_sub((*bundled).max(before).0);
        if lost == 0 {
            continue;
        }
        services.metrics.counter(Metric::EvidenceLost, &[id.as_str()]).add(lost);
        tracing::warn!(
            subscription.id = %id, lost,
            "Events of the log go before a bundle of evidence of subscription {id} has them, because there \
             is no room for them or they have waited too long",
        );
    }
}
