//! Whether the gateway takes work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Says whether the gateway takes work: not while it starts, not while it drains, and not while it
/// runs on something that a restart would refuse.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    ready: AtomicBool,
    troubles: Mutex<BTreeMap<Trouble, &'static str>>,
}

/// What can be lost under a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The key directory.
    Keys,
    /// The log.
    Log,
}

impl Readiness {
    /// Starts as not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the gateway takes work from now on.
    pub fn set(&self, ready: bool) {
        self.0.ready.store(ready, Relaxed);
    }

    /// Whether the gateway takes work.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Relaxed)
    }

    /// Notes what is lost, in words for anyone, or that it is there again.
    pub fn note(&self, trouble: Trouble, words: Option<&'static str>) {
        let mut troubles = self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match words {
            Some(words) => troubles.insert(trouble, words),
            None => troubles.remove(&trouble),
        };
    }

    /// What is lost, if anything is.
    pub fn trouble(&self) -> Option<&'static str> {
        let troubles = self.0.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.values().next().copied()
    }
}
