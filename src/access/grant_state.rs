//! Where a grant stands.

use std::fmt;

use serde::Serialize;

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// It has not begun.
    Planned,
    /// It holds.
    Active,
    /// Its time is over.
    Expired,
    /// Someone took it back.
    Recalled,
}

impl fmt::Display for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
        })
    }
}
