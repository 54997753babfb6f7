//! How far the log reaches, and who keeps its oldest events from being dropped.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Caller, Problem, Services};
use crate::deliver::accepted_after;
use crate::event::{ConsumerId, ReplayId, SubscriptionId, SubscriptionName, Timestamp};
use crate::eventlog::{LogError, Position};
use crate::subscriptions;

/// The most holders that are shown.
const MOST: usize = 1000;

/// The log, and who needs it.
#[derive(Serialize, ToSchema)]
pub struct Shown {
    /// The position of the newest event.
    head: u64,
    /// The position of the newest event that retention has dropped.
    floor: u64,
    /// Who needs events that lie after the low watermark, those first that keep most; at most
    /// 1,000.
    holders: Vec<Holder>,
}

/// A subscription or a replay that needs events which retention could drop without it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holder {
    /// The subscription, also of a replay.
    #[schema(value_type = String)]
    subscription: SubscriptionId,
    /// What its consumer calls it; missing if a replay has lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    name: Option<SubscriptionName>,
    /// Its consumer; missing if a replay has lost its subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    consumer: Option<ConsumerId>,
    /// Where the subscription stands; missing if a replay has lost it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    state: Option<subscriptions::SubscriptionState>,
    /// The replay that needs the events; missing if the subscription itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    replay: Option<ReplayId>,
    /// Everything up to this position it needs no longer.
    settled: u64,
    /// How many events of the log lie after that, for whomever they are.
    events: u64,
    /// When the oldest of them was accepted.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When that becomes a dead letter if it only waits; missing where no age bounds the backlog.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

/// `GET /log`: how far the log reaches and who keeps it from being dropped, for operators and auditors.
#[utoipa::path(
    get, path = "/log", tag = "operate",
    operation_id = "log_show",
    responses((status = 200, description = "Done", body = Shown))
)]
pub async fn show(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Json<Shown>, Problem> {
    caller.must_see_metadata()?;
    let (head, floor) =
        (services.store.log.head().0, services.store.log.low_watermark().position.0);
    let mut holders = holders(&services).await?;
    holders.truncate(MOST);
    Ok(Json(Shown { head, floor, holders }))
}

async fn holders(services: &Services) -> Result<Vec<Holder>, LogError> {
    let head = services.store.log.head();
    let events = |settled: Position| head.0.saturating_sub(settled.0);
    let mut holders: Vec<Holder> = Vec::new();
    for behind in services.subscription_service.lags().await? {
        holders.push(Holder {
            subscription: behind.subscription.id.clone(),
            name: Some(behind.subscription.name.clone()),
            consumer: Some(behind.subscription.consumer.clone()),
            state: Some(behind.subscription.state),
            replay: None,
            settled: behind.settled.0,
            events: events(behind.settled),
            since: behind.since,
            expires: behind.expires(),
        });
    }
    for (replay, subscription, reached) in services.replays.holds() {
        let Some(since) = accepted_after(&*services.store.log, reached).await? else { continue };
        let line = services.subscription_service.worker(&subscription);
        let known = line.map(|line| Arc::clone(&line.subscription.borrow()));
        holders.push(Holder {
            subscription,
            name: known.as_ref().map(|known| known.name.clone()),
            consumer: known.as_ref().map(|known| known.consumer.clone()),
            state: known.map(|known| known.state),
            replay: Some(replay),
            settled: reached.0,
            events: events(reached),
            since,
            expires: None,
        });
    }
    holders.sort_by_key(|holder| holder.settled);
    Ok(holders)
}
