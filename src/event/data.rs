//! What an event is about: JSON text, and the tree that it was made from until that is needed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::event::json;

/// The log keeps only what was read within the bounds of its day.
const ALL: json::Limits = json::Limits::new(usize::MAX, 1000);

/// The CloudEvents `data`: canonical JSON text (RFC 8785).
///
/// The tree that it was made from is kept for one who needs it, which is mostly whoever routes the event;
/// then it is gone, since it takes many times the memory of its text. Cloning shares both. `Debug` shows the
/// size only, because data never reaches a log.
#[derive(Clone)]
pub struct Data(Arc<Inner>);

struct Inner {
    text: Box<str>,
    tree: Mutex<Option<Value>>,
}

impl Data {
    /// Takes a tree together with its canonical text.
    pub fn from_parts(text: impl Into<Box<str>>, tree: Value) -> Self {
        Self(Arc::new(Inner { text: text.into(), tree: Mutex::new(Some(tree)) }))
    }

    /// Takes text that is known to be JSON, such as what the log kept.
    pub fn from_text(text: String) -> Self {
        Self(Arc::new(Inner { text: text.into(), tree: Mutex::new(None) }))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The JSON tree: the one that the text was made from, if nobody has taken it yet, and otherwise read
    /// again. Text that is not JSON reads as `null`.
    pub fn to_tree(&self) -> Value {
        let kept = self.0.tree.lock().unwrap_or_else(PoisonError::into_inner).take();
        // With the reader of events: a library takes some members for its own.
        kept.unwrap_or_else(|| json::read_event(self.text().as_bytes(), ALL).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tree_is_the_same_however_often_it_is_asked_for() {
        let tree = json!({"a": [1, "b"], "c": null});
        for data in
            [Data::from_parts(tree.to_string(), tree.clone()), Data::from_text(tree.to_string())]
        {
            let shared = data.clone();
            assert_eq!(data.to_tree(), tree);
            assert_eq!(shared.to_tree(), tree);
            assert_eq!(data.to_tree(), tree);
        }
        assert_eq!(Data::from_text("no JSON".to_owned()).to_tree(), json!(null));
    }
}
