//! Counts who reads events or waits for a handshake, so that no caller and no subscription takes all connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::{Caller, Code, Config, Problem};
use crate::event::SubscriptionId;
use crate::telemetry::{Metric, Metrics};

/// Exports of evidence that one caller, or anyone of one subscription, may have open: each is work
/// for as long as the subscription is.
const EXPORTS: usize = 2;

/// Streams, polls and pages, by whom and of what.
pub struct Readers {
    limits: (usize, usize),
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_caller: BTreeMap<[u8; 32], usize>,
    by_subscription: BTreeMap<SubscriptionId, usize>,
    exports_of_caller: BTreeMap<[u8; 32], usize>,
    exports_of_subscription: BTreeMap<SubscriptionId, usize>,
    all: u64,
}

/// One reader's place, which is free again once this is dropped.
pub struct ReaderPlace {
    readers: Arc<Readers>,
    caller: [u8; 32],
    subscription: SubscriptionId,
    is_export: bool,
}

impl Readers {
    /// Starts with nobody.
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let limits = (config.caller_readers, config.subscription_readers);
        Self { limits, metrics, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place.
    ///
    /// # Errors
    ///
    /// The caller's turn: it has too many open, or the subscription has.
    pub fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        subscription: &SubscriptionId,
    ) -> Result<ReaderPlace, Problem> {
        let (most_of_caller, most_of_subscription) = self.limits;
        let mut open = self.open();
        let of_caller = open.by_caller.get(&caller.identity).copied().unwrap_or_default();
        let of_subscription = open.by_subscription.get(subscription).copied().unwrap_or_default();
        for (count, most, whose) in [
            (of_caller, most_of_caller, "this caller"),
            (of_subscription, most_of_subscription, "this subscription"),
        ] {
            if count >= most {
                let detail = format!(
                    "{whose} has {most} streams, polls, pages and handshakes open; end one"
                );
                return Err(Problem::new(Code::TooMany, detail));
            }
        }
        open.by_caller.insert(caller.identity, of_caller + 1);
        open.by_subscription.insert(subscription.clone(), of_subscription + 1);
        open.all += 1;
        self.metrics.gauge(Metric::Waiting, &[]).set_count(open.all);
        let subscription = subscription.clone();
        let readers = Arc::clone(self);
        Ok(ReaderPlace { readers, caller: caller.identity, subscription, is_export: false })
    }

    /// Takes a place for an export of evidence.
    ///
    /// # Errors
    ///
    /// The caller's turn: it has too many open, or the subscription has.
    pub fn enter_export(
        self: &Arc<Self>,
        caller: &Caller,
        subscription: &SubscriptionId,
    ) -> Result<ReaderPlace, Problem> {
        let mut place = self.enter(caller, subscription)?;
        let mut open = self.open();
        let of_caller = open.exports_of_caller.get(&caller.identity).copied().unwrap_or_default();
        let of_subscription =
            open.exports_of_subscription.get(subscription).copied().unwrap_or_default();
        if of_caller.max(of_subscription) >= EXPORTS {
            // The place is given back with this lock.
            drop(open);
            let whose = if of_caller >= EXPORTS { "this caller" } else { "this subscription" };
            let detail = format!("{whose} has {EXPORTS} exports of evidence open; end one");
            return Err(Problem::new(Code::TooMany, detail));
        }
        open.exports_of_caller.insert(caller.identity, of_caller + 1);
        open.exports_of_subscription.insert(subscription.clone(), of_subscription + 1);
        place.is_export = true;
        Ok(place)
    }
}

impl Drop for ReaderPlace {
    fn drop(&mut self) {
        let mut open = self.readers.open();
        leave(&mut open.by_caller, &self.caller);
        leave(&mut open.by_subscription, &self.subscription);
        if self.is_export {
            leave(&mut open.exports_of_caller, &self.caller);
            leave(&mut open.exports_of_subscription, &self.subscription);
        }
        open.all = open.all.saturating_sub(1);
        self.readers.metrics.gauge(Metric::Waiting, &[]).set_count(open.all);
    }
}

fn leave<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_reader_has_left() {
        let config = Config { caller_readers: 2, subscription_readers: 1, ..Config::default() };
        let readers = Arc::new(Readers::new(&config, Arc::new(Metrics::new())));
        let caller =
            |key| Caller { identity: [key; 32], ..Caller::for_test("someone", Arc::default()) };
        let (a, b, c) = ("a".parse().unwrap(), "b".parse().unwrap(), "c".parse().unwrap());
        let refused = |caller: &Caller, of| readers.enter(caller, of).err().map(|p| p.code());

        let first = readers.enter(&caller(1), &a).unwrap();
        assert_eq!(refused(&caller(2), &a), Some(Code::TooMany));
        let second = readers.enter(&caller(1), &b).unwrap();
        assert_eq!(refused(&caller(1), &c), Some(Code::TooMany));
        assert_eq!(refused(&caller(2), &c), None);

        drop((first, second));
        // Two of a caller, and two of a subscription.
        let wide = Config { caller_readers: 9, subscription_readers: 9, ..Config::default() };
        let wide = Arc::new(Readers::new(&wide, Arc::new(Metrics::new())));
        let exports = [&a, &b].map(|of| wide.enter_export(&caller(1), of).unwrap());
        let refused_export = |key, of| wide.enter_export(&caller(key), of).err().map(|p| p.code());
        assert_eq!(refused_export(1, &c), Some(Code::TooMany));
        assert_eq!(refused_export(2, &a), None);
        let second = wide.enter_export(&caller(2), &a).unwrap();
        assert_eq!(refused_export(3, &a), Some(Code::TooMany));
        assert_eq!(wide.open().all, 3, "who was refused has no place");
        drop((exports, second));
        assert!(wide.open().exports_of_caller.is_empty());
        assert!(wide.open().exports_of_subscription.is_empty());

        assert_eq!(refused(&caller(1), &a), None);
        assert_eq!(readers.open().all, 0);
        assert!(readers.open().by_caller.is_empty() && readers.open().by_subscription.is_empty());
    }
}
