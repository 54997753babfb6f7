//! Holds what is kept for each consumer, dead letters and receipts, within its bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::ambient::Size;
use crate::api::Services;
use crate::deliver::SubscriptionServiceError;
use crate::event::{ConsumerId, SubscriptionId};
use crate::eventlog::{DeadLetterUsage, RetentionConfig};
use crate::telemetry::{Metric, error_chain};

/// How often it is looked how much dead letters take. They are counted as they come, so to look costs a
/// row for each subscription that has any; a consumer has as much too much as it gets in this time.
const LETTERS_TICK: Duration = Duration::from_secs(5);
/// How many of these looks there are for each count of receipts, which are counted one by one.
const LOOKS: u32 = 12;
/// So many are dropped in one transaction, so that others need not wait long.
const SLICE: usize = 200;
/// And so many bytes of dead letters.
const SLICE_BYTES: u64 = 8 * 1024 * 1024;

/// What is kept of each subscription, by consumer.
type Kept<T> = BTreeMap<ConsumerId, BTreeMap<SubscriptionId, T>>;

/// What the dead letters of one consumer may be.
#[derive(Clone, Copy, Debug)]
struct DeadLetterBounds {
    entries: Option<u64>,
    size: Option<Size>,
}

/// Looks now and then, for ever, and drops what is too much.
pub(super) async fn hold(services: &Services) {
    let config = services.retention;
    let bounds = DeadLetterBounds {
        entries: config.dead_letters_per_consumer,
        size: config.dead_letters_size,
    };
    for look in 1_u32.. {
        services.clock.sleep(LETTERS_TICK).await;
        let letters = dead_letters(services, bounds).await;
        let receipts =
            if look.is_multiple_of(LOOKS) { receipts(services, config).await } else { Ok(()) };
        for outcome in [letters, receipts] {
            if let Err(error) = outcome {
                tracing::error!(error = %error_chain(&error), "What consumers have too much of cannot be dropped");
            }
        }
    }
}

async fn dead_letters(
    services: &Services,
    bounds: DeadLetterBounds,
) -> Result<(), SubscriptionServiceError> {
    let usage = services.store.dead_letters.dead_letter_usage().await?;
    let bytes = usage.iter().map(|one| one.bytes).sum();
    services.metrics.gauge(Metric::DeadLetterBytes, &[]).set_count(bytes);
    // Where all together have no more than one may have, nobody has.
    if bounds.surplus(usage.iter()).is_none() {
        return Ok(());
    }
    let usage = usage.into_iter().map(|one| (one.subscription.clone(), one));
    for (consumer, mut kept) in by_consumer(services, usage).await? {
        let mut gone = 0;
        while let Some((of, most, bytes)) = bounds.surplus(kept.values()) {
            let dropped = services.store.dead_letters.drop_dead_letters(&of, most, bytes).await?;
            for one in &dropped {
                let labels = [one.key.subscription.as_str(), &one.reason];
                services.metrics.counter(Metric::DeadLettersDropped, &labels).increment();
                // Nothing waits any more behind what is dropped.
                services.subscription_service.let_go(&one.key).await;
            }
            gone += dropped.len();
            let freed = dropped.iter().map(|one| one.bytes).sum();
            take_letters(&mut kept, &of, (dropped.len() as u64, freed));
        }
        tell(&consumer, gone, "dead letters", &bounds.to_string());
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
        tell(&consumer, gone, "receipts", &most.to_string());
    }
    Ok(())
}

/// Joins what subscriptions have with whose they are; one that is being removed loses it anyway.
async fn by_consumer<T>(
    services: &Services,
    counts: impl IntoIterator<Item = (SubscriptionId, T)>,
) -> Result<Kept<T>, SubscriptionServiceError> {
    let all = services.subscription_service.list().await?;
    let consumers: BTreeMap<_, _> = all.iter().map(|one| (&one.id, &one.consumer)).collect();
    let mut kept = Kept::<T>::new();
    for (subscription, count) in counts {
        if let Some(consumer) = consumers.get(&subscription) {
            kept.entry((*consumer).clone()).or_default().insert(subscription, count);
        }
    }
    Ok(kept)
}

impl DeadLetterBounds {
    /// The subscription that has most of what all together have too much of, and how many dead letters
    /// and bytes of it go next; nothing if there is not too much. Those that are being redriven count as
    /// bytes, and are kept until they are settled.
    fn surplus<'a>(
        &self,
        kept: impl Iterator<Item = &'a DeadLetterUsage> + Clone,
    ) -> Option<(SubscriptionId, usize, u64)> {
        let (entries, bytes) = kept
            .clone()
            .fold((0, 0), |(entries, bytes), one| (entries + one.listed(), bytes + one.bytes));
        let too_many = self.entries.map_or(0, |most| entries.saturating_sub(most));
        let too_much = self.size.map_or(0, |most| bytes.saturating_sub(most.0));
        if too_many > 0 {
            let largest = kept.max_by_key(|one| one.listed())?;
            let most = usize::try_from(too_many).unwrap_or(SLICE).min(SLICE);
            return Some((largest.subscription.clone(), most, SLICE_BYTES));
        }
        let listed_bytes = |one: &&DeadLetterUsage| one.bytes.saturating_sub(one.redriven_bytes);
        let largest = kept.filter(|one| one.listed() > 0).max_by_key(listed_bytes)?;
        (too_much > 0).then(|| (largest.subscription.clone(), SLICE, too_much.min(SLICE_BYTES)))
    }
}

impl fmt::Display for DeadLetterBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.entries, self.size) {
            (Some(entries), Some(size)) => write!(f, "{entries} or {size}"),
            (Some(entries), None) => write!(f, "{entries}"),
            (None, Some(size)) => write!(f, "{size}"),
            (None, None) => f.write_str("none"),
        }
    }
}

/// Notes which dead letters went; where none did, there is nothing more to drop.
fn take_letters(
    kept: &mut BTreeMap<SubscriptionId, DeadLetterUsage>,
    of: &SubscriptionId,
    (entries, bytes): (u64, u64),
) {
    if entries == 0 {
        kept.remove(of);
    } else if let Some(one) = kept.get_mut(of) {
        one.entries = one.entries.saturating_sub(entries);
        one.bytes = one.bytes.saturating_sub(bytes);
    }
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

fn tell(consumer: &ConsumerId, gone: usize, what: &'static str, most: &str) {
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

    #[test]
    fn of_dead_letters_the_largest_go_first_by_number_and_by_bytes() {
        let usage = |name: &str, entries, bytes, redriven, redriven_bytes| {
            let subscription = name.parse::<SubscriptionId>().unwrap();
            let one = DeadLetterUsage {
                subscription: subscription.clone(),
                entries,
                bytes,
                redriven,
                redriven_bytes,
            };
            (subscription, one)
        };
        let mut kept = BTreeMap::from([
            usage("few-large", 3, 900, 0, 0),
            usage("many-small", 50, 500, 0, 0),
            usage("redriven", 10, 5000, 10, 5000),
        ]);
        let bounds =
            |entries, size: Option<u64>| DeadLetterBounds { entries, size: size.map(Size) };
        let next = |kept: &BTreeMap<_, DeadLetterUsage>, bounds: DeadLetterBounds| {
            let next = bounds.surplus(kept.values());
            next.map(|(of, most, bytes)| (of.to_string(), most, bytes))
        };
        let named = |name: &str, most, bytes| Some((name.to_owned(), most, bytes));

        assert_eq!(next(&kept, bounds(None, None)), None);
        assert_eq!(next(&kept, bounds(Some(53), Some(6400))), None);
        assert_eq!(next(&kept, bounds(Some(40), None)), named("many-small", 13, SLICE_BYTES));
        let tight = bounds(None, Some(6000));
        assert_eq!(next(&kept, tight), named("few-large", SLICE, 400));
        take_letters(&mut kept, &"few-large".parse().unwrap(), (2, 600));
        assert_eq!(next(&kept, tight), None);
        let tighter = bounds(None, Some(100));
        assert_eq!(next(&kept, tighter), named("many-small", SLICE, 5700));
        for name in ["many-small", "few-large"] {
            take_letters(&mut kept, &name.parse().unwrap(), (0, 0));
        }
        assert_eq!(next(&kept, tighter), None, "what is being redriven stays");
    }
}
