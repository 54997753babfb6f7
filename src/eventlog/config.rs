//! The settings of this room.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::{HumanDuration, Size};
use crate::eventlog::WitnessConfig;

/// Bounds of what the log holds in memory and leaves free on disk.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Bytes of drafts that may wait for a commit; more are refused with
    /// [`LogError::Busy`](crate::eventlog::LogError::Busy). A single batch that is larger is taken while
    /// nothing else waits.
    pub waiting_bytes: usize,
    /// Bytes of recent entries kept in memory for followers.
    pub tail_bytes: usize,
    /// Bytes of the disk that stay free for the delivery state; events are refused below it, with
    /// [`LogError::Full`](crate::eventlog::LogError::Full).
    pub reserve_bytes: u64,
    /// How many percent of the disk may be in use before operators are warned.
    pub warn_percent: u8,
    /// From how many percent of the disk in use on events are refused.
    pub refuse_percent: u8,
    /// How long receipts of delivery are kept.
    pub receipt_age: Duration,
    /// How long actions of callers are kept.
    pub action_age: Duration,
    /// How many actions of one caller are kept.
    pub actions_per_caller: u64,
}

impl Default for LogLimits {
    /// 32 MiB waiting, 4 MiB of tail, 256 MiB of disk, 80 and 92 percent, receipts and actions for 400
    /// days, 100,000 actions of a caller.
    fn default() -> Self {
        Self {
            waiting_bytes: 32 * 1024 * 1024,
            tail_bytes: 4 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            warn_percent: 80,
            refuse_percent: 92,
            receipt_age: Duration::from_hours(400 * 24),
            action_age: Duration::from_hours(400 * 24),
            actions_per_caller: 100_000,
        }
    }
}

/// The record of events.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How much may wait for the disk; producers are told to try again beyond it.
    #[schemars(extend("x-range" = ["1 KiB", "16 GiB"]))]
    pub max_waiting: Size,
    /// How much of the newest events is kept in memory for those who follow the log.
    #[schemars(extend("x-range" = ["0 B", "16 GiB"]))]
    pub tail: Size,
    /// How much of the disk stays free for the delivery state; events are refused below it.
    #[schemars(extend("x-range" = ["0 B", "1 PiB"]))]
    pub disk_reserve: Size,
    /// From how many percent of the disk in use on operators are warned, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub disk_warn: u8,
    /// From how many percent of the disk in use on events are refused, 1 to 100; 100: the reserve
    /// alone decides.
    #[schemars(range(min = 1, max = 100))]
    pub disk_refuse: u8,
    /// How long signed receipts of delivery are kept, if their subscription is not removed before.
    #[schemars(extend("x-range" = ["1s", "36500days"]))]
    pub receipts: HumanDuration,
    /// How long it is kept what callers changed.
    #[schemars(extend("x-range" = ["1s", "36500days"]))]
    pub actions: HumanDuration,
    /// How many of these changes are kept of one caller; of more, its own oldest go.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub actions_per_caller: u64,
    /// Who may have proofs and tiles of the tree over the log: `public`, everybody, so that consumers
    /// compare and witnesses watch; or `granted`, callers whose key is good.
    pub proofs: ProofAccess,
    /// Who is asked to cosign the tree over the log, so that others need not believe the gateway alone;
    /// at most 16.
    #[schemars(length(max = 16))]
    pub witnesses: Vec<WitnessConfig>,
    /// How often witnesses are asked, 1s to 1day.
    #[schemars(extend("x-range" = ["1s", "1day"]))]
    pub witness_interval: HumanDuration,
    /// When events are dropped from the log, once every subscription has settled them.
    pub retention: RetentionConfig,
}

/// Who may have proofs of the log. They name no event and hold no content: only ULIDs and digests.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofAccess {
    /// Everybody.
    #[default]
    Public,
    /// Callers whose key is good, whatever they may do.
    Granted,
}

/// When events are dropped from the log. An event goes when either bound is passed; without bounds
/// it stays for ever. None goes that a subscription has not settled.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// How often it is looked for events that may go, 100ms to 1day.
    #[schemars(extend("x-range" = ["100ms", "1day"]))]
    pub every: HumanDuration,
    /// How long an event is kept; null: for ever.
    #[schemars(extend("x-range" = ["1ms", "36500days"]))]
    pub age: Option<HumanDuration>,
    /// How much the events of the log may take on disk, before the oldest go; null: any size. Nothing
    /// else counts: the quarantine and dead letters have sizes of their own.
    #[schemars(extend("x-range" = ["1 KiB", "1 PiB"]))]
    pub size: Option<Size>,
    /// How long a dead letter is kept; null: until it is delivered or dismissed.
    #[schemars(extend("x-range" = ["1ms", "36500days"]))]
    pub dead_letters: Option<HumanDuration>,
    /// How long an event in quarantine is kept; null: until it is released or dropped.
    #[schemars(extend("x-range" = ["1ms", "36500days"]))]
    pub quarantine: Option<HumanDuration>,
    /// How large the quarantine may get on disk; null: any size. Nothing is dropped for it: of more, what
    /// comes is refused with 429, to be sent again.
    #[schemars(extend("x-range" = ["1 KiB", "1 PiB"]))]
    pub quarantine_size: Option<Size>,
    /// How many dead letters of one consumer are kept; null: any number. Of more, the
    /// oldest of the subscription that has most go.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub dead_letters_per_consumer: Option<u64>,
    /// How much the dead letters of one consumer may take on disk, with those that are being redriven;
    /// null: any size. Of more, the oldest of the subscription that has most go.
    #[schemars(extend("x-range" = ["1 KiB", "1 PiB"]))]
    pub dead_letters_size: Option<Size>,
    /// How many receipts of one consumer are kept; null: as many as their age allows. Of more, the oldest of
    /// the subscription that has most go.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub receipts_per_consumer: Option<u64>,
}

impl RetentionConfig {
    /// How often it may be looked. Each look reads all cursors.
    pub const EVERY: RangeInclusive<Duration> =
        Duration::from_millis(100)..=Duration::from_hours(24);
}

impl Default for RetentionConfig {
    /// 30 days, any size, looked at every ten seconds; what was set aside, 90 days, 1 GiB of it in
    /// quarantine, and of a consumer a million dead letters and receipts, 1 GiB of the former.
    fn default() -> Self {
        let days = |days: u64| Some(HumanDuration(Duration::from_hours(days * 24)));
        let every = HumanDuration(Duration::from_secs(10));
        Self {
            every,
            age: days(30),
            size: None,
            dead_letters: days(90),
            quarantine: days(90),
            quarantine_size: Some(Size(1024 * 1024 * 1024)),
            dead_letters_per_consumer: Some(1_000_000),
            dead_letters_size: Some(Size(1024 * 1024 * 1024)),
            receipts_per_consumer: Some(1_000_000),
        }
    }
}

impl Default for Config {
    /// As [`LogLimits::default`].
    fn default() -> Self {
        let limits = LogLimits::default();
        let size = |bytes| Size(u64::try_from(bytes).unwrap_or(u64::MAX));
        Self {
            max_waiting: size(limits.waiting_bytes),
            tail: size(limits.tail_bytes),
            disk_reserve: Size(limits.reserve_bytes),
            disk_warn: limits.warn_percent,
            disk_refuse: limits.refuse_percent,
            retention: RetentionConfig::default(),
            receipts: HumanDuration(limits.receipt_age),
            actions: HumanDuration(limits.action_age),
            actions_per_caller: limits.actions_per_caller,
            proofs: ProofAccess::default(),
            witnesses: Vec::new(),
            witness_interval: HumanDuration(Duration::from_mins(1)),
        }
    }
}

impl Config {
    /// The bounds that these settings make.
    pub fn limits(&self) -> LogLimits {
        LogLimits {
            waiting_bytes: self.max_waiting.bytes(),
            tail_bytes: self.tail.bytes(),
            reserve_bytes: self.disk_reserve.0,
            warn_percent: self.disk_warn,
            refuse_percent: self.disk_refuse,
            receipt_age: self.receipts.0,
            action_age: self.actions.0,
            actions_per_caller: self.actions_per_caller,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_receipts_are_bounded_by_number_and_age() {
        assert_eq!(RetentionConfig::default().receipts_per_consumer, Some(1_000_000));
        assert_eq!(Config::default().receipts.0, Duration::from_hours(400 * 24));
    }
}
