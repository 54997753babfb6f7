//! Why a change was made, in the words of whoever made it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::event::is_unseen;

/// The most characters.
const MOST: usize = 500;

/// A text of one line: 1 to 500 characters, none of which a terminal obeys or that hides others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReason(Arc<str>);

/// A text that is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to 500 characters")]
pub struct ActionReasonError;

impl ActionReason {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What was written as one before.
    pub(super) fn from_stored(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl fmt::Display for ActionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a reason. White space, and what a terminal would obey, becomes one space.
impl FromStr for ActionReason {
    type Err = ActionReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(|c: char| c.is_whitespace() || is_unseen(c));
        let mut line = String::new();
        let mut left = MOST;
        for word in words.filter(|word| !word.is_empty()) {
            let separator = usize::from(!line.is_empty());
            left = left.checked_sub(word.chars().count() + separator).ok_or(ActionReasonError)?;
            if separator > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
        if line.is_empty() { Err(ActionReasonError) } else { Ok(Self(line.into())) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reason_is_one_line_without_what_a_terminal_obeys() {
        let reason: ActionReason = " disk\tfull,\r\n \u{1b}[2K\u{202e}see „#7“ ".parse().unwrap();

        assert_eq!(reason.as_str(), "disk full, [2K see „#7“");
        assert!("ä".repeat(500).parse::<ActionReason>().is_ok());
        for text in ["", " \u{200b}\t", &"ä".repeat(501), &"a b".repeat(250)] {
            assert_eq!(text.parse::<ActionReason>(), Err(ActionReasonError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_bounded_line_or_refused(text in "\\PC{0,80}[\\x00-\\x20\u{202a}-\u{202e}]{0,9}\\PC{0,600}") {
            if let Ok(reason) = text.parse::<ActionReason>() {
                let shown = reason.as_str();
                prop_assert!((1..=MOST).contains(&shown.chars().count()));
                prop_assert!(!shown.contains(is_unseen) && shown.trim() == shown);
                prop_assert_eq!(shown.parse::<ActionReason>(), Ok(reason.clone()));
            }
        }
    }
}
