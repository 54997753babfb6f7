//! What a schema demands of data, compiled once, and every breach of it under a stable code.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::contract::pointer;
use crate::event::Violation;

/// Bytes that one compiled `pattern` may take.
const MAX_PATTERN: usize = 1024 * 1024;

/// Violations that are reported for one event; more help nobody.
pub(super) const MAX_VIOLATIONS: usize = 64;

/// Formats of text that are checked; every other one is an annotation. `regex` is left out: to
/// check it is to compile a pattern that a producer chose.
pub(super) const TEXT_FORMATS: [&str; 18] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
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
    "password",
];

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Rules(Validator);

/// Why a schema cannot be compiled, and the pointer of the part of it that is wrong.
pub(super) struct Mistake {
    pub(super) pointer: String,
    pub(super) problem: String,
}

impl Rules {
    /// Compiles a schema that stands alone.
    pub(super) fn compile(schema: &Value) -> Result<Self, Mistake> {
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        jsonschema::options()
            .with_draft(Draft::Draft7)
            .with_pattern_options(patterns)
            .with_keyword("format", |_, format, _| Ok(format_check(format)))
            .build(schema)
            .map(Self)
            .map_err(|error| Mistake {
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
            add(&error, violations);
        }
        violations.truncate(MAX_VIOLATIONS);
    }
}

fn add(error: &ValidationError<'_>, violations: &mut Vec<Violation>) {
    let pointer = error.instance_path().to_string();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let undeclared = |name: &String| undeclared(pointer::join(&pointer, name));
        violations.extend(unexpected.iter().map(undeclared));
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
        Kind::Minimum { limit } => ("minimum", format!("must be at least {limit}")),
        Kind::Maximum { limit } => ("maximum", format!("must be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => {
            ("exclusive-minimum", format!("must be greater than {limit}"))
        }
        Kind::ExclusiveMaximum { limit } => {
            ("exclusive-maximum", format!("must be less than {limit}"))
        }
        Kind::MultipleOf { multiple_of } => {
            ("multiple-of", format!("must be a multiple of {multiple_of}"))
        }
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
        Kind::Custom { keyword, message } if keyword == "format" => ("format", message.clone()),
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
        Some("int32") => {
            Box::new(Integer { format: "int32", least: -2_147_483_648.0, end: 2_147_483_648.0 })
        }
        Some("int64") => Box::new(Integer {
            format: "int64",
            least: -9_223_372_036_854_775_808.0,
            end: 9_223_372_036_854_775_808.0,
        }),
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
    least: f64,
    end: f64,
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
            Value::Number(number) if number.is_i64() && self.format == "int64" => true,
            Value::Number(number) => number.as_f64().is_some_and(|number| {
                number.fract() == 0.0 && (self.least..self.end).contains(&number)
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
