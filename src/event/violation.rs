//! How an event breaks its contract.

use serde::{Deserialize, Serialize};

/// One thing that is wrong with an event: what, where, and under which stable code.
///
/// The message names the rule and never the offending value, because values are data.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the event's data; empty for the data as a whole.
    pub pointer: String,
    /// A stable word, for example `required` or `additional-property`; listed in `docs/errors.md`.
    pub code: String,
    /// The rule that is broken, in words.
    pub message: String,
}
