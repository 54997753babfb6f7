//! Keeps replays in the registry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Blame, Fault, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{Error as LogError, Position, Record, RecordKey, Registry, Revision};
use crate::replay::{Counts, Replay, ReplayState, Selection};

const KIND: &str = "replay";

/// Why a replay was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("there is no replay `{0}`")]
    Unknown(ReplayId),
    /// It has ended already.
    #[error("replay `{id}` is {state} already")]
    Ended {
        /// Which one.
        id: ReplayId,
        /// Where it stands.
        state: ReplayState,
    },
    /// The request cannot work.
    #[error("the replay is not valid: {0}")]
    Invalid(String),
    /// What was kept cannot be read.
    #[error("replay `{0}` in the registry is damaged")]
    Damaged(String),
    /// The log or the registry failed.
    #[error("the log failed")]
    Log(#[from] LogError),
}

impl Blame for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown(_) | Self::Ended { .. } | Self::Invalid(_) => Fault::Caller,
            Self::Damaged(_) => Fault::Ours,
            Self::Log(error) => error.fault(),
        }
    }
}

/// What is kept of a replay.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    subscription: SubscriptionId,
    from: String,
    to: String,
    types: Vec<String>,
    wish: (Vec<String>, Vec<Value>),
    rate: u32,
    state: ReplayState,
    reached: u64,
    counts: Counts,
    created: Timestamp,
}

/// The replays in the registry.
#[derive(Clone)]
pub struct Replays {
    registry: Arc<dyn Registry>,
}

impl Replays {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// Reads all of them, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or what it holds is damaged.
    pub async fn list(&self) -> Result<Vec<Replay>, Error> {
        self.registry.list(KIND).await?.iter().map(restore).collect()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none. Ours: the registry failed.
    pub async fn get(&self, id: &ReplayId) -> Result<Replay, Error> {
        let record = self.registry.get(&key(id)).await?;
        restore(&record.ok_or_else(|| Error::Unknown(id.clone()))?)
    }

    /// Keeps a replay; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, replay: &mut Replay) -> Result<(), Error> {
        let kept = Kept {
            subscription: replay.subscription.clone(),
            from: replay.selection.from.to_string(),
            to: replay.selection.to.to_string(),
            types: replay.selection.types.clone(),
            wish: replay.wish.clone(),
            rate: replay.rate,
            state: replay.state,
            reached: replay.reached.0,
            counts: replay.counts,
            created: replay.created,
        };
        let body = serde_json::to_string(&kept)
            .map_err(|error| Error::Damaged(format!("{}: {error}", replay.id)))?;
        let expected = Some(replay.revision).filter(|revision| revision.0 > 0);
        replay.revision = self.registry.put(&key(&replay.id), expected, body).await?;
        Ok(())
    }
}

fn key(id: &ReplayId) -> RecordKey {
    RecordKey { kind: KIND, id: id.to_string() }
}

fn restore(record: &Record) -> Result<Replay, Error> {
    let damaged = || Error::Damaged(record.id.clone());
    let kept: Kept = serde_json::from_str(&record.body).map_err(|_| damaged())?;
    Ok(Replay {
        id: record.id.parse().map_err(|_| damaged())?,
        subscription: kept.subscription,
        wish: kept.wish,
        selection: Selection {
            from: kept.from.parse().map_err(|_| damaged())?,
            to: kept.to.parse().map_err(|_| damaged())?,
            types: kept.types,
        },
        rate: kept.rate,
        state: kept.state,
        reached: Position(kept.reached),
        counts: kept.counts,
        created: kept.created,
        revision: Revision(record.revision.0),
    })
}
