//! What an event is about: JSON text that is parsed at most once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::event::json;

/// The log keeps only what was read within the bounds of its day.
const ALL: json::Limits = json::Limits::new(usize::MAX, 1000);

/// The CloudEvents `data`: canonical JSON text (RFC 8785), with its tree made on first use.
///
/// Cloning shares both. `Debug` shows the size only, because data never reaches a log.
#[derive(Clone)]
pub struct Data(Arc<Inner>);

struct Inner {
    text: Box<str>,
    tree: OnceLock<Value>,
}

impl Data {
    /// Takes a tree together with its canonical text.
    pub fn from_parts(text: String, tree: Value) -> Self {
        Self(Arc::new(Inner { text: text.into(), tree: OnceLock::from(tree) }))
    }

    /// Takes text that is known to be JSON, such as what the log kept.
    pub fn from_text(text: String) -> Self {
        Self(Arc::new(Inner { text: text.into(), tree: OnceLock::new() }))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The JSON tree; text that is not JSON reads as `null`.
    pub fn tree(&self) -> &Value {
        // With the reader of events: a library takes some members for its own.
        self.0
            .tree
            .get_or_init(|| json::read_event(self.0.text.as_bytes(), ALL).unwrap_or_default())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.text.len())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}
