//! What is told of a caller, what of it can be changed, and why that fails.

use serde::Serialize;

use crate::api::Scope;
use crate::event::{Blame, CallerId, Fault, Timestamp};
use crate::eventlog;

/// What may be told about a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerRecord {
    /// The caller's name.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was added.
    pub added: Timestamp,
    /// When its credentials end; nothing: never by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When it was seen last, to within minutes; nothing: not since this is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<Timestamp>,
    /// Until when the key is good that it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_key_until: Option<Timestamp>,
    /// When it was seen last with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_key_last_use: Option<Timestamp>,
    /// Whether it was made before scopes named sources and data, and keeps what `publish` and `operate`
    /// allowed then: its scopes are to be given again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbound: bool,
}

/// Why callers cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The name is taken.
    #[error("there is a caller `{0}` already; remove it first, or choose another name")]
    Exists(CallerId),
    /// There is no such caller.
    #[error("there is no caller `{0}`")]
    Unknown(CallerId),
    /// The registry holds something that is not a caller.
    #[error("the registry's document of caller `{id}` is damaged")]
    Damaged {
        /// The caller's name.
        id: String,
        /// What its reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The registry failed.
    #[error("cannot read or write callers")]
    Registry(#[source] eventlog::LogError),
}

impl Blame for CallerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Exists(_) | Self::Unknown(_) => Fault::Caller,
            Self::Damaged { .. } => Fault::Ours,
            Self::Registry(error) => error.fault(),
        }
    }
}

/// What of a caller is changed; what is not given stays.
#[derive(Clone, Debug, Default)]
pub struct CallerChange {
    /// What it may do from now on.
    pub scopes: Option<Vec<Scope>>,
    /// When its credentials end, or that they do not.
    pub until: Option<Option<Timestamp>>,
}
