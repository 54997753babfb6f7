//! Finds the known name that a person most likely meant by one that is not known.

/// How alike two names must be, from 0 to 1 (Jaro-Winkler), for one to be meant by the other.
const LIKENESS: f64 = 0.8;

/// The known name that is most like the given one; nothing if none is like it.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        let folded = strsim::jaro_winkler(&given.to_ascii_lowercase(), &name.to_ascii_lowercase());
        folded.max(strsim::jaro_winkler(given, name))
    };
    let rated = known.into_iter().map(|name| (likeness(name), name));
    let (best, name) = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best > LIKENESS).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_finds_none() {
        let known = ["minLength", "minimum", "maxLength", "multipleOf"];
        for (given, meant) in
            [("minlength", "minLength"), ("minLenght", "minLength"), ("MINIMUM", "minimum")]
        {
            assert_eq!(nearest(given, known), Some(meant));
        }
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
