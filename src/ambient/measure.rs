//! Durations and sizes as people write them in settings: `30s`, `5m`, `256 KiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A duration, written `500ms`, `30s`, `5m`, `2h`, `7days` or a sum such as `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// A number of bytes, written `64 KiB`, `1 MiB` or plain `65536`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as an index type, at most what memory can address.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SECONDS_OF_A_DAY: u64 = 86_400;

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Months and years of a calendar are no durations, so days are the largest unit.
        let days = self.0.as_secs() / SECONDS_OF_A_DAY;
        let rest = self.0.saturating_sub(Duration::from_secs(days * SECONDS_OF_A_DAY));
        match days {
            0 => return humantime::format_duration(rest).fmt(f),
            1 => f.write_str("1day")?,
            _ => write!(f, "{days}days")?,
        }
        if rest.is_zero() { Ok(()) } else { write!(f, " {}", humantime::format_duration(rest)) }
    }
}

/// Rounded to a tenth of a unit where that is the size itself; what is shown is read as the same.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = bytesize::ByteSize(self.0).to_string();
        if rounded.parse().is_ok_and(|read: Self| read == *self) {
            f.pad(&rounded)
        } else {
            write!(f, "{} B", self.0)
        }
    }
}

/// A text that is not a measure.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}, found `{found}`")]
pub struct MeasureError {
    expected: &'static str,
    found: String,
}

impl FromStr for HumanDuration {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |_| MeasureError {
            expected: "a duration such as 30s, 5m or 2h",
            found: text.to_owned(),
        };
        humantime::parse_duration(text).map(Self).map_err(refuse)
    }
}

impl FromStr for Size {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |_| MeasureError {
            expected: "a size such as 65536, 64 KiB or 1 MiB",
            found: text.to_owned(),
        };
        text.parse::<bytesize::ByteSize>().map(|size| Self(size.0)).map_err(refuse)
    }
}

macro_rules! as_text {
    ($name:ident, $schema:literal, $description:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}

as_text!(HumanDuration, "Span", "a duration such as 500ms, 30s, 5m, 2h or 7days");
as_text!(Size, "Size", "a size such as 65536, 64 KiB or 1 MiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_read_what_they_write() {
        assert_eq!(
            "1h 30m".parse::<HumanDuration>().unwrap(),
            HumanDuration(Duration::from_mins(90))
        );
        assert_eq!("256 KiB".parse::<Size>().unwrap(), Size(262_144));
        for size in [65_536, 1_048_576, 7, 100_000, 1_245_678, u64::MAX].map(Size) {
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
        for (seconds, text) in
            [(0, "0s"), (90, "1m 30s"), (86_401, "1day 1s"), (7_776_000, "90days")]
        {
            let span = HumanDuration(Duration::from_secs(seconds));
            assert_eq!(span.to_string(), text);
            assert_eq!(text.parse::<HumanDuration>().unwrap(), span);
        }
        assert!("soon".parse::<HumanDuration>().is_err());
        assert!("big".parse::<Size>().is_err());
    }
}
