//! Keeps replays in the registry.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deliver::OfficeError;
use crate::event::{Blame, Fault, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{Error as LogError, Position, Registry, Revision};
use crate::replay::reached::Reached;
use crate::replay::shelf::Shelf;
use crate::replay::{Counts, Replay, ReplayState, Selection};

/// The kind of documents that replays are kept as.
pub(super) const KIND: &str = "replay";

/// Why a replay was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
        state: ReplayState,
    },
    /// The request cannot work.
    #[error("this cannot be done: {0}")]
    Invalid(String),
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
    /// A dead letter could not be brought back.
    #[error(transparent)]
    Office(#[from] OfficeError),
}

impl Blame for Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. } | Self::Ended { .. } | Self::Invalid(_) => Fault::Caller,
            Self::Damaged { .. } => Fault::Ours,
            Self::Log(error) => error.fault(),
            Self::Office(error) => error.fault(),
        }
    }
}

/// What is kept of a replay.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    subscription: SubscriptionId,
    #[serde(default)]
    owner: Option<Timestamp>,
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
    shelf: Shelf,
    reached: Reached,
}

impl Replays {
    /// Keeps them in this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { shelf: Shelf::new(registry, KIND), reached: Reached::default() }
    }

    /// Reads all of them, oldest first.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or what it holds is damaged.
    pub async fn list(&self) -> Result<Vec<Replay>, Error> {
        let kept = self.shelf.list().await?;
        kept.into_iter().map(|(id, kept, revision)| restore(&id, kept, revision)).collect()
    }

    /// Reads all of them, oldest first, and learns how far those that run have come: once, before
    /// any is written.
    ///
    /// # Errors
    ///
    /// Ours: the registry failed or what it holds is damaged.
    pub async fn learn(&self) -> Result<Vec<Replay>, Error> {
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
    pub async fn get(&self, id: &ReplayId) -> Result<Replay, Error> {
        let (kept, revision) = self.shelf.get(id.as_str()).await?;
        restore(id.as_str(), kept, revision)
    }

    /// Keeps a replay; a revision of 0 means that it is new.
    ///
    /// # Errors
    ///
    /// The caller's turn: someone else wrote first. Ours: the registry failed.
    pub async fn keep(&self, replay: &mut Replay) -> Result<(), Error> {
        let kept = Kept {
            subscription: replay.subscription.clone(),
            owner: replay.owner,
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
        replay.revision = self.shelf.keep(replay.id.as_str(), &kept, replay.revision).await?;
        self.reached.note(replay);
        Ok(())
    }
}

fn restore(id: &str, kept: Kept, revision: Revision) -> Result<Replay, Error> {
    let damaged = || Error::Damaged { kind: KIND, id: id.to_owned() };
    Ok(Replay {
        id: id.parse().map_err(|_| damaged())?,
        subscription: kept.subscription,
        owner: kept.owner,
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
        revision,
    })
}
