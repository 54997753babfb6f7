//! What a schema demands of data, compiled once, and every breach of it under a stable code.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::contract::bounds::{BOUNDS, SizeBound};
use crate::contract::pointer;
use crate::event::{NumericValue, Violation};

/// Bytes that one compiled `pattern` may take.
const MAX_PATTERN: usize = 1024 * 1024;

/// Violations that are reported for one event; more help nobody.
pub(super) const MAX_VIOLATIONS: usize = 64;

/// Formats of text that are checked; every other one is an annotation. `regex` is left out: to
/// check it is to compile a pattern that a producer chose.
pub(super) const TEXT_FORMATS: [&str; 16] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Rules(Validator);

/// Why a schema cannot be compiled, and the pointer of the part of it that is wrong.
pub(super) struct ContractMistake {
    pub(super) pointer: String,
    pub(super) problem: String,
}

impl Rules {
    /// Compiles a schema that stands alone.
    pub(super) fn compile(schema: &Value) -> Result<Self, ContractMistake> {
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .with_keyword("format", |_, format, _| Ok(format_check(format)));
        BOUNDS
            .into_iter()
            .fold(options, |options, keyword| {
                options.with_keyword(keyword, move |_, limit, _| {
                    Ok(Box::new(SizeBound::new(keyword, limit)) as Check)
                })
            })
            .build(schema)
            .map(Self)
            .map_err(|error| ContractMistake {
                pointer: error.instance_path().to_string(),
                problem: error.to_string().chars().take(200).collect(),
            })
    }

    /// Tells whether data keeps the schema.
    pub(super) fn accept(&self, data: &Value) -> bool {
        self.0.is_valid(data)
    }

    /// Adds every breach of the schema, at most [`MAX_VIOLATIONS`].
    pub(super) fn explain(&self, data: &Value, violations: &mut Vec<Violation>) {
        for error in self.0.iter_errors(data).take(MAX_VIOLATIONS) {
            add(&error, data, violations);
        }
        // Refused is refused, whatever the crate finds to say about it.
        if violations.is_empty() && !self.accept(data) {
            let (code, message) = describe(&ValidationErrorKind::FalseSchema);
            violations.push(Violation { pointer: String::new(), code: code.to_owned(), message });
        }
        violations.truncate(MAX_VIOLATIONS);
    }
}

fn add(error: &ValidationError<'_>, data: &Value, violations: &mut Vec<Violation>) {
    let pointer = error.instance_path().to_string();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let undeclared = |name: &String| undeclared(pointer::join(&pointer, name));
        violations.extend(unexpected.iter().map(undeclared));
        return;
    }
    // An object that declares nothing and closes itself is refused as a whole by the crate, with
    // one of its members as the instance.
    let closed = error.schema_path().to_string().ends_with("/additionalProperties");
    if closed && matches!(error.kind(), ValidationErrorKind::FalseSchema) {
        let members = data.pointer(&pointer).and_then(Value::as_object);
        let names = members.into_iter().flat_map(|members| members.keys());
        violations.extend(names.map(|name| undeclared(pointer::join(&pointer, name))));
        return;
    }
    let (code, message) = describe(error.kind());
    violations.push(Violation { pointer, code: code.to_owned(), message });
}

/// The violation that every way of finding an undeclared member reports.
pub(super) fn undeclared(pointer: String) -> Violation {
    let message = "the contract does not declare this member".to_owned();
    Violation { pointer, code: "additional-property".to_owned(), message }
}

/// The code and the rule in words: texts of the schema may appear, values of the data never.
fn describe(kind: &ValidationErrorKind) -> (&'static str, String) {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind } => ("type", format!("must be {}", type_names(kind))),
        Kind::Required { property } => {
            ("required", format!("`{}` is required", property.as_str().unwrap_or_default()))
        }
        Kind::Enum { .. } => ("enum", "must be one of the values that the contract lists".into()),
        Kind::Constant { .. } => ("const", "must be the value that the contract fixes".into()),
        Kind::MinLength { limit } => {
            ("min-length", format!("must have at least {limit} characters"))
        }
        Kind::MaxLength { limit } => {
            ("max-length", format!("must have at most {limit} characters"))
        }
        Kind::Pattern { pattern } => ("pattern", format!("must match `{pattern}`")),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            ("pattern", "cannot be held against its pattern".into())
        }
        Kind::Format { format } => ("format", format!("must be a valid `{format}`")),
        Kind::Custom { keyword, message } => (own_code(keyword), message.clone()),
        Kind::MinItems { limit } => ("min-items", format!("must have at least {limit} items")),
        Kind::MaxItems { limit } => ("max-items", format!("must have at most {limit} items")),
        Kind::UniqueItems => ("unique-items", "must not repeat an item".into()),
        Kind::Contains => ("contains", "must contain an item that the contract asks for".into()),
        Kind::AdditionalItems { limit } => {
            ("additional-item", format!("must have no items after the first {limit}"))
        }
        Kind::MinProperties { limit } => {
            ("min-properties", format!("must have at least {limit} members"))
        }
        Kind::MaxProperties { limit } => {
            ("max-properties", format!("must have at most {limit} members"))
        }
        Kind::PropertyNames { .. } => {
            ("property-name", "has a member whose name the contract does not allow".into())
        }
        Kind::AnyOf { .. } => ("any-of", "must match one of the contract's alternatives".into()),
        Kind::OneOfNotValid { .. } => (
            "one-of",
            "must match exactly one of the contract's alternatives, and matches none".into(),
        ),
        Kind::OneOfMultipleValid { .. } => (
            "one-of",
            "must match exactly one of the contract's alternatives, and matches several".into(),
        ),
        Kind::Not { .. } => ("not", "must not match what the contract excludes".into()),
        Kind::FalseSchema => ("forbidden", "is not allowed here".into()),
        Kind::ContentEncoding { .. } | Kind::FromUtf8 { .. } => {
            ("content-encoding", "must be encoded as the contract says".into())
        }
        Kind::ContentMediaType { .. } => {
            ("content-media-type", "must be of the media type that the contract says".into())
        }
        _ => ("schema", "breaks a rule of the contract".into()),
    }
}

/// The code of a keyword that this room judges itself.
fn own_code(keyword: &str) -> &'static str {
    const CODES: [(&str, &str); 6] = [
        ("format", "format"),
        ("minimum", "minimum"),
        ("maximum", "maximum"),
        ("exclusive-minimum", "exclusiveMinimum"),
        ("exclusive-maximum", "exclusiveMaximum"),
        ("multiple-of", "multipleOf"),
    ];
    let found = CODES.into_iter().find(|(_, of)| *of == keyword);
    found.map_or("schema", |(code, _)| code)
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

type Check = Box<dyn for<'i> Keyword<'i>>;

/// The check behind a `format`.
fn format_check(format: &Value) -> Check {
    match format.as_str() {
        Some("int32") => Integer::boxed("int32", i32::MIN.into(), i32::MAX.into()),
        Some("int64") => Integer::boxed("int64", i64::MIN, i64::MAX),
        Some(name) if TEXT_FORMATS.contains(&name) => {
            // The newest draft knows all formats; the schema around stays draft-07.
            let alone = serde_json::json!({ "format": name });
            let built = jsonschema::options()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(true)
                .build(&alone);
            match built {
                Ok(validator) => Box::new(TextFormat { name: name.to_owned(), validator }),
                Err(_) => Box::new(Annotation),
            }
        }
        _ => Box::new(Annotation),
    }
}

/// A format that says nothing about validity.
struct Annotation;

impl Keyword<'_> for Annotation {
    fn validate(&self, _: &Value) -> Result<(), ValidationError<'static>> {
        Ok(())
    }

    fn is_valid(&self, _: &Value) -> bool {
        true
    }
}

/// `int32` and `int64`: a whole number in a range; other types are none of its business.
struct Integer {
    format: &'static str,
    least: NumericValue,
    greatest: NumericValue,
}

impl Integer {
    fn boxed(format: &'static str, least: i64, greatest: i64) -> Check {
        Box::new(Self { format, least: least.into(), greatest: greatest.into() })
    }
}

impl<'i> Keyword<'i> for Integer {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("must be a valid `{}`", self.format)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        match instance {
            Value::Number(number) => NumericValue::of(number.as_str()).is_some_and(|number| {
                number.is_whole() && (&self.least..=&self.greatest).contains(&&number)
            }),
            _ => true,
        }
    }
}

struct TextFormat {
    name: String,
    validator: Validator,
}

impl<'i> Keyword<'i> for TextFormat {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.validator.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("must be a valid `{}`", self.name)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.validator.is_valid(instance)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            (
                json!({"items": [true], "additionalItems": false}),
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

        refused(json!({"pattern": "(?=a)b"}));
        refused(json!({"pattern": "(a)\\1"}));
        refused(json!({"pattern": "a{1000}{1000}{1000}"}));
        let mistake = refused(json!({"properties": {"a": {"type": "strin"}}}));
        assert_eq!(mistake.pointer, "/properties/a/type");
    }

    #[test]
    fn breaches_beyond_a_bounded_number_are_not_listed() {
        let data: Vec<Value> = vec![json!("x"); 500];

        assert_eq!(codes(&json!({"items": {"type": "null"}}), &json!(data)).len(), MAX_VIOLATIONS);
    }
}
