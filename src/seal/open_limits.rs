//! How much of a token is read.

use std::time::Duration;

use crate::event::json;

/// How much of a token is read before giving up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenLimits {
    /// The longest token, in characters.
    pub token: usize,
    /// The longest outer header, in bytes.
    pub outer_header: usize,
    /// The longest inner header, in bytes.
    pub inner_header: usize,
    /// The most that is inflated, in bytes; zero refuses compressed tokens.
    pub inflated: usize,
    /// The deepest nesting of the claims.
    pub depth: usize,
    /// How old a token may be by its `iat`; nothing: as old as its `exp` allows.
    pub age: Option<Duration>,
}

impl Default for OpenLimits {
    /// 512 KiB, 4 KiB, 2 KiB, 256,000 bytes, 80 levels, any age.
    fn default() -> Self {
        Self {
            token: 512 * 1024,
            outer_header: 4096,
            inner_header: 2048,
            inflated: 256_000,
            // An event may have 64 levels, and the claims lay some around it.
            depth: 80,
            age: None,
        }
    }
}

impl OpenLimits {
    /// The bounds of the header of the signed layer.
    pub(super) const fn of_inner_header(&self) -> json::Limits {
        json::Limits::new(self.inner_header, 8)
    }
}
