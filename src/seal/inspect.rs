//! What anyone who sees a token can read of it.

use serde_json::Value;

use crate::event::json;
use crate::seal::{OpenError, OpenLimits, text};

/// Reads the outer header of a token. Nothing of it is to be believed: no key is involved.
///
/// # Errors
///
/// The caller's turn: the text is not a token in compact form.
pub fn inspect(token: &str) -> Result<Value, OpenError> {
    let limits = OpenLimits::default();
    let header = text::parts::<5>(token, limits.token).and_then(|[protected, ..]| {
        text::object(protected, json::Limits::new(limits.outer_header, 8))
    });
    header.map(Value::Object).ok_or(OpenError(None))
}
