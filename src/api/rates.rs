//! How many requests a caller may make in a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::api::{Caller, Code, Problem};
use crate::event::Timestamp;

/// The time in which a whole quota comes.
const WINDOW: Duration = Duration::from_mins(1);
/// The names of draft-ietf-httpapi-ratelimit-headers, in the form of its tenth version.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Callers whose quota is whole are forgotten once so many are known.
const MOST: usize = 10_000;

/// The quota of each caller: a bucket that holds what one minute brings.
#[derive(Debug)]
pub struct Rates {
    quota: u32,
    /// When the bucket of a caller is full again; one that is not here is full.
    full: Mutex<HashMap<[u8; 32], Timestamp>>,
}

/// What is left of a caller's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateStanding {
    quota: u32,
    remaining: u32,
    /// Until the quota is whole again.
    reset: Duration,
    /// Until the next request is taken, if this one was not.
    wait: Option<Duration>,
}

/// Where an answer finds what is left of the quota of whoever asked. The request carries it, because
/// only its handler finds out who that is.
#[derive(Clone, Debug, Default)]
pub(super) struct RateSlot(Arc<OnceLock<RateStanding>>);

impl Rates {
    /// Lets each caller make so many requests in a minute, at least one.
    pub fn new(quota: u32) -> Self {
        Self { quota: quota.max(1), full: Mutex::default() }
    }

    /// Counts a request of a caller, once however often it is asked who calls.
    ///
    /// # Errors
    ///
    /// The caller's turn: its quota is used up.
    pub(super) fn count(
        &self,
        parts: &Parts,
        caller: Caller,
        now: Timestamp,
    ) -> Result<Caller, Problem> {
        let slot = parts.extensions.get::<RateSlot>().cloned().unwrap_or_default();
        let standing = slot.0.get_or_init(|| self.take(caller.identity, now));
        if standing.wait.is_none() {
            return Ok(caller);
        }
        let detail = format!("{} requests a minute are allowed to one caller", self.quota);
        Err(Problem::new(Code::RateLimited, detail))
    }

    fn take(&self, key: [u8; 32], now: Timestamp) -> RateStanding {
        let interval = WINDOW / self.quota;
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if full.len() >= MOST {
            full.retain(|_, moment| *moment > now);
        }
        let moment = full.entry(key).or_insert(now);
        // What lies further ahead than an empty bucket is of before the clock was set back.
        let before = if *moment > now.after(WINDOW) { now } else { (*moment).max(now) };
        *moment = before;
        let after = before.after(interval);
        let (quota, empty) = (self.quota, now.after(WINDOW));
        if after > empty {
            let (reset, wait) = (before.since(now), Some(after.since(empty)));
            return RateStanding { quota, remaining: 0, reset, wait };
        }
        *moment = after;
        let left = empty.since(after).as_nanos() / interval.as_nanos().max(1);
        let remaining = u32::try_from(left).unwrap_or(quota);
        RateStanding { quota, remaining, reset: after.since(now), wait: None }
    }
}

impl RateSlot {
    /// Tells in the headers of an answer what is left, if its caller is known.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Some(standing) = self.0.get() else { return };
        let RateStanding { quota, remaining, reset, wait } = standing;
        let (window, reset) = (WINDOW.as_secs(), whole_seconds(*reset));
        let mut insert = |name, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        };
        insert(POLICY, format!("\"caller\";q={quota};w={window}"));
        insert(LIMIT, format!("\"caller\";r={remaining};t={reset}"));
        if let Some(wait) = wait {
            insert(header::RETRY_AFTER, whole_seconds(*wait).max(1).to_string());
        }
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_quota_is_used_up_and_comes_back_with_time() {
        let rates = Rates::new(3);
        let left = |moment| {
            let standing = rates.take([1; 32], moment);
            (standing.remaining, standing.wait)
        };

        assert_eq!([left(NOW), left(NOW), left(NOW)], [(2, None), (1, None), (0, None)]);
        assert_eq!(left(NOW), (0, Some(Duration::from_secs(20))));
        assert_eq!(left(NOW.after(Duration::from_secs(5))), (0, Some(Duration::from_secs(15))));
        assert_eq!(rates.take([2; 32], NOW).remaining, 2, "another caller has a quota of its own");
        assert_eq!(left(NOW.after(Duration::from_secs(20))), (0, None));
        assert_eq!(left(NOW.after(Duration::from_mins(10))), (2, None));
        let years_back = NOW.before(Duration::from_hours(10_000));
        assert_eq!(left(years_back), (2, None), "a clock that was set back uses up nothing");
        assert_eq!(left(years_back.after(Duration::from_secs(20))), (2, None));
    }

    #[test]
    fn callers_with_a_whole_quota_are_forgotten() {
        let rates = Rates::new(60);
        for number in 0..MOST as u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            rates.take(key, NOW);
        }
        rates.take([255; 32], NOW.after(Duration::from_secs(2)));

        assert_eq!(rates.full.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_answer_tells_the_policy_what_is_left_and_when_to_come_again() {
        let slot = RateSlot::default();
        let mut headers = HeaderMap::new();
        slot.tell(&mut headers);
        assert!(headers.is_empty(), "nobody is known");

        let wait = Some(Duration::from_millis(1_200));
        let reset = Duration::from_millis(59_100);
        slot.0.set(RateStanding { quota: 50, remaining: 0, reset, wait }).unwrap();
        slot.tell(&mut headers);

        assert_eq!(headers["ratelimit-policy"], "\"caller\";q=50;w=60");
        assert_eq!(headers["ratelimit"], "\"caller\";r=0;t=60");
        assert_eq!(headers["retry-after"], "2");
    }
}
