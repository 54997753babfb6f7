//! Which text of a contract is wanted.

use serde::Deserialize;
use utoipa::IntoParams;

/// Which text of a contract; without any, the one of now.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ContractQuery {
    /// The first text of this version of the contract (`info.version`) that an event was made of; where
    /// there is none yet, the one of now, if it has that version.
    pub version: Option<String>,
    /// The text with this SHA-256 in hex, as schemas link to it.
    pub sha256: Option<String>,
}
