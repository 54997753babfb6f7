//! What replays and redrives have in common for callers: jobs of one subscription, each with a name of
//! its own.

use std::str::FromStr;

use crate::api::find_subscription::find;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::{ConsumerId, RedriveId, ReplayId, SubscriptionId};
use crate::jobs::{JobError, Redrive, Replay, ReplayState};
use crate::subscriptions::Subscription;

/// A job of one subscription.
pub(super) trait Job: Sized + Send + Sync {
    /// What it is called.
    type Id: FromStr + Send + Sync;
    /// What callers call its kind.
    const KIND: &'static str;

    /// Reads one, as it was last kept.
    fn read(
        services: &Services,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Self, JobError>> + Send;

    /// The name of its subscription.
    fn subscription(&self) -> &SubscriptionId;

    /// Where it stands.
    fn state(&self) -> ReplayState;

    /// Tells whether a subscription is the one that it was made for, and not a later one of that name.
    fn belongs_to(&self, subscription: &Subscription) -> bool;
}

impl Job for Replay {
    type Id = ReplayId;
    const KIND: &'static str = "replay";

    async fn read(services: &Services, id: &ReplayId) -> Result<Self, JobError> {
        services.replays.get(id).await
    }

    fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    fn state(&self) -> ReplayState {
        self.state
    }

    fn belongs_to(&self, subscription: &Subscription) -> bool {
        self.belongs_to(subscription)
    }
}

impl Job for Redrive {
    type Id = RedriveId;
    const KIND: &'static str = "redrive";

    async fn read(services: &Services, id: &RedriveId) -> Result<Self, JobError> {
        services.replays.redrive_of(id).await
    }

    fn subscription(&self) -> &SubscriptionId {
        &self.query.subscription
    }

    fn state(&self) -> ReplayState {
        self.state
    }

    fn belongs_to(&self, subscription: &Subscription) -> bool {
        self.belongs_to(subscription)
    }
}

/// Finds a job of a subscription that the caller may see; a stranger's does not exist for it. One that
/// has lost its subscription and runs all the same is there for operators, who may end it. Gives its
/// consumer, too, unless that is lost.
pub(super) async fn find_job<J: Job>(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<(J, Option<ConsumerId>), Problem> {
    let absent = || Problem::not_found(J::KIND);
    let id: J::Id = id.parse().map_err(|_| absent())?;
    let job = J::read(services, &id).await.map_err(problem)?;
    match find(services, caller, job.subscription().as_str()).await {
        Ok(subscription) if job.belongs_to(&subscription) => {
            Ok((job, Some(subscription.consumer.clone())))
        }
        Err(problem) if problem.code() != Code::NotFound => Err(problem),
        _ if job.state() == ReplayState::Running && caller.sees_metadata() => Ok((job, None)),
        _ => Err(absent()),
    }
}

/// Turns a failure into the problem that fits it.
pub(super) fn problem(error: JobError) -> Problem {
    match &error {
        JobError::Unknown { kind, .. } => Problem::not_found(kind),
        JobError::Ended { .. } => Problem::new(Code::WrongState, error.to_string()),
        JobError::Invalid(_) | JobError::Closed => Problem::new(Code::Invalid, error.to_string()),
        JobError::TooMany { .. } => Problem::new(Code::TooMany, error.to_string()),
        JobError::Damaged { .. }
        | JobError::Log(_)
        | JobError::NotDecided(_)
        | JobError::Subscription(_) => error.into(),
    }
}
