//! When an event occurred, by its producer's word: an RFC 3339 text that is kept as it was sent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use time::{Date, Month, OffsetDateTime};

use crate::event::Timestamp;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;
/// How many digits of a second a [`Timestamp`] has.
const TIMESTAMP_DIGITS: usize = 9;

/// A time of the years 0000 to 9999 as RFC 3339 writes it, with the offset and the digits that the
/// producer chose.
///
/// Between date and time of day stands an upper-case `T`, and UTC is an upper-case `Z`: RFC 3339
/// (section 5.6) lets producers write `t`, `z` and a space, and not all consumers read that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventTime(Kept);

/// One text has one form here, so that equal texts are equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kept {
    /// What a [`Timestamp`] prints: nearly all times, without memory of their own.
    Moment(Timestamp),
    /// Any other text, and the moment that comes nearest.
    Text { text: Arc<str>, seconds: i64, nearest: Timestamp },
}

/// Why a text or number is not the time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problem())]
pub enum EventTimeError {
    /// The text is not written as RFC 3339 says.
    Form,
    /// There is no such day, time of day or offset.
    Value,
    /// The year has more than four digits, or lies before the year 0000.
    Range,
    /// There are more digits than anybody needs.
    TooLong,
}

impl EventTimeError {
    /// What is wrong and what is expected, to be read after the name of the member.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::Form => {
                "must be an RFC 3339 time with an offset, for example 2026-11-21T20:17:00Z or \
                 2026-11-21T21:17:00.25+01:00"
            }
            Self::Value => {
                "names a day, a time of day or an offset that does not exist; expected an RFC 3339 \
                 time, for example 2026-11-21T20:17:00Z"
            }
            Self::Range => "must be in the years 0000 to 9999",
            Self::TooLong => "is too long: a time has at most 128 characters",
        }
    }
}

impl EventTime {
    /// The longest text, in bytes.
    pub const MAX: usize = 128;

    /// The time in UTC that lies `seconds` after 1970, and the decimals of a second after that.
    ///
    /// # Errors
    ///
    /// The caller's turn: the year is not one of 0000 to 9999, or there are too many decimals.
    pub fn from_epoch(seconds: i64, decimals: &str) -> Result<Self, EventTimeError> {
        let moment = OffsetDateTime::from_unix_timestamp(seconds)
            .ok()
            .filter(|moment| (0..=9999).contains(&moment.year()))
            .ok_or(EventTimeError::Range)?;
        let point = if decimals.is_empty() { "" } else { "." };
        let (hour, minute, second) = moment.to_hms();
        format!(
            "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{point}{decimals}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
        )
        .parse()
    }

    /// Whole seconds since 1970, as JWT counts them; nothing before that.
    pub fn epoch_seconds(&self) -> Option<u64> {
        let seconds = match &self.0 {
            Kept::Moment(moment) => moment.unix_seconds(),
            Kept::Text { seconds, .. } => *seconds,
        };
        u64::try_from(seconds).ok()
    }

    /// The moment, or the nearest that a [`Timestamp`] can be.
    pub const fn nearest(&self) -> Timestamp {
        match &self.0 {
            Kept::Moment(moment) => *moment,
            Kept::Text { nearest, .. } => *nearest,
        }
    }

    /// The text, where it is not what [`nearest`](Self::nearest) prints.
    pub fn own_text(&self) -> Option<&str> {
        match &self.0 {
            Kept::Moment(_) => None,
            Kept::Text { text, .. } => Some(text),
        }
    }
}

impl From<Timestamp> for EventTime {
    fn from(moment: Timestamp) -> Self {
        Self(Kept::Moment(moment))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Moment(moment) => moment.fmt(f),
            Kept::Text { text, .. } => f.write_str(text),
        }
    }
}

impl FromStr for EventTime {
    type Err = EventTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX {
            return Err(EventTimeError::TooLong);
        }
        let parts = Parts::read(text).ok_or(EventTimeError::Form)?;
        let seconds = parts.unix_seconds().ok_or(EventTimeError::Value)?;
        let nanos = i128::from(seconds) * NANOS_PER_SECOND + i128::from(parts.nanos());
        let exact = i64::try_from(nanos).map(Timestamp::from_unix_nanos);
        if let (Ok(moment), true) = (exact, parts.is_as_printed()) {
            return Ok(Self(Kept::Moment(moment)));
        }
        let nearest = exact.unwrap_or_else(|_| {
            Timestamp::from_unix_nanos(if seconds < 0 { i64::MIN } else { i64::MAX })
        });
        let mut text = text.to_owned();
        text.replace_range(SEPARATOR..=SEPARATOR, "T");
        if text.ends_with('z') {
            text.replace_range(text.len() - 1.., "Z");
        }
        Ok(Self(Kept::Text { text: text.into(), seconds, nearest }))
    }
}

impl serde::Serialize for EventTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EventTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the time of day follows the date.
const SEPARATOR: usize = 10;

/// The numbers of a text that is written as RFC 3339 says (section 5.6).
struct Parts<'a> {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    /// The digits after the point, if there is one.
    fraction: &'a str,
    /// Whether it lies behind UTC, and by how many hours and minutes it differs; nothing for `Z`.
    offset: Option<(bool, u8, u8)>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let head: &[u8; 19] = text.as_bytes().first_chunk()?;
        let &[
            y1,
            y2,
            y3,
            y4,
            b'-',
            m1,
            m2,
            b'-',
            d1,
            d2,
            // The note of section 5.6 lets readable texts have "(say) a space character".
            b'T' | b't' | b' ' | b'_',
            h1,
            h2,
            b':',
            n1,
            n2,
            b':',
            s1,
            s2,
        ] = head
        else {
            return None;
        };
        let rest = text.get(head.len()..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        };
        if rest.starts_with('.') && fraction.is_empty() {
            return None;
        }
        let offset = match zone.as_bytes() {
            b"Z" | b"z" => None,
            &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                Some((sign == b'-', two(h1, h2)?, two(m1, m2)?))
            }
            _ => return None,
        };
        Some(Self {
            year: u16::from(two(y1, y2)?) * 100 + u16::from(two(y3, y4)?),
            month: two(m1, m2)?,
            day: two(d1, d2)?,
            hour: two(h1, h2)?,
            minute: two(n1, n2)?,
            second: two(s1, s2)?,
            fraction,
            offset,
        })
    }

    /// Whole seconds since 1970, if there is such a moment. A leap second counts as the one before.
    fn unix_seconds(&self) -> Option<i64> {
        let (is_behind, hours, minutes) = self.offset.unwrap_or_default();
        if self.hour > 23 || self.minute > 59 || self.second > 60 || hours > 23 || minutes > 59 {
            return None;
        }
        let month = Month::try_from(self.month).ok()?;
        let date = Date::from_calendar_date(self.year.into(), month, self.day).ok()?;
        let day = i64::from(date.to_julian_day()) - EPOCH_DAY;
        let offset = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
        let local = day * SECONDS_PER_DAY
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second.min(59));
        let seconds = if is_behind { local + offset } else { local - offset };
        (self.second < 60 || ends_a_month(seconds)).then_some(seconds)
    }

    /// The first nine digits of the fraction, as a number.
    fn nanos(&self) -> u32 {
        if self.second == 60 {
            return 999_999_999;
        }
        let digits = self.fraction.bytes().chain(std::iter::repeat(b'0'));
        digits.take(TIMESTAMP_DIGITS).fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
    }

    /// Whether a [`Timestamp`] of this moment prints this text, but for the case of its letters.
    fn is_as_printed(&self) -> bool {
        self.offset.is_none()
            && self.second < 60
            && self.fraction.len() <= TIMESTAMP_DIGITS
            && !self.fraction.ends_with('0')
    }
}

/// Whether this is the last second of a month in UTC, after which a leap second may come (RFC 3339,
/// section 5.7).
fn ends_a_month(seconds: i64) -> bool {
    let day = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY) + EPOCH_DAY);
    let date = day.ok().and_then(|day| Date::from_julian_day(day).ok());
    seconds.rem_euclid(SECONDS_PER_DAY) == SECONDS_PER_DAY - 1
        && date.is_some_and(|date| date.day() == date.month().length(date.year()))
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| (tens - b'0') * 10 + (ones - b'0'))
}

#[cfg(test)]
#[path = "event_time_tests.rs"]
mod tests;
