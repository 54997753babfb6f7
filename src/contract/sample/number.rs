//! Numbers between bounds, exactly: counted in steps, without binary fractions.

use num_bigint::{BigInt, Sign};
use serde_json::Value;

use crate::contract::sample::demand::Demand;

/// Digits and places beyond which a number cannot cross anyway.
const MAX_PLACES: i64 = 900;

/// Bits of a step that follows from several `multipleOf`.
const MAX_STEP_BITS: u64 = 8_192;

/// How many steps away from its bounds an ordinary number is looked for.
const NEAR: u64 = 1_000_000;

/// The numbers that keep all bounds: multiples of `step` between two of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NumberRange {
    /// How many decimal places one unit has.
    scale: usize,
    step: BigInt,
    least: Option<BigInt>,
    most: Option<BigInt>,
    /// What stands if no bound says otherwise.
    usual: BigInt,
}

impl NumberRange {
    /// The numbers that keep a demand; nothing if none does, or if they are too far away.
    pub(super) fn of(demand: &Demand<'_>, is_whole: bool) -> Option<Self> {
        let limits = |word: &str| demand.each(word).filter_map(text).collect::<Vec<_>>();
        let (minimum, maximum) = (limits("minimum"), limits("maximum"));
        let (above, below) = (limits("exclusiveMinimum"), limits("exclusiveMaximum"));
        let multiples = limits("multipleOf");
        let all = [&minimum, &maximum, &above, &below, &multiples];
        let places = all.into_iter().flatten().map(|text| Some(Written::of(text)?.places()));
        let places = places.collect::<Option<Vec<_>>>()?.into_iter().max().unwrap_or(0);
        let format = greatest_of_format(demand);
        let is_whole = is_whole || format.is_some();
        // Between any two numbers lie others: they may have one place more than their bounds.
        let scale = if is_whole || !multiples.is_empty() { places } else { places + 1 };
        let units = |text: &&str| Written::of(text)?.units(scale);
        let one = BigInt::from(10).pow(u32::try_from(scale).ok()?);
        let mut step = if is_whole { one.clone() } else { BigInt::from(1) };
        for multiple in &multiples {
            step = common_multiple(&step, &units(multiple)?)?;
        }
        let mut least: Vec<BigInt> = minimum.iter().map(units).collect::<Option<_>>()?;
        let mut most: Vec<BigInt> = maximum.iter().map(units).collect::<Option<_>>()?;
        for bound in &above {
            least.push(units(bound)? + 1);
        }
        for bound in &below {
            most.push(units(bound)? - 1);
        }
        if let Some(greatest) = format {
            least.push((BigInt::from(-greatest) - 1) * &one);
            most.push(BigInt::from(greatest) * &one);
        }
        let least = least.into_iter().max().map(|bound| up(&bound, &step));
        let most = most.into_iter().min().map(|bound| -up(&-bound, &step));
        let is_empty = matches!((&least, &most), (Some(least), Some(most)) if least > most);
        let usual = if is_whole { one } else { one * 3 / 2 };
        let usual = up(&usual, &step);
        let scale = usize::try_from(scale).ok()?;
        (!is_empty).then_some(Self { scale, step, least, most, usual })
    }

    /// The least number, where there is one.
    pub(super) fn least(&self) -> Option<String> {
        self.least.as_ref().map(|number| self.written(number))
    }

    /// The greatest number, where there is one.
    pub(super) fn greatest(&self) -> Option<String> {
        self.most.as_ref().map(|number| self.written(number))
    }

    /// A number in between; other numbers vary it.
    pub(super) fn ordinary(&self, vary: u64) -> String {
        let mut number = self.usual.clone();
        if let Some(least) = self.least.as_ref().filter(|least| **least > number) {
            number.clone_from(least);
        }
        if let Some(most) = self.most.as_ref().filter(|most| **most < number) {
            number.clone_from(most);
        }
        let away = &self.step * BigInt::from(vary % NEAR);
        let further = &number + &away;
        let nearer = &number - &away;
        let fits = |number: &BigInt| {
            self.least.as_ref().is_none_or(|least| number >= least)
                && self.most.as_ref().is_none_or(|most| number <= most)
        };
        if fits(&further) {
            return self.written(&further);
        }
        if fits(&nearer) {
            return self.written(&nearer);
        }
        // Both are out, so there are bounds on both sides.
        let (Some(least), Some(most)) = (&self.least, &self.most) else {
            return self.written(&number);
        };
        let steps = (most - least) / &self.step + 1;
        self.written(&(least + (BigInt::from(vary) % steps) * &self.step))
    }

    fn written(&self, units: &BigInt) -> String {
        let sign = if units.sign() == Sign::Minus { "-" } else { "" };
        let digits = format!("{:0>width$}", units.magnitude(), width = self.scale + 1);
        let (whole, places) =
            digits.split_at_checked(digits.len() - self.scale).unwrap_or((&digits, ""));
        let places = places.trim_end_matches('0');
        let point = if places.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{places}")
    }
}

/// The greatest number of a format of whole numbers.
fn greatest_of_format(demand: &Demand<'_>) -> Option<i64> {
    demand.texts("format").find_map(|format| match format {
        "int32" => Some(i64::from(i32::MAX)),
        "int64" => Some(i64::MAX),
        _ => None,
    })
}

fn text(value: &Value) -> Option<&str> {
    value.as_number().map(serde_json::Number::as_str)
}

/// A number by its digits and the power of ten that they are times.
struct Written {
    digits: BigInt,
    exponent: i64,
}

impl Written {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.trim_start_matches('+').parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let places = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_sub(places)?;
        let is_small = exponent.abs() <= MAX_PLACES
            && i64::try_from(mantissa.len()).is_ok_and(|length| length <= MAX_PLACES);
        let digits = is_small.then(|| format!("{whole}{fraction}").parse().ok())??;
        Some(Self { digits, exponent })
    }

    fn places(&self) -> i64 {
        (-self.exponent).max(0)
    }

    fn units(&self, scale: i64) -> Option<BigInt> {
        let power = u32::try_from(self.exponent.checked_add(scale)?).ok()?;
        Some(&self.digits * BigInt::from(10).pow(power))
    }
}

/// The least multiple of `step` that is not below a number.
fn up(number: &BigInt, step: &BigInt) -> BigInt {
    let below = number / step * step;
    if below < *number { below + step } else { below }
}

fn common_multiple(one: &BigInt, other: &BigInt) -> Option<BigInt> {
    let (mut a, mut b) = (one.clone(), BigInt::from(other.magnitude().clone()));
    if b.sign() == Sign::NoSign {
        return None;
    }
    let product = &a * &b;
    while b.sign() != Sign::NoSign {
        (a, b) = (b.clone(), a % b);
    }
    let multiple = product / a;
    (multiple.bits() <= MAX_STEP_BITS).then_some(multiple)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample::graph::Node;

    fn range(words: &str, is_whole: bool) -> Option<NumberRange> {
        let words = serde_json::from_str(words).unwrap();
        let node = Node { words, ..Node::default() };
        NumberRange::of(&Demand { parts: vec![&node] }, is_whole)
    }

    #[test]
    fn the_ends_are_exact_multiples_within_the_bounds() {
        for (words, is_whole, least, greatest) in [
            (r#"{"minimum":0.1,"maximum":1}"#, false, "0.1", "1"),
            (r#"{"exclusiveMinimum":0.1,"exclusiveMaximum":1}"#, false, "0.11", "0.99"),
            (r#"{"exclusiveMinimum":0,"exclusiveMaximum":10}"#, true, "1", "9"),
            (r#"{"minimum":0.005,"maximum":1e3,"multipleOf":0.01}"#, false, "0.01", "1000"),
            (r#"{"minimum":-7,"maximum":7,"multipleOf":1.5}"#, true, "-6", "6"),
            (
                r#"{"minimum":9007199254740993,"maximum":9007199254740993}"#,
                true,
                "9007199254740993",
                "9007199254740993",
            ),
            (r#"{"format":"int32"}"#, true, "-2147483648", "2147483647"),
            (r#"{"format":"int64"}"#, true, "-9223372036854775808", "9223372036854775807"),
        ] {
            let range = range(words, is_whole).unwrap();
            let ends = (range.least().unwrap(), range.greatest().unwrap());
            assert_eq!(ends, (least.to_owned(), greatest.to_owned()), "{words}");
        }
    }

    #[test]
    fn nothing_is_between_bounds_that_cross_or_are_too_far_away() {
        for words in [
            r#"{"minimum":2,"maximum":1}"#,
            r#"{"minimum":1,"maximum":2,"multipleOf":5}"#,
            r#"{"minimum":1e999999999}"#,
            r#"{"multipleOf":1e-99999999999999999999}"#,
        ] {
            assert_eq!(range(words, true), None, "{words}");
        }
    }

    #[test]
    fn ordinary_numbers_differ_and_keep_their_bounds() {
        let dice = range(r#"{"minimum":1,"maximum":6}"#, true).unwrap();
        let rolled: Vec<String> = (0..6).map(|vary| dice.ordinary(vary)).collect();
        assert_eq!(rolled, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(range("{}", false).unwrap().ordinary(0), "1.5");
        assert_eq!(range("{}", true).unwrap().ordinary(2), "3");
        assert_eq!(range(r#"{"maximum":-10}"#, true).unwrap().ordinary(1), "-11");
    }
}
