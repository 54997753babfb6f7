//! What replays and redrives have in common for callers: jobs of one subscription, each with a name of
//! its own.

use crate::api::find_subscription::find;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::ConsumerId;
use crate::jobs::{JobError, JobState, RunnableJob};

/// Finds a job of a subscription that the caller may see; a stranger's does not exist for it. One that
/// has lost its subscription and runs all the same is there for operators, who may end it. Gives its
/// consumer, too, unless that is lost.
pub(super) async fn find_job<J: RunnableJob>(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<(J, Option<ConsumerId>), Problem> {
    let absent = || Problem::not_found(J::KIND);
    let id: J::Id = id.parse().map_err(|_| absent())?;
    let job: J = services.replays.get(&id).await.map_err(problem)?;
    match find(services, caller, job.subscription().as_str()).await {
        Ok(subscription) if job.belongs_to(&subscription) => {
            Ok((job, Some(subscription.consumer.clone())))
        }
        Err(problem) if problem.code() != Code::NotFound => Err(problem),
        _ if job.state() == JobState::Running && caller.sees_metadata() => Ok((job, None)),
        _ => Err(absent()),
    }
}

/// Turns a failure into the problem that fits it.
pub(super) fn problem(error: JobError) -> Problem {
    match &error {
        JobError::Unknown { kind, .. } => Problem::not_found(kind),
        JobError::Ended { .. } | JobError::Closed => {
            Problem::new(Code::WrongState, error.to_string())
        }
        JobError::Invalid(_) => Problem::new(Code::Invalid, error.to_string()),
        JobError::TooMany { .. } => Problem::new(Code::TooMany, error.to_string()),
        JobError::Damaged { .. }
        | JobError::Log(_)
        | JobError::NotDecided(_)
        | JobError::Panicked(_)
        | JobError::Subscription(_) => error.into(),
    }
}
