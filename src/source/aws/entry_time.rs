//! The `Time` of an entry of `PutEvents`: seconds since 1970 with any decimals, or RFC 3339.

use crate::event::number::plain_digits;
use crate::event::{EventTime, EventTimeError};

/// The most digits of whole seconds: those of the year 9999.
const WHOLE_DIGITS: i64 = 12;
/// The first number of seconds that has more.
const BEYOND: f64 = 1e12;

/// Reads a JSON value; nothing if it is neither a number nor a text that is written like a time,
/// so that AWS refuses the request.
pub(super) fn read_time(json: &str) -> Option<Result<EventTime, EventTimeError>> {
    if json.starts_with('"') {
        let read = serde_json::from_str::<String>(json).ok()?.parse();
        return (read != Err(EventTimeError::Form)).then_some(read);
    }
    let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    is_number.then(|| {
        let (seconds, decimals) = decimal(json)?;
        EventTime::from_epoch(seconds, &decimals)
    })
}

/// The largest whole number that is not above a JSON number, and the decimals that lead up to it,
/// both exactly: binary64 would lose the nanoseconds that SDKs send.
fn decimal(json: &str) -> Result<(i64, String), EventTimeError> {
    let digits = plain_digits(json, WHOLE_DIGITS, EventTime::MAX);
    let is_far = || json.parse().is_ok_and(|seconds: f64| seconds.abs() >= BEYOND);
    let wrong = || if is_far() { EventTimeError::Range } else { EventTimeError::TooLong };
    let digits = digits.ok_or_else(wrong)?;
    let (is_negative, digits) =
        digits.strip_prefix('-').map_or((false, &*digits), |digits| (true, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let seconds: i64 = whole.parse().map_err(|_| EventTimeError::Range)?;
    Ok(match (is_negative, decimals.is_empty()) {
        (false, _) => (seconds, decimals.to_owned()),
        (true, true) => (-seconds, String::new()),
        (true, false) => (-seconds - 1, up_to_one(decimals)),
    })
}

/// The decimals that are missing to one: of `25`, `75`. The last digit is none of `0`.
fn up_to_one(decimals: &str) -> String {
    let last = decimals.len().saturating_sub(1);
    let missing = |(at, digit): (usize, u8)| {
        char::from(b'0' + (if at == last { 10 } else { 9 }) - (digit - b'0'))
    };
    decimals.bytes().enumerate().map(missing).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Option<Result<String, EventTimeError>> {
        read_time(json).map(|time| time.map(|time| time.to_string()))
    }

    #[test]
    fn time_is_a_number_of_seconds_with_any_digits_or_an_rfc_3339_text() {
        for (json, text) in [
            ("1704164645", "2024-01-02T03:04:05Z"),
            ("1704164645.678", "2024-01-02T03:04:05.678Z"),
            ("1704164645.0", "2024-01-02T03:04:05Z"),
            ("1704164645.120", "2024-01-02T03:04:05.12Z"),
            ("1704164645.12345678912", "2024-01-02T03:04:05.12345678912Z"),
            ("1.704164645E9", "2024-01-02T03:04:05Z"),
            ("1.704164645678e+9", "2024-01-02T03:04:05.678Z"),
            ("17041646450e-1", "2024-01-02T03:04:05Z"),
            ("1e-3", "1970-01-01T00:00:00.001Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("-0.0", "1970-01-01T00:00:00Z"),
            ("0e999999999999999999999", "1970-01-01T00:00:00Z"),
            ("-1", "1969-12-31T23:59:59Z"),
            ("-0.5", "1969-12-31T23:59:59.5Z"),
            ("-1.250", "1969-12-31T23:59:58.75Z"),
            ("-0.001", "1969-12-31T23:59:59.999Z"),
            ("-62135596800", "0001-01-01T00:00:00Z"),
            ("-62167219200", "0000-01-01T00:00:00Z"),
            ("253402300799.999", "9999-12-31T23:59:59.999Z"),
            ("\"2024-01-02T03:04:05Z\"", "2024-01-02T03:04:05Z"),
            ("\"2024-01-02T03:04:05.120+01:00\"", "2024-01-02T03:04:05.120+01:00"),
            ("\"9999-12-31T23:59:59\\u005a\"", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(read(json), Some(Ok(text.to_owned())), "{json}");
        }
    }

    #[test]
    fn what_is_no_time_is_nothing_and_a_time_out_of_bounds_says_why() {
        for json in ["true", "null", "\"now\"", "\"1704164645\"", "[]", "{}", "\"\""] {
            assert_eq!(read(json), None, "{json}");
        }
        let far = ["99999999999999", "253402300800", "-62167219201", "-62167219200.5", "1e300"];
        for json in far.into_iter().chain(["1e99999999999999999999", "-1e300"]) {
            assert_eq!(read(json), Some(Err(EventTimeError::Range)), "{json}");
        }
        let long = format!("1.{}1", "0".repeat(2_000));
        for json in ["1e-300", &long] {
            assert_eq!(read(json), Some(Err(EventTimeError::TooLong)), "{json}");
        }
        assert_eq!(read("\"2024-02-30T03:04:05Z\""), Some(Err(EventTimeError::Value)));
    }

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in r#"[-+0-9.eE"TZ:]{0,30}"#) {
            let _ = read_time(&text);
        }

        #[test]
        fn milliseconds_are_those_of_the_number(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            let sign = if ms < 0 { "-" } else { "" };
            let (whole, rest) = (ms.abs() / 1_000, ms.abs() % 1_000);
            let time = read_time(&format!("{sign}{whole}.{rest:03}")).unwrap().unwrap();
            prop_assert_eq!(time.epoch_seconds(), u64::try_from(ms.div_euclid(1_000)).ok());
            if time.own_text().is_none() {
                prop_assert_eq!(time.nearest().unix_ms(), ms);
            }
        }
    }
}
