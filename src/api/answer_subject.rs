//! What a kept answer tells of, and whether its caller may still be told it.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::access::{GrantId, GrantedPublication};
use crate::api::find_subscription::find;
use crate::api::{Caller, Problem, Services};
use crate::event::{ConsumerId, SubscriptionId, Timestamp};
use crate::subscriptions::Subscription;

/// What an answer tells of. A handler whose answers are kept for an `Idempotency-Key` says it with each.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerSubject {
    /// A subscription that was made for a consumer, with its secret.
    NewSubscription {
        /// Whose it is.
        consumer: ConsumerId,
        /// Which.
        subscription: AnsweredSubscription,
    },
    /// Something that was done for a subscription.
    OfSubscription(AnsweredSubscription),
    /// A grant that was given.
    Grant {
        /// Which.
        id: GrantId,
        /// Of what.
        publication: GrantedPublication,
    },
}

/// A subscription, and not a later one of its name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct AnsweredSubscription {
    id: SubscriptionId,
    created: Timestamp,
}

impl AnswerSubject {
    /// Of a subscription that was just made.
    pub(super) fn made(subscription: &Subscription) -> Self {
        let consumer = subscription.consumer.clone();
        Self::NewSubscription { consumer, subscription: AnsweredSubscription::of(subscription) }
    }

    /// Of something that was done for a subscription.
    pub(super) fn done_for(subscription: &Subscription) -> Self {
        Self::OfSubscription(AnsweredSubscription::of(subscription))
    }

    /// Says with an answer what it tells of.
    pub(super) fn on(self, mut answer: Response) -> Response {
        answer.extensions_mut().insert(self);
        answer
    }

    /// What an answer tells of, as its handler has said.
    pub(super) fn of(answer: &Response) -> Option<Self> {
        answer.extensions().get::<Self>().cloned()
    }

    /// Refuses to tell it to a caller whose request would be refused today, or of whose thing nothing is
    /// left.
    ///
    /// # Errors
    ///
    /// The caller's turn: it lacks the scope by now, or the thing is gone or not its own to see.
    pub(super) async fn must_be_told(
        &self,
        services: &Services,
        caller: &Caller,
    ) -> Result<(), Problem> {
        match self {
            Self::NewSubscription { consumer, subscription } => {
                caller.must_steer(consumer)?;
                subscription.must_be_steered(services, caller).await
            }
            Self::OfSubscription(subscription) => {
                subscription.must_be_steered(services, caller).await
            }
            Self::Grant { id, publication } => {
                caller.must_own(publication)?;
                let found = services.subscription_service.access().grant(id);
                found.map(drop).ok_or_else(|| Problem::not_found("grant"))
            }
        }
    }
}

impl AnsweredSubscription {
    fn of(subscription: &Subscription) -> Self {
        Self { id: subscription.id.clone(), created: subscription.created }
    }

    async fn must_be_steered(&self, services: &Services, caller: &Caller) -> Result<(), Problem> {
        let found = find(services, caller, self.id.as_str()).await?;
        if found.id != self.id || found.created != self.created {
            return Err(Problem::not_found("subscription"));
        }
        caller.must_steer(&found.consumer)
    }
}
