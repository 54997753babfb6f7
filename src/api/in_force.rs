//! What a process runs with, as it is told to operators.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::event::Timestamp;

/// What a gateway runs with at the moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// Since when it has been in force: the start, or the last reload that was applied.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The digests, to compare gateways and files by.
    pub digests: InForceDigests,
    /// How many of each there are.
    pub counts: InForceCounts,
    /// The settings as their file says them, with the defaults of what it leaves out. It says where secrets
    /// are kept, and holds none.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// What the command line or a variable says in place of a setting.
    #[schema(value_type = Object)]
    pub command_line: Value,
    /// Settings that their file says otherwise since the last reload, and that need a restart.
    pub need_restart: Vec<String>,
    /// What came of the last reload; null if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<ReloadTold>,
}

/// SHA-256 digests as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InForceDigests {
    /// Of `settings`, in the canonical form of RFC 8785.
    pub settings: String,
    /// Of the files of contracts.
    pub contracts: String,
    /// Of the files of publications.
    pub publications: String,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InForceCounts {
    /// Contracts.
    pub contracts: usize,
    /// Publications.
    pub publications: usize,
}

/// What came of a reload.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReloadTold {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `applied`, or `refused`: then everything has stayed as it was.
    pub outcome: &'static str,
    /// What was added, changed and removed.
    pub changes: Vec<String>,
    /// Why it was refused: each mistake with its file and line.
    pub mistakes: Vec<String>,
}
