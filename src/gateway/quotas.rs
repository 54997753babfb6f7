//! Holds what is kept for each consumer, dead letters and receipts, within its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Services;
use crate::deliver::SubscriptionServiceError;
use crate::event::{ConsumerId, SubscriptionId};
use crate::eventlog::RetentionConfig;
use crate::telemetry::{Metric, error_chain};

/// How often it is counted what is kept.
const TICK: Duration = Duration::from_mins(1);
/// So many are dropped in one transaction, so that others need not wait long.
const SLICE: usize = 200;

/// What is kept of each subscription, by consumer.
type Kept = BTreeMap<ConsumerId, BTreeMap<SubscriptionId, u64>>;

/// Counts now and then, for ever, and drops what is too much.
pub(super) async fn hold(services: &Services, config: RetentionConfig) {
    loop {
        services.clock.sleep(TICK).await;
        for outcome in [dead_letters(services, config).await, receipts(services, config).await] {
            if let Err(error) = outcome {
                tracing::error!(error = %error_chain(&error), "What consumers have too much of cannot be dropped");
            }
        }
    }
}

async fn dead_letters(
    services: &Services,
    config: RetentionConfig,
) -> Result<(), SubscriptionServiceError> {
    let Some(most) = config.dead_letters_per_consumer else { return Ok(()) };
    // Those that are being redriven are kept until they are settled.
    let counts = services.store.dead_letters.count_dead_letters(None).await?;
    let listed = counts.into_iter().filter(|one| !one.redriven);
    let kept = by_consumer(services, listed.map(|one| (one.subscription, one.count))).await?;
    for (consumer, mut kept) in kept {
        let mut gone = 0;
        while let Some((of, count)) = surplus(&kept, most) {
            let dropped = services.store.dead_letters.drop_dead_letters(&of, count).await?;
            for (key, reason) in &dropped {
                let labels = [key.subscription.as_str(), reason];
                services.metrics.counter(Metric::DeadLettersDropped, &labels).increment();
                // Nothing waits any more behind what is dropped.
                services.subscription_service.let_go(key).await;
            }
            gone += dropped.len();
            take(&mut kept, of, dropped.len());
        }
        tell(&consumer, gone, "dead letters", most);
    }
    Ok(())
}

async fn receipts(
    services: &Services,
    config: RetentionConfig,
) -> Result<(), SubscriptionServiceError> {
    let Some(most) = config.receipts_per_consumer else { return Ok(()) };
    let kept = by_consumer(services, services.store.receipts.count_receipts().await?).await?;
    for (consumer, mut kept) in kept {
        let mut gone = 0;
        while let Some((of, count)) = surplus(&kept, most) {
            let dropped = services.store.receipts.drop_receipts(&of, count).await?;
            services.metrics.counter(Metric::ReceiptsDropped, &[of.as_str()]).add(dropped as u64);
            gone += dropped;
            take(&mut kept, of, dropped);
        }
        tell(&consumer, gone, "receipts", most);
    }
    Ok(())
}

/// Adds up what subscriptions have; one that is being removed loses it anyway.
async fn by_consumer(
    services: &Services,
    counts: impl IntoIterator<Item = (SubscriptionId, u64)>,
) -> Result<Kept, SubscriptionServiceError> {
    let all = services.subscription_service.list().await?;
    let consumers: BTreeMap<_, _> = all.iter().map(|one| (&one.id, &one.consumer)).collect();
    let mut kept = Kept::new();
    for (subscription, count) in counts {
        if let Some(consumer) = consumers.get(&subscription) {
            let of = kept.entry((*consumer).clone()).or_default();
            *of.entry(subscription).or_default() += count;
        }
    }
    Ok(kept)
}

/// The subscription that has most, and how many of its oldest go next; nothing if all of them
/// together have no more than they may.
fn surplus(kept: &BTreeMap<SubscriptionId, u64>, most: u64) -> Option<(SubscriptionId, usize)> {
    let excess = kept.values().sum::<u64>().saturating_sub(most);
    let (largest, _) = kept.iter().max_by_key(|(_, count)| **count)?;
    let count = usize::try_from(excess).unwrap_or(SLICE).min(SLICE);
    (count > 0).then(|| (largest.clone(), count))
}

/// Notes what went; where nothing did, there is nothing more to drop.
fn take(kept: &mut BTreeMap<SubscriptionId, u64>, of: SubscriptionId, dropped: usize) {
    let left = kept.get(&of).map_or(0, |count| count.saturating_sub(dropped as u64));
    if dropped == 0 || left == 0 {
        kept.remove(&of);
    } else {
        kept.insert(of, left);
    }
}

fn tell(consumer: &ConsumerId, gone: usize, what: &'static str, most: u64) {
    if gone > 0 {
        tracing::warn!(
            consumer.id = %consumer,
            "The oldest {gone} {what} of consumer {consumer} were dropped: it has more than {most}",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subscription_that_has_most_gives_first_until_all_together_have_enough() {
        let name = |name: &str| name.parse::<SubscriptionId>().unwrap();
        let mut kept = BTreeMap::from([(name("few"), 10), (name("many"), 400)]);
        assert_eq!(surplus(&kept, 410), None);

        assert_eq!(surplus(&kept, 110), Some((name("many"), 200)));
        take(&mut kept, name("many"), 200);
        assert_eq!(surplus(&kept, 110), Some((name("many"), 100)));
        take(&mut kept, name("many"), 100);
        assert_eq!(surplus(&kept, 110), None);

        take(&mut kept, name("many"), 0);
        assert_eq!(
            surplus(&kept, 8),
            Some((name("few"), 2)),
            "what has gone is not asked for again"
        );
    }
}
