//! Which text may cross: what JSON, CloudEvents and every consumer's language can carry.

/// Stands in the place of half a surrogate pair, which no text can hold.
///
/// It is a noncharacter, so what holds it cannot cross.
pub(super) const LONE_SURROGATE: char = '\u{ffff}';

/// Why a text cannot cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// A control character other than tab, line feed and carriage return.
    #[error("a control character; only tab, line feed and carriage return cross")]
    Control,
    /// A code point that is no character, or half a surrogate pair (RFC 7493, section 2.1).
    #[error("half a surrogate pair or a noncharacter, such as U+FFFE; send text that is Unicode")]
    NotUnicode,
}

/// Whether a code point stands for no character, as 66 of Unicode do.
pub fn is_noncharacter(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}') || u32::from(character) & 0xfffe == 0xfffe
}

/// Whether a character is not shown as itself, or changes how others are shown: control characters, and those
/// that a terminal or a page obeys, such as the ones that turn the direction of a text.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Tells why a text cannot cross; nothing if it can.
///
/// The characters below U+0080 are those that XML 1.0 allows, too.
pub fn crossing_fault(text: &str) -> Option<TextFault> {
    let may_be_faulty = |byte: u8| !(b' '..0xef).contains(&byte);
    if !text.bytes().any(may_be_faulty) {
        return None;
    }
    text.chars().find_map(|character| match character {
        '\t' | '\n' | '\r' => None,
        '\0'..='\u{1f}' => Some(TextFault::Control),
        other if is_noncharacter(other) => Some(TextFault::NotUnicode),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_language_crosses() {
        for text in ["", "a\tb\r\nc", "Grüße, 世界 🌍", "\u{feff}\u{fffd}\u{7f}\u{85}\u{e000}"]
        {
            assert_eq!(crossing_fault(text), None, "{text:?}");
        }
    }

    #[test]
    fn control_characters_and_noncharacters_do_not() {
        for text in ["\0", "a\u{1}", "\u{8}", "\u{c}", "\u{1b}[0m"] {
            assert_eq!(crossing_fault(text), Some(TextFault::Control), "{text:?}");
        }
        for text in ["\u{fffe}", "x\u{ffff}", "\u{fdd0}", "\u{1fffe}", "\u{10ffff}"] {
            assert_eq!(crossing_fault(text), Some(TextFault::NotUnicode), "{text:?}");
        }
    }
}
