//! Why a request cannot be read.

use crate::event::{AttributeError, Blame, Fault, json};
use crate::source::CodingError;

/// Why a request cannot be read. Nothing of it was looked at further, and no value is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The media type does not say how to read the body.
    #[error("the media type cannot be taken: {0}")]
    MediaType(String),
    /// The body is not JSON that every reader reads alike.
    #[error("the body cannot be read")]
    Json(#[source] json::Error),
    /// One event of a batch is not JSON that every reader reads alike; places are counted from its
    /// own beginning.
    #[error("this event cannot be read, counted from its own beginning")]
    Item(#[source] json::Error),
    /// The body is text in another encoding than JSON has between systems (RFC 8259, section 8.1).
    #[error("the body is UTF-16: send it as UTF-8")]
    Utf16,
    /// The content coding cannot be undone.
    #[error(transparent)]
    Coding(CodingError),
    /// What a member encodes is not JSON that every reader reads alike.
    #[error("`{name}` is not JSON once decoded")]
    Data {
        /// The member.
        name: &'static str,
        /// Why, and where in what was decoded.
        #[source]
        source: json::Error,
    },
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
            Self::Member { name, .. } | Self::Data { name, .. } => format!("/{name}"),
            _ => String::new(),
        }
    }
}

impl Blame for Unreadable {
    fn fault(&self) -> Fault {
        match self {
            Self::Coding(CodingError::NoRoom) => Fault::Later,
            _ => Fault::Caller,
        }
    }
}
