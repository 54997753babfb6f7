//! Text with `*` for any run of characters.

/// A wildcard, as the literal pieces between its stars.
///
/// One piece means no star; the first and the last piece are anchored at the ends of the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Wildcard(Vec<Box<str>>);

/// The most that a wildcard may score; Amazon EventBridge refuses more.
pub(super) const MAX_SCORE: usize = 10;

impl Wildcard {
    /// Reads a wildcard: `\*` and `\\` are the only escapes.
    ///
    /// The error is the reason and the character offset at which it shows.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut pieces = Vec::new();
        let mut piece = String::new();
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '*' => {
                    if characters.peek().is_some_and(|&(_, next)| next == '*') {
                        return Err((at, "Consecutive wildcard characters"));
                    }
                    pieces.push(std::mem::take(&mut piece).into_boxed_str());
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => piece.push(escaped),
                    _ => return Err((at, "Invalid escape character")),
                },
                other => piece.push(other),
            }
        }
        pieces.push(piece.into_boxed_str());
        Ok(Self(pieces))
    }

    /// Tells whether a text matches; takes time linear in the text for each piece.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| **only == *text);
        };
        let Some(rest) = text.strip_prefix(&**first) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
        for piece in middle {
            let Some((_, after)) = rest.split_once(&**piece) else { return false };
            rest = after;
        }
        true
    }

    /// How much work it is to match a short text, in steps: each piece is looked for once.
    pub(super) fn weight(&self) -> u64 {
        self.0.len() as u64
    }

    /// The text that every match begins with.
    pub(super) fn prefix(&self) -> &str {
        self.0.first().map_or("", |piece| piece)
    }

    /// The text that every match ends with.
    pub(super) fn suffix(&self) -> &str {
        self.0.last().map_or("", |piece| piece)
    }

    /// In how many places of the wildcard a reader of some text can be at once, at worst.
    ///
    /// Every star that was passed stays a place, and so does every prefix of a piece after a star
    /// that the text just read ends with. Counting stops above [`MAX_SCORE`].
    pub(super) fn score(&self) -> usize {
        let pieces = self.0.get(1..).unwrap_or_default();
        let stars = pieces.len();
        if stars > MAX_SCORE {
            return stars;
        }
        let mut worst = 0;
        for (read, _) in pieces.iter().flat_map(|piece| prefixes(piece)) {
            let places = pieces
                .iter()
                .flat_map(|piece| prefixes(piece))
                .filter(|(prefix, _)| read.ends_with(prefix))
                .count();
            worst = worst.max(places);
            if stars + worst > MAX_SCORE {
                break;
            }
        }
        stars + worst
    }
}

/// The non-empty prefixes of a text that end between characters, shortest first.
fn prefixes(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.char_indices().filter_map(|(at, character)| {
        let end = at + character.len_utf8();
        text.get(..end).map(|prefix| (prefix, end))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(wildcard: &str, text: &str) -> bool {
        Wildcard::parse(wildcard).unwrap().matches(text)
    }

    #[test]
    fn stars_stand_for_any_run() {
        for (wildcard, text, expected) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("*x*", "axb", true),
            ("a*bc*c", "abcc", true),
            ("a*bc*c", "abc", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"\\*", r"\anything", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(matches(wildcard, text), expected, "{wildcard} {text}");
        }
    }

    #[test]
    fn doubled_stars_and_unknown_escapes_are_refused_at_their_place() {
        assert_eq!(Wildcard::parse("ab**").unwrap_err().0, 2);
        assert_eq!(Wildcard::parse(r"a\b").unwrap_err().0, 1);
        assert_eq!(Wildcard::parse(r"ab\").unwrap_err().0, 2);
    }

    #[test]
    fn the_score_counts_stars_and_repeated_pieces() {
        let score = |text: &str| Wildcard::parse(text).unwrap().score();

        assert_eq!(score("*:*:*:*:*:event-bus/*"), 11);
        assert_eq!(score("a*b"), 2);
        assert_eq!(score("plain"), 0);
        assert!(score(&format!("*{}", "a".repeat(4000))) > MAX_SCORE);
        assert!(score(&"*a".repeat(2000)) > MAX_SCORE);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(wildcard in "(a|b|[*][ab]){0,6}[*]?", text in "[ab]{0,10}") {
            fn defined(wildcard: &[u8], text: &[u8]) -> bool {
                match (wildcard.split_first(), text.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) if defined(rest, text) => true,
                    (Some((b'*', _)), Some((_, tail))) => defined(wildcard, tail),
                    (Some((c, rest)), Some((t, tail))) => c == t && defined(rest, tail),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&wildcard, &text), defined(wildcard.as_bytes(), text.as_bytes()));
        }
    }
}
