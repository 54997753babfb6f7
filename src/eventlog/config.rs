//! The settings of this room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::Size;
use crate::eventlog::Limits;

/// The record of events.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// How much may wait for the disk; producers are told to try again beyond it.
    pub max_waiting: Size,
    /// How much of the newest events is kept in memory for those who follow the log.
    pub tail: Size,
    /// How much of the disk stays free for the delivery state; events are refused below it.
    pub disk_reserve: Size,
}

impl Default for Config {
    /// As [`Limits::default`].
    fn default() -> Self {
        let limits = Limits::default();
        let size = |bytes| Size(u64::try_from(bytes).unwrap_or(u64::MAX));
        Self {
            max_waiting: size(limits.waiting_bytes),
            tail: size(limits.tail_bytes),
            disk_reserve: Size(limits.reserve_bytes),
        }
    }
}

impl Config {
    /// The bounds that these settings make.
    pub fn limits(&self) -> Limits {
        Limits {
            waiting_bytes: self.max_waiting.bytes(),
            tail_bytes: self.tail.bytes(),
            reserve_bytes: self.disk_reserve.0,
        }
    }
}
