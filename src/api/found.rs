//! What the path of a request names, found for the caller who asks.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::api::acting::Actor;
use crate::api::find_subscription::{find, find_to_change};
use crate::api::jobs::find_job;
use crate::api::{Caller, Services};
use crate::event::ConsumerId;
use crate::jobs::RunnableJob;
use crate::subscriptions::Subscription;

type State = Arc<Services>;

/// A subscription that the caller may see, for handlers that read nothing else of the request that
/// could be wrong: a bad query or body is told before a name that does not exist.
pub struct FoundSubscription {
    pub(super) services: State,
    pub(super) caller: Caller,
    pub(super) subscription: Arc<Subscription>,
}

/// A subscription that the caller may change.
pub struct SubscriptionToChange {
    pub(super) services: State,
    pub(super) actor: Actor,
    pub(super) subscription: Arc<Subscription>,
}

/// A replay or a redrive of a subscription that the caller may see.
pub struct FoundJob<J> {
    pub(super) job: J,
}

/// A replay or a redrive of a subscription that the caller may change.
pub struct JobToChange<J> {
    pub(super) services: State,
    pub(super) actor: Actor,
    pub(super) job: J,
    /// Whose it is; nothing of one that has lost its subscription.
    pub(super) consumer: Option<ConsumerId>,
}

impl FromRequestParts<State> for FoundSubscription {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (caller, id) = asked(parts, services).await?;
        let subscription = find(services, &caller, &id).await.map_err(refused)?;
        Ok(Self { services: Arc::clone(services), caller, subscription })
    }
}

impl<J: RunnableJob> FromRequestParts<State> for FoundJob<J> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (caller, id) = asked(parts, services).await?;
        let (job, _) = find_job(services, &caller, &id).await.map_err(refused)?;
        Ok(Self { job })
    }
}

impl FromRequestParts<State> for SubscriptionToChange {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (actor, id) = wished(parts, services).await?;
        let found = find_to_change(services, &actor.caller, &id).await;
        let subscription = found.map_err(refused)?;
        Ok(Self { services: Arc::clone(services), actor, subscription })
    }
}

impl<J: RunnableJob> FromRequestParts<State> for JobToChange<J> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (actor, id) = wished(parts, services).await?;
        let (job, consumer) = find_job(services, &actor.caller, &id).await.map_err(refused)?;
        let may = match &consumer {
            Some(consumer) => actor.caller.must_steer(consumer),
            None => actor.caller.must_operate(),
        };
        may.map_err(refused)?;
        Ok(Self { services: Arc::clone(services), actor, job, consumer })
    }
}

async fn asked(parts: &mut Parts, services: &State) -> Result<(Caller, String), Response> {
    let caller = Caller::from_request_parts(parts, services).await.map_err(refused)?;
    let Path(id) = Path::from_request_parts(parts, services).await.map_err(refused)?;
    Ok((caller, id))
}

async fn wished(parts: &mut Parts, services: &State) -> Result<(Actor, String), Response> {
    let actor = Actor::from_request_parts(parts, services).await.map_err(refused)?;
    let Path(id) = Path::from_request_parts(parts, services).await.map_err(refused)?;
    Ok((actor, id))
}

fn refused(refusal: impl IntoResponse) -> Response {
    refusal.into_response()
}
