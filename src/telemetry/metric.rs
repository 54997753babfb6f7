//! Every metric: its name, what it counts, and the labels it carries.

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It spreads over buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// Upper bounds for durations within the gateway, in seconds.
const SHORT: &[f64] =
    &[25e-6, 50e-6, 1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Upper bounds for durations that include a network or a wait, in seconds.
const LONG: &[f64] =
    &[1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0];
/// Upper bounds for numbers of things handled together.
const GROUP: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $variant:ident: $name:literal, $kind:expr, [$($label:literal),*];)+) => {
        /// A metric of the gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $help])+ $variant,)+
        }

        impl Metric {
            /// All of them, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, with the unit at its end.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it does over time.
            pub const fn kind(self) -> MetricKind {
                match self { $(Self::$variant => $kind),+ }
            }

            /// The names of its labels; values are given in this order.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($label),*]),+ }
            }

            /// What it tells, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+)),+ }
            }
        }
    };
}

metrics! {
    /// Events made durable.
    EventsAccepted: "sealway_events_accepted_total", MetricKind::Counter, ["publication"];
    /// Events that no publication wanted, by their names; further pairs count as `other`.
    EventsUnwanted: "sealway_events_unwanted_total", MetricKind::Counter,
        ["source", "detail_type"];
    /// Events refused at the border, by the code of the problem.
    EventsRefused: "sealway_events_refused_total", MetricKind::Counter, ["reason"];
    /// Events taken although they break a rule of CloudEvents where nothing of them crosses.
    EventsWarned: "sealway_events_warned_total", MetricKind::Counter, ["rule"];
    /// Entries of `PutEvents` that were refused, and requests that were as a whole, by the code of the error.
    PutEventsRefused: "sealway_put_events_refused_total", MetricKind::Counter,
        ["access_key", "code"];
    /// Events kept aside because they broke their contract.
    EventsQuarantined: "sealway_events_quarantined_total", MetricKind::Counter, ["publication"];
    /// Bodies and items of batches kept aside as bytes because they could not be read, by the code of
    /// the reason.
    UnreadableQuarantined: "sealway_unreadable_quarantined_total", MetricKind::Counter, ["reason"];
    /// Events that broke their contract and crossed in mode `observe`.
    ViolationsObserved: "sealway_violations_observed_total", MetricKind::Counter, ["publication"];
    /// Events recognized as repeats.
    Duplicates: "sealway_duplicates_total", MetricKind::Counter, ["publication"];
    /// Events with the idempotency key of another content.
    Conflicts: "sealway_conflicts_total", MetricKind::Counter, ["publication"];
    /// Events taken for repeats, by source and id, whose content is another one.
    DifferingRepeats: "sealway_repeats_that_differ_total", MetricKind::Counter, ["publication"];
    /// Messages received from a queue, repeats included.
    QueueReceived: "sealway_queue_received_total", MetricKind::Counter, ["queue"];
    /// Messages of a queue, by what became of them; those that were left come again.
    QueueOutcomes: "sealway_queue_messages_total", MetricKind::Counter, ["queue", "outcome"];
    /// Messages deleted from a queue.
    QueueDeleted: "sealway_queue_deleted_total", MetricKind::Counter, ["queue"];
    /// Times that the visibility timeout of a message was extended because the log was slow.
    QueueExtended: "sealway_queue_extended_total", MetricKind::Counter, ["queue"];
    /// Calls of a queue, or entries of them, that failed, by what they were to do and the code of the error.
    QueueFailures: "sealway_queue_failures_total", MetricKind::Counter, ["queue", "call", "code"];
    /// Time from the sending of a message to its receipt.
    QueueAgeSeconds: "sealway_queue_age_seconds", MetricKind::Histogram(LONG), ["queue"];
    /// Messages that wait in a queue, about, as SQS says each minute.
    QueueWaiting: "sealway_queue_waiting_messages", MetricKind::Gauge, ["queue"];
    /// Time from when an event was read until it was durable; those of one request together.
    AdmitSeconds: "sealway_admit_seconds", MetricKind::Histogram(SHORT), [];
    /// Events made durable by one sync.
    AppendGroup: "sealway_append_group_events", MetricKind::Histogram(GROUP), [];
    /// Time of one sync of the log.
    SyncSeconds: "sealway_sync_seconds", MetricKind::Histogram(SHORT), [];
    /// Time from an outcome to the sync that keeps it; a crash repeats what is younger. The oldest
    /// outcome of each sync counts.
    OutcomeSeconds: "sealway_outcome_seconds", MetricKind::Histogram(SHORT), [];
    /// Position of the newest entry of the log.
    LogHead: "sealway_log_head_position", MetricKind::Gauge, [];
    /// How much of the disk of the log is in use, 0 to 1.
    DiskUsed: "sealway_disk_used_ratio", MetricKind::Gauge, [];
    /// Questions to witnesses, by what came of them: `cosigned`, `refused`, `unreached`, `failed`, or
    /// `other-history` where the witness has cosigned a tree that this log does not have.
    WitnessRequests: "sealway_witness_requests_total", MetricKind::Counter, ["witness", "outcome"];
    /// Leaves of the newest tree that a witness has cosigned.
    WitnessedLeaves: "sealway_witnessed_leaves", MetricKind::Gauge, ["witness"];
    /// Position of the newest entry that retention has dropped.
    LogLowWatermark: "sealway_log_floor_position", MetricKind::Gauge, [];
    /// Events that retention has dropped from the log.
    EventsDropped: "sealway_events_dropped_total", MetricKind::Counter, [];
    /// Entries of the log that retention has dropped before the bundles of evidence of a subscription were
    /// up to them.
    EvidenceLost: "sealway_evidence_lost_events_total", MetricKind::Counter, ["subscription"];
    /// Bundles of evidence by schedule, by what came of them: `done` or `failed`.
    EvidenceExports: "sealway_evidence_exports_total", MetricKind::Counter, ["subscription", "outcome"];
    /// Attempts at a sink, by verdict.
    Attempts: "sealway_attempts_total", MetricKind::Counter, ["subscription", "verdict"];
    /// Requests to token endpoints, by what came of them: `token` or `failure`.
    TokenRequests: "sealway_token_requests_total", MetricKind::Counter, ["outcome"];
    /// Attempts for which a sink took the former credential and not the present one.
    FormerCredentials: "sealway_former_credential_attempts_total", MetricKind::Counter, ["subscription"];
    /// Events delivered.
    Delivered: "sealway_delivered_total", MetricKind::Counter, ["subscription"];
    /// Answers of sinks and acknowledgements that are asked for receipts, by what was found in them.
    Receipts: "sealway_receipts_total", MetricKind::Counter, ["subscription", "result"];
    /// Events handed out to consumers that fetch them.
    Fetched: "sealway_fetched_total", MetricKind::Counter, ["subscription"];
    /// Streams and polls that wait for events.
    Waiting: "sealway_waiting_readers", MetricKind::Gauge, [];
    /// One, with the digest of the settings in force: gateways of one fleet compare it.
    SettingsInfo: "sealway_settings_info", MetricKind::Gauge, ["digest"];
    /// Reloads by what came of them: `applied` or `refused`.
    Reloads: "sealway_reloads_total", MetricKind::Counter, ["outcome"];
    /// Grants that hold.
    ActiveGrants: "sealway_grants", MetricKind::Gauge, [];
    /// Grants that end soon.
    GrantsEndingSoon: "sealway_grants_ending_soon", MetricKind::Gauge, [];
    /// Events given up, by reason.
    DeadLetters: "sealway_dead_letters_total", MetricKind::Counter, ["subscription", "reason"];
    /// Deliveries of a subscription that were given up and wait to be redriven or dismissed.
    DeadLettersWaiting: "sealway_dead_letters_waiting", MetricKind::Gauge, ["subscription"];
    /// Dead letters dropped because of their age, by the reason that they had.
    DeadLettersExpired: "sealway_dead_letters_expired_total", MetricKind::Counter,
        ["subscription", "reason"];
    /// Dead letters dropped because their consumer has too many, by the reason that they had.
    DeadLettersDropped: "sealway_dead_letters_dropped_total", MetricKind::Counter,
        ["subscription", "reason"];
    /// The most bytes that the dead letters of all consumers take on disk;
    /// `log.retention.dead-letters-size` bounds those of each.
    DeadLetterBytes: "sealway_dead_letter_bytes", MetricKind::Gauge, [];
    /// Receipts dropped because their consumer has too many.
    ReceiptsDropped: "sealway_receipts_dropped_total", MetricKind::Counter, ["subscription"];
    /// Entries in quarantine: events that broke their contract, and what could not be read. Counted each
    /// minute.
    QuarantineEntries: "sealway_quarantine_entries", MetricKind::Gauge, [];
    /// The most bytes that they take on disk; `log.retention.quarantine-size` bounds it.
    QuarantineBytes: "sealway_quarantine_bytes", MetricKind::Gauge, [];
    /// Events dropped from the quarantine because of their age; without a publication, those that could
    /// not be read.
    QuarantineExpired: "sealway_quarantine_expired_total", MetricKind::Counter, ["publication"];
    /// 1 for each subscription: what its consumer calls the one whose id other labels name.
    SubscriptionInfo: "sealway_subscription_info", MetricKind::Gauge,
        ["subscription", "consumer", "name"];
    /// Filters that subscriptions have, or had for events that the log still holds; equal ones count
    /// once.
    FiltersKept: "sealway_filters_kept", MetricKind::Gauge, [];
    /// Entries of the log that a subscription has not taken: not looked at, in flight or not
    /// acknowledged, and those that wait for another attempt.
    LagEvents: "sealway_lag_events", MetricKind::Gauge, ["subscription"];
    /// Steps that filters took of events: of new ones, of ones that are read in the log, and on the
    /// thread for what takes long.
    FilterSteps: "sealway_filter_steps_total", MetricKind::Counter, ["place"];
    /// Age of the oldest event that a subscription does not have: not settled, or waiting for another
    /// attempt.
    LagSeconds: "sealway_lag_seconds", MetricKind::Gauge, ["subscription"];
    /// Events of a subscription that wait for another attempt.
    RetriesWaiting: "sealway_retries_waiting", MetricKind::Gauge, ["subscription"];
    /// How long every attempt of a subscription has failed; 0 since one has succeeded.
    FailingSeconds: "sealway_failing_seconds", MetricKind::Gauge, ["subscription"];
    /// Whether the sink of a subscription is asked: 0 it is, 1 one attempt at a time, 2 it is left
    /// alone.
    BreakerState: "sealway_breaker_state", MetricKind::Gauge, ["subscription"];
    /// Times that a sink was left alone because it did not answer well, by whose attempt showed it.
    SinksLeftAlone: "sealway_sinks_left_alone_total", MetricKind::Counter, ["subscription"];
    /// Subscriptions that were paused because every attempt failed.
    SubscriptionsPaused: "sealway_subscriptions_paused_total", MetricKind::Counter, ["subscription"];
    /// Times that a sink was asked to prove itself, by what came of it: `proved`, `delivered` where it
    /// cannot answer, `failed`.
    Handshakes: "sealway_handshakes_total", MetricKind::Counter, ["subscription", "outcome"];
    /// Warnings that a subscription which had proved itself is pending, because its new sink or keys
    /// have not: at the first attempt that fails, and when it is given up.
    SubscriptionsPending: "sealway_subscriptions_pending_total", MetricKind::Counter, ["subscription"];
    /// Attempts that a subscription may have in flight at the moment.
    ParallelAllowed: "sealway_parallel_allowed", MetricKind::Gauge, ["subscription"];
    /// Time from acceptance to delivery.
    EndToEndSeconds: "sealway_end_to_end_seconds", MetricKind::Histogram(LONG), [];
    /// Time of one attempt at a sink.
    AttemptSeconds: "sealway_attempt_seconds", MetricKind::Histogram(LONG), [];
    /// Time to have one event signed and encrypted for an attempt, its keys fetched where they must be.
    SealSeconds: "sealway_seal_seconds", MetricKind::Histogram(SHORT), [];
    /// Subscriptions by state, but for those that are closed.
    Subscriptions: "sealway_subscriptions", MetricKind::Gauge, ["state"];
    /// Events sent again by replays.
    Replayed: "sealway_replayed_total", MetricKind::Counter, ["subscription"];
    /// How long the active signing key of an algorithm has signed.
    SigningKeyAge: "sealway_signing_key_age_seconds", MetricKind::Gauge, ["algorithm"];
    /// How long until the credentials of a caller end, for those that end; 0 once they have.
    CallerEndsSeconds: "sealway_caller_ends_seconds", MetricKind::Gauge, ["caller"];
    /// The share of what producers send that is taken; below 1 while deliveries wait for the gateway.
    AdmittedShare: "sealway_admitted_share", MetricKind::Gauge, [];
    /// Requests answered, by route and status.
    Requests: "sealway_requests_total", MetricKind::Counter, ["route", "status"];
    /// Time to answer a request.
    RequestSeconds: "sealway_request_seconds", MetricKind::Histogram(LONG), ["route"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        let mut names: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), Metric::ALL.len());
        for metric in Metric::ALL {
            assert_eq!(
                metric.kind() == MetricKind::Counter,
                metric.name().ends_with("_total"),
                "{metric:?}"
            );
        }
    }
}
