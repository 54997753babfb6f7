//! Why a bundle could not be put in its place.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::event::{Blame, Fault};
use crate::eventlog::LogError;

/// Why a bundle could not be put in its place, in words for operators; none of them names a credential.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something else has the name.
    #[error("something else is there already under the name {0}")]
    Taken(String),
    /// The bundle that waits to be put in its place is not there any more.
    #[error("the bundle is gone that was to be put in its place")]
    SpoolGone,
    /// There are no credentials.
    #[error("credentials for the bucket cannot be had")]
    Credentials(#[source] Box<dyn Error + Send + Sync>),
    /// The request could not be made.
    #[error("a request to the bucket cannot be made")]
    Request(#[source] Box<dyn Error + Send + Sync>),
    /// The service was not reached.
    #[error("the bucket cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// The service said no.
    #[error("the bucket's service answered {status}{}", code.as_deref().map_or_else(String::new, |code| format!(" ({code})")))]
    Refused {
        /// With which status.
        status: u16,
        /// The service's own word.
        code: Option<String>,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log holds a state that is none.
    #[error("the log says in a way that this sealway does not know how far bundles have come")]
    Damaged(#[source] serde_json::Error),
}

impl Blame for ArchiveError {
    fn fault(&self) -> Fault {
        match self {
            Self::Log(error) => error.fault(),
            Self::Damaged(_) => Fault::Ours,
            _ => Fault::Later,
        }
    }
}

impl ArchiveError {
    /// For what was attempted on a path.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
