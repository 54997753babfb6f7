//! Numbers of things, in words.

/// A number of things, as in `1 sample`, `2 samples` and `2 entries`.
pub fn number_of(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    match thing.strip_suffix('y') {
        _ if number == 1 => format!("{number} {thing}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        let said = [0_usize, 1, 2].map(|number| number_of(number, "more warning"));

        assert_eq!(said, ["0 more warnings", "1 more warning", "2 more warnings"]);
        let said = [1_u64, 2].map(|number| number_of(number, "entry"));
        assert_eq!(said, ["1 entry", "2 entries"]);
    }
}
