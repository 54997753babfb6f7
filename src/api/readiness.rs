//! Whether the gateway takes work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Says whether the gateway takes work: not while it starts, and not while it drains.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Starts as not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the gateway takes work from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Relaxed);
    }

    /// Whether the gateway takes work.
    pub fn is_ready(&self) -> bool {
        self.0.load(Relaxed)
    }
}
