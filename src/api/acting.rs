//! Changes that a caller makes: each is kept as an action before it is made, and what became of it after.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use futures_util::future::BoxFuture;

use crate::api::{Caller, Code, Problem, Services};
use crate::event::ConsumerId;
use crate::eventlog::{ActionEnd, ActionKind, ActionOutcome, ActionReason, NewAction};
use crate::subscriptions::Subscription;
use crate::telemetry::error_chain;

/// The header that says why a change is made.
const REASON: HeaderName = HeaderName::from_static("sealway-reason");

/// The name of a request, as its answer has it.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// A caller that changes something, in which request and why. As an argument of a handler it closes the
/// route to strangers.
#[derive(Debug)]
pub struct Actor {
    pub(super) caller: Caller,
    request: Option<Arc<str>>,
    reason: Option<ActionReason>,
}

/// A change that is about to be made.
pub(super) struct PlannedAction {
    kind: ActionKind,
    target: String,
    consumer: Option<ConsumerId>,
    domain: Option<Arc<str>>,
}

impl FromRequestParts<Arc<Services>> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        let caller = Caller::from_request_parts(parts, services).await?;
        let request = parts.extensions.get::<RequestId>().map(|RequestId(id)| Arc::clone(id));
        Ok(Self { caller, request, reason: reason(parts)? })
    }
}

/// Reads why a change is made, if the request says so.
fn reason(parts: &Parts) -> Result<Option<ActionReason>, Problem> {
    let Some(value) = parts.headers.get(REASON) else { return Ok(None) };
    let refuse = || {
        let detail = "Sealway-Reason: use 1 to 500 characters of UTF-8";
        Problem::new(Code::BadRequest, detail)
    };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| refuse())?;
    text.parse().map(Some).map_err(|_| refuse())
}

impl PlannedAction {
    /// A change of a thing, which is named by its path in the API without the first slash.
    pub(super) fn new(kind: ActionKind, target: impl Into<String>) -> Self {
        Self { kind, target: target.into(), consumer: None, domain: None }
    }

    /// A change of a subscription.
    pub(super) fn of_subscription(kind: ActionKind, subscription: &Subscription) -> Self {
        let target = format!("subscriptions/{}", subscription.id);
        Self::new(kind, target).of_consumer(&subscription.consumer)
    }

    /// A change of a replay or a redrive.
    pub(super) fn of_job(kind: ActionKind, target: String, consumer: Option<ConsumerId>) -> Self {
        Self { consumer, ..Self::new(kind, target) }
    }

    /// The same of a consumer's thing.
    pub(super) fn of_consumer(self, consumer: &ConsumerId) -> Self {
        Self { consumer: Some(consumer.clone()), ..self }
    }

    /// The same of a domain's thing, if it is one.
    pub(super) fn of_domain(self, domain: Option<&str>) -> Self {
        Self { domain: domain.map(Arc::from), ..self }
    }

    /// The same of something that lies below the thing.
    pub(super) fn at(self, below: &str) -> Self {
        Self { target: format!("{}/{below}", self.target), ..self }
    }
}

impl Actor {
    /// Makes a change, and keeps that and how it was made.
    ///
    /// # Errors
    ///
    /// As the change. Later or ours: it cannot be kept that it begins, and nothing was changed.
    pub(super) async fn act<T>(
        &self,
        services: &Services,
        planned: PlannedAction,
        change: BoxFuture<'_, Result<T, Problem>>,
    ) -> Result<T, Problem> {
        self.make(services, planned, change, |_| None).await
    }

    /// Makes a change that makes something, which `made` names by its path.
    ///
    /// # Errors
    ///
    /// As [`act`](Self::act).
    pub(super) async fn make<T>(
        &self,
        services: &Services,
        planned: PlannedAction,
        change: BoxFuture<'_, Result<T, Problem>>,
        made: impl FnOnce(&T) -> Option<String>,
    ) -> Result<T, Problem> {
        let actions = &services.store.actions;
        let PlannedAction { kind, target, consumer, domain } = planned;
        let begun = NewAction {
            at: services.clock.now(),
            caller: self.caller.id().as_str().into(),
            kind,
            target: target.into(),
            consumer,
            domain,
            request: self.request.clone(),
            reason: self.reason.clone(),
        };
        let id = actions.begin_action(begun).await?;
        let outcome = change.await;
        let end = match &outcome {
            Ok(done) => ActionEnd { made: made(done).map(Arc::from), ..ActionEnd::DONE },
            Err(problem) => end_of(problem),
        };
        if let Err(error) = actions.end_action(id, end).await {
            // The change is made or refused already, and its caller is told so.
            tracing::error!(
                action.id = id.0,
                error = %error_chain(&error),
                "What became of action {} cannot be kept", id.0,
            );
        }
        outcome
    }
}

/// How a change ended that came to a problem: one of the caller's has changed nothing.
fn end_of(problem: &Problem) -> ActionEnd {
    let code = problem.code();
    let is_refusal = code.status().is_client_error();
    let outcome = if is_refusal { ActionOutcome::Refused } else { ActionOutcome::Failed };
    ActionEnd { outcome, code: Some(code.text().into()), made: None }
}
