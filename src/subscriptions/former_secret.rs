//! A shared secret that was replaced and is good for a while beside the new one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;

/// A shared secret that was replaced, encrypted, and until when it is good.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FormerSecret {
    /// The secret, as it was kept.
    pub sealed: String,
    /// Until when tokens may be made with it.
    pub until: Timestamp,
}

/// Shows nothing of the secret, not even encrypted.
impl fmt::Debug for FormerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormerSecret(until {})", self.until)
    }
}
