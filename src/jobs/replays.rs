//! Keeps replays in the registry.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{Position, Registry, Revision};
use crate::jobs::job_store::{Job, JobRetention, JobStore};
use crate::jobs::replay_positions::ReplayPositions;
use crate::jobs::{JobError, Replay, ReplayCounts, ReplayState, Selection};
use crate::subscriptions::WishText;

/// The kind of documents that replays are kept as.
pub(super) const KIND: &str = "replay";

/// What is kept of a replay.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeptReplay {
    subscription: SubscriptionId,
    #[serde(default)]
    owner: Option<Timestamp>,
    from: String,
    to: String,
    types: Vec<String>,
    wish: WishText,
    rate: u32,
    state: ReplayState,
    reached: u64,
    counts: ReplayCounts,
    created: Timestamp,
    #[serde(default)]
    moved: Option<Timestamp>,
    #[serde(default)]
    stood_seconds: u64,
}

/// The replays in the registry.
#[derive(Clone)]
pub struct Replays {
    job_store: JobStore<Replay>,
    reached: ReplayPositions,
}

impl Replays {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { job_store: JobStore::new(registry), reached: ReplayPositions::default() }
    }

    /// Reads all that can be read, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<Replay>, JobError> {
        self.job_store.list().await
    }

    /// Reads all that can be read, oldest first, and learns how far those that run have come: once,
    /// before any is written.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn learn(&self) -> Result<Vec<Replay>, JobError> {
        let kept = self.list().await?;
        self.reached.learn(&kept);
        Ok(kept)
    }

    /// How far the slowest of those that run has come by what is kept of it, without asking the
    /// registry; nothing if none runs. Before they were [learned](Self::learn), the start of the log.
    pub fn slowest(&self) -> Option<Position> {
        self.reached.slowest()
    }

    /// How far each that runs has come by what is kept of it, and for which subscription it runs.
    pub fn holds(&self) -> Vec<(ReplayId, SubscriptionId, Position)> {
        self.reached.all()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &ReplayId) -> Result<Replay, JobError> {
        self.job_store.get(id.as_str()).await
    }

    /// Keeps a replay; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, replay: &mut Replay) -> Result<(), JobError> {
        self.job_store.keep(replay).await?;
        self.reached.note(replay);
        Ok(())
    }

    /// Drops those that have ended and are too old or too many; says how many went.
    pub(super) async fn tidy(&self, keeping: JobRetention) -> Result<usize, JobError> {
        self.job_store.tidy(keeping).await
    }
}

impl Job for Replay {
    const KIND: &'static str = KIND;
    type Kept = KeptReplay;

    fn to_kept(&self) -> KeptReplay {
        KeptReplay {
            subscription: self.subscription.clone(),
            owner: self.owner,
            from: self.selection.from.to_string(),
            to: self.selection.to.to_string(),
            types: self.selection.types.clone(),
            wish: self.wish.clone(),
            rate: self.rate,
            state: self.state,
            reached: self.reached.0,
            counts: self.counts,
            created: self.created,
            moved: Some(self.moved),
            stood_seconds: self.stood.as_secs(),
        }
    }

    fn restore(id: &str, kept: KeptReplay, revision: Revision) -> Option<Self> {
        Some(Self {
            id: id.parse().ok()?,
            subscription: kept.subscription,
            owner: kept.owner,
            wish: kept.wish,
            selection: Selection {
                from: kept.from.parse().ok()?,
                to: kept.to.parse().ok()?,
                types: kept.types,
            },
            rate: kept.rate,
            state: kept.state,
            reached: Position(kept.reached),
            counts: kept.counts,
            created: kept.created,
            moved: kept.moved.unwrap_or(kept.created),
            stood: Duration::from_secs(kept.stood_seconds),
            revision,
        })
    }

    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn subscription(&self) -> &SubscriptionId {
        &self.subscription
    }

    fn state(&self) -> ReplayState {
        self.state
    }

    fn revision(&mut self) -> &mut Revision {
        &mut self.revision
    }
}
