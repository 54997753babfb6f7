//! A decimal number of any size, by its digits; nothing is ever expanded.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::BigUint;

/// A decimal number, as its significant digits and the power of ten of the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: Box<str>,
    /// The power of ten of the leading digit; 0 for zero.
    leading: i64,
}

/// An exponent that is further from zero than this is taken for this, which no text can reach by
/// its digits.
const FARTHEST: i64 = i64::MAX / 4;
/// How many places two numbers that cross may lie apart.
const MOST_SHIFT: u64 = 2000;

impl Decimal {
    /// Reads the text of a JSON number; nothing if it is none.
    pub fn of(text: &str) -> Option<Self> {
        let (negative, magnitude) =
            text.strip_prefix('-').map_or((false, text), |magnitude| (true, magnitude));
        let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let exponent = read_exponent(exponent)?;
        let whole_digits = whole.trim_start_matches('0');
        let digits = format!("{whole_digits}{fraction}");
        let significant = digits.trim_start_matches('0');
        let zeros = length(digits.len() - significant.len());
        let significant = significant.trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self::default());
        }
        let leading = exponent + length(whole_digits.len()) - 1 - zeros;
        Some(Self { negative, digits: significant.into(), leading })
    }

    /// How many significant digits it has; none for zero.
    pub const fn digits(&self) -> usize {
        self.digits.len()
    }

    /// The power of ten of its leading digit; 0 for zero.
    pub const fn leading(&self) -> i64 {
        self.leading
    }

    /// How many digits stand after its point.
    pub fn places(&self) -> usize {
        usize::try_from(length(self.digits()) - 1 - self.leading).unwrap_or(0)
    }

    /// The power of ten of its last digit; 0 for zero.
    fn trailing(&self) -> i64 {
        if self.digits.is_empty() { 0 } else { self.leading + 1 - length(self.digits()) }
    }

    /// Whether it is a whole multiple of a divisor that is not zero. Both are of the size of numbers
    /// that cross: what lies further apart than those is taken for none.
    pub fn is_multiple_of(&self, divisor: &Self) -> bool {
        if self.digits.is_empty() {
            return true;
        }
        let shift = self.trailing() - divisor.trailing();
        let up = |digits: &str, by: i64| {
            let zeros = usize::try_from(by).unwrap_or(0);
            format!("{digits}{}", "0".repeat(zeros)).parse::<BigUint>().unwrap_or_default()
        };
        if shift.unsigned_abs() > MOST_SHIFT || divisor.digits.is_empty() {
            return false;
        }
        if let (Ok(own), Ok(other), 0) =
            (self.digits.parse::<u64>(), divisor.digits.parse::<u64>(), shift)
        {
            return own % other == 0;
        }
        (up(&self.digits, shift) % up(&divisor.digits, -shift)) == BigUint::default()
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.places() == 0
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(FARTHEST)
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(FARTHEST).min(FARTHEST);
    Some(if text.starts_with('-') { -size } else { size })
}

/// Plain digits: no exponent, no zeros before the whole part or at the end of the fraction.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let places = self.places();
        let Ok(leading) = usize::try_from(self.leading) else {
            return write!(f, "0.{:0>places$}", self.digits);
        };
        let (whole, fraction) =
            self.digits.split_at_checked(leading + 1).unwrap_or((&self.digits, ""));
        write!(f, "{whole:0<width$}", width = leading + 1)?;
        if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match number {
            Self { digits, .. } if digits.is_empty() => 0,
            Self { negative: true, .. } => -1,
            _ => 1,
        };
        let magnitude = |one: &Self, other: &Self| {
            one.leading.cmp(&other.leading).then_with(|| one.digits.cmp(&other.digits))
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            if self.negative { magnitude(other, self) } else { magnitude(self, other) }
        })
    }
}
