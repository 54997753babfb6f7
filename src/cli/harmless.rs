//! Text of others on a terminal, which obeys some characters.

use std::borrow::Cow;

use crate::event::is_unseen;

/// A text without what a terminal would obey, or would hide other text with: producers and makers of
/// bundles write what they like. Line breaks and tabs stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unseen(c) && !matches!(c, '\n' | '\t'))
}

/// The same of a text that is one line, or a cell of a table: it cannot begin another one.
pub fn harmless_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_everything_else_stays() {
        let text = "valid: \u{1b}[2K\r\u{9b}1A \u{202e}gnp.ü";

        for shown in [harmless(text), harmless_line(text)] {
            assert_eq!(shown, r"valid: \u{1b}[2K\u{d}\u{9b}1A \u{202e}gnp.ü");
        }
        assert_eq!(harmless_line("a\tb\nc"), r"a\u{9}b\u{a}c");
        assert_eq!(harmless("a\tb\nGrüße, 世界 🌍"), "a\tb\nGrüße, 世界 🌍");
    }
}
