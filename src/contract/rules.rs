//! What a schema demands of data, compiled once, and every breach of it under a stable code.

use std::sync::Arc;

use serde_json::Value;

use crate::contract::accepting::accepts;
use crate::contract::explaining;
use crate::contract::shape::Shapes;
use crate::contract::undeclared::MAX_VIOLATIONS;
use crate::event::Violation;

pub(super) use crate::contract::schema_mistake::ContractMistake;

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Rules(Arc<Shapes>);

impl Rules {
    /// Compiles a schema that stands alone.
    ///
    /// # Errors
    ///
    /// The contract's author has to change the schema.
    pub(super) fn compile(schema: &Value) -> Result<Self, ContractMistake> {
        Shapes::of(schema).map(|shapes| Self(Arc::new(shapes)))
    }

    /// The graph that it is compiled to.
    pub(super) fn shapes(&self) -> Arc<Shapes> {
        Arc::clone(&self.0)
    }

    /// Tells whether data keeps the schema.
    pub(super) fn accept(&self, data: &Value) -> bool {
        accepts(&self.0, 0, data)
    }

    /// Adds every breach of the schema, at most [`MAX_VIOLATIONS`].
    pub(super) fn explain(&self, data: &Value, violations: &mut Vec<Violation>) {
        explaining::explain(&self.0, data, violations);
        // Refused is refused, whatever is found to say about it.
        if violations.is_empty() && !self.accept(data) {
            violations.push(Violation {
                pointer: String::new(),
                code: "schema".to_owned(),
                message: "breaks a rule of the contract".to_owned(),
            });
        }
        violations.truncate(MAX_VIOLATIONS);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::format::TEXT_FORMATS;

    fn codes(schema: &Value, data: &Value) -> Vec<(String, String)> {
        let rules = Rules::compile(schema).map_err(|mistake| mistake.problem).unwrap();
        let mut violations = Vec::new();
        rules.explain(data, &mut violations);
        assert_eq!(violations.is_empty(), rules.accept(data), "{schema} {data}");
        for violation in &violations {
            assert!(!violation.message.contains("secret"), "{violation:?}");
        }
        violations.into_iter().map(|violation| (violation.code, violation.pointer)).collect()
    }

    #[test]
    fn every_rule_has_its_code_and_no_message_repeats_a_value() {
        for (schema, data, code) in [
            (json!({"type": "integer"}), json!("secret"), "type"),
            (json!({"type": ["integer", "null"]}), json!("secret"), "type"),
            (json!({"required": ["a"]}), json!({"secret": 1}), "required"),
            (json!({"additionalProperties": false}), json!({"a": "secret"}), "additional-property"),
            (json!({"enum": [1]}), json!("secret"), "enum"),
            (json!({"const": 1}), json!("secret"), "const"),
            (json!({"minimum": 3}), json!(2), "minimum"),
            (json!({"maximum": 3}), json!(4), "maximum"),
            (json!({"exclusiveMinimum": 3}), json!(3), "exclusive-minimum"),
            (json!({"exclusiveMaximum": 3}), json!(3), "exclusive-maximum"),
            (json!({"multipleOf": 3}), json!(4), "multiple-of"),
            (json!({"minLength": 9}), json!("secret"), "min-length"),
            (json!({"maxLength": 1}), json!("secret"), "max-length"),
            (json!({"pattern": "^x"}), json!("secret"), "pattern"),
            (json!({"format": "date"}), json!("secret"), "format"),
            (json!({"format": "uuid"}), json!("secret"), "format"),
            (json!({"minItems": 2}), json!(["secret"]), "min-items"),
            (json!({"maxItems": 0}), json!(["secret"]), "max-items"),
            (json!({"uniqueItems": true}), json!(["secret", "secret"]), "unique-items"),
            (json!({"contains": {"type": "null"}}), json!(["secret"]), "contains"),
            (json!({"contains": {}, "minContains": 2}), json!(["secret"]), "min-contains"),
            (
                json!({"contains": {}, "maxContains": 0, "minContains": 0}),
                json!(["secret"]),
                "max-contains",
            ),
            (json!({"items": false}), json!(["secret"]), "additional-item"),
            (
                json!({"prefixItems": [true], "unevaluatedItems": false}),
                json!([1, "secret"]),
                "unevaluated-item",
            ),
            (
                json!({"properties": {"b": true}, "unevaluatedProperties": false}),
                json!({"a": "secret", "b": 1}),
                "additional-property",
            ),
            (
                json!({"dependentRequired": {"a": ["b"]}}),
                json!({"a": "secret"}),
                "dependent-required",
            ),
            (json!({"dependentSchemas": {"a": false}}), json!({"a": "secret"}), "forbidden"),
            (
                json!({"prefixItems": [true], "items": false}),
                json!([1, "secret"]),
                "additional-item",
            ),
            (json!({"minProperties": 2}), json!({"secret": 1}), "min-properties"),
            (json!({"maxProperties": 0}), json!({"secret": 1}), "max-properties"),
            (json!({"propertyNames": {"maxLength": 1}}), json!({"secret": 1}), "property-name"),
            (json!({"anyOf": [{"type": "null"}, {"const": 1}]}), json!("secret"), "any-of"),
            (json!({"oneOf": [{"type": "null"}, {"const": 1}]}), json!("secret"), "one-of"),
            (json!({"oneOf": [{}, {}]}), json!("secret"), "one-of"),
            (json!({"not": {}}), json!("secret"), "not"),
            (json!(false), json!("secret"), "forbidden"),
        ] {
            let found = codes(&schema, &data);
            assert_eq!(found.len(), 1, "{schema}: {found:?}");
            assert_eq!(found[0].0, code, "{schema}");
        }
    }

    #[test]
    fn an_undeclared_member_is_named_by_its_own_pointer() {
        let schema = json!({"properties": {"a": {"additionalProperties": false}}});

        let found = codes(&schema, &json!({"a": {"x/y": 1}}));
        assert_eq!(found, [("additional-property".to_owned(), "/a/x~1y".to_owned())]);
    }

    #[test]
    fn integer_formats_are_ranges() {
        for (format, inside, outside) in [
            ("int32", json!(-2_147_483_648_i64), json!(2_147_483_648_i64)),
            ("int32", json!(2_147_483_647), json!(1.5)),
            ("int64", json!(i64::MIN), json!(u64::MAX)),
            ("int64", json!(i64::MAX), json!(9.3e18)),
            ("int32", json!("no number"), json!(-2_147_483_649_i64)),
        ] {
            let schema = json!({ "format": format });
            assert!(codes(&schema, &inside).is_empty(), "{format} {inside}");
            assert_eq!(codes(&schema, &outside)[0].0, "format", "{format} {outside}");
        }
    }

    #[test]
    fn every_listed_format_is_checked_and_others_are_annotations() {
        for format in TEXT_FORMATS {
            assert!(
                !codes(&json!({ "format": format }), &json!("\u{0}{ %")).is_empty(),
                "{format}"
            );
            assert!(codes(&json!({ "format": format }), &json!(1)).is_empty(), "{format}");
        }
        for format in ["regex", "password", "binary", "float", "anything"] {
            assert!(codes(&json!({ "format": format }), &json!("(")).is_empty(), "{format}");
        }
    }

    #[test]
    fn patterns_without_linear_time_and_schemas_that_are_none_are_refused_at_their_place() {
        let refused = |schema: Value| Rules::compile(&schema).err().unwrap();

        for (schema, pointer, problem, help) in [
            (json!({"pattern": "(?=a)b"}), "/pattern", "a look-ahead", "linear time"),
            (
                json!({"items": {"pattern": "(a)\\1"}}),
                "/items/pattern",
                "a back-reference",
                "linear",
            ),
            (json!({"pattern": "^((ab){100}){100}$"}), "/pattern", "too large", "less often"),
            (
                json!({"patternProperties": {"(": {}}}),
                "/patternProperties/(",
                "a group that is not closed",
                "flag `u`",
            ),
        ] {
            let mistake = refused(schema);
            assert_eq!(mistake.pointer, pointer);
            assert!(mistake.problem.contains(problem), "{}", mistake.problem);
            assert!(mistake.help.unwrap().contains(help), "{pointer}");
        }
    }

    #[test]
    fn a_keyword_with_a_wrong_value_is_refused_in_our_own_words() {
        for (schema, pointer, problem) in [
            (json!(7), "", "a schema is an object, `true` or `false`"),
            (
                json!({"properties": {"a": {"type": "strin"}}}),
                "/properties/a/type",
                "`strin` is no type",
            ),
            (json!({"type": []}), "/type", "the name of a type, or a list"),
            (json!({"properties": []}), "/properties", "a mapping from names to schemas"),
            (json!({"items": [{}]}), "/items", "a schema is an object"),
            (json!({"prefixItems": []}), "/prefixItems", "a list of at least one schema"),
            (json!({"allOf": {}}), "/allOf", "a list of at least one schema"),
            (json!({"enum": []}), "/enum", "a list of at least one value"),
            (json!({"minLength": -1}), "/minLength", "a whole number from 0 upwards"),
            (json!({"maxItems": 1.5}), "/maxItems", "a whole number from 0 upwards"),
            (json!({"contains": {}, "minContains": "1"}), "/minContains", "a whole number"),
            (json!({"minimum": "1"}), "/minimum", "`minimum` takes a number"),
            (json!({"exclusiveMinimum": true}), "/exclusiveMinimum", "takes a number"),
            (json!({"multipleOf": 0}), "/multipleOf", "greater than 0"),
            (json!({"uniqueItems": 1}), "/uniqueItems", "`true` or `false`"),
            (json!({"required": "a"}), "/required", "a list of names of members"),
            (json!({"dependentRequired": {"a": 1}}), "/dependentRequired", "list of names"),
            (json!({"pattern": 1}), "/pattern", "takes a text"),
            (json!({"format": 1}), "/format", "takes a text"),
            (json!({"$ref": "#/$defs/a"}), "/$ref", "leads nowhere"),
            (
                json!({"$defs": {"a": {"not": 1}}, "$ref": "#/$defs/a"}),
                "/$defs/a/not",
                "a schema is",
            ),
            (json!({"dependencies": {}}), "/dependencies", "has no place"),
        ] {
            let mistake = Rules::compile(&schema).err().unwrap();
            assert_eq!(mistake.pointer, pointer, "{schema}");
            assert!(mistake.problem.contains(problem), "{schema}: {}", mistake.problem);
        }
        let lax = json!({"minLength": 2.0, "maxItems": 1e2, "type": ["string", "array"]});
        assert_eq!(codes(&lax, &json!("x"))[0].0, "min-length");
    }

    #[test]
    fn breaches_beyond_a_bounded_number_are_not_listed() {
        let data: Vec<Value> = vec![json!("x"); 500];

        assert_eq!(codes(&json!({"items": {"type": "null"}}), &json!(data)).len(), MAX_VIOLATIONS);
    }
}
