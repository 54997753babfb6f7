//! Why a gateway could not be built.

use std::io::ErrorKind;

use crate::access::AccessError;
use crate::config::SecretError;
use crate::deliver::SubscriptionServiceError;
use crate::egress::TlsError;
use crate::event::{Blame, Diagnostic, Fault};
use crate::eventlog::{self, LogOpenError};
use crate::gateway::log_checkpoint::{CheckpointError, LogUnconfirmed};
use crate::gateway::missing_log::MissingLog;
use crate::jobs;
use crate::keys::{LogIssuerError, LogKeysError, LostKeys, RingError, StoreError};
use crate::subscriptions::SubscriptionError;

/// Why a gateway could not be built; each text says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting is out of range.
    #[error("the settings cannot work: {0}")]
    Settings(String),
    /// A secret is not where the settings say.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Contracts or publications have mistakes.
    #[error("{}", shown(.0))]
    Documents(Vec<Diagnostic>),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogOpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] eventlog::LogError),
    /// The key files cannot be opened.
    #[error(transparent)]
    KeyFiles(#[from] StoreError),
    /// The key ring cannot be used.
    #[error(transparent)]
    Keys(#[from] RingError),
    /// The keys are not those of the log.
    #[error(transparent)]
    LostKeys(#[from] LostKeys),
    /// The log does not tell its keys.
    #[error(transparent)]
    LogKeys(#[from] LogKeysError),
    /// The gateway was called otherwise.
    #[error(transparent)]
    LogIssuer(#[from] LogIssuerError),
    /// The log is not the one that was left.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log may not be gone on with.
    #[error(transparent)]
    Unconfirmed(#[from] LogUnconfirmed),
    /// There is no log, and there was one.
    #[error(transparent)]
    MissingLog(#[from] MissingLog),
    /// Who may hear what cannot be read or written.
    #[error("cannot read or keep who may hear what")]
    Access(#[from] AccessError),
    /// Who hears what now cannot be read.
    #[error("cannot read the subscriptions")]
    Subscriptions(#[source] SubscriptionError),
    /// The HTTP client cannot be made.
    #[error("cannot make the HTTP client")]
    Client(#[source] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}", why_not_listening(.source))]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What was in flight cannot be resumed.
    #[error("cannot take up the subscriptions")]
    Resume(#[from] SubscriptionServiceError),
    /// What was in flight cannot be resumed.
    #[error("cannot take up the replays")]
    Replays(#[from] jobs::JobError),
}

impl Blame for BuildError {
    fn fault(&self) -> Fault {
        match self {
            Self::Client(_) | Self::Resume(_) | Self::Replays(_) => Fault::Ours,
            Self::Log(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::KeyFiles(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::LogKeys(error) => error.fault(),
            Self::LogIssuer(error) => error.fault(),
            Self::Checkpoint(error) => error.fault(),
            Self::MissingLog(error) => error.fault(),
            Self::Access(error) => error.fault(),
            Self::Subscriptions(error) => error.fault(),
            _ => Fault::Caller,
        }
    }
}

/// Why an address cannot be listened on, and what to do.
pub fn why_not_listening(source: &std::io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port",
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address; use one of its own, or 0.0.0.0 or [::] for all of them"
        }
        ErrorKind::PermissionDenied => {
            "this process may not use that port; choose one from 1024 on, or give it the right"
        }
        _ => "choose another address",
    }
}

fn shown(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_address_that_cannot_be_listened_on_is_told_with_its_own_reason() {
        let told = |kind: ErrorKind| {
            let source = io::Error::from(kind);
            BuildError::Listen { address: "192.0.2.1:80".into(), source }.to_string()
        };
        for (kind, words) in [
            (ErrorKind::AddrInUse, "another program listens there"),
            (ErrorKind::AddrNotAvailable, "this machine has no such address"),
            (ErrorKind::PermissionDenied, "may not use that port"),
            (ErrorKind::Other, "choose another address"),
        ] {
            let told = told(kind);
            assert!(told.starts_with("cannot listen on 192.0.2.1:80: "), "{told}");
            let others = ["another program", "no such address", "may not use"];
            let is_told = others.iter().filter(|other| told.contains(**other)).count();
            assert!(told.contains(words) && is_told <= 1, "{told}");
        }
    }
}
