//! What callers changed, over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::lists::{ActionListQuery, next, page};
use crate::api::query::{Query, parse_given};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::{Action, ActionId, ActionKind, ActionQuery, NewAction};

/// What callers changed.
#[derive(Serialize, ToSchema)]
#[schema(as = Actions)]
pub struct ActionPage {
    /// Newest first.
    actions: Vec<ShownAction>,
    /// Where to go on, as `before`; null if this page is empty, and the end.
    next: Option<u64>,
}

/// A change that a caller made, or began to make.
#[derive(Serialize, ToSchema)]
#[schema(as = Action)]
struct ShownAction {
    /// Its number; grows with time.
    id: u64,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who made it: a caller, or `cli:` and the user and machine of a command that needs no gateway.
    caller: String,
    /// What was done, as a word that docs/access.md lists.
    kind: &'static str,
    /// To what, as a path of this API without its first slash.
    target: String,
    /// The consumer whose thing that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    consumer: Option<ConsumerId>,
    /// The domain whose thing that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// The `x-request-id` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// Why, in the caller's words: what it sent as `Sealway-Reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What became of it: `done`, `refused` with nothing changed, `failed`, or `begun` while it is being
    /// done, and for ever if the process died meanwhile.
    outcome: &'static str,
    /// The code of the problem with which it was refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What it has made, as a path of this API without its first slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<String>,
}

/// `GET /actions`: what callers changed, newest first. Operators and auditors see all of it; consumers and
/// domains, what was done to their own.
#[utoipa::path(
    get, path = "/actions", tag = "operate",
    operation_id = "actions_list",
    params(ActionListQuery),
    responses((status = 200, description = "Done", body = ActionPage))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(wanted): Query<ActionListQuery>,
) -> Result<Json<ActionPage>, Problem> {
    let owners = caller.sees_actions_of()?;
    let ActionListQuery { before, limit, caller, kind, target, from, to } = wanted;
    let query = ActionQuery {
        before: before.map(ActionId),
        caller: caller.map(Arc::from),
        kind: kind.as_deref().map(known).transpose()?,
        target: target.map(|target| target.trim_start_matches('/').into()),
        from: parse_given("from", from.as_deref())?,
        to: parse_given("to", to.as_deref())?,
        owners,
    };
    let actions = services.store.actions.actions(&query, page(limit)?).await?;
    let next = next(&actions, |action| action.id.0);
    Ok(Json(ActionPage { actions: actions.into_iter().map(ShownAction::of).collect(), next }))
}

fn known(text: &str) -> Result<ActionKind, Problem> {
    ActionKind::from_text(text).ok_or_else(|| {
        let known: Vec<_> = ActionKind::ALL.iter().map(|kind| kind.text()).collect();
        let known = known.join(", ");
        Problem::new(Code::Invalid, format!("kind: `{text}` is none; there are {known}"))
    })
}

impl ShownAction {
    fn of(action: Action) -> Self {
        let Action { id, begun, end } = action;
        let NewAction { at, caller, kind, target, consumer, domain, request, reason } = begun;
        let text = |text: Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: id.0,
            at,
            caller: caller.to_string(),
            kind: kind.text(),
            target: target.to_string(),
            consumer,
            domain: text(domain),
            request: text(request),
            reason: reason.map(|reason| reason.to_string()),
            outcome: end.outcome.text(),
            code: text(end.code),
            made: text(end.made),
        }
    }
}
