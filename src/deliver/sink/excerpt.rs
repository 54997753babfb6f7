//! Shows a sink's words without what it may have echoed.

/// How much of a sink's words is shown in the attempt list.
const MOST: usize = 512;

/// The beginning of a text without long words, among which an echoed token would be.
pub(super) fn excerpt(text: &str, longest_word: usize) -> String {
    let words = text.split_whitespace().filter(|word| word.len() <= longest_word);
    let shown: String = words.collect::<Vec<_>>().join(" ").chars().take(MOST).collect();
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_and_long_texts_are_cut() {
        let text = format!("no\tsuch {} thing", "t".repeat(65));

        assert_eq!(excerpt(&text, 64), "no such thing");
        assert_eq!(excerpt("a\u{1b}b", 64), "a b");
        assert_eq!(excerpt(&"word ".repeat(1000), 64).len(), MOST);
    }
}
