//! What became of an event, by the word of whoever wrote the bundle, and whether its receipts agree.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::event::Timestamp;

/// The most characters of a reason.
const LONGEST_REASON: usize = 64;

/// What became of a numbered event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventState {
    /// It has its number, and nothing is on record of how it ended, or not yet.
    Offered,
    /// The consumer has it: by its receipt where there is one, by the word of the gateway otherwise.
    Taken,
    /// It was given up.
    GivenUp {
        /// Why, as a word of a closed list.
        reason: String,
        /// When; nothing where that is not kept any more.
        at: Option<Timestamp>,
    },
}

impl EventState {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Taken => "taken",
            Self::GivenUp { .. } => "given-up",
        }
    }

    /// Adds it to the line of its event.
    pub(super) fn write(&self, line: &mut Map<String, Value>) {
        line.insert("state".to_owned(), self.word().into());
        if let Self::GivenUp { reason, at } = self {
            let letter = ToldDeadLetter { reason: reason.clone(), at: *at };
            line.insert("dead_letter".to_owned(), json!(letter));
        }
    }

    /// Reads it from a line; nothing if the line says nothing of it.
    pub(super) fn read(line: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let letter = line.get("dead_letter");
        let state = match line.get("state").map(Value::as_str) {
            None => None,
            Some(Some("offered")) => Some(Self::Offered),
            Some(Some("taken")) => Some(Self::Taken),
            Some(Some("given-up")) => {
                let letter = letter.ok_or("it was given up, and `dead_letter` is missing")?;
                return Self::given_up(letter).map(Some);
            }
            Some(_) => return Err("`state` is none of offered, taken and given-up"),
        };
        if letter.is_some() {
            return Err("it has a dead letter, and was not given up");
        }
        Ok(state)
    }

    fn given_up(letter: &Value) -> Result<Self, &'static str> {
        let Ok(ToldDeadLetter { reason, at }) = serde_json::from_value(letter.clone()) else {
            return Err("`dead_letter` is malformed");
        };
        let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
        if reason.is_empty() || reason.len() > LONGEST_REASON || !reason.chars().all(is_word) {
            return Err("the reason of the dead letter is malformed");
        }
        Ok(Self::GivenUp { reason, at })
    }
}

/// A dead letter as the line of its event tells it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ToldDeadLetter {
    reason: String,
    at: Option<Timestamp>,
}

/// How many events of a bundle have become what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ToldStates {
    /// Those of whose end nothing is on record.
    pub offered: u64,
    /// Those that the consumer has.
    pub taken: u64,
    /// Those of them that a checked receipt is for: by the word of the consumer.
    pub taken_by_receipt: u64,
    /// Those that were given up.
    pub given_up: u64,
    /// Those of which nothing is said, in a bundle of before that was said.
    pub untold: u64,
}
