//! Why a subscription is behind, since when, whose turn it is, and the command that helps.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::found::FoundSubscription;
use crate::api::why_words::{command, sentence};
use crate::api::withheld::words;
use crate::api::{Caller, Problem, Services};
use crate::deliver::{LagCause, LagReport, LagTurn};
use crate::event::Timestamp;
use crate::eventlog::Attempt;
use crate::subscriptions::{Subscription, SubscriptionState};

/// Whether a subscription has everything, and what keeps the rest from it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyBehind {
    /// The id of the subscription.
    subscription: String,
    /// What its consumer calls it, as `consumer/name`.
    name: String,
    /// Where it stands.
    #[schema(value_type = String)]
    state: SubscriptionState,
    /// Whether there are events that it does not have: for operators and auditors those of the log that
    /// were not looked at yet, too.
    is_behind: bool,
    /// When the oldest of these was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// How many there are.
    counts: WhyCounts,
    /// What keeps events from it, the first cause first; empty if nothing does.
    causes: Vec<ShownCause>,
}

/// What a subscription does not have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhyCounts {
    /// Events of the log that were not looked at yet; for operators and auditors only.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<u64>,
    /// Matches that are numbered and not settled: in flight, or not acknowledged.
    under_way: usize,
    /// Deliveries that wait for their next attempt.
    retrying: usize,
    /// Dead letters that hold up later events of their subjects.
    blocked: usize,
    /// Dead letters that wait for a decision.
    dead_letters: u64,
}

/// One thing that keeps events from a subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownCause {
    /// What it is, as a word that docs/why.md lists.
    cause: &'static str,
    /// What it is, in a sentence.
    says: String,
    /// Since when, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// When it goes on by itself or is tried again, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Whose turn it is: `yours`, `consumer`, `operator`, `producer` or `gateway`.
    turn: &'static str,
    /// The command that helps; missing where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// The last attempt that failed, where the sink fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailedAttempt>,
}

/// An attempt that failed.
#[derive(Serialize, ToSchema)]
struct FailedAttempt {
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The event's id, a ULID.
    event: String,
    /// The status of the sink's answer; null if there was none.
    status: Option<u16>,
    /// What it meant, as one of the words of the metric of attempts.
    verdict: String,
    /// What went wrong; missing where the sink's words are withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// `GET /subscriptions/{id}/why`: whether it has everything, and what keeps the rest from it. No event data
/// is told.
#[utoipa::path(
    get, path = "/subscriptions/{id}/why", tag = "subscriptions",
    operation_id = "subscriptions_why",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = WhyBehind))
)]
pub async fn why(
    FoundSubscription { services, caller, subscription }: FoundSubscription,
) -> Result<Json<WhyBehind>, Problem> {
    let report = services.subscription_service.lag_report(&subscription).await?;
    Ok(Json(shown((&services, &caller), &subscription, &report)))
}

fn shown(
    (services, caller): (&Arc<Services>, &Caller),
    subscription: &Subscription,
    report: &LagReport,
) -> WhyBehind {
    let standing = report.standing;
    let missing = standing.map_or(0, |standing| standing.missing());
    // How much others publish is for operators to know.
    let unread = caller.sees_metadata().then_some(report.unread);
    let is_behind = missing > 0 || unread.is_some_and(|unread| unread > 0);
    // Without a worker nothing is attempted, whatever else there is.
    let stands_still = !services.delivers && subscription.state != SubscriptionState::Closed;
    let mut causes: Vec<_> = stands_still.then(no_delivery).into_iter().collect();
    let told =
        report.causes.iter().filter(|one| !matches!(one, LagCause::CatchingUp { .. }) || is_behind);
    causes.extend(told.map(|one| cause(caller, subscription, one)));
    WhyBehind {
        subscription: subscription.id.to_string(),
        name: subscription.qualified_name().to_string(),
        state: subscription.state,
        is_behind,
        since: report.since.filter(|_| is_behind),
        counts: WhyCounts {
            unread,
            under_way: standing.map_or(0, |standing| standing.open),
            retrying: standing.map_or(0, |standing| standing.retrying),
            blocked: standing.map_or(0, |standing| standing.blocked),
            dead_letters: report.dead_letters,
        },
        causes,
    }
}

/// What a gateway says of all subscriptions that was started to deliver nothing.
fn no_delivery() -> ShownCause {
    ShownCause {
        cause: "no-delivery",
        says: "the gateway was started with --no-delivery, so nothing is attempted".to_owned(),
        since: None,
        until: None,
        turn: "operator",
        command: Some("sealway serve".to_owned()),
        last_failure: None,
    }
}

fn cause(caller: &Caller, subscription: &Subscription, cause: &LagCause) -> ShownCause {
    let reads_data = caller.reads_data_of(&subscription.consumer);
    let sees_all = caller.sees_metadata();
    let last_failure = match cause {
        LagCause::SinkLeftAlone { last, .. } | LagCause::SinkFailing { last, .. } => last.as_ref(),
        _ => None,
    };
    // Whether there is a publication that it may not hear is not the consumer's to know.
    let word = match cause {
        LagCause::NotEntitled { .. } | LagCause::NoPublication if !sees_all => "nothing-to-hear",
        other => other.word(),
    };
    ShownCause {
        cause: word,
        says: sentence(cause, subscription, sees_all),
        since: cause.since(),
        until: cause.until(),
        turn: turn(caller, subscription, cause, sees_all),
        command: command(cause, subscription, sees_all),
        last_failure: last_failure.map(|last| failed(last, reads_data)),
    }
}

fn turn(
    caller: &Caller,
    subscription: &Subscription,
    cause: &LagCause,
    sees_all: bool,
) -> &'static str {
    let consumer = &subscription.consumer;
    let is_consumer = caller.consumers().any(|own| own == consumer);
    match cause.turn() {
        LagTurn::Subscriber | LagTurn::Operator if !sees_all && is_consumer => "yours",
        LagTurn::Subscriber if caller.steers(consumer) => "yours",
        LagTurn::Consumer if is_consumer => "yours",
        LagTurn::Operator if caller.operates() => "yours",
        LagTurn::Subscriber | LagTurn::Consumer => "consumer",
        LagTurn::Operator => "operator",
        LagTurn::Producer => "producer",
        LagTurn::Gateway => "gateway",
    }
}

fn failed(last: &Attempt, reads_data: bool) -> FailedAttempt {
    FailedAttempt {
        at: last.at,
        event: last.key.event.to_string(),
        status: last.status,
        verdict: last.verdict.to_string(),
        detail: words(&last.detail, last.status, reads_data),
    }
}
