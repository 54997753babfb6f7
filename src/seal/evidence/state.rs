//! What became of an event, by the word of whoever wrote the bundle, and whether its receipts agree.

use serde_json::{Map, Value, json};

use crate::event::{EventId, Timestamp};
use crate::seal::evidence::Examiner;
use crate::seal::evidence::examiner::{Checked, parsed, text_of, wrong};

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
            line.insert("dead_letter".to_owned(), json!({"reason": reason, "at": at}));
        }
    }

    /// Reads it from a line; nothing if the line says nothing of it.
    fn read(line: &Map<String, Value>) -> Checked<Option<Self>> {
        let letter = line.get("dead_letter");
        let state = match line.get("state").map(Value::as_str) {
            None => None,
            Some(Some("offered")) => Some(Self::Offered),
            Some(Some("taken")) => Some(Self::Taken),
            Some(Some("given-up")) => {
                let Some(Value::Object(letter)) = letter else {
                    return wrong("it was given up, and `dead_letter` is missing or no object");
                };
                return Self::given_up(letter).map(Some);
            }
            Some(_) => return wrong("`state` is none of offered, taken and given-up"),
        };
        if letter.is_some() {
            return wrong("it has a dead letter, and was not given up");
        }
        Ok(state)
    }

    fn given_up(letter: &Map<String, Value>) -> Checked<Self> {
        let reason = text_of(letter, "reason")?;
        let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
        if reason.is_empty() || reason.len() > LONGEST_REASON || !reason.chars().all(is_word) {
            return wrong("the reason of the dead letter is malformed");
        }
        let at = match letter.get("at") {
            Some(Value::Null) => None,
            _ => Some(parsed(letter, "at")?),
        };
        Ok(Self::GivenUp { reason: reason.to_owned(), at })
    }
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

impl Examiner<'_> {
    /// Takes what became of an event, after its receipts; `receipts` says how many of them are good.
    pub(super) fn take_state(
        &mut self,
        members: &Map<String, Value>,
        (id, receipts): (EventId, u64),
    ) -> Checked<Option<EventState>> {
        let state = EventState::read(members)?;
        let has_receipts =
            members.get("receipts").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        match &state {
            None => {
                self.states.untold += 1;
                // Whoever says what was asked for says this, too.
                if self.asked.now().is_some() {
                    return wrong("`state` is missing");
                }
            }
            Some(EventState::Taken) => {
                self.states.taken += 1;
                self.states.taken_by_receipt += u64::from(receipts > 0);
            }
            Some(EventState::Offered) => self.states.offered += 1,
            Some(EventState::GivenUp { at, .. }) => {
                self.states.given_up += 1;
                if let Some(at) = at {
                    self.not_before("the dead letter", *at, Some(id));
                }
            }
        }
        if let Some(other) = state.as_ref().filter(|state| **state != EventState::Taken)
            && has_receipts
        {
            let word = other.word();
            self.find(format!("it is said to be {word}, and there is a receipt for it"));
        }
        Ok(state)
    }
}
