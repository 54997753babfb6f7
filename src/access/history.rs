//! How far back a grant reaches.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::ambient::HumanDuration;

/// The longest history that is a duration; who needs more needs all of it.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 20);

/// How far back a grant reaches, written `from-grant`, `all`, or a duration such as `30days`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum History {
    /// Events from when the grant begins.
    #[default]
    FromGrant,
    /// These events too: what the log took so long before it begins.
    Before(HumanDuration),
    /// Every event that the log has.
    All,
}

/// A text that is no history.
#[derive(Debug, thiserror::Error)]
#[error("write `from-grant`, `all`, or a duration such as `30days`")]
pub struct HistoryError;

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromGrant => f.write_str("from-grant"),
            Self::Before(duration) => duration.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for History {
    type Err = HistoryError;

    fn from_str(text: &str) -> Result<Self, HistoryError> {
        match text {
            "from-grant" => Ok(Self::FromGrant),
            "all" => Ok(Self::All),
            _ if text.len() > 64 => Err(HistoryError),
            _ => {
                let duration: HumanDuration = text.parse().map_err(|_| HistoryError)?;
                if duration.0 > LONGEST { Err(HistoryError) } else { Ok(Self::Before(duration)) }
            }
        }
    }
}

impl TryFrom<String> for History {
    type Error = HistoryError;

    fn try_from(text: String) -> Result<Self, HistoryError> {
        text.parse()
    }
}

impl From<History> for String {
    fn from(history: History) -> Self {
        history.to_string()
    }
}

impl JsonSchema for History {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "History".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How far back it reaches: `from-grant`, `all`, or a duration such as `30days`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_history_reads_what_it_writes_and_nothing_endless() {
        for text in ["from-grant", "all", "30days", "1h 30m"] {
            assert_eq!(text.parse::<History>().unwrap().to_string(), text);
        }
        for text in ["", "ever", "-1d", "100000years", &"1h ".repeat(100)] {
            assert!(text.parse::<History>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,80}") {
            if let Ok(history) = text.parse::<History>() {
                prop_assert_eq!(history.to_string().parse::<History>().unwrap(), history);
            }
        }
    }
}
