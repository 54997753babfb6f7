//! Keeps redrives in the registry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{EventId, RedriveId, SubscriptionId, Timestamp};
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Registry, Revision};
use crate::jobs::job_store::{Job, JobRetention, JobStore};
use crate::jobs::{JobError, Redrive, RedriveCounts, ReplayState};

/// The kind of documents that redrives are kept as.
pub(super) const KIND: &str = "redrive";

/// What is kept of a redrive.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeptRedrive {
    subscription: SubscriptionId,
    #[serde(default)]
    owner: Option<Timestamp>,
    ids: Option<Vec<u64>>,
    reason: Option<String>,
    r#type: Option<String>,
    from: Option<String>,
    to: Option<String>,
    last: Option<u64>,
    rate: u32,
    state: ReplayState,
    reached: u64,
    counts: RedriveCounts,
    created: Timestamp,
}

/// The redrives in the registry.
#[derive(Clone)]
pub struct Redrives {
    job_store: JobStore<Redrive>,
}

impl Redrives {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { job_store: JobStore::new(registry) }
    }

    /// Reads all that can be read, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed.
    pub async fn list(&self) -> Result<Vec<Redrive>, JobError> {
        self.job_store.list().await
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &RedriveId) -> Result<Redrive, JobError> {
        self.job_store.get(id.as_str()).await
    }

    /// Keeps a redrive; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, redrive: &mut Redrive) -> Result<(), JobError> {
        self.job_store.keep(redrive).await
    }

    /// Drops those that have ended and are too old or too many; says how many went.
    pub(super) async fn tidy(&self, keeping: JobRetention) -> Result<usize, JobError> {
        self.job_store.tidy(keeping).await
    }
}

impl Job for Redrive {
    const KIND: &'static str = KIND;
    type Kept = KeptRedrive;

    fn to_kept(&self) -> KeptRedrive {
        let query = &self.query;
        let ids = query.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
        KeptRedrive {
            subscription: query.subscription.clone(),
            owner: self.owner,
            ids,
            reason: query.reason.as_deref().map(str::to_owned),
            r#type: query.event_type.as_deref().map(str::to_owned),
            from: query.from.map(|id| id.to_string()),
            to: query.to.map(|id| id.to_string()),
            last: query.last.map(|last| last.0),
            rate: self.rate,
            state: self.state,
            reached: self.reached.0,
            counts: self.counts,
            created: self.created,
        }
    }

    fn restore(id: &str, kept: KeptRedrive, revision: Revision) -> Option<Self> {
        let event = |text: Option<String>| text.map(|text| text.parse()).transpose().ok();
        let (from, to): (Option<EventId>, Option<EventId>) = (event(kept.from)?, event(kept.to)?);
        let query = DeadLetterQuery {
            subscription: kept.subscription,
            ids: kept.ids.map(|ids| ids.into_iter().map(DeadLetterId).collect()),
            after: DeadLetterId(0),
            last: kept.last.map(DeadLetterId),
            reason: kept.reason.map(Arc::from),
            event_type: kept.r#type.map(Arc::from),
            from,
            to,
        };
        Some(Self {
            id: id.parse().ok()?,
            owner: kept.owner,
            query,
            rate: kept.rate,
            state: kept.state,
            reached: DeadLetterId(kept.reached),
            counts: kept.counts,
            created: kept.created,
            revision,
        })
    }

    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn subscription(&self) -> &SubscriptionId {
        &self.query.subscription
    }

    fn state(&self) -> ReplayState {
        self.state
    }

    fn revision(&mut self) -> &mut Revision {
        &mut self.revision
    }
}
