//! Settings of the API.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::{HumanDuration, Size};

/// What the API accepts, and for how long it waits.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The largest request body.
    #[schemars(extend("x-range" = ["1 KiB", "64 MiB"]))]
    pub max_body: Size,
    /// The memory that the bodies of all requests may take at once; a request beyond is answered 503.
    /// Until its signature or key is verified, a peer or an access key may have an eighth of it, and a
    /// caller or an access key that is verified a quarter.
    #[schemars(extend("x-range" = ["1 MiB", "1 TiB"]))]
    pub body_memory: Size,
    /// How long a client may take to send the headers of a request.
    #[schemars(extend("x-range" = ["100ms", "1h"]))]
    pub header_timeout: HumanDuration,
    /// How long an answer may take; after it the caller is told to try again.
    #[schemars(extend("x-range" = ["100ms", "1h"]))]
    pub request_timeout: HumanDuration,
    /// How long a client may leave an answer unread, or take less than 1,000 bytes a second of it;
    /// its connection is then closed.
    #[schemars(extend("x-range" = ["100ms", "1day"]))]
    pub write_timeout: HumanDuration,
    /// How many connections may be open at once. While all are, the one that has waited longest with its
    /// first request makes room for another.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// How many connections one peer may have open: an IPv4 address, or the /64 of an IPv6 address.
    /// Behind a proxy every client is the proxy, so there give it as many as `max-connections`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_peer: usize,
    /// How many streams, polls and pages one caller may have open.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub caller_readers: usize,
    /// How many streams, polls and pages one subscription may have open.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub subscription_readers: usize,
    /// How many requests one caller may make in a minute; beyond them it is told to wait.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub caller_rate: NonZeroU32,
    /// How long a caller's key is remembered; a removed caller is refused after this time at most.
    #[schemars(extend("x-range" = ["0s", "1h"]))]
    pub caller_cache: HumanDuration,
}

impl Default for Config {
    /// 2 MiB, 256 MiB, 10 s, 30 s, 60 s, 4096 connections, 2048 of one peer, 64 readers, 16 readers,
    /// 60,000 a minute, 5 s.
    fn default() -> Self {
        Self {
            max_body: Size(2 * 1024 * 1024),
            body_memory: Size(256 * 1024 * 1024),
            header_timeout: HumanDuration(Duration::from_secs(10)),
            request_timeout: HumanDuration(Duration::from_secs(30)),
            write_timeout: HumanDuration(Duration::from_mins(1)),
            max_connections: 4096,
            max_connections_per_peer: 2048,
            caller_readers: 64,
            subscription_readers: 16,
            caller_rate: const { NonZeroU32::new(60_000).unwrap() },
            caller_cache: HumanDuration(Duration::from_secs(5)),
        }
    }
}
