//! The seam to the record of what callers changed.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{ConsumerId, Timestamp};
use crate::eventlog::{ActionKind, ActionReason, LogError, Page};

/// Old actions are looked for once so many were begun.
pub(super) const SWEEP_ACTIONS_AFTER: usize = 64;
/// The most that one look for old actions drops by age, and of one caller.
pub(super) const SWEEP_ACTIONS: usize = 1024;

/// Names an action; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It was begun, and nothing was noted after that: it is being done, or the process died.
    Begun,
    /// It was done.
    Done,
    /// It was refused, and nothing was changed.
    Refused,
    /// It failed, and may have changed something.
    Failed,
}

/// A change that a caller is about to make. It holds no data, no secret and no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAction {
    /// When it is begun.
    pub at: Timestamp,
    /// Who makes it: the name of a caller, or `cli:` and whose command it is.
    pub caller: Arc<str>,
    /// What is done.
    pub kind: ActionKind,
    /// To what, as the path of the thing in the API.
    pub target: Arc<str>,
    /// Whose thing that is, where it is a consumer's.
    pub consumer: Option<ConsumerId>,
    /// Whose thing that is, where it is a domain's.
    pub domain: Option<Arc<str>>,
    /// The request that asked for it, as its answer names it.
    pub request: Option<Arc<str>>,
    /// Why, in the caller's words.
    pub reason: Option<ActionReason>,
}

/// What is noted when an action is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionEnd {
    /// What became of it.
    pub outcome: ActionOutcome,
    /// The code of the problem that it came to, if it did.
    pub code: Option<Arc<str>>,
    /// What it has made, as the path of the thing in the API.
    pub made: Option<Arc<str>>,
}

/// A change that a caller made, or began to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub id: ActionId,
    /// As it was begun.
    pub begun: NewAction,
    /// How it ended.
    pub end: ActionEnd,
}

/// Whose things one may learn about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionOwners {
    /// Of these consumers.
    pub consumers: Vec<ConsumerId>,
    /// Of these domains.
    pub domains: Vec<Arc<str>>,
}

/// Which actions are wanted; what is not given is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionQuery {
    /// Only those before this one.
    pub before: Option<ActionId>,
    /// Only those of this caller.
    pub caller: Option<Arc<str>>,
    /// Only those of this kind.
    pub kind: Option<ActionKind>,
    /// Only those on this thing, and on what lies below it.
    pub target: Option<Arc<str>>,
    /// Only those that were begun then or later.
    pub from: Option<Timestamp>,
    /// Only those that were begun then or earlier.
    pub to: Option<Timestamp>,
    /// Only those on things of these.
    pub owners: Option<ActionOwners>,
}

/// Keeps what callers change. An action is begun before its change is made, so that none took effect
/// that is not here; its end is noted after.
///
/// The oldest go by age and, for each caller, by number, so that none pushes the actions of others out.
#[async_trait]
pub trait Actions: Send + Sync {
    /// Keeps durably that an action begins. Needs no room on the disk but the reserve.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    async fn begin_action(&self, action: NewAction) -> Result<ActionId, LogError>;

    /// Keeps durably what became of an action; of one that is dropped already, nothing.
    ///
    /// # Errors
    ///
    /// Later: the disk is full. Ours: the store failed.
    async fn end_action(&self, id: ActionId, end: ActionEnd) -> Result<(), LogError>;

    /// Lists actions, newest first.
    ///
    /// # Errors
    ///
    /// Ours: the store failed.
    async fn actions(&self, query: &ActionQuery, page: Page) -> Result<Vec<Action>, LogError>;
}

impl ActionOutcome {
    /// The stable word.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The outcome that a word stands for.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let all = [Self::Begun, Self::Done, Self::Refused, Self::Failed];
        all.into_iter().find(|outcome| outcome.text() == text)
    }
}

impl ActionEnd {
    /// What stands in its place while an action goes on.
    pub const OPEN: Self = Self { outcome: ActionOutcome::Begun, code: None, made: None };

    /// It was done.
    pub const DONE: Self = Self { outcome: ActionOutcome::Done, code: None, made: None };
}

impl Action {
    /// What it takes of a page.
    pub(super) fn weight(&self) -> usize {
        self.begun.target.len() + self.begun.reason.as_ref().map_or(0, |why| why.as_str().len())
    }
}

impl ActionOwners {
    /// Whether an action is on a thing of theirs.
    #[cfg(test)]
    pub(super) fn have(&self, action: &NewAction) -> bool {
        action.consumer.as_ref().is_some_and(|of| self.consumers.contains(of))
            || action.domain.as_ref().is_some_and(|of| self.domains.contains(of))
    }
}
