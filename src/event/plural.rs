//! Numbers of things, in words.

/// A number of things, as in `1 sample` and `2 samples`.
pub fn number_of(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        let said = [0, 1, 2].map(|number| number_of(number, "more warning"));

        assert_eq!(said, ["0 more warnings", "1 more warning", "2 more warnings"]);
    }
}
