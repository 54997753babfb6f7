//! A moment, to the nanosecond, written as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment between the years 1678 and 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The length of the longest text: with nine places of a second.
const LONGEST: usize = "2026-11-21T20:17:00.123456789Z".len();
const NANOS_PER_MS: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// The latest moment.
    pub const MAX: Self = Self(i64::MAX);

    /// Takes nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Takes milliseconds since the Unix epoch, at most what the range allows.
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms.saturating_mul(NANOS_PER_MS))
    }

    /// Takes seconds since the Unix epoch, at most what the range allows.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MS)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// The moment `span` later, at most what the range allows.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The moment `span` earlier, at least what the range allows.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`, zero if that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every value of the range formats: the year has four digits.
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0));
        let mut buffer = [0; LONGEST];
        let mut rest = buffer.as_mut_slice();
        let formatted = moment.ok().and_then(|moment| moment.format_into(&mut rest, &Rfc3339).ok());
        // The library does not count the places of a second that it has written.
        let written = formatted.map_or(0, |_| LONGEST - rest.len());
        let text = buffer.get(..written).and_then(|text| str::from_utf8(text).ok());
        f.write_str(text.filter(|text| !text.is_empty()).unwrap_or("1970-01-01T00:00:00Z"))
    }
}

/// A text that is not a moment.
#[derive(Debug, thiserror::Error)]
#[error("not a time: expected RFC 3339, for example 2026-11-21T20:17:00Z, between 1678 and 2262")]
pub struct TimestampError;

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        i64::try_from(moment.unix_timestamp_nanos()).map(Self).map_err(|_| TimestampError)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_turned_into_utc_and_fractions_are_kept() {
        let moment: Timestamp = "2026-11-21T21:17:00.25+01:00".parse().unwrap();

        assert_eq!(moment.to_string(), "2026-11-21T20:17:00.25Z");
        assert_eq!(moment.unix_ms() % 1000, 250);
    }

    #[test]
    fn every_moment_of_the_range_has_a_text_that_comes_back() {
        for nanos in [i64::MIN, -1, 0, 1, i64::MAX] {
            let moment = Timestamp::from_unix_nanos(nanos);
            assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        }
    }

    #[test]
    fn years_out_of_range_and_dates_without_a_zone_are_refused() {
        for text in ["2300-01-01T00:00:00Z", "2026-11-21T20:17:00", "yesterday", ""] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
