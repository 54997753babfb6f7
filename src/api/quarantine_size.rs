//! How much is in quarantine, how much may be, and whose it is.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::unread::ShownProducer;
use crate::eventlog::{ProducerUsage, QuarantineKind, QuarantineSize, RetentionConfig};
use crate::source;

/// The kind of an event that broke its contract.
pub(super) const EVENT: &str = "event";
/// The kind of what could not be read.
pub(super) const UNREADABLE: &str = "unreadable";

/// How many producers are named.
pub(super) const MOST_PRODUCERS: usize = 20;

/// How much is in quarantine.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownQuarantineSize {
    /// How many entries there are.
    entries: u64,
    /// The most bytes that they take on disk.
    bytes: u64,
    /// How many there may be (`log.retention.quarantine-size`); null: any number.
    max_bytes: Option<u64>,
    /// What each producer may have of events that broke a contract (`source.quarantined`).
    event_quota: ShownQuota,
    /// What each producer may have of what could not be read (`source.unreadable`).
    unreadable_quota: ShownQuota,
    /// Those that have most, most first.
    producers: Vec<ShownUsage>,
}

/// What each producer may have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownQuota {
    /// The most entries.
    max_entries: u64,
    /// The most bytes that they take on disk.
    max_bytes: u64,
}

/// What one producer has.
#[derive(Serialize, ToSchema)]
struct ShownUsage {
    /// Who it is; missing for events from before this was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    producer: Option<ShownProducer>,
    /// `event`: events that broke a contract. `unreadable`: what could not be read.
    kind: &'static str,
    /// How many entries.
    entries: u64,
    /// The most bytes that they take on disk, as its quota counts them.
    bytes: u64,
}

impl ShownQuarantineSize {
    pub(super) fn new(
        size: &QuarantineSize,
        retention: RetentionConfig,
        source: &source::Config,
    ) -> Self {
        let (events, unread) = (source.quarantined, source.unreadable);
        let quota = |max_entries, max_bytes| ShownQuota { max_entries, max_bytes };
        Self {
            entries: size.total.entries,
            bytes: size.total.bytes,
            max_bytes: retention.quarantine_size.map(|size| size.0),
            event_quota: quota(events.max_entries, events.max_bytes.0),
            unreadable_quota: quota(unread.max_entries, unread.max_bytes.0),
            producers: size.largest.iter().map(ShownUsage::of).collect(),
        }
    }
}

impl ShownUsage {
    fn of(one: &ProducerUsage) -> Self {
        Self {
            producer: one.producer.as_ref().map(ShownProducer::of),
            kind: match one.kind {
                QuarantineKind::Event => EVENT,
                QuarantineKind::Bytes => UNREADABLE,
            },
            entries: one.usage.entries,
            bytes: one.usage.bytes,
        }
    }
}
