//! Events that broke their contract: look at them, release them after a fix, or drop them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Caller, Problem, Scope, Services};
use crate::eventlog::{Page, QuarantineId, Quarantined};
use crate::source::Received;

/// Which part of the list is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Only what comes after this.
    #[serde(default)]
    after: u64,
}

/// `GET /quarantine?after=`: oldest first, without the events' data.
#[utoipa::path(
    get, path = "/quarantine", tag = "quarantine",
    params(
        ("after" = Option<u64>, Query, description = "Only what comes after this"),
    ),
    responses((status = 200, description = "Done"), (status = "4XX", description = "A problem"))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(part): Query<Part>,
) -> Result<Json<Value>, Problem> {
    caller.must(&Scope::Operate)?;
    let events = services.log.quarantined(QuarantineId(part.after), Page::default()).await?;
    // A page ends by its bytes too, so only an empty one is known to be the end.
    let next = events.last().map(|last| last.id.0);
    Ok(Json(json!({ "quarantined": events.iter().map(show).collect::<Vec<_>>(), "next": next })))
}

/// `GET /quarantine/{id}`: with the event as it was received.
#[utoipa::path(
    get, path = "/quarantine/{id}", tag = "quarantine",
    params(
        ("id" = String, Path, description = "The quarantined event"),
    ),
    responses((status = 200, description = "Done"), (status = "4XX", description = "A problem"))
)]
pub async fn read(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Problem> {
    caller.must(&Scope::Operate)?;
    let quarantined = find(&services, id).await?;
    let mut shown = show(&quarantined);
    if let Value::Object(members) = &mut shown {
        let received = serde_json::from_str(&quarantined.event.received).unwrap_or(Value::Null);
        members.insert("received".to_owned(), received);
    }
    Ok(Json(shown))
}

/// `POST /quarantine/{id}/release`: lets the event through the publication that set it aside.
///
/// It leaves the quarantine only once the log has it. It stays if it still breaks its contract, or if
/// the publication is gone or does not want it any more.
#[utoipa::path(
    post, path = "/quarantine/{id}/release", tag = "quarantine",
    params(
        ("id" = String, Path, description = "The quarantined event"),
    ),
    responses((status = 200, description = "Done"), (status = "4XX", description = "A problem"))
)]
pub async fn release(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Problem> {
    caller.must(&Scope::Operate)?;
    let quarantined = find(&services, id).await?;
    let received = Received::from_json(&quarantined.event.received)
        .map_err(|error| Problem::internal(&error))?;
    let released = services.admit.release(received, &quarantined.event.publication).await;
    let event = released.map_err(Problem::refused)?;
    services.log.unquarantine(quarantined.id).await?;
    Ok(Json(json!({ "released": id, "events": [event.to_string()] })))
}

/// `DELETE /quarantine/{id}`: drops the event for good.
#[utoipa::path(
    delete, path = "/quarantine/{id}", tag = "quarantine",
    params(
        ("id" = String, Path, description = "The quarantined event"),
    ),
    responses((status = 204, description = "Done"), (status = "4XX", description = "A problem"))
)]
pub async fn remove(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    caller.must(&Scope::Operate)?;
    if services.log.unquarantine(QuarantineId(id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("event in quarantine"))
    }
}

async fn find(services: &Services, id: u64) -> Result<Quarantined, Problem> {
    let absent = || Problem::not_found("event in quarantine");
    let after = QuarantineId(id.checked_sub(1).ok_or_else(absent)?);
    let page = Page { items: 1, ..Page::default() };
    let found = services.log.quarantined(after, page).await?.pop();
    found.filter(|quarantined| quarantined.id.0 == id).ok_or_else(absent)
}

fn show(quarantined: &Quarantined) -> Value {
    let violations: Value =
        serde_json::from_str(&quarantined.event.violations).unwrap_or(Value::Null);
    json!({
        "id": quarantined.id.0,
        "at": quarantined.at,
        "publication": *quarantined.event.publication,
        "violations": violations,
    })
}
