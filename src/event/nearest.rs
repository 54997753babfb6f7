//! Finds the known name that a person most likely meant by one that is not known.

/// How alike two names must be, from 0 to 1 (Jaro-Winkler), for one to be meant by the other.
const LIKENESS: f64 = 0.8;
/// How alike they must be to be worth a look.
const LITTLE_LIKENESS: f64 = 0.5;

/// The known name that is most like the given one; nothing if none is like it.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.into_iter().map(|name| (likeness(given, name), name));
    let (best, name) = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best > LIKENESS).then_some(name)
}

/// The known names that are most like the given one, so many at the most, the likest first; also where
/// they are little like it.
pub fn nearest_of_all<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let rated = known.into_iter().map(|name| (likeness(given, name), name));
    let mut rated: Vec<_> = rated.filter(|(likeness, _)| *likeness > LITTLE_LIKENESS).collect();
    rated.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
    rated.dedup_by_key(|(_, name)| *name);
    rated.into_iter().take(most).map(|(_, name)| name).collect()
}

fn likeness(given: &str, name: &str) -> f64 {
    let folded = strsim::jaro_winkler(&given.to_ascii_lowercase(), &name.to_ascii_lowercase());
    folded.max(strsim::jaro_winkler(given, name))
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

    #[test]
    fn the_likest_come_first_each_once_and_no_more_than_are_asked_for() {
        let known = ["Order.Cancelled", "Order.Created", "Payment.Failed", "Order.Created"];
        let of = |given, most| nearest_of_all(given, known, most);

        assert_eq!(of("Order.Creatd", 2), ["Order.Created", "Order.Cancelled"]);
        assert_eq!(of("order.created", 1), ["Order.Created"]);
        assert_eq!(of("ZZZ", 3), Vec::<&str>::new());
        assert_eq!(nearest_of_all("x", [], 3), Vec::<&str>::new());
    }
}
