//! The lists of the API as both of its ends know them: what may be asked, and how answers read.
//!
//! The handlers read these queries and the command line writes them.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::api::{Code, Problem};
use crate::eventlog::Page;
use crate::subscriptions::SubscriptionState;

/// How many items there are in an answer if the caller does not say.
pub const DEFAULT_LIMIT: u16 = 100;
/// The most items of one answer.
pub(super) const MOST: usize = 1000;

/// Where a list stands in an answer, and how to ask for what comes after it.
#[derive(Clone, Copy, Debug)]
pub struct ListAnswer {
    /// The member that holds the items.
    pub items: &'static str,
    /// The parameter that takes the answer's `next`; nothing if the list has one page.
    pub next: Option<&'static str>,
}

impl ListAnswer {
    /// What [`SubscriptionListQuery`] asks for.
    pub const SUBSCRIPTIONS: Self = Self { items: "subscriptions", next: Some("after") };
    /// The replays of a subscription.
    pub const REPLAYS: Self = Self { items: "replays", next: None };
    /// The redrives of a subscription.
    pub const REDRIVES: Self = Self { items: "redrives", next: None };
    /// What [`ActionListQuery`] asks for.
    pub const ACTIONS: Self = Self { items: "actions", next: Some("before") };
    /// What [`AttemptListQuery`] asks for.
    pub const ATTEMPTS: Self = Self { items: "attempts", next: None };
    /// What [`DeadLetterListQuery`] asks for.
    pub const DEAD_LETTERS: Self = Self { items: "deadLetters", next: Some("after") };
    /// What [`EventListQuery`] asks for.
    pub const EVENTS: Self = Self { items: "events", next: Some("from") };
    /// What [`FetchQuery`] asks for.
    pub const FETCHED: Self = Self { items: "events", next: Some("after") };
    /// What [`QuarantineListQuery`] asks for.
    pub const QUARANTINED: Self = Self { items: "quarantined", next: Some("after") };
    /// The grants that a caller may see.
    pub const GRANTS: Self = Self { items: "grants", next: Some("after") };
    /// The access requests that a caller may see.
    pub const ACCESS_REQUESTS: Self = Self { items: "accessRequests", next: None };
    /// The bundles that are written by schedule.
    pub const EXPORTS: Self = Self { items: "exports", next: None };
    /// What [`ReceiptListQuery`] asks for.
    pub const RECEIPTS: Self = Self { items: "receipts", next: Some("after") };
}

/// Which changes by callers are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionListQuery {
    /// Only what comes before this, as a number of an action
    pub before: Option<u64>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
    /// Only those of this caller
    pub caller: Option<String>,
    /// Only those of this kind, for example `delete-subscription`
    pub kind: Option<String>,
    /// Only those on this thing or on what lies below it, for example `subscriptions/orders`
    pub target: Option<String>,
    /// Only those that were begun then or later; a time as RFC 3339 writes it
    pub from: Option<String>,
    /// Only those that were begun then or earlier; a time as RFC 3339 writes it
    pub to: Option<String>,
}

/// Which subscriptions are wanted.
#[derive(Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubscriptionListQuery {
    /// Only those that stand there: `pending`, `active`, `paused` or `closed`
    #[param(value_type = Option<String>)]
    pub state: Option<SubscriptionState>,
    /// Only those of this consumer
    pub consumer: Option<String>,
    /// Only those with this text in their id or name, whatever its case; 1 to 64 characters
    pub q: Option<String>,
    /// Only what comes after this one, as `consumer/name`: the `next` of the answer before
    pub after: Option<String>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
}

/// For whom the way of an event is told.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TraceQuery {
    /// Only for this subscription
    pub subscription: Option<String>,
    /// Only subscriptions after this one, as `consumer/name`: the `next` of the answer before
    pub after: Option<String>,
    /// How many deliveries at most, 1 to 1000
    pub limit: Option<usize>,
}

/// Which attempts are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttemptListQuery {
    /// Only of this event; a ULID
    pub event: Option<String>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
}

/// Which dead letters are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterListQuery {
    /// Only what comes after this
    pub after: Option<u64>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
    /// Only those given up for this reason
    pub reason: Option<String>,
    /// One type, or all below it: `Payment.*`
    pub r#type: Option<String>,
    /// Where to begin, included: the ULID of an event, or when it was accepted, in RFC 3339
    pub from: Option<String>,
    /// Where to end, included: a ULID or a time
    pub to: Option<String>,
}

/// Which events of the log are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventListQuery {
    /// Where to begin, included: the ULID of an event, or when it was accepted, in RFC 3339
    pub from: Option<String>,
    /// Where to end, included: a ULID or a time
    pub to: Option<String>,
    /// One type, or all below it: `Payment.*`
    pub r#type: Option<String>,
    /// Only what came of an envelope with this id: EventBridge's `EventId`, or the `id` of the producer's CloudEvent
    pub envelope: Option<String>,
    /// The most events, 1 to 1000
    pub limit: Option<usize>,
}

/// Which sealed events are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FetchQuery {
    /// Only what comes after this event, or after the place that `next` of another answer named; if missing, after what was acknowledged, or from now on if the subscription has a sink
    pub after: Option<String>,
    /// How many at most, 0 to 1000; 0 acknowledges and fetches nothing
    pub limit: Option<usize>,
    /// How many seconds to wait if there is none, 0 to 25
    pub wait: Option<u64>,
    /// `false`: `after` only says where to begin
    pub acknowledge: Option<bool>,
}

/// Which events in quarantine are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QuarantineListQuery {
    /// Only what comes after this
    pub after: Option<u64>,
    /// Only what had this id on its producer's bus
    pub envelope: Option<String>,
    /// Only what this publication wanted, as `domain/event`
    pub publication: Option<String>,
    /// `event`: only what broke its contract; `unreadable`: only what could not be read
    pub kind: Option<String>,
    /// Only what was sent by this caller, access key or queue (its ARN)
    pub producer: Option<String>,
    /// Only what has a violation of this code
    pub code: Option<String>,
    /// Only what was set aside then or later; a time as RFC 3339 writes it
    pub from: Option<String>,
    /// Only what was set aside then or earlier; a time as RFC 3339 writes it
    pub to: Option<String>,
}

/// Which grants are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantListQuery {
    /// Only those of this consumer
    pub consumer: Option<String>,
    /// Only those of this publication, `domain/event`
    pub publication: Option<String>,
    /// Only those that stand so: `planned`, `active`, `expired` or `recalled`
    pub state: Option<String>,
    /// Only those after this one
    pub after: Option<String>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
}

/// Why a grant is recalled.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecallQuery {
    /// Why, at most 512 characters; the consumer is told
    pub reason: Option<String>,
}

/// Why an access request is withdrawn.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WithdrawQuery {
    /// Why, at most 512 characters; the owner is told
    pub reason: Option<String>,
}

/// Which access requests are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccessRequestListQuery {
    /// Only those that stand so: `open`, `approved` or `refused`
    pub state: Option<String>,
}

/// Which receipts are wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptListQuery {
    /// Only of this event; a ULID
    pub event: Option<String>,
    /// Only what comes after this
    pub after: Option<u64>,
    /// How many at most, 1 to 1000
    pub limit: Option<usize>,
}

/// Which range of a subscription's events is wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EvidenceQuery {
    /// Where to begin, included: the ULID of an event, or when it was accepted, in RFC 3339
    pub from: Option<String>,
    /// Where to end, included: a ULID or a time
    pub to: Option<String>,
}

/// Of which event a proof is wanted, and of which tree.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InclusionQuery {
    /// The event; a ULID. The log must still hold it
    pub event: Option<String>,
    /// In place of the event, the index of its leaf
    pub index: Option<u64>,
    /// How many leaves the tree has; as many as there are, if not given
    pub size: Option<u64>,
    /// In the tree of which incarnation of the log, as far as it survived; the present one, if not given
    pub incarnation: Option<u64>,
}

/// Between which trees a proof is wanted.
#[derive(Debug, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsistencyQuery {
    /// How many leaves the older tree has
    pub from: u64,
    /// How many the newer one has; as many as there are, if not given
    pub to: Option<u64>,
    /// Of which incarnation of the log, as far as it survived; the present one, if not given
    pub incarnation: Option<u64>,
}

/// Reads how much is wanted at once.
pub(super) fn page(limit: Option<usize>) -> Result<Page, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT.into()) {
        items @ 1..=MOST => Ok(Page { items, ..Page::default() }),
        _ => Err(Problem::new(Code::Invalid, format!("limit: use 1 to {MOST}"))),
    }
}

/// Where a list goes on: a page ends by its bytes too, so only an empty one is known to be the end.
pub(super) fn next<T>(page: &[T], number: impl Fn(&T) -> u64) -> Option<u64> {
    page.last().map(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi;

    #[test]
    fn every_list_is_answered_as_it_is_described() {
        let described = openapi();
        let lists: [(_, _, &[&str]); 13] = [
            ("AllSubscriptions", ListAnswer::SUBSCRIPTIONS, &[]),
            ("AllGrants", ListAnswer::GRANTS, &[]),
            ("AllAccessRequests", ListAnswer::ACCESS_REQUESTS, &[]),
            ("AllReplays", ListAnswer::REPLAYS, &[]),
            ("AllRedrives", ListAnswer::REDRIVES, &[]),
            ("Actions", ListAnswer::ACTIONS, &[]),
            ("Attempts", ListAnswer::ATTEMPTS, &["withheld"]),
            ("DeadLetters", ListAnswer::DEAD_LETTERS, &["withheld"]),
            ("Events", ListAnswer::EVENTS, &["withheld"]),
            ("Fetched", ListAnswer::FETCHED, &["checkpoint", "moreAvailable"]),
            ("Kept", ListAnswer::QUARANTINED, &[]),
            ("EvidenceExports", ListAnswer::EXPORTS, &["to"]),
            ("Receipts", ListAnswer::RECEIPTS, &[]),
        ];
        for (schema, list, others) in lists {
            let members = described["components"]["schemas"][schema]["properties"].as_object();
            let members: Vec<_> = members.unwrap().keys().map(String::as_str).collect();
            let next = list.next.map(|_| "next");
            let own = [Some(list.items), next].into_iter().flatten();
            let mut expected: Vec<_> = own.chain(others.iter().copied()).collect();
            expected.sort_unstable();
            assert_eq!(members, expected, "{schema}");
        }
    }
}
