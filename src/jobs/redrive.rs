//! A redrive as a durable job: dead letters of one subscription, brought back at a rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{RedriveId, Timestamp};
use crate::eventlog::{DeadLetterId, DeadLetterQuery, Revision};
use crate::jobs::ReplayState;
use crate::jobs::replay::belongs;
use crate::subscriptions::Subscription;

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
    pub state: ReplayState,
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
    /// Whether it is of this subscription and not of an earlier one of its name.
    pub fn belongs_to(&self, subscription: &Subscription) -> bool {
        self.query.subscription == subscription.id
            && belongs(self.owner, self.created, subscription)
    }

    /// The dead letters that are still to be handed over.
    pub fn rest(&self) -> DeadLetterQuery {
        DeadLetterQuery { after: self.reached, ..self.query.clone() }
    }
}
