//! How long a sink asks to be left alone: `Retry-After` (RFC 9110, section 10.2.3).

use std::time::Duration;

use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::event::Timestamp;

/// A date after its day of the week: `29 Nov 2026 09:10:00 GMT`.
const USUAL: &[FormatItem<'static>] =
    format_description!("[day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
/// The same as C's `asctime` writes it: `Nov 29 09:10:00 2026`.
const ASCTIME: &[FormatItem<'static>] =
    format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second] [year]");

/// Reads seconds or an HTTP date; nothing of what is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than a number can hold is still a number.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = http_date(value, now)?.assume_utc();
    Some(Timestamp::from_unix_seconds(date.unix_timestamp()).since(now))
}

/// Reads a date in one of the three forms that a recipient must read (RFC 9110, section 5.6.7). The day of
/// the week follows from the date, so it is not looked at.
fn http_date(text: &str, now: Timestamp) -> Option<PrimitiveDateTime> {
    match text.split_once(", ") {
        Some((_, date)) if date.contains('-') => with_two_digits(date, now),
        Some((_, date)) => PrimitiveDateTime::parse(date, USUAL).ok(),
        None => PrimitiveDateTime::parse(text.split_once(' ')?.1, ASCTIME).ok(),
    }
}

/// Reads `29-Nov-26 09:10:00 GMT`, of which the year is the last that is not over 50 years ahead.
fn with_two_digits(date: &str, now: Timestamp) -> Option<PrimitiveDateTime> {
    let (day, rest) = date.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let (year, hour) = rest.split_once(' ')?;
    let are_two_digits = year.len() == 2 && year.bytes().all(|byte| byte.is_ascii_digit());
    let year: i32 = Some(year).filter(|_| are_two_digits)?.parse().ok()?;
    let this_year = OffsetDateTime::from_unix_timestamp(now.unix_seconds()).ok()?.year();
    let latest = this_year + 50;
    let year = latest - (latest - year).rem_euclid(100);
    PrimitiveDateTime::parse(&format!("{day} {month} {year:04} {hour}"), USUAL).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-29T09:09:30Z.
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_943_370);

    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_read() {
        for text in [
            "30",
            " 30 ",
            "Sun, 29 Nov 2026 09:10:00 GMT",
            "Sunday, 29-Nov-26 09:10:00 GMT",
            "Sun Nov 29 09:10:00 2026",
        ] {
            assert_eq!(retry_after(text, NOW), Some(Duration::from_secs(30)), "{text}");
        }
        assert_eq!(retry_after("Sun Nov  1 09:10:00 2026", NOW), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999", NOW), Some(Duration::from_secs(u64::MAX)));
        for text in ["", "-1", "1.5", "soon", "Sun, 29 Nov 2026 09:10:00", "Sunday, 29-Nov-2026"] {
            assert_eq!(retry_after(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_the_last_that_is_not_over_50_years_ahead() {
        let year = |text: &str| {
            http_date(&format!("Sunday, 01-Jan-{text} 00:00:00 GMT"), NOW)
                .map(PrimitiveDateTime::year)
        };

        assert_eq!(["26", "76", "77", "00"].map(year), [2026, 2076, 1977, 2000].map(Some));
        assert_eq!(["6", "+6", "-6", "126"].map(year), [None; 4]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(
            text in "([A-Z][a-z]{2,8},? )?[0-9]{0,2}[ -]?[A-Z][a-z]{2}[ -][0-9+-]{0,4} [0-9:]{0,9}( GMT| [0-9]{4})?|\\PC{0,30}",
            now in -62_167_219_200_i64..253_402_300_800,
        ) {
            let _ = retry_after(&text, Timestamp::from_unix_seconds(now));
        }

        #[test]
        fn every_date_is_read_alike_in_each_form(after in 0_i64..1_500_000_000) {
            let date = OffsetDateTime::from_unix_timestamp(NOW.unix_seconds() + after).unwrap();
            let of = |format| date.format(format).unwrap();
            let two = format_description!(
                "Monday, [day]-[month repr:short]-[year repr:last_two] [hour]:[minute]:[second] GMT"
            );
            let expected = Some(Duration::from_secs(u64::try_from(after).unwrap()));

            for text in [format!("Mon, {}", of(USUAL)), format!("Mon {}", of(ASCTIME)), of(two)] {
                prop_assert_eq!(retry_after(&text, NOW), expected, "{}", text);
            }
        }
    }
}
