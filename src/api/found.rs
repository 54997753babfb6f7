//! What the path of a request names, found for the caller who asks.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::api::find_subscription::find;
use crate::api::jobs::{Job, find_job};
use crate::api::{Caller, Services};
use crate::subscriptions::Subscription;

type State = Arc<Services>;

/// A subscription that the caller may see, for handlers that read nothing else of the request that
/// could be wrong: a bad query or body is told before a name that does not exist.
pub struct FoundSubscription {
    pub(super) services: State,
    pub(super) caller: Caller,
    pub(super) subscription: Arc<Subscription>,
}

/// A replay or a redrive of a subscription that the caller may see.
pub struct FoundJob<J> {
    pub(super) services: State,
    pub(super) job: J,
}

impl FromRequestParts<State> for FoundSubscription {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (caller, id) = asked(parts, services).await?;
        let subscription = find(services, &caller, &id).await.map_err(refused)?;
        Ok(Self { services: Arc::clone(services), caller, subscription })
    }
}

impl<J: Job> FromRequestParts<State> for FoundJob<J> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &State) -> Result<Self, Response> {
        let (caller, id) = asked(parts, services).await?;
        let job = find_job(services, &caller, &id).await.map_err(refused)?;
        Ok(Self { services: Arc::clone(services), job })
    }
}

async fn asked(parts: &mut Parts, services: &State) -> Result<(Caller, String), Response> {
    let caller = Caller::from_request_parts(parts, services).await.map_err(refused)?;
    let Path(id) = Path::from_request_parts(parts, services).await.map_err(refused)?;
    Ok((caller, id))
}

fn refused(refusal: impl IntoResponse) -> Response {
    refusal.into_response()
}
