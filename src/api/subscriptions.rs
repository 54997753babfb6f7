//! Subscriptions over HTTP: create, read, replace, remove, pause, resume, checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::ambient::Secret;
use crate::api::acting::{Actor, PlannedAction};
use crate::api::answer_subject::AnswerSubject;
use crate::api::find_subscription::{find_to_change, problem};
use crate::api::found::{FoundSubscription, SubscriptionToChange};
use crate::api::json_object::JsonObject;
use crate::api::lists::{SubscriptionListQuery, page};
use crate::api::query::{Query, parse};
use crate::api::subscription_shown::{
    AllSubscriptions, Known, answer, answer_to_document, etag, read_answer, show,
};
use crate::api::told_again::must_be_as_told;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{ConsumerId, EventId, QualifiedName, SubscriptionId};
use crate::eventlog::ActionKind;
use crate::subscriptions::{
    GivenDocument, Subscription, SubscriptionDocument, SubscriptionQuery,
    SubscriptionState as Standing,
};

/// The longest text that is looked for in names.
const LONGEST_TEXT: usize = 64;

/// `GET /subscriptions`: those that the caller may see, its own first, then by consumer and name.
///
/// A page also ends where its filters are very large; as long as there is more, it says where to go
/// on.
#[utoipa::path(
    get, path = "/subscriptions", tag = "subscriptions",
    operation_id = "subscriptions_list",
    params(SubscriptionListQuery),
    responses((status = 200, description = "Done", body = AllSubscriptions))
)]
pub async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Query(query): Query<SubscriptionListQuery>,
) -> Result<Json<AllSubscriptions>, Problem> {
    caller.must_list_subscriptions()?;
    let SubscriptionListQuery { state, consumer, q: text, after, limit } = query;
    let consumer: Option<ConsumerId> =
        consumer.map(|consumer| parse("consumer", &consumer)).transpose()?;
    let after: Option<QualifiedName> = after.map(|after| parse("after", &after)).transpose()?;
    if text.as_ref().is_some_and(|text| !(1..=LONGEST_TEXT).contains(&text.len())) {
        return Err(Problem::new(Code::Invalid, "q: use 1 to 64 characters"));
    }
    let wanted = SubscriptionQuery {
        own: &caller.consumers().cloned().collect(),
        others: caller.sees_metadata(),
        consumer: consumer.as_ref(),
        state,
        text: text.as_deref(),
        after: after.as_ref(),
        items: page(limit)?.items,
    };
    let page = services.subscription_service.page(&wanted);
    let page = page.await.map_err(problem)?;
    let letters = services.subscription_service.dead_letters_waiting().await.ok();
    let shown = page.subscriptions.iter().map(|one| {
        show((&services, &caller), one).with_dead_letters(waiting(letters.as_ref(), one))
    });
    let shown = shown.collect();
    let next = page.next.map(|next| next.to_string());
    Ok(Json(AllSubscriptions { subscriptions: shown, next }))
}

/// `POST /subscriptions`: creates one, for a consumer that the caller may act as.
///
/// The document may be an answer of another subscription's: what is told beside it is passed over, and
/// so is the id, if there is a name.
///
/// The handshake begins at once in the background, unless the protocol is `PULL` or `config.verify` is
/// `later`. A shared secret is in this answer only, and the sink is asked a moment after it.
#[utoipa::path(
    post, path = "/subscriptions", tag = "subscriptions",
    operation_id = "subscriptions_create",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "A name of the request, at most 255 characters: when it comes again within \
                       24 hours, it is answered as it was, shared secret included")),
    request_body(content = Object, description = "A subscription"),
    responses((status = 201, description = "Done", body = Known))
)]
pub async fn create(
    State(services): State<Arc<Services>>,
    actor: Actor,
    JsonObject(given): JsonObject<GivenDocument>,
) -> Result<Response, Problem> {
    let document = given.for_another().map_err(|error| problem(error.into()))?;
    let caller = &actor.caller;
    caller.must_steer(&document.consumer)?;
    must_own_audience(caller, &document, None)?;
    let document = named(caller, document)?;
    let planned = PlannedAction::new(ActionKind::CreateSubscription, "subscriptions")
        .of_consumer(&document.consumer);
    let change = async { services.subscription_service.create(document).await.map_err(problem) };
    let made = |(made, _): &Created| Some(format!("subscriptions/{}", made.id));
    let (subscription, secret) = actor.make(&services, planned, Box::pin(change), made).await?;
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        "Caller {} created subscription {}", caller.id(), subscription.shown(),
    );
    let mut response = (
        StatusCode::CREATED,
        answer_to_document((&services, caller), &subscription, secret.as_ref()),
    )
        .into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/subscriptions/{}", subscription.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(AnswerSubject::made(&subscription).on(response))
}

/// Only an operator chooses an id: what another caller gives as one is the name, so that it neither
/// takes an id from others nor learns of theirs.
fn named(caller: &Caller, document: SubscriptionDocument) -> Result<SubscriptionDocument, Problem> {
    if caller.operates() {
        return Ok(document);
    }
    let name = document.given_name();
    if document.id.as_ref().is_some_and(|id| Some(id.as_name()) != name) {
        let detail = "/id: leave it out beside a `name`; only a caller with the scope `operate` \
                      chooses an id";
        return Err(Problem::new(Code::Invalid, detail));
    }
    // It would be taken for an id that the gateway has made.
    if name.as_ref().is_some_and(|name| name.as_str().parse::<EventId>().is_ok()) {
        let detail = "/name: choose one that is not written like a ULID";
        return Err(Problem::new(Code::Invalid, detail));
    }
    Ok(SubscriptionDocument { id: None, name, ..document })
}
/// A subscription that was just made, and a secret that was made for it.
type Created = (Arc<Subscription>, Option<Secret>);

/// Only an operator gives a consumer another name in tokens: with a stranger's, the consumer could
/// pass our signed events on to that stranger.
fn must_own_audience(
    caller: &Caller,
    document: &SubscriptionDocument,
    current: Option<&Subscription>,
) -> Result<(), Problem> {
    let audience = document.config.audience.as_deref();
    let is_own = audience.is_none_or(|name| name == document.consumer.as_str());
    let is_kept = current.is_some_and(|current| audience == Some(&*current.audience));
    if is_own || is_kept || caller.operates() {
        return Ok(());
    }
    let detail = "/config/audience: only a caller with the scope `operate` sets a name that is not \
                  the consumer's";
    Err(Problem::new(Code::Forbidden, detail))
}

/// `GET /subscriptions/{id}`.
#[utoipa::path(
    get, path = "/subscriptions/{id}", tag = "subscriptions",
    operation_id = "subscriptions_read",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn read(
    FoundSubscription { services, caller, subscription }: FoundSubscription,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if headers.get(IF_NONE_MATCH).is_some_and(|known| *known == etag(&subscription)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(&subscription))]).into_response());
    }
    let letters = services.subscription_service.dead_letters_waiting().await.ok();
    Ok(read_answer((&services, &caller), &subscription, waiting(letters.as_ref(), &subscription)))
}

/// How many dead letters of a subscription wait; nothing where that cannot be read, which keeps the rest of an
/// answer from nobody.
fn waiting(
    letters: Option<&BTreeMap<SubscriptionId, u64>>,
    subscription: &Subscription,
) -> Option<u64> {
    letters.map(|letters| letters.get(&subscription.id).copied().unwrap_or(0))
}

/// `PUT /subscriptions/{id}`: replaces the document of the revision that `If-Match` names.
///
/// It may be what a `GET` has answered: what is told beside the document is passed over, and has to be
/// as it is where that does not change by itself.
#[utoipa::path(
    put, path = "/subscriptions/{id}", tag = "subscriptions",
    operation_id = "subscriptions_replace",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("If-Match" = String, Header, description = "The `ETag` of what is replaced"),
    ),
    request_body(content = Object, description = "A subscription"),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn replace(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonObject(GivenDocument { document, told }): JsonObject<GivenDocument>,
) -> Result<Response, Problem> {
    let current = find_to_change(&services, &actor.caller, &id).await?;
    must_match(&headers, &current, true)?;
    must_be_as_told((&services, &actor.caller), &current, &told)?;
    must_own_audience(&actor.caller, &document, Some(&current))?;
    let planned = PlannedAction::of_subscription(ActionKind::ReplaceSubscription, &current);
    let change =
        async { services.subscription_service.update(&current, document).await.map_err(problem) };
    let (updated, secret) = actor.act(&services, planned, Box::pin(change)).await?;
    Ok(answer_to_document((&services, &actor.caller), &updated, secret.as_ref()))
}

/// `DELETE /subscriptions/{id}`: ends one and forgets its cursor, retries and dead letters.
#[utoipa::path(
    delete, path = "/subscriptions/{id}", tag = "subscriptions",
    operation_id = "subscriptions_remove",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 204, description = "Done"))
)]
pub async fn remove(
    SubscriptionToChange { services, actor, subscription }: SubscriptionToChange,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    must_match(&headers, &subscription, false)?;
    let planned = PlannedAction::of_subscription(ActionKind::DeleteSubscription, &subscription);
    let change =
        async { services.subscription_service.remove(&subscription).await.map_err(problem) };
    actor.act(&services, planned, Box::pin(change)).await?;
    services.metrics.forget("subscription", subscription.id.as_str());
    let caller = &actor.caller;
    tracing::info!(
        caller.id = %caller.id(),
        subscription.id = %subscription.id,
        "Caller {} removed subscription {}", caller.id(), subscription.shown(),
    );
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /subscriptions/{id}/pause`: events wait in the log.
#[utoipa::path(
    post, path = "/subscriptions/{id}/pause", tag = "subscriptions",
    operation_id = "subscriptions_pause",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn pause(found: SubscriptionToChange) -> Result<Response, Problem> {
    step(found, (Standing::Paused, ActionKind::PauseSubscription)).await
}

/// `POST /subscriptions/{id}/resume`: what has waited is delivered.
#[utoipa::path(
    post, path = "/subscriptions/{id}/resume", tag = "subscriptions",
    operation_id = "subscriptions_resume",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done", body = Known))
)]
pub async fn resume(found: SubscriptionToChange) -> Result<Response, Problem> {
    step(found, (Standing::Active, ActionKind::ResumeSubscription)).await
}

async fn step(
    SubscriptionToChange { services, actor, subscription }: SubscriptionToChange,
    (to, kind): (Standing, ActionKind),
) -> Result<Response, Problem> {
    let reason = format!("by caller {}", actor.caller.id());
    let planned = PlannedAction::of_subscription(kind, &subscription);
    let change = async {
        let step = services.subscription_service.step(&subscription, to, Some(reason));
        step.await.map_err(problem)
    };
    let changed = actor.act(&services, planned, Box::pin(change)).await?;
    Ok(answer((&services, &actor.caller), &changed, None))
}

/// `GET /subscriptions/{id}/checkpoint`: how far it has come, signed.
#[utoipa::path(
    get, path = "/subscriptions/{id}/checkpoint", tag = "subscriptions",
    operation_id = "subscriptions_checkpoint",
    params(("id" = String, Path, description = "The subscription")),
    responses((status = 200, description = "Done"))
)]
pub async fn checkpoint(
    FoundSubscription { services, subscription, .. }: FoundSubscription,
) -> Result<Response, Problem> {
    let token = services.subscription_service.checkpoint(&subscription).await.map_err(problem)?;
    let media_type = HeaderValue::from_static("application/jwt");
    Ok(([(CONTENT_TYPE, media_type)], token).into_response())
}

pub(super) fn must_match(
    headers: &HeaderMap,
    current: &Subscription,
    required: bool,
) -> Result<(), Problem> {
    match headers.get(IF_MATCH) {
        None if required => {
            let detail = "send If-Match with the ETag of what is to be replaced";
            Err(Problem::new(Code::PreconditionRequired, detail))
        }
        Some(known) if *known != etag(current) && known.as_bytes() != b"*" => {
            Err(Problem::new(Code::Changed, "read it again; the ETag has changed"))
        }
        _ => Ok(()),
    }
}
