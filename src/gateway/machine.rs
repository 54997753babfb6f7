//! What the machine gives a gateway.

use std::sync::Arc;

use crate::ambient::{Clock, Disk, Entropy, SystemClock, SystemDisk, SystemEntropy, Tasks};

/// What the machine gives a gateway; a test gives it another clock and other entropy.
#[derive(Clone)]
pub struct Machine {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// How much room its disks have.
    pub disk: Arc<dyn Disk>,
    /// Background work.
    pub tasks: Tasks,
}

impl Default for Machine {
    /// The machine as it is.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            disk: Arc::new(SystemDisk),
            tasks: Tasks::new(),
        }
    }
}
