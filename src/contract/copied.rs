//! A schema on its way into the normal form.

use serde_json::{Map, Value, json};

use crate::contract::collector::SchemaScope;
use crate::contract::reference::Location;

/// A schema that is copied, and where to.
pub(super) struct Copied<'v> {
    pub(super) at: Location,
    pub(super) to: String,
    pub(super) object: &'v Map<String, Value>,
    pub(super) scope: SchemaScope,
    pub(super) depth: usize,
}

/// Adds a schema that applies to the same value.
pub(super) fn in_all_of(copy: &mut Map<String, Value>, schema: Value) {
    if let Value::Array(parts) = copy.entry("allOf").or_insert_with(|| json!([])) {
        parts.push(schema);
    }
}
