//! What breaks a rule of CloudEvents in an event that is taken all the same.

use std::cell::RefCell;

/// The most warnings that are listed for one request.
const MOST: usize = 100;
/// The name of every attribute that CloudEvents specifies, and of the data (JSON event format, section
/// 3.1).
const SPECIFIED: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// A rule that an event breaks where nothing of it crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// The `source` is not a URI reference.
    Source,
    /// The `dataschema` is not an absolute URI.
    DataSchema,
    /// An attribute has a name that CloudEvents does not allow.
    Name,
    /// An extension has a value that CloudEvents does not know.
    Extension,
    /// The `traceparent` cannot be read.
    TraceParent,
}

/// A rule that an event breaks, which is taken all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The producer's id of the event.
    pub id: String,
    /// Which rule.
    pub kind: WarningKind,
}

/// The warnings of one request.
#[derive(Default)]
pub(super) struct Warnings(RefCell<Vec<Warning>>);

impl WarningKind {
    /// A stable word, for counting.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::DataSchema => "dataschema",
            Self::Name => "attribute-name",
            Self::Extension => "extension-value",
            Self::TraceParent => "traceparent",
        }
    }

    /// What is wrong, and what became of it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Source => {
                "`source` is not a URI reference (RFC 3986); it was kept as it is, since the source \
                 of the publication crosses"
            }
            Self::DataSchema => "`dataschema` is not an absolute URI (RFC 3986); it was left out",
            Self::Name => {
                "the name of an attribute is not made of lower-case letters and digits; it was left \
                 out"
            }
            Self::Extension => {
                "the value of an extension is not an integer of 32 bits, a boolean or a text that \
                 CloudEvents allows; it was left out"
            }
            Self::TraceParent => "`traceparent` is not one of W3C Trace Context; it was left out",
        }
    }
}

impl Warnings {
    /// Notes each rule that an event breaks once.
    pub(super) fn add(&self, id: &str, mut kinds: Vec<WarningKind>) {
        kinds.sort_unstable();
        kinds.dedup();
        let mut all = self.0.borrow_mut();
        let room = MOST.saturating_sub(all.len());
        all.extend(kinds.into_iter().take(room).map(|kind| Warning { id: id.to_owned(), kind }));
    }

    pub(super) fn into_inner(self) -> Vec<Warning> {
        self.0.into_inner()
    }
}

/// Lists the rules that are broken by a `source`, which is a URI reference, and by a `dataschema`, which
/// is an absolute URI.
pub(super) fn of_uris(
    source: Option<&str>,
    dataschema: Option<&str>,
) -> impl Iterator<Item = WarningKind> + use<> {
    let source = source.is_some_and(|source| fluent_uri::UriRef::parse(source).is_err());
    let schema = dataschema.is_some_and(|schema| fluent_uri::Uri::parse(schema).is_err());
    let kinds = [(source, WarningKind::Source), (schema, WarningKind::DataSchema)];
    kinds.into_iter().filter_map(|(is_broken, kind)| is_broken.then_some(kind))
}

/// The specified name that a name would be in lower case; nothing if it is that, or another name.
pub(super) fn in_the_right_case(name: &str) -> Option<&'static str> {
    SPECIFIED.into_iter().find(|right| right.eq_ignore_ascii_case(name) && *right != name)
}

/// Whether a name may be an attribute's (CloudEvents 1.0, section 3).
pub(super) fn is_attribute_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_letters_and_digits() {
        for name in ["a", "traceparent", "com9"] {
            assert!(is_attribute_name(name) && in_the_right_case(name).is_none(), "{name}");
        }
        for name in ["", "Aa", "a_b", "a-b", "a.b", "ä", "a b"] {
            assert!(!is_attribute_name(name), "{name}");
        }
        assert_eq!(in_the_right_case("specVersion"), Some("specversion"));
        assert_eq!(in_the_right_case("Data_Base64"), Some("data_base64"));
        assert_eq!(in_the_right_case("id"), None);
        assert_eq!(in_the_right_case("spec_version"), None);
    }

    #[test]
    fn a_request_lists_each_rule_once_for_an_event_and_not_without_end() {
        let warnings = Warnings::default();
        warnings.add("a", vec![WarningKind::Name, WarningKind::Source, WarningKind::Name]);
        for _ in 0..200 {
            warnings.add("b", vec![WarningKind::Name]);
        }
        let listed = warnings.into_inner();
        assert_eq!(listed.len(), MOST);
        let first: Vec<_> = listed.iter().take(2).map(|warning| warning.kind).collect();
        assert_eq!(first, [WarningKind::Source, WarningKind::Name]);
    }
}
