//! Why a request cannot be read.

use crate::event::{AttributeError, Blame, Fault, json};

/// Why a request cannot be read. Nothing of it was looked at further, and no value is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The media type does not say how to read the body.
    #[error("the media type cannot be taken: {0}")]
    MediaType(String),
    /// The body is not JSON that every reader reads alike.
    #[error("the body cannot be read")]
    Json(#[source] json::Error),
    /// The event is not a JSON object.
    #[error("an event must be a JSON object")]
    NotAnObject,
    /// An attribute is missing or wrong.
    #[error("`{name}` {problem}")]
    Member {
        /// The attribute or member.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An attribute holds a text that CloudEvents does not allow.
    #[error(transparent)]
    Attribute(AttributeError),
    /// The body should be an array of events.
    #[error("a batch must be a JSON array")]
    NotABatch,
    /// The batch has no events or too many.
    #[error("a batch has 1 to {limit} events, this one has {actual}")]
    BatchSize {
        /// How many events there are.
        actual: usize,
        /// How many are allowed.
        limit: usize,
    },
}

impl Unreadable {
    pub(super) const fn new(name: &'static str, problem: &'static str) -> Self {
        Self::Member { name, problem }
    }

    /// JSON Pointer to what is wrong; empty where the text says the place, or it is the whole.
    pub fn pointer(&self) -> String {
        match self {
            Self::Member { name, .. } => format!("/{name}"),
            _ => String::new(),
        }
    }
}

impl Blame for Unreadable {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
