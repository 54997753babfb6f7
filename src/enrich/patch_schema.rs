//! The JSON Schema of a patch in a file of publications.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// An operation, or a group of operations for some events only.
pub(super) struct PatchEntry;

/// One operation of a JSON Patch.
struct OperationEntry;

impl JsonSchema for PatchEntry {
    fn schema_name() -> Cow<'static, str> {
        "PatchEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let operation = generator.subschema_for::<OperationEntry>();
        json_schema!({
            "description": "An operation, or a group of operations for the events that match its `when`.",
            "anyOf": [operation, {
                "type": "object",
                "additionalProperties": false,
                "required": ["when", "patch"],
                "properties": {
                    "when": {
                        "type": "object",
                        "additionalProperties": true,
                        "description": "An EventBridge pattern over the envelope: for which events the operations are done.",
                    },
                    "patch": {
                        "type": "array",
                        "items": operation,
                        "description": "The operations; no group stands in a group.",
                    },
                },
            }],
        })
    }
}

impl JsonSchema for OperationEntry {
    fn schema_name() -> Cow<'static, str> {
        "Operation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One operation of a JSON Patch.",
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {
                    "enum": ["add", "remove", "replace", "move", "copy", "test"],
                    "description": "What is done.",
                },
                "from": {
                    "type": "string",
                    "description": "Where the value comes from, for `move` and `copy`. One `*` stands for each item of an array.",
                },
                "path": {
                    "type": "string",
                    "description": "What is written, or tested. One `*` stands for each item of an array.",
                },
                "value": { "description": "The value, for `add`, `replace` and `test`." },
                "optional": {
                    "type": "boolean",
                    "description": "Whether a `copy`, `move` or `remove` is left out where there is nothing at its source.",
                },
                "map": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": true,
                    "description": "What a `copy` or `move` writes for each value that it finds, by the text of that value.",
                },
                "default": { "description": "What stands for every value that `map` does not know." },
            },
            // Ours are no members of other operations; those of nobody are ignored (RFC 6902, section 4).
            "allOf": [
                {
                    "if": { "properties": { "op": { "enum": ["copy", "move"] } } },
                    "then": { "required": ["from"] },
                    "else": { "properties": { "map": false, "default": false } },
                },
                {
                    "if": { "properties": { "op": { "enum": ["add", "replace", "test"] } } },
                    "then": { "required": ["value"], "properties": { "optional": false } },
                },
            ],
            "not": { "anyOf": [{ "required": ["when"] }, { "required": ["patch"] }] },
            "dependentRequired": { "default": ["map"] },
        })
    }
}
