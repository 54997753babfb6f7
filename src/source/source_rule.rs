//! Which sources a producer may publish as.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::received::is_own_source;

/// The most bytes of a rule.
const LONGEST: usize = 1024;

/// A source as which a producer may publish, or the beginning of such sources.
///
/// It is written as the `source` itself, or as its beginning and a `*` at the end, which stands for any
/// rest; `*` alone stands for every source. It is held against the `source` that the producer wrote into
/// its event, byte for byte.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SourceRule {
    beginning: Arc<str>,
    is_open: bool,
}

/// A text that is no rule of sources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRuleError {
    /// It names no source.
    #[error("it names no source: write one, or `*` for every source")]
    Empty,
    /// It is longer than any source that is meant.
    #[error("a source of over {LONGEST} bytes cannot be named")]
    TooLong,
    /// It has a control character.
    #[error("a source with a control character cannot be named")]
    Control,
    /// A `*` stands within it.
    #[error("`{0}`: a `*` stands at the end only")]
    InnerStar(String),
    /// It is the gateway's own source.
    #[error("`{0}` is the gateway's own: nobody publishes as it")]
    Own(String),
}

impl SourceRule {
    /// Every source.
    pub fn every() -> Self {
        Self { beginning: Arc::from(""), is_open: true }
    }

    /// Whether it allows to publish as a source.
    pub fn admits(&self, source: &str) -> bool {
        if self.is_open { source.starts_with(&*self.beginning) } else { source == &*self.beginning }
    }

    /// The source, or what its sources begin with.
    pub fn beginning(&self) -> &str {
        &self.beginning
    }

    /// Whether it ends with a `*`.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether it allows every source.
    pub fn is_every(&self) -> bool {
        self.is_open && self.beginning.is_empty()
    }
}

impl fmt::Display for SourceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.beginning)?;
        if self.is_open { f.write_str("*") } else { Ok(()) }
    }
}

impl FromStr for SourceRule {
    type Err = SourceRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (beginning, is_open) =
            text.strip_suffix('*').map_or((text, false), |beginning| (beginning, true));
        if text.trim().is_empty() {
            Err(SourceRuleError::Empty)
        } else if text.len() > LONGEST {
            Err(SourceRuleError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(SourceRuleError::Control)
        } else if beginning.contains('*') {
            Err(SourceRuleError::InnerStar(text.to_owned()))
        } else if is_own_source(text) {
            Err(SourceRuleError::Own(text.to_owned()))
        } else {
            Ok(Self { beginning: Arc::from(beginning), is_open })
        }
    }
}

impl TryFrom<String> for SourceRule {
    type Error = SourceRuleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SourceRule> for String {
    fn from(rule: SourceRule) -> Self {
        rule.to_string()
    }
}

/// Whether a producer that is held to these sources, or to none, may publish as one.
pub(super) fn is_allowed(rules: Option<&[SourceRule]>, source: &str) -> bool {
    rules.is_none_or(|own| own.iter().any(|rule| rule.admits(source)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> SourceRule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_admits_its_source_or_what_begins_with_it() {
        let (exact, open, every) = (rule("orders"), rule("shop.*"), rule("*"));

        assert!(exact.admits("orders"));
        for other in ["orders2", "order", "Orders", "orders ", " orders", "", "orders*"] {
            assert!(!exact.admits(other), "{other}");
        }
        assert!(open.admits("shop.eu") && open.admits("shop."));
        assert!(!open.admits("shop") && !open.admits("a shop.eu"));
        assert!(every.admits("anything") && every.admits("") && every.is_every());
        assert!(!open.is_every() && every == SourceRule::every());
        assert!(is_allowed(None, "anything") && !is_allowed(Some(&[]), "anything"));
        assert!(is_allowed(Some(&[exact, open]), "shop.eu"));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (text, words) in [
            ("", "names no source"),
            ("  ", "names no source"),
            ("pay*ment", "`pay*ment`: a `*` stands at the end only"),
            ("**", "stands at the end only"),
            ("a\nb", "control character"),
            ("sealway", "the gateway's own"),
            (" Sealway", "the gateway's own"),
            (&"x".repeat(LONGEST + 1), "1024 bytes"),
        ] {
            let error = text.parse::<SourceRule>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_a_rule_writes_what_it_read(text in "\\PC{0,40}\\*?") {
            if let Ok(rule) = text.parse::<SourceRule>() {
                prop_assert_eq!(rule.to_string(), &*text);
                prop_assert_eq!(serde_json::to_value(&rule).unwrap(), text);
            }
        }

        #[test]
        fn a_rule_admits_what_the_text_says_and_nothing_else(
            beginning in "[a-c.]{1,4}", is_open in any::<bool>(), source in "[a-c.*]{0,6}",
        ) {
            let text = if is_open { format!("{beginning}*") } else { beginning.clone() };
            let expected =
                if is_open { source.find(&beginning) == Some(0) } else { source == beginning };
            prop_assert_eq!(rule(&text).admits(&source), expected);
        }
    }
}
