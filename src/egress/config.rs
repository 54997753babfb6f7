//! Which addresses may be dialed beyond the public ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::egress::Network;

/// Which addresses may be dialed: of sinks, and where consumers' key sets are fetched from.
///
/// Public addresses may be, over https; every special-purpose range (loopback, private, link-local,
/// …) is refused unless `allow` opens it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Special-purpose ranges that may be dialed all the same, such as `10.20.0.0/16`. A cloud's
    /// metadata service is opened by an entry of its one address only, never by a range around it.
    pub allow: Vec<Network>,
    /// Ranges that may be dialed over plain http, too. It opens no range that `allow` has to open.
    pub plain_http: Vec<Network>,
    /// Ranges that are never dialed, whatever `allow` says.
    pub block: Vec<Network>,
}

impl EgressConfig {
    /// Opens this machine itself, over plain http too: for demos and tests.
    pub fn loopback() -> Self {
        let local = vec![Network::LOOPBACK_4, Network::LOOPBACK_6];
        Self { allow: local.clone(), plain_http: local, block: Vec::new() }
    }
}
