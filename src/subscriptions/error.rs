//! Why a document cannot work, and why a subscription was not read or written.

use crate::event::{Blame, Fault, QualifiedName, SubscriptionId};
use crate::eventlog::LogError;
use crate::subscriptions::{Exceeded, SubscriptionState};

/// A part of a document that cannot work.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{pointer}: {problem}")]
pub struct Invalid {
    /// JSON Pointer to the part.
    pub pointer: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl Invalid {
    pub(super) fn new(pointer: &str, problem: &str) -> Self {
        Self { pointer: pointer.to_owned(), problem: problem.to_owned() }
    }
}

/// Why a subscription was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The document cannot work.
    #[error("the subscription is not valid at {0}")]
    Invalid(#[from] Invalid),
    /// The consumer would have more than it may.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The name is taken.
    #[error("there is a subscription `{0}` already")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no subscription `{0}`")]
    Unknown(SubscriptionId),
    /// There is none that the caller may see.
    #[error("there is no such subscription")]
    NotFound,
    /// Several have that name.
    #[error("several subscriptions have that name: say `consumer/name`, in a path {}", segments(.0))]
    Ambiguous(Vec<QualifiedName>),
    /// Someone else wrote first.
    #[error("subscription `{0}` was changed by someone else; read it again")]
    Stale(SubscriptionId),
    /// The step is not allowed.
    #[error("the subscription is {from}{}", from.way_to(*to))]
    Step {
        /// Where it stands.
        from: SubscriptionState,
        /// What was asked for.
        to: SubscriptionState,
    },
    /// What was kept cannot be read.
    #[error("subscription `{id}` in the registry is damaged")]
    Damaged {
        /// Which one.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry failed.
    #[error("the registry failed")]
    Registry(#[source] LogError),
}

/// The first of some names as segments of a path.
fn segments(names: &[QualifiedName]) -> String {
    const MOST: usize = 10;
    let segment = |name: &QualifiedName| format!("`{}%2F{}`", name.consumer, name.name);
    let told: Vec<String> = names.iter().take(MOST).map(segment).collect();
    told.join(", ") + if names.len() > MOST { ", …" } else { "" }
}

impl Blame for SubscriptionError {
    fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Damaged { .. } => Fault::Ours,
            _ => Fault::Caller,
        }
    }
}
