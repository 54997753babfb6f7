//! Why a job was not read, written, started or changed.

use crate::ambient::Panicked;
use crate::deliver::{NotDecided, SubscriptionServiceError};
use crate::event::{Blame, ConsumerId, Fault};
use crate::eventlog::LogError;
use crate::jobs::JobState;

/// Why a replay was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is none of that name.
    #[error("there is no {kind} `{id}`")]
    Unknown {
        /// A replay or a redrive.
        kind: &'static str,
        /// Its name.
        id: String,
    },
    /// It has ended already.
    #[error("{kind} `{id}` is {state} already")]
    Ended {
        /// A replay or a redrive.
        kind: &'static str,
        /// Its name.
        id: String,
        /// Where it stands.
        state: JobState,
    },
    /// The request cannot work.
    #[error("this cannot be done: {0}")]
    Invalid(String),
    /// As many jobs of the consumer run as may.
    #[error(
        "{most} replays, dry runs and redrives of consumer `{consumer}` are running, and no more may at \
         once (`replay.running-per-consumer`); wait until one has ended, or end one"
    )]
    TooMany {
        /// Whose.
        consumer: ConsumerId,
        /// How many may run.
        most: usize,
    },
    /// Its subscription is closed, or was removed.
    #[error("this cannot be done: the subscription is closed")]
    Closed,
    /// What was kept cannot be read.
    #[error("{kind} `{id}` in the registry is damaged")]
    Damaged {
        /// A replay or a redrive.
        kind: &'static str,
        /// Its name.
        id: String,
    },
    /// The log or the registry failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// The gateway is stopping.
    #[error(transparent)]
    NotDecided(#[from] NotDecided),
    /// Its work has panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// A dead letter could not be brought back.
    #[error(transparent)]
    Subscription(#[from] SubscriptionServiceError),
}

impl Blame for JobError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. }
            | Self::Ended { .. }
            | Self::Invalid(_)
            | Self::TooMany { .. }
            | Self::Closed => Fault::Caller,
            Self::Damaged { .. } | Self::Panicked(_) => Fault::Ours,
            Self::NotDecided(_) => Fault::Later,
            Self::Log(error) => error.fault(),
            Self::Subscription(error) => error.fault(),
        }
    }
}
