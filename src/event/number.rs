//! What a JSON number is worth, exactly, and the one text with which it crosses.
//!
//! Readers of JSON disagree about numbers that binary64 does not carry: one rounds, the next keeps
//! the digits. So every number that crosses has one value and one text, by three rules, where `d` is
//! the nearest binary64:
//!
//! - (a) If the text that RFC 8785 gives `d` denotes the number exactly, that text.
//! - (b) Otherwise a number with a fraction is `d` if it equals `d`, or if it has at most 17
//!   significant digits and `d` is a normal binary64: it is what a program printed of `d`.
//! - (c) Otherwise the number stays as it is, in plain digits.
//!
//! `docs/adr/0010-numbers-that-cross.md` says why.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::event::decimal::Decimal;

/// The most significant digits of a number that crosses.
pub const MOST_DIGITS: usize = 128;
/// How far from 0 the power of ten of the leading digit of a number that crosses may be.
pub const MOST_EXPONENT: i64 = 400;
/// So many significant digits always survive binary64.
const ALWAYS_SAFE: usize = 15;
/// The most significant digits that a program needs to print a binary64.
const PRINTED_DIGITS: usize = 17;
/// What is at least this long is a number with digits to spare.
const PLACES_OF_FRACTION: u64 = 52;

/// The value of a JSON number, in a total order in which `-0` is `0`.
///
/// By rule (b) it may be the nearest binary64's instead of the one that the digits spell.
#[derive(Clone, Debug)]
pub struct NumericValue {
    nearest: f64,
    /// The value, if the text of `nearest` does not denote it.
    exact: Option<Arc<Decimal>>,
}

/// Why a number cannot cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberFault {
    /// Too many digits.
    #[error("a number of more than {MOST_DIGITS} significant digits; send it as text")]
    TooPrecise,
    /// Too large, or too near to zero.
    #[error("a number beyond 1e{MOST_EXPONENT} or below 1e-{MOST_EXPONENT}; send it as text")]
    OutOfRange,
}

impl NumericValue {
    /// Takes the text of a JSON number; nothing if it is none.
    pub fn of(text: &str) -> Option<Self> {
        let nearest: f64 = text.parse().ok()?;
        if is_short(text) {
            return Some(Self::binary(nearest));
        }
        let decimal = Decimal::of(text)?;
        let exact = if is_carried(&decimal, nearest) { None } else { Some(Arc::new(decimal)) };
        // Adding zero turns -0 into 0.
        Some(Self { nearest: nearest + 0.0, exact })
    }

    /// Whether it is a whole multiple of a divisor that is not zero.
    pub fn is_multiple_of(&self, divisor: &Self) -> bool {
        self.decimal().is_multiple_of(&divisor.decimal())
    }

    fn decimal(&self) -> Cow<'_, Decimal> {
        match &self.exact {
            Some(exact) => Cow::Borrowed(exact),
            None => Cow::Owned(self.shortest().unwrap_or_default()),
        }
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.exact.as_ref().map_or_else(|| self.nearest.fract() == 0.0, |exact| exact.is_whole())
    }

    fn binary(nearest: f64) -> Self {
        Self { nearest: nearest + 0.0, exact: None }
    }

    /// The shortest decimal of `nearest`.
    fn shortest(&self) -> Option<Decimal> {
        self.nearest
            .is_finite()
            .then(|| Decimal::of(ryu_js::Buffer::new().format_finite(self.nearest)))?
    }
}

impl From<i64> for NumericValue {
    fn from(number: i64) -> Self {
        // Every whole number is the text of a JSON number.
        Self::of(&number.to_string()).unwrap_or_else(|| Self::binary(0.0))
    }
}

/// Whether rule (a) or (b) makes the number its nearest binary64.
fn is_carried(number: &Decimal, nearest: f64) -> bool {
    is_denoted(number, nearest)
        || (!number.is_whole()
            && ((number.digits() <= PRINTED_DIGITS && nearest.is_normal())
                || (number.digits() <= MOST_DIGITS && equals(number, nearest))))
}

/// Whether the text that RFC 8785 gives the nearest binary64 denotes the number: rule (a).
fn is_denoted(number: &Decimal, nearest: f64) -> bool {
    nearest.is_finite()
        && number.digits() <= PRINTED_DIGITS
        && Decimal::of(ryu_js::Buffer::new().format_finite(nearest)).as_ref() == Some(number)
}

/// Whether a number with a fraction is exactly a binary64.
fn equals(number: &Decimal, nearest: f64) -> bool {
    if !nearest.is_finite() || nearest == 0.0 {
        return false;
    }
    // A binary64 has as many decimal places as binary ones, so most are told apart by their length.
    let bits = nearest.abs().to_bits();
    let exponent = (bits >> PLACES_OF_FRACTION).max(1);
    let mantissa = bits & ((1 << PLACES_OF_FRACTION) - 1);
    let hidden = u64::from(nearest.is_normal()) << PLACES_OF_FRACTION;
    let zeros = u64::from((mantissa | hidden).trailing_zeros());
    let places = (1023 + PLACES_OF_FRACTION).checked_sub(exponent + zeros);
    let places = places.and_then(|places| usize::try_from(places).ok());
    places.is_some_and(|places| {
        number.places() == places
            && Decimal::of(&format!("{nearest:.places$}")).as_ref() == Some(number)
    })
}

/// Tells whether the text denotes a value that is the same in every library, by its length alone.
fn is_short(text: &str) -> bool {
    text.len() <= ALWAYS_SAFE && !text.bytes().any(|byte| matches!(byte, b'e' | b'E'))
}

/// Tells whether RFC 8785's text of the nearest binary64 denotes exactly this number: rule (a).
pub fn is_exact(text: &str) -> bool {
    is_short(text)
        || text.parse().is_ok_and(|nearest| {
            Decimal::of(text).is_some_and(|number| is_denoted(&number, nearest))
        })
}

/// Gives the plain digits of a JSON number: no exponent, no zeros that say nothing; nothing if the text
/// is no number, or has more digits before its point than `whole`, or more after it than `places`.
pub fn plain_digits(text: &str, whole: i64, places: usize) -> Option<String> {
    let decimal = Decimal::of(text)?;
    (decimal.leading() < whole && decimal.places() <= places).then(|| decimal.to_string())
}

/// Gives the text with which a JSON number crosses.
///
/// # Errors
///
/// The caller's turn: the number has too many digits, or is too large or too small.
pub fn crossing_text(text: &str) -> Result<Cow<'_, str>, NumberFault> {
    if is_canonical(text) {
        return Ok(Cow::Borrowed(text));
    }
    let decimal = Decimal::of(text).unwrap_or_default();
    if decimal.digits() > MOST_DIGITS {
        return Err(NumberFault::TooPrecise);
    }
    if decimal.leading().unsigned_abs() > MOST_EXPONENT.unsigned_abs() {
        return Err(NumberFault::OutOfRange);
    }
    let nearest: f64 = text.parse().unwrap_or_default();
    Ok(Cow::Owned(if is_carried(&decimal, nearest) {
        ryu_js::Buffer::new().format_finite(nearest).to_owned()
    } else {
        decimal.to_string()
    }))
}

/// Tells, for the most frequent numbers, that the text is the one with which they cross.
fn is_canonical(text: &str) -> bool {
    if !is_short(text) {
        return false;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.split_once('.') {
        // JSON has no leading zeros, so what begins with one is zero.
        None => !digits.starts_with('0') || text == "0",
        Some((whole, places)) => {
            !places.ends_with('0') && (whole != "0" || !places.starts_with("00000"))
        }
    }
}

impl PartialEq for NumericValue {
    fn eq(&self, other: &Self) -> bool {
        self.nearest.to_bits() == other.nearest.to_bits() && self.exact == other.exact
    }
}

impl Eq for NumericValue {}

impl PartialOrd for NumericValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NumericValue {
    fn cmp(&self, other: &Self) -> Ordering {
        // To round never swaps two numbers, so digits decide only between those that round alike.
        self.nearest.total_cmp(&other.nearest).then_with(|| match (&self.exact, &other.exact) {
            (None, None) => Ordering::Equal,
            (Some(own), Some(other)) => own.cmp(other),
            (Some(own), None) => Some(&**own).cmp(&other.shortest().as_ref()),
            (None, Some(other)) => self.shortest().as_ref().cmp(&Some(&**other)),
        })
    }
}

impl Hash for NumericValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nearest.to_bits().hash(state);
    }
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
