//! What callers are told of a subscription: its document, and what the gateway knows of it.

use std::sync::Arc;

use axum::Json;
use axum::http::HeaderValue;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::GrantId;
use crate::ambient::Secret;
use crate::api::unheard_types::{UnheardType, unheard_types};
use crate::api::{Caller, Services};
use crate::event::{AskedDigest, Timestamp};
use crate::subscriptions::{
    Epoch, KeptWish, Ordering, Protocol, Subscription, SubscriptionDocument, SubscriptionState,
    may_want,
};

/// Subscriptions.
#[derive(Serialize, ToSchema)]
pub struct AllSubscriptions {
    /// The caller's own first, then by consumer and name.
    #[schema(value_type = Vec<Known>)]
    pub(super) subscriptions: Vec<Shown>,
    /// What to send as `after` for the next page, as `consumer/name`; missing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A subscription: its document, and what the gateway knows of it.
#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    document: SubscriptionDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<ShownFilters>,
    #[serde(flatten)]
    known: Known,
}

/// The filters of a subscription, as they are kept: nothing of them is read to be shown.
struct ShownFilters(Arc<KeptWish>);

impl Serialize for ShownFilters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text().filters().serialize(serializer)
    }
}

/// What the gateway knows of a subscription, beside its document. `openapi` adds the document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownSubscription)]
pub struct Known {
    /// Where it stands.
    #[schema(value_type = String)]
    state: SubscriptionState,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Why it stands there, if that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The handshake that its sink has yet to do; missing once it has proved itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<ShownHandshake>,
    /// How far it has come; missing if it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ShownProgress>,
    /// Deliveries that were given up and wait for a decision; only where it is listed or read.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<u64>,
    /// Since when the sink's credential holds; missing if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Credential>,
    /// Until when a former shared secret is good beside the newest; missing if none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    former_secret_until: Option<Timestamp>,
    /// With the protocol `EVENTBRIDGE`: the external id that the trust policy of its consumer's role
    /// asks for (`sts:ExternalId`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    external_id: Option<Arc<str>>,
    /// What its consumer hears and does not; missing if there is nothing to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<ShownAccess>,
    /// The digest of what it asks for now, as its checkpoints carry it; missing in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    sub_digest: Option<AskedDigest>,
    /// What that digest is of beside the document; missing in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<ShownAsk>,
    /// What its consumer should look at; in answers to whoever has made or replaced it, and missing if
    /// there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<UnheardType>,
    /// The JWK Set that the gateway has made for it: shown once, in the answer to the request that
    /// asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    shared_secret: Option<Value>,
}

/// What the digest of a subscription covers beside its document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AskedBeside)]
struct ShownAsk {
    /// The first position of the log that it applies to.
    epoch: u64,
    /// The grants by which its consumer hears what is not public, sorted; null without any.
    grants: Option<Vec<String>>,
}

/// What the consumer of a subscription hears and does not.
#[derive(Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubscriptionAccess)]
struct ShownAccess {
    /// Those of its `types` through which it hears nothing: nothing is published so, or the consumer
    /// is not entitled to it. Which of both is not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unheard_types: Vec<String>,
    /// What it hears until a grant ends that ends soon.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends_soon: Vec<ShownComingEnd>,
    /// What it could hear and cannot any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ended: Vec<ShownEnd>,
}

/// A grant that ends soon.
#[derive(PartialEq, Serialize, ToSchema)]
#[schema(as = ComingEndOfAccess)]
struct ShownComingEnd {
    /// The grant.
    #[schema(value_type = String)]
    grant: GrantId,
    /// What it is for: `domain/event`, or `domain/*`.
    publication: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// A publication that the consumer cannot hear any more.
#[derive(PartialEq, Serialize, ToSchema)]
#[schema(as = EndOfAccess)]
struct ShownEnd {
    /// Its name, `domain/event`.
    publication: String,
    /// `expired`, `recalled` or `closed`.
    why: &'static str,
    /// From when on nothing of it begins.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What was said of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

fn shown_access(services: &Services, subscription: &Subscription) -> Option<ShownAccess> {
    let access = services.subscription_service.access();
    let (consumer, now) = (&subscription.consumer, services.clock.now());
    let ahead = access.config().tell_before.0;
    let hears = |wanted: &&String| {
        let wanted = std::slice::from_ref(*wanted);
        !access.hears_any(consumer, |event| may_want(wanted, event))
    };
    let coming = access.grants_of(consumer).into_iter().filter_map(|grant| {
        let until = grant.until.filter(|_| grant.ends_soon(now, ahead))?;
        let publication = grant.publication.to_string();
        Some(ShownComingEnd { grant: grant.id(), publication, until })
    });
    let ended = subscription.ended.iter().map(|one| ShownEnd {
        publication: one.publication.clone(),
        why: one.why.word(),
        at: one.at,
        reason: one.reason.clone(),
    });
    let shown = ShownAccess {
        unheard_types: subscription.document.types.iter().filter(hears).cloned().collect(),
        ends_soon: coming.collect(),
        ended: ended.collect(),
    };
    (shown != ShownAccess::default()).then_some(shown)
}

/// A handshake that is not done. Its nonce is not shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PendingHandshake)]
struct ShownHandshake {
    /// Since when the sink has to prove itself.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Attempts that were made, since someone asked for one if someone did.
    attempts: u32,
    /// When the next attempt is due; missing if none is made before someone asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due: Option<Timestamp>,
    /// Why the sink has not proved itself, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Since when a sink's credential holds. Its secrets are not shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Credential {
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
    /// Until when the former one is tried where this one is refused, if it still is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    former_until: Option<Timestamp>,
}

/// How far a subscription has come.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Progress)]
struct ShownProgress {
    /// The sequence number of the newest match.
    sequence: u64,
    /// The chain after that match, a digest of what was sent; missing to who may not read data.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    /// Matches that are numbered and not settled yet.
    #[serde(rename = "underWay")]
    in_flight: usize,
    /// Deliveries that wait for their next attempt.
    retrying: usize,
    /// Dead letters that hold up the later events of their subject; only with `ordering: subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<usize>,
    /// How many attempts may be in flight at the moment; missing without a sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel: Option<u16>,
    /// Whether the sink is asked: `closed` (it is), `open` (it is left alone for a while), or
    /// `half-open` (one attempt at a time finds out whether it is well again); missing without a
    /// sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'static str>,
    /// Until when no attempts are made, because the sink does not answer well or asked for time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    held_until: Option<Timestamp>,
    /// When the first attempt failed since which none has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Events that it does not have: in flight or not acknowledged, those that wait for another attempt,
    /// and, for operators and auditors, `unread`.
    behind: u64,
    /// Events of the log that were not looked at yet; for operators and auditors only.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<u64>,
}

impl Shown {
    /// Tells how many of its dead letters wait, too, if that is known.
    pub(super) const fn with_dead_letters(mut self, count: Option<u64>) -> Self {
        self.known.dead_letters = count;
        self
    }
}

/// The version of a subscription, as a strong entity tag.
pub(super) fn etag(subscription: &Subscription) -> HeaderValue {
    let text = format!("\"{}\"", subscription.revision.0);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// Answers with a subscription, its version, and a secret that was made for it just now.
pub(super) fn answer(
    of: (&Services, &Caller),
    subscription: &Subscription,
    secret: Option<&Secret>,
) -> Response {
    with_version(with_secret(show_whole(of, subscription), secret), subscription)
}

/// Answers with a subscription that is read, its version, and how many of its dead letters wait.
pub(super) fn read_answer(
    of: (&Services, &Caller),
    subscription: &Subscription,
    dead_letters: Option<u64>,
) -> Response {
    with_version(show_whole(of, subscription).with_dead_letters(dead_letters), subscription)
}

/// Answers whoever has made or replaced it: in the same way, with what its consumer should look at.
pub(super) fn answer_to_document(
    (services, caller): (&Services, &Caller),
    subscription: &Subscription,
    secret: Option<&Secret>,
) -> Response {
    let mut body = with_secret(show_whole((services, caller), subscription), secret);
    body.known.warnings = unheard_types(services, subscription);
    with_version(body, subscription)
}

fn with_secret(mut body: Shown, secret: Option<&Secret>) -> Shown {
    body.known.shared_secret =
        secret.map(|secret| serde_json::from_str(secret.expose()).unwrap_or_default());
    body
}

fn with_version(body: Shown, subscription: &Subscription) -> Response {
    ([(ETAG, etag(subscription))], Json(body)).into_response()
}

/// Shows a subscription with what is missing in lists.
pub(super) fn show_whole(of: (&Services, &Caller), subscription: &Subscription) -> Shown {
    let mut body = show(of, subscription);
    if let Some(asked) = subscription.epochs.last().map(Epoch::asks_for) {
        body.known.sub_digest = Some(asked.digest());
        body.known.asked = Some(ShownAsk { epoch: asked.epoch, grants: asked.grants });
    }
    body
}

/// Shows a subscription: its document, and what the gateway knows of it.
pub(super) fn show((services, caller): (&Services, &Caller), subscription: &Subscription) -> Shown {
    let (standing, flow) = (
        services.subscription_service.standing(&subscription.id),
        services.subscription_service.flow(&subscription.id),
    );
    let reads_data = caller.reads_data_of(&subscription.consumer);
    let ordered = subscription.document.config.ordering == Ordering::Subject;
    let progress = standing.map(|standing| {
        let unread = services.store.log.head().0.saturating_sub(standing.scanned.0);
        // How much others publish is for operators to know.
        let unread = caller.sees_metadata().then_some(unread);
        // While nothing is attempted, a pause that is over is ended by nobody.
        let held_until = flow.and_then(|flow| flow.held_until.max(flow.phase.until()));
        ShownProgress {
            sequence: standing.sequence,
            chain: reads_data.then(|| standing.chain.to_string()),
            in_flight: standing.open,
            retrying: standing.retrying,
            blocked: ordered.then_some(standing.blocked),
            parallel: flow.map(|flow| flow.allowed),
            breaker: flow.map(|flow| flow.phase.word()),
            held_until: held_until.filter(|until| *until > services.clock.now()),
            failing_since: flow.and_then(|flow| flow.failing_since),
            behind: unread.unwrap_or(0) + standing.missing() as u64,
            unread,
        }
    });
    let known = Known {
        state: subscription.state,
        created: subscription.created,
        reason: subscription.reason.clone(),
        handshake: subscription.handshake.as_ref().map(|kept| ShownHandshake {
            since: kept.since,
            attempts: kept.attempts,
            due: kept.due,
            reason: kept.reason.clone(),
        }),
        progress,
        dead_letters: None,
        credential: subscription.credential.as_ref().map(|credential| Credential {
            changed: credential.changed(),
            former_until: credential.former_until(services.clock.now()),
        }),
        former_secret_until: subscription.former_secret_until(services.clock.now()),
        external_id: external_id(services, subscription),
        access: shown_access(services, subscription),
        sub_digest: None,
        asked: None,
        warnings: Vec::new(),
        shared_secret: None,
    };
    let filters = subscription.newest_wish().filter(|wish| wish.text().has_filters());
    let filters = filters.map(|wish| ShownFilters(Arc::clone(wish)));
    Shown { document: subscription.document.clone(), filters, known }
}

fn external_id(services: &Services, subscription: &Subscription) -> Option<Arc<str>> {
    let ids = services.subscription_service.external_ids();
    let is_on_bus = subscription.document.protocol == Protocol::EventBridge;
    is_on_bus.then(|| ids.known(&subscription.consumer)).flatten()
}
