//! How events are delivered, unless a subscription says otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;
use crate::aws::WITHOUT_AWS;
use crate::deliver::limits::{Allowance, BacklogConfig, BreakerConfig, OperatorLimits};
use crate::deliver::outcome::{HandshakeConfig, Schedule};
use crate::deliver::sink::{EventBusPermission, EventBusPermissions};
use crate::egress::EgressConfig;
use crate::event::EventBusArn;

/// Settings of delivery.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How long a sink may take to answer, 1 s to 30 s.
    #[schemars(extend("x-range" = ["1s", "30s"]))]
    pub timeout: HumanDuration,
    /// How many attempts a subscription may have in flight at once, 1 to 256.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u16,
    /// How many attempts per second a subscription may have, 1 to 100,000; `null`: as many as its
    /// sink takes.
    #[schemars(range(min = 1, max = 100_000))]
    pub rate: Option<u32>,
    /// The most attempts at once that a subscription may ask for, `parallel` to 256.
    #[schemars(range(min = 1, max = 256))]
    pub maximum_parallel: u16,
    /// The most attempts per second that a subscription may ask for or have, `rate` to 100,000;
    /// `null`: as many as its sink takes.
    #[schemars(range(min = 1, max = 100_000))]
    pub maximum_rate: Option<u32>,
    /// The delays between attempts, each with a fifth of jitter to either side; the first attempt
    /// is made at once.
    pub retries: Vec<HumanDuration>,
    /// How long the attempts of a subscription may only fail before it is paused, at least 1h.
    #[schemars(extend("x-range" = ["1h", "3650days"]))]
    pub pause_after: HumanDuration,
    /// How long an event may wait for the gateway's own processor, while its sink would take it, before
    /// producers are slowed down, 1 s to 1 h; `null`: they never are.
    #[schemars(extend("x-range" = ["1s", "1h"]))]
    pub slow_producers_after: Option<HumanDuration>,
    /// When a sink that has not proved itself is asked again.
    pub handshake: HandshakeConfig,
    /// When a sink that does not answer well is left alone.
    pub breaker: BreakerConfig,
    /// How much may wait for a subscription; what is beyond becomes dead letters.
    pub backlog: BacklogConfig,
    /// Which addresses may be dialed.
    pub egress: EgressConfig,
    /// Which event buses subscriptions of which consumer may name, and the roles that are taken for
    /// that.
    pub event_buses: Vec<EventBusPermission>,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self {
            timeout: HumanDuration(Duration::from_secs(15)),
            parallel: 16,
            rate: None,
            maximum_parallel: OperatorLimits::default().parallel,
            maximum_rate: None,
            retries: seconds.map(|s| HumanDuration(Duration::from_secs(s))).to_vec(),
            pause_after: HumanDuration(Duration::from_hours(5 * 24)),
            slow_producers_after: Some(HumanDuration(Duration::from_secs(2))),
            handshake: HandshakeConfig::default(),
            breaker: BreakerConfig::default(),
            backlog: BacklogConfig::default(),
            egress: EgressConfig::default(),
            event_buses: Vec::new(),
        }
    }
}

/// A setting of delivery that cannot work.
#[derive(Debug, thiserror::Error)]
#[error("delivery.{setting}: {problem}")]
pub struct DeliverConfigError {
    /// The name of the setting below `delivery`.
    pub setting: &'static str,
    /// What to do about it.
    pub problem: &'static str,
}

impl Config {
    /// Checks ranges that the types do not.
    ///
    /// # Errors
    ///
    /// The operator's turn: a setting is out of range.
    pub fn check(&self) -> Result<(), DeliverConfigError> {
        let seconds = self.timeout.0.as_secs_f64();
        if !(1.0..=30.0).contains(&seconds) {
            return Err(DeliverConfigError { setting: "timeout", problem: "use 1s to 30s" });
        }
        if !(1..=256).contains(&self.parallel) {
            return Err(DeliverConfigError { setting: "parallel", problem: "use 1 to 256" });
        }
        if self.rate.is_some_and(|rate| !(1..=100_000).contains(&rate)) {
            return Err(DeliverConfigError {
                setting: "rate",
                problem: "use 1 to 100000, or null",
            });
        }
        if !(self.parallel..=256).contains(&self.maximum_parallel) {
            let problem = "use 256 or less, and not less than parallel";
            return Err(DeliverConfigError { setting: "maximum-parallel", problem });
        }
        let least = self.rate.unwrap_or(1);
        if self.maximum_rate.is_some_and(|most| !(least..=100_000).contains(&most)) {
            let problem = "use 1 to 100000 and not less than rate, or null";
            return Err(DeliverConfigError { setting: "maximum-rate", problem });
        }
        if self.pause_after.0 < Duration::from_hours(1) {
            return Err(DeliverConfigError { setting: "pause-after", problem: "use 1h or more" });
        }
        let patience = Duration::from_secs(1)..=Duration::from_hours(1);
        if self.slow_producers_after.is_some_and(|after| !patience.contains(&after.0)) {
            let problem = "use 1s to 1h, or null";
            return Err(DeliverConfigError { setting: "slow-producers-after", problem });
        }
        self.check_handshake()?;
        self.check_breaker()?;
        self.check_backlog()?;
        self.check_event_buses()?;
        if self.retries.len() > 185 {
            return Err(DeliverConfigError {
                setting: "retries",
                problem: "use at most 185 delays",
            });
        }
        if self.retries.iter().any(|delay| delay.0 > Duration::from_hours(24)) {
            return Err(DeliverConfigError {
                setting: "retries",
                problem: "use delays of at most 1day",
            });
        }
        Ok(())
    }

    fn check_handshake(&self) -> Result<(), DeliverConfigError> {
        let HandshakeConfig { retries, give_up_after } = &self.handshake;
        let refuse = |setting, problem| Err(DeliverConfigError { setting, problem });
        let longest = Duration::from_hours(24);
        let range = Duration::from_millis(100)..=longest;
        if !(1..=185).contains(&retries.len()) || !retries.iter().all(|one| range.contains(&one.0))
        {
            return refuse("handshake.retries", "use 1 to 185 delays of 100ms to 1day");
        }
        if !(Duration::from_mins(1)..=30 * longest).contains(&give_up_after.0) {
            return refuse("handshake.give-up-after", "use 1m to 30days");
        }
        Ok(())
    }

    fn check_backlog(&self) -> Result<(), DeliverConfigError> {
        let BacklogConfig { maximum_age, maximum_events, longest_age, most_events } = self.backlog;
        let refuse = |setting, problem| Err(DeliverConfigError { setting, problem });
        if maximum_events.is_some_and(|most| !(1..=1_000_000).contains(&most)) {
            return refuse("backlog.maximum-events", "use 1 to 1,000,000");
        }
        if maximum_age.is_some_and(|age| age.0 < Duration::from_mins(1)) {
            return refuse("backlog.maximum-age", "use 1m or more, or null");
        }
        // Without a bound of its own a subscription already may have more than any bound.
        if longest_age.is_some_and(|longest| maximum_age.is_none_or(|age| longest < age)) {
            return refuse("backlog.longest-age", "use maximum-age or more, or null");
        }
        let is_no_cap = |most| !(maximum_events.unwrap_or(u32::MAX)..=1_000_000).contains(&most);
        if most_events.is_some_and(is_no_cap) {
            return refuse("backlog.most-events", "use maximum-events to 1,000,000, or null");
        }
        Ok(())
    }

    fn check_event_buses(&self) -> Result<(), DeliverConfigError> {
        let refuse = |problem| Err(DeliverConfigError { setting: "event-buses", problem });
        if !cfg!(feature = "aws") && !self.event_buses.is_empty() {
            return refuse(WITHOUT_AWS);
        }
        let mut named = BTreeSet::new();
        if self.event_buses.iter().any(|one| !named.insert((&one.consumer, &one.bus))) {
            return refuse("name each bus once for each consumer");
        }
        Ok(())
    }

    fn check_breaker(&self) -> Result<(), DeliverConfigError> {
        let BreakerConfig { failures, share, pause, longest_pause } = &self.breaker;
        let refuse = |setting, problem| Err(DeliverConfigError { setting, problem });
        if !(1..=1000).contains(failures) {
            return refuse("breaker.failures", "use 1 to 1000");
        }
        if !(1..=100).contains(share) {
            return refuse("breaker.share", "use 1 to 100");
        }
        if pause.0.is_zero() || pause > longest_pause {
            return refuse("breaker.pause", "use more than 0s and at most longest-pause");
        }
        Ok(())
    }

    /// The most that a subscription may ask for.
    pub fn caps(&self) -> OperatorLimits {
        let backlog = self.backlog.cap();
        OperatorLimits { parallel: self.maximum_parallel, rate: self.maximum_rate, backlog }
    }

    /// What a subscription gets unless it says otherwise.
    pub fn allowance(&self) -> Allowance {
        Allowance { parallel: self.parallel, rate: self.rate, operator_limits: self.caps() }
    }

    /// Who may have events put on which bus, but for those that the gateway reads from.
    pub fn event_bus_permissions(&self, read: Vec<EventBusArn>) -> EventBusPermissions {
        EventBusPermissions::new(self.event_buses.clone(), read)
    }

    /// The schedule that the delays make.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.retries.iter().map(|span| span.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::limits::BacklogLimit;

    #[test]
    fn the_default_settings_make_the_default_schedule() {
        assert!(Config::default().check().is_ok());
        assert_eq!(Config::default().schedule(), Schedule::default());
    }

    #[test]
    fn a_backlog_that_is_bounded_by_number_is_bounded_by_age_too() {
        let limit = |age, events| BacklogLimit { age, events }.with_age();
        let hour = Some(Duration::from_hours(1));

        assert_eq!(limit(None, Some(3)), limit(Some(BacklogLimit::AGE), Some(3)));
        assert_eq!(limit(hour, Some(3)).age, hour);
        assert_eq!(limit(None, None), BacklogLimit::default());
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let config = Config { parallel: 0, ..Config::default() };

        assert_eq!(config.check().unwrap_err().to_string(), "delivery.parallel: use 1 to 256");
        let config = Config { parallel: 16, maximum_parallel: 8, ..Config::default() };
        assert_eq!(config.check().unwrap_err().setting, "maximum-parallel");
        let config = Config { rate: Some(9), maximum_rate: Some(8), ..Config::default() };
        assert_eq!(config.check().unwrap_err().setting, "maximum-rate");
    }

    #[test]
    #[cfg(feature = "aws")]
    fn a_bus_is_listed_once_for_each_consumer() {
        let listed = |consumers: &[&str]| {
            let one = |consumer: &&str| EventBusPermission {
                consumer: consumer.parse().unwrap(),
                bus: "arn:aws:events:eu-west-1:444455556666:event-bus/partner".parse().unwrap(),
                role: None,
            };
            let event_buses = consumers.iter().map(one).collect();
            Config { event_buses, ..Config::default() }.check().err().map(|error| error.setting)
        };

        assert_eq!(listed(&["ledger", "shop"]), None);
        assert_eq!(listed(&["ledger", "shop", "ledger"]), Some("event-buses"));
    }

    #[test]
    fn a_cap_of_backlogs_is_no_less_than_what_everyone_gets() {
        let day = |days: u64| Some(HumanDuration(Duration::from_hours(days * 24)));
        let refused = |backlog: BacklogConfig| {
            let checked = Config { backlog, ..Config::default() }.check();
            checked.err().map(|error| error.setting)
        };
        let general = BacklogConfig::default();

        assert_eq!(general.cap(), general.limit());
        let wide = BacklogConfig { longest_age: day(30), ..general };
        assert_eq!((wide.cap().age, refused(wide)), (day(30).map(|age| age.0), None));
        for backlog in [
            BacklogConfig { longest_age: day(13), ..general },
            BacklogConfig { longest_age: day(30), maximum_age: None, ..general },
        ] {
            assert_eq!(refused(backlog), Some("backlog.longest-age"));
        }
        for backlog in [
            BacklogConfig { most_events: Some(9), ..general },
            BacklogConfig { most_events: Some(9), maximum_events: Some(10), ..general },
        ] {
            assert_eq!(refused(backlog), Some("backlog.most-events"));
        }
    }
}
