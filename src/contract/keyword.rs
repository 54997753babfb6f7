//! Where schemas stand inside a draft-07 schema.

/// What the value of a keyword holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// One schema.
    Schema,
    /// A list of schemas.
    List,
    /// Schemas by name.
    Map,
    /// One schema or a list of them (`items`).
    SchemaOrList,
    /// Schemas or lists of names, by name (`dependencies`).
    Dependencies,
    /// Schemas that apply only where a reference names them.
    Definitions,
    /// No schema.
    Other,
}

/// Tells what a keyword holds.
pub(super) fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalProperties"
        | "additionalItems"
        | "contains"
        | "propertyNames"
        | "not"
        | "if"
        | "then"
        | "else" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" => Holds::List,
        "properties" | "patternProperties" => Holds::Map,
        "items" => Holds::SchemaOrList,
        "dependencies" => Holds::Dependencies,
        "definitions" | "$defs" => Holds::Definitions,
        _ => Holds::Other,
    }
}
