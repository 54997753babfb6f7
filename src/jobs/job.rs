//! What replays and redrives have in common: durable jobs of one subscription.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Position, Revision};
use crate::subscriptions::Subscription;

/// Where a job stands.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It reads and hands over.
    Running,
    /// Everything was attempted, or handed over to be; what failed is tried again like a live delivery.
    Completed,
    /// Someone stopped it.
    Cancelled,
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A durable job of one subscription.
pub trait Job: Clone + Send + Sync + Sized + 'static {
    /// What callers call its kind, and the kind of documents that it is kept as.
    const KIND: &'static str;
    /// What it is called.
    type Id: fmt::Display + FromStr + Send + Sync;
    /// What is kept of it.
    type Kept: DeserializeOwned + Serialize + Send + Sync;

    /// What to keep of it.
    fn to_kept(&self) -> Self::Kept;

    /// Makes it from what was kept; nothing if that is damaged.
    fn restore(id: &str, kept: Self::Kept, revision: Revision) -> Option<Self>;

    /// Its name.
    fn name(&self) -> &str;

    /// For whom.
    fn subscription(&self) -> &SubscriptionId;

    /// When its subscription was created, where that is known, and when it was asked for.
    fn times(&self) -> (Option<Timestamp>, Timestamp);

    /// Where it stands.
    fn state(&self) -> JobState;

    /// Moves it to another state.
    fn become_state(&mut self, state: JobState);

    /// The revision of what is kept; 0 means that it is new.
    fn revision(&mut self) -> &mut Revision;

    /// Up to where it needs nothing of the log any more, and when it came there; nothing if it needs
    /// nothing of it at all.
    fn hold(&self) -> Option<(Position, Timestamp)> {
        None
    }

    /// Whether it is of this subscription and not of an earlier one of its name.
    fn belongs_to(&self, subscription: &Subscription) -> bool {
        let (owner, created) = self.times();
        *self.subscription() == subscription.id
            && owner.map_or(created >= subscription.created, |owner| owner == subscription.created)
    }
}
