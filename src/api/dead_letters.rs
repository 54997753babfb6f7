//! Deliveries that were given up: listed, counted, dismissed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::acting::{Actor, PlannedAction};
use crate::api::find_subscription::{find, find_to_change, problem};
use crate::api::found::FoundSubscription;
use crate::api::lists::{DeadLetterListQuery, next, page};
use crate::api::query::{Query, range_end, range_start};
use crate::api::withheld::{SINK_WORDS, Withheld, words};
use crate::api::{Caller, Code, Problem, Services};
use crate::deliver::Reason;
use crate::event::{ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{ActionKind, DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery};

/// What a request says about the dead letters that it wants.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) ids: Option<BTreeSet<DeadLetterId>>,
    pub(super) reason: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl Wish {
    /// Reads the wish as a query.
    pub(super) fn query(self, of: &SubscriptionId) -> Result<DeadLetterQuery, Problem> {
        if let Some(reason) = &self.reason
            && !Reason::ALL.iter().any(|known| known.word() == reason)
        {
            let known: Vec<_> = Reason::ALL.iter().map(|known| known.word()).collect();
            let known = known.join(", ");
            let detail = format!("reason: `{reason}` is none; there are {known}");
            return Err(Problem::new(Code::Invalid, detail));
        }
        Ok(DeadLetterQuery {
            ids: self.ids,
            reason: self.reason.map(Arc::from),
            event_type: self.event_type.map(Arc::from),
            from: range_start(self.from.as_deref())?,
            to: range_end(self.to.as_deref())?,
            ..DeadLetterQuery::all(of.clone())
        })
    }
}

/// Deliveries that were given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetters)]
pub struct DeadLetterPage {
    /// Oldest first.
    dead_letters: Vec<ShownDeadLetter>,
    /// Where to go on, as `after`; null if this page is empty, and the end.
    next: Option<u64>,
    /// What is left out, because the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Withheld>,
}

/// A delivery that was given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
struct ShownDeadLetter {
    /// Its number among those of its subscription.
    id: u64,
    /// The event's id, a ULID.
    event: String,
    /// The event's type.
    r#type: String,
    /// The sequence number of the delivery; null in a replay.
    sequence: Option<u64>,
    /// The replay that it belongs to; null for a live delivery.
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
    /// Why it was given up, as a stable word.
    reason: String,
    /// How many attempts were made.
    attempts: u32,
    /// The status of the sink's last answer; null if there was none.
    status: Option<u16>,
    /// What went wrong last; missing where the sink has answered and its words are withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// How many dead letters a subscription has.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = DeadLetterCounts)]
pub struct Counted {
    /// By reason; those that are being redriven are not among them.
    reasons: BTreeMap<String, u64>,
    /// All of them together.
    total: u64,
    /// How many are being delivered again.
    redriven: u64,
    /// The most bytes that all of them take on disk, with those that are being delivered again; missing
    /// where that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// How many dead letters there are.
#[derive(Serialize, ToSchema)]
pub struct AllCounted {
    /// Of each subscription that has some.
    subscriptions: BTreeMap<String, Counted>,
}

impl Counted {
    fn add(&mut self, one: &DeadLetterCount) {
        if one.redriven {
            self.redriven += one.count;
        } else {
            self.total += one.count;
            *self.reasons.entry(one.reason.to_string()).or_default() += one.count;
        }
    }
}

/// `GET /subscriptions/{id}/dead-letters`: oldest first.
#[utoipa::path(
    get, path = "/subscriptions/{id}/dead-letters", tag = "deliveries",
    operation_id = "dead_letters_list",
    params(
        ("id" = String, Path, description = "The subscription"),
        DeadLetterListQuery,
    ),
    responses((status = 200, description = "Done", body = DeadLetterPage))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(wanted): Query<DeadLetterListQuery>,
) -> Result<Json<DeadLetterPage>, Problem> {
    let subscription = find(&services, &caller, &id).await?;
    let DeadLetterListQuery { after, limit, reason, r#type: event_type, from, to } = wanted;
    let after = DeadLetterId(after.unwrap_or_default());
    let wish = Wish { ids: None, reason, event_type, from, to };
    let query = DeadLetterQuery { after, ..wish.query(&subscription.id)? };
    let letters = services.store.dead_letters.dead_letters(&query, page(limit)?).await?;
    let next = next(&letters, |letter| letter.id.0);
    let withheld = Withheld::from_reader((&caller, &subscription.consumer), SINK_WORDS);
    let show = |letter| ShownDeadLetter::of(letter, withheld.is_none());
    Ok(Json(DeadLetterPage { dead_letters: letters.iter().map(show).collect(), next, withheld }))
}

/// `GET /subscriptions/{id}/dead-letters/counts`: by reason.
#[utoipa::path(
    get, path = "/subscriptions/{id}/dead-letters/counts", tag = "deliveries",
    operation_id = "dead_letters_count",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = Counted))
)]
pub async fn counts(
    FoundSubscription { services, subscription, .. }: FoundSubscription,
) -> Result<Json<Counted>, Problem> {
    let mut counted = Counted::default();
    for one in services.store.dead_letters.count_dead_letters(Some(&subscription.id)).await? {
        counted.add(&one);
    }
    if let Ok(usage) = services.store.dead_letters.dead_letter_usage().await {
        let own = usage.iter().find(|one| one.subscription == subscription.id);
        counted.bytes = Some(own.map_or(0, |one| one.bytes));
    }
    Ok(Json(counted))
}

/// `GET /dead-letters/counts`: by subscription and reason, for operators and auditors.
#[utoipa::path(
    get, path = "/dead-letters/counts", tag = "deliveries",
    operation_id = "dead_letters_count_all",
    responses((status = 200, description = "Done", body = AllCounted))
)]
pub async fn all_counts(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<AllCounted>, Problem> {
    caller.must_see_metadata()?;
    let mut subscriptions: BTreeMap<String, Counted> = BTreeMap::new();
    for one in services.store.dead_letters.count_dead_letters(None).await? {
        subscriptions.entry(one.subscription.to_string()).or_default().add(&one);
    }
    for one in services.store.dead_letters.dead_letter_usage().await.unwrap_or_default() {
        if let Some(counted) = subscriptions.get_mut(one.subscription.as_str()) {
            counted.bytes = Some(one.bytes);
        }
    }
    Ok(Json(AllCounted { subscriptions }))
}

/// `DELETE /subscriptions/{id}/dead-letters/{number}`: drops one for good.
#[utoipa::path(
    delete, path = "/subscriptions/{id}/dead-letters/{number}", tag = "deliveries",
    operation_id = "dead_letters_dismiss",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("number" = u64, Path, description = "The number of the dead letter"),
    ),
    responses((status = 204, description = "Done"))
)]
pub async fn dismiss(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((id, number)): Path<(String, u64)>,
) -> Result<StatusCode, Problem> {
    let caller = &actor.caller;
    let subscription = find_to_change(&services, caller, &id).await?;
    let planned = PlannedAction::of_subscription(ActionKind::DismissDeadLetter, &subscription)
        .at(&format!("dead-letters/{number}"));
    let change = async {
        let dismiss = services.subscription_service.dismiss(&subscription, DeadLetterId(number));
        dismiss.await.map_err(problem)
    };
    let letter = actor.act(&services, planned, Box::pin(change)).await?;
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        event.id = %letter.key.event,
        "Caller {} dismissed dead letter {number} of subscription {}",
        caller.id(),
        subscription.shown(),
    );
    Ok(StatusCode::NO_CONTENT)
}

impl ShownDeadLetter {
    fn of(letter: &DeadLetter, reads_data: bool) -> Self {
        Self {
            id: letter.id.0,
            event: letter.key.event.to_string(),
            r#type: letter.event.event_type.as_str().to_owned(),
            sequence: letter.link.map(|(sequence, _)| sequence),
            replay: letter.key.replay.clone(),
            reason: letter.reason.to_string(),
            attempts: letter.attempts,
            status: letter.status,
            detail: words(&letter.detail, letter.status, reads_data),
            at: letter.at,
        }
    }
}
