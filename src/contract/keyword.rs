//! The words of schemas: what each holds, and which dialects know it.

use crate::contract::dialect::Dialect;
use crate::event::nearest;

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

/// What a keyword is to the dialect of the schema in which it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeywordStanding {
    /// It demands something of data, or finds a schema.
    Applied,
    /// It says something to people and programs, and demands nothing.
    Annotation,
    /// It says how a text is encoded, which is not checked.
    Unchecked,
    /// Another dialect knows it; what to write here.
    Foreign(&'static str),
    /// No dialect knows it; the known word that is most like it.
    Unknown(Option<&'static str>),
}

/// Words that demand something of data or find a schema, in one dialect or another.
const APPLIED: [&str; 52] = [
    "$anchor",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "discriminator",
    "else",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "then",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Words that say something to people and programs.
const ANNOTATIONS: [&str; 13] = [
    "$comment",
    "$vocabulary",
    "default",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "id",
    "readOnly",
    "title",
    "writeOnly",
    "xml",
];

/// Words about what is encoded in a text.
const CONTENT: [&str; 3] = ["contentEncoding", "contentMediaType", "contentSchema"];

/// Tells what a keyword is in a dialect. Words that begin with `x-` are everyone's own.
pub(super) fn standing(keyword: &str, dialect: Dialect) -> KeywordStanding {
    match (keyword, dialect) {
        // Words of the past that people still write; no dialect that is read has them.
        ("divisibleBy", _) => KeywordStanding::Foreign("write `multipleOf`"),
        ("extends", _) => KeywordStanding::Foreign("write `allOf`"),
        ("additionalItems", Dialect::Draft202012) => KeywordStanding::Foreign(
            "write the first items under `prefixItems` and the rest under `items`",
        ),
        ("nullable", Dialect::AsyncApi | Dialect::OpenApi30)
        | ("$recursiveRef" | "$recursiveAnchor", Dialect::Draft201909)
        | ("$dynamicRef" | "$dynamicAnchor", Dialect::Draft202012) => KeywordStanding::Applied,
        ("nullable", _) => KeywordStanding::Foreign("write `type: [string, 'null']`"),
        ("$recursiveRef" | "$recursiveAnchor", _) => {
            KeywordStanding::Foreign("write `$ref`, or `$dynamicRef` in JSON Schema 2020-12")
        }
        ("$dynamicRef" | "$dynamicAnchor", _) => KeywordStanding::Foreign(
            "write `$ref`, or say `$schema: https://json-schema.org/draft/2020-12/schema`",
        ),
        _ if keyword.starts_with("x-") || ANNOTATIONS.contains(&keyword) => {
            KeywordStanding::Annotation
        }
        _ if CONTENT.contains(&keyword) => KeywordStanding::Unchecked,
        _ if APPLIED.contains(&keyword) => KeywordStanding::Applied,
        _ => KeywordStanding::Unknown(nearest(keyword, APPLIED.into_iter().chain(ANNOTATIONS))),
    }
}

/// Tells what a keyword holds.
pub(super) fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalProperties"
        | "additionalItems"
        | "contains"
        | "contentSchema"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "not"
        | "if"
        | "then"
        | "else" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "properties" | "patternProperties" | "dependentSchemas" => Holds::Map,
        "items" => Holds::SchemaOrList,
        "dependencies" => Holds::Dependencies,
        "definitions" | "$defs" => Holds::Definitions,
        _ => Holds::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_no_dialect_knows_is_told_with_the_nearest_one() {
        for (word, meant) in [
            ("minlength", Some("minLength")),
            ("Required", Some("required")),
            ("additionalproperties", Some("additionalProperties")),
            ("dependantRequired", Some("dependentRequired")),
            ("zebra", None),
        ] {
            for dialect in [Dialect::AsyncApi, Dialect::Draft4, Dialect::Draft202012] {
                assert_eq!(standing(word, dialect), KeywordStanding::Unknown(meant), "{word}");
            }
        }
        assert_eq!(standing("x-minlength", Dialect::Draft7), KeywordStanding::Annotation);
        for (word, past) in [("divisibleby", "divisibleBy"), ("extend", "extends")] {
            let told = standing(word, Dialect::Draft7);
            assert!(
                matches!(told, KeywordStanding::Unknown(meant) if meant != Some(past)),
                "{told:?}"
            );
            assert!(
                matches!(standing(past, Dialect::Draft7), KeywordStanding::Foreign(_)),
                "{past}"
            );
        }
    }

    #[test]
    fn a_word_of_another_dialect_is_applied_only_where_it_contradicts_nothing() {
        assert_eq!(standing("dependentRequired", Dialect::Draft7), KeywordStanding::Applied);
        assert_eq!(standing("nullable", Dialect::AsyncApi), KeywordStanding::Applied);
        for (word, dialect) in [
            ("nullable", Dialect::Draft202012),
            ("additionalItems", Dialect::Draft202012),
            ("$recursiveRef", Dialect::Draft202012),
            ("$dynamicRef", Dialect::Draft201909),
        ] {
            assert!(matches!(standing(word, dialect), KeywordStanding::Foreign(_)), "{word}");
        }
    }
}
