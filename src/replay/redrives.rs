//! Keeps redrives in the registry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{EventId, EventIdError, RedriveId, SubscriptionId, Timestamp};
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Registry, Revision};
use crate::replay::shelf::Shelf;
use crate::replay::{Error, Redrive, RedriveCounts, ReplayState};

/// The kind of documents that redrives are kept as.
pub(super) const KIND: &str = "redrive";

/// What is kept of a redrive.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
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
    shelf: Shelf,
}

impl Redrives {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { shelf: Shelf::new(registry, KIND) }
    }

    /// Reads all of them, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or what it holds is damaged.
    pub async fn list(&self) -> Result<Vec<Redrive>, Error> {
        let kept = self.shelf.list().await?;
        kept.into_iter().map(|(id, kept, revision)| restore(&id, kept, revision)).collect()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &RedriveId) -> Result<Redrive, Error> {
        let (kept, revision) = self.shelf.get(id.as_str()).await?;
        restore(id.as_str(), kept, revision)
    }

    /// Keeps a redrive; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, redrive: &mut Redrive) -> Result<(), Error> {
        let query = &redrive.query;
        let ids = query.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
        let kept = Kept {
            subscription: query.subscription.clone(),
            owner: redrive.owner,
            ids,
            reason: query.reason.as_deref().map(str::to_owned),
            r#type: query.event_type.as_deref().map(str::to_owned),
            from: query.from.map(|id| id.to_string()),
            to: query.to.map(|id| id.to_string()),
            last: query.last.map(|last| last.0),
            rate: redrive.rate,
            state: redrive.state,
            reached: redrive.reached.0,
            counts: redrive.counts,
            created: redrive.created,
        };
        let id = redrive.id.as_str();
        redrive.revision = self.shelf.keep(id, &kept, redrive.revision).await?;
        Ok(())
    }
}

fn restore(id: &str, kept: Kept, revision: Revision) -> Result<Redrive, Error> {
    let damaged = || Error::Damaged { kind: KIND, id: id.to_owned() };
    let event = |text: Option<String>| {
        text.map(|text| text.parse()).transpose().map_err(|_: EventIdError| damaged())
    };
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
    Ok(Redrive {
        id: id.parse().map_err(|_| damaged())?,
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
