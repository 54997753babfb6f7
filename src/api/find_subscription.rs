//! Finds a subscription for a caller, and tells why something could not be done for one.

use std::sync::Arc;

use crate::api::{Caller, Code, Problem, Services};
use crate::deliver::{SequenceReadError, SubscriptionServiceError, VerifyError, WrongNonce};
use crate::event::SubscriptionReference;
use crate::subscriptions::{Subscription, SubscriptionError};
use crate::telemetry::error_chain;

/// Finds a subscription that the caller may see, by its id, by its name among those of the consumers
/// that the caller acts as, or by `consumer/name`; one of a stranger does not exist for it.
pub(super) async fn find(
    services: &Services,
    caller: &Caller,
    given: &str,
) -> Result<Arc<Subscription>, Problem> {
    let reference: SubscriptionReference =
        given.parse().map_err(|_| Problem::not_found("subscription"))?;
    let own = caller.consumers().cloned().collect();
    let found =
        services.subscription_service.find(&reference, (&own, caller.sees_metadata())).await;
    found.map_err(problem)
}

/// Finds a subscription that the caller may change; who may only see it is told what that needs.
pub(super) async fn find_to_change(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<Arc<Subscription>, Problem> {
    let subscription = find(services, caller, id).await?;
    caller.must_steer(&subscription.consumer)?;
    Ok(subscription)
}

/// Turns a failure into the problem that fits it.
#[expect(clippy::needless_pass_by_value, reason = "this is what `map_err` hands over")]
pub(super) fn problem(error: SubscriptionServiceError) -> Problem {
    of_service(&error)
}

/// The problem that nothing was read of a place.
pub(super) fn unread(error: SequenceReadError) -> Problem {
    match error {
        SequenceReadError::Log(error) => of_service(&error.into()),
        SequenceReadError::Gone { after, .. } => {
            let detail =
                format!("events after this place are not kept any more; read on after {after}");
            Problem::new(Code::Gone, detail)
        }
        stops @ SequenceReadError::NotDecided(_) => Problem::new(Code::NotReady, stops.to_string()),
    }
}

/// The problem that a handshake was, which someone has asked for.
pub(super) fn verify_problem(error: &VerifyError) -> Problem {
    match error {
        VerifyError::Unproved { source, .. } => {
            Problem::new(Code::HandshakeFailed, error_chain(&**source).to_string())
        }
        VerifyError::Service(error) => of_service(error),
        VerifyError::Stopping => Problem::new(Code::NotReady, error.to_string()),
    }
}

fn of_service(error: &SubscriptionServiceError) -> Problem {
    match error {
        SubscriptionServiceError::Subscription(error) => of_subscription(error),
        SubscriptionServiceError::Nonce(wrong @ WrongNonce::NoNonce) => {
            Problem::new(Code::Invalid, format!("/challenge: {wrong}"))
        }
        SubscriptionServiceError::Nonce(wrong) => {
            Problem::new(Code::HandshakeFailed, wrong.to_string())
        }
        SubscriptionServiceError::NoDeadLetter => Problem::new(Code::NotFound, error.to_string()),
        SubscriptionServiceError::Log(_) | SubscriptionServiceError::Checkpoint(_) => {
            Problem::of(error)
        }
    }
}

fn of_subscription(error: &SubscriptionError) -> Problem {
    let code = match error {
        SubscriptionError::Invalid(_) => Code::Invalid,
        SubscriptionError::Exceeded(_) => Code::ConsumerFull,
        SubscriptionError::Exists(_) => Code::AlreadyExists,
        SubscriptionError::Unknown(_) | SubscriptionError::NotFound => {
            return Problem::not_found("subscription");
        }
        SubscriptionError::Ambiguous(_) => Code::Ambiguous,
        SubscriptionError::Stale(_) => Code::Changed,
        SubscriptionError::Step { .. } => Code::WrongState,
        SubscriptionError::Damaged { .. } | SubscriptionError::Registry(_) => {
            return Problem::of(error);
        }
    };
    Problem::new(code, error.to_string())
}
