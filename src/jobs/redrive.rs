//! A redrive as a durable job: dead letters of one subscription, brought back at a rate.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{EventId, RedriveId, SubscriptionId, Timestamp};
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Revision};
use crate::jobs::{Job, JobState};

/// How far a redrive has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveCounts {
    /// Dead letters that were wanted when it began.
    pub matched: u64,
    /// Dead letters that were handed to the subscription's deliveries so far.
    pub redriven: u64,
}

/// Dead letters of one subscription that are brought back at a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Its name.
    pub id: RedriveId,
    /// When its subscription was created; nothing in a redrive that an older gateway kept.
    pub owner: Option<Timestamp>,
    /// Which dead letters; `last` is the newest when it began, so that what is given up again
    /// meanwhile is not brought back once more.
    pub query: DeadLetterQuery,
    /// Dead letters per second.
    pub rate: u32,
    /// Where it stands.
    pub state: JobState,
    /// Every dead letter up to here was handed over.
    pub reached: DeadLetterId,
    /// How far it has come.
    pub counts: RedriveCounts,
    /// When it was asked for.
    pub created: Timestamp,
    /// The revision of what is kept.
    pub revision: Revision,
}

impl Redrive {
    /// The dead letters that are still to be handed over.
    pub fn rest(&self) -> DeadLetterQuery {
        DeadLetterQuery { after: self.reached, ..self.query.clone() }
    }
}

/// What is kept of a redrive.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptRedrive {
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
    state: JobState,
    reached: u64,
    counts: RedriveCounts,
    created: Timestamp,
}

impl Job for Redrive {
    const KIND: &'static str = "redrive";
    type Id = RedriveId;
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

    fn times(&self) -> (Option<Timestamp>, Timestamp) {
        (self.owner, self.created)
    }

    fn state(&self) -> JobState {
        self.state
    }

    fn become_state(&mut self, state: JobState) {
        self.state = state;
    }

    fn revision(&mut self) -> &mut Revision {
        &mut self.revision
    }
}
