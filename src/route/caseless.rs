//! Text that is compared without regard to case.

/// A text of which every character may appear in its upper or its lower form.
///
/// Each character is compared by itself (Unicode's full mapping of one character, so `ß` matches
/// `SS`); it is no full case folding, as in the reference implementation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Caseless {
    lower: Box<str>,
    ascii: bool,
}

impl Caseless {
    pub(super) fn new(text: &str) -> Self {
        let ascii = text.is_ascii();
        let lower = if ascii { text.to_ascii_lowercase() } else { text.to_owned() };
        Self { lower: lower.into(), ascii }
    }

    /// The lower-case text, if plain ASCII case rules decide every match.
    pub(super) fn ascii(&self) -> Option<&str> {
        self.ascii.then_some(&*self.lower)
    }

    pub(super) fn equals(&self, text: &str) -> bool {
        if self.ascii {
            return text.eq_ignore_ascii_case(&self.lower);
        }
        self.strip_prefix(text) == Some("")
    }

    pub(super) fn starts(&self, text: &str) -> bool {
        if self.ascii {
            let start = text.as_bytes().get(..self.lower.len());
            return start.is_some_and(|start| start.eq_ignore_ascii_case(self.lower.as_bytes()));
        }
        self.strip_prefix(text).is_some()
    }

    pub(super) fn ends(&self, text: &str) -> bool {
        if self.ascii {
            let start = text.len().checked_sub(self.lower.len());
            let end = start.and_then(|start| text.as_bytes().get(start..));
            return end.is_some_and(|end| end.eq_ignore_ascii_case(self.lower.as_bytes()));
        }
        let mut rest = text;
        self.lower.chars().rev().all(|character| {
            let (lower, upper) = forms(character);
            let stripped = rest.strip_suffix(&*lower).or_else(|| rest.strip_suffix(&*upper));
            stripped.is_some_and(|stripped| {
                rest = stripped;
                true
            })
        })
    }

    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.lower.chars().try_fold(text, |rest, character| {
            let (lower, upper) = forms(character);
            rest.strip_prefix(&*lower).or_else(|| rest.strip_prefix(&*upper))
        })
    }
}

fn forms(character: char) -> (String, String) {
    (character.to_lowercase().collect(), character.to_uppercase().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_may_be_upper_or_lower() {
        let plain = Caseless::new("aLiCe");
        assert!(plain.equals("ALICE") && plain.equals("alice") && !plain.equals("alice "));
        assert!(plain.starts("ALICE in") && plain.ends("dear aLIce") && !plain.ends("lice"));

        assert_eq!(plain.ascii(), Some("alice"));

        let wide = Caseless::new("Straße");
        assert!(wide.equals("STRASSE") && wide.equals("strAßE") && !wide.equals("strasze"));
        assert!(wide.starts("straße 1") && wide.ends("eine STRASSE"));
        assert_eq!(wide.ascii(), None);
        assert!(!Caseless::new("é").starts("e"));
    }
}
