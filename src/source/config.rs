//! Settings of the ways in.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ambient::{HumanDuration, SecretReference, Size};
use crate::event::json;
use crate::source::SourceRule;
use crate::source::queue::{self, QueueSource};

/// How events come in: the embedded bus (`POST /`), the event intake (`POST /events`), and queues that
/// the gateway reads.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// The names of the embedded event buses. Producers name one in `EventBusName`.
    pub buses: Vec<String>,
    /// What happens to an entry that names another bus: `refuse` answers a per-entry
    /// `ResourceNotFoundException`; `drop` answers an event id and forgets the event, as AWS does.
    pub unknown_bus: UnknownBus,
    /// What happens to an entry that breaks a contract: `refuse` answers a per-entry error, which many
    /// producers never look at; `quarantine` answers an event id and keeps the event in quarantine.
    pub on_violation: OnViolation,
    /// The twelve digits that events of the embedded bus carry as their account.
    pub account: String,
    /// The region that events of the embedded bus carry.
    pub region: String,
    /// Whether requests to the embedded bus must be signed (SigV4): `required`, or `off`, which is
    /// only honored for requests that come straight from a loopback address.
    pub signatures: Signatures,
    /// The access keys that producers sign with.
    pub access_keys: Vec<AccessKey>,
    /// How long the answer to a request is kept, to be given again when an SDK repeats the request.
    #[schemars(extend("x-range" = ["0s", "1day"]))]
    pub repeat_answers: HumanDuration,
    /// How many signatures of `PutEvents` are remembered, each for as long as it is current, so that a
    /// request which somebody recorded brings nothing new. One access key may have three quarters of
    /// them; a request beyond is answered 503. Each takes about 150 bytes of memory.
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub remembered_signatures: usize,
    /// What an event that an EventBridge archive sends again (`replay-name`) is taken for: `repeat`,
    /// the event that came before, which is not delivered again; or `replay`, a new event.
    pub archive_replays: ArchiveReplays,
    /// The longest request body.
    #[schemars(extend("x-range" = ["1 KiB", "256 MiB"]))]
    pub max_body: Size,
    /// What the entries of one `PutEvents` request may come to, counted as AWS counts.
    #[schemars(extend("x-range" = ["1 KiB", "256 MiB"]))]
    pub max_entries: Size,
    /// The most events in one batch of `POST /events`.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_batch: usize,
    /// The deepest nesting of objects and arrays in an event, at most 1,000; what crosses nests 64
    /// levels at most.
    #[schemars(range(min = 8, max = 1_000))]
    pub max_depth: usize,
    /// What each producer may have in quarantine of what it sent asynchronously and could not be
    /// read; more is refused with 429, to be sent again.
    pub unreadable: UnreadableQuota,
    /// What each producer may have in quarantine of what it sent asynchronously and broke a contract; more
    /// is refused with 429, to be sent again.
    pub quarantined: QuarantinedQuota,
    /// Whether each answer to a producer is signed, also where it does not ask by `Prefer: receipt`.
    pub sign_answers: bool,
    /// The SQS queues that are read.
    pub queues: Vec<QueueSource>,
}

/// What one producer may have in quarantine of what could not be read.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct UnreadableQuota {
    /// The most entries of one producer, at least 1.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_entries: u64,
    /// The most bytes of one producer on disk: bodies, with the headers, names and reasons kept beside them.
    #[schemars(extend("x-range" = ["1 KiB", "1 PiB"]))]
    pub max_bytes: Size,
}

impl Default for UnreadableQuota {
    /// 1,000 entries, 16 MiB.
    fn default() -> Self {
        Self { max_entries: 1000, max_bytes: Size(16 * 1024 * 1024) }
    }
}

/// What one producer may have in quarantine of events that broke a contract.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct QuarantinedQuota {
    /// The most entries of one producer, at least 1; an event has one for each publication whose contract
    /// it broke.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_entries: u64,
    /// The most bytes of one producer on disk: events, with their names and what is wrong with them.
    #[schemars(extend("x-range" = ["1 KiB", "1 PiB"]))]
    pub max_bytes: Size,
}

impl Default for QuarantinedQuota {
    /// 100,000 entries, 128 MiB.
    fn default() -> Self {
        Self { max_entries: 100_000, max_bytes: Size(128 * 1024 * 1024) }
    }
}

/// What happens to an entry that names a bus which does not exist.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownBus {
    /// The producer is told.
    Refuse,
    /// The producer gets an event id, and the event is gone.
    Drop,
}

/// What happens to an entry of the embedded bus that breaks a contract.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnViolation {
    /// The producer is told, by a per-entry error.
    Refuse,
    /// The producer gets an event id, and the event waits in quarantine.
    Quarantine,
}

/// What an event that an EventBridge archive sends again is taken for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveReplays {
    /// The event that came before, under the same id: it is recognized and not delivered again.
    Repeat,
    /// A new event for each name of a replay.
    Replay,
}

/// Whether requests to the embedded bus must be signed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// Always.
    Required,
    /// Not for requests that come straight from a loopback address; others are refused.
    Off,
}

/// An access key of a producer.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessKey {
    /// The access key id, sent with each request.
    pub id: String,
    /// Where the secret access key is kept.
    pub secret: SecretReference,
    /// The `Source`s that the holder may publish as; a `*` at the end stands for any rest. Absent:
    /// every source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceRule>>,
}

/// The fewest signatures that may be remembered.
const LEAST_SIGNATURES: usize = 1000;
/// The most values of one event. Of two bytes each, those of a whole body would take a gigabyte.
const MOST_VALUES: usize = 500_000;
/// The deepest nesting of an event that is read at all.
const DEEPEST: usize = 1000;

impl Default for Config {
    fn default() -> Self {
        Self {
            buses: vec!["default".to_owned()],
            unknown_bus: UnknownBus::Refuse,
            on_violation: OnViolation::Refuse,
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            signatures: Signatures::Required,
            access_keys: Vec::new(),
            repeat_answers: HumanDuration(Duration::from_mins(5)),
            remembered_signatures: 1_000_000,
            archive_replays: ArchiveReplays::Repeat,
            max_body: Size(8 * 1024 * 1024),
            max_entries: Size(1024 * 1024),
            max_batch: 100,
            max_depth: DEEPEST,
            unreadable: UnreadableQuota::default(),
            quarantined: QuarantinedQuota::default(),
            sign_answers: false,
            queues: Vec::new(),
        }
    }
}

impl Config {
    /// Says in words what is wrong with the settings; nothing if they can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.buses.is_empty() {
            problems.push("`buses` is empty: name at least one bus, for example `default`".into());
        }
        for bus in self.buses.iter().filter(|bus| !is_bus_name(bus)) {
            problems.push(format!(
                "`{bus}` cannot name a bus: use 1 to 256 characters of A-Z, a-z, 0-9, `.`, `-`, `_`"
            ));
        }
        if self.max_depth > DEEPEST {
            problems.push(format!("`max-depth` is {DEEPEST} at most"));
        }
        if self.account.len() != 12 || !self.account.bytes().all(|b| b.is_ascii_digit()) {
            problems.push("`account` must be twelve digits, in quotes".into());
        }
        if self.remembered_signatures < LEAST_SIGNATURES {
            problems.push(format!("`remembered-signatures` is {LEAST_SIGNATURES} at least"));
        }
        if self.unreadable.max_entries == 0 || self.unreadable.max_bytes.bytes() == 0 {
            problems.push("`unreadable` must let a producer have something; use at least 1".into());
        }
        if self.quarantined.max_entries == 0 || self.quarantined.max_bytes.bytes() == 0 {
            problems
                .push("`quarantined` must let a producer have something; use at least 1".into());
        }
        for (at, key) in self.access_keys.iter().enumerate() {
            if key.id.is_empty() || !key.id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                problems.push(format!("access key {}: `id` must be letters and digits", at + 1));
            }
            if self.access_keys.iter().take(at).any(|other| other.id == key.id) {
                problems.push(format!("access key `{}` is there twice", key.id));
            }
        }
        problems.extend(queue::problems(&self.queues));
        problems
    }

    /// The queue with this ARN, if it is read.
    pub fn queue(&self, arn: &str) -> Option<&QueueSource> {
        self.queues.iter().find(|queue| queue.arn.as_str() == arn)
    }

    /// The bounds within which one event's JSON is read.
    pub fn json_limits(&self) -> json::Limits {
        let limits = json::Limits::new(self.max_body.bytes(), self.max_depth);
        json::Limits { values: MOST_VALUES, ..limits }
    }

    /// Whether a request from this peer may come unsigned.
    pub fn trusts_unsigned(&self, peer: Option<IpAddr>) -> bool {
        self.signatures == Signatures::Off
            && peer.is_some_and(|peer| peer.to_canonical().is_loopback())
    }
}

/// The characters of a bus name, as the `PutEvents` model has them.
pub(super) fn is_bus_name(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable_and_mistakes_are_named() {
        assert_eq!(Config::default().problems(), Vec::<String>::new());

        let secret = || SecretReference::Env("KEY".into());
        let key = |id: &str| AccessKey { id: id.into(), secret: secret(), sources: None };
        let broken = Config {
            buses: vec!["a/b".into()],
            account: "12".into(),
            unreadable: UnreadableQuota { max_entries: 0, ..UnreadableQuota::default() },
            quarantined: QuarantinedQuota { max_entries: 0, ..QuarantinedQuota::default() },
            access_keys: vec![key("AKIA1"), key("AKIA1"), key("a b")],
            ..Config::default()
        };

        let problems = broken.problems().join("\n");
        for expected in [
            "`a/b` cannot",
            "twelve digits",
            "`AKIA1` is there twice",
            "access key 3",
            "`unreadable`",
            "`quarantined`",
        ] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
    }

    #[test]
    fn only_a_loopback_peer_may_come_unsigned_and_only_if_allowed() {
        let off = Config { signatures: Signatures::Off, ..Config::default() };

        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(off.trusts_unsigned(local.parse().ok()), "{local}");
            assert!(!Config::default().trusts_unsigned(local.parse().ok()), "{local}");
        }
        assert!(!off.trusts_unsigned("10.0.0.1".parse().ok()));
        assert!(!off.trusts_unsigned(None));
    }
}
