//! What became of the events that `sealway events put` has read, and which lines failed.

use serde::{Deserialize, Serialize};

use crate::event::Violation;

/// What became of the events; each line is counted under one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Durable, under one or more new ids.
    pub accepted: usize,
    /// In the log already.
    pub repeated: usize,
    /// Kept aside by all publications that wanted it.
    pub quarantined: usize,
    /// Wanted by no publication.
    pub unwanted: usize,
    /// Refused by the gateway.
    pub refused: usize,
    /// Not sent, because the line is no event.
    pub unreadable: usize,
    /// Accepted or repeated, and kept aside by another publication.
    pub also_quarantined: usize,
}

/// What the gateway says of one event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Told {
    /// At least one new event is in the log.
    Accepted(Aside),
    /// Everything that it became was in the log already.
    Repeated(Aside),
    /// It is kept aside, and nothing of it is in the log.
    Quarantined,
    /// No publication wants it.
    Unwanted,
    /// Nothing of it was stored.
    Refused(Refusal),
}

/// What a publication kept aside of an event that others let cross.
#[derive(Deserialize)]
pub struct Aside {
    /// How many publications had it quarantined.
    quarantined: usize,
    /// Whether it was taken for the repeat of an event with another content.
    #[serde(default)]
    differs: bool,
}

/// What is said of an event that was left out for its id.
const LEFT_OUT: &str = "left out: an event under the same source and id is there with another content; give each event \
     an id of its own";

/// Why nothing of an event was stored.
#[derive(Deserialize)]
pub struct Refusal {
    code: String,
    detail: String,
    #[serde(default)]
    violations: Vec<Violation>,
}

impl Tally {
    /// Whether every line was taken in one of the good ways.
    pub const fn is_good(&self) -> bool {
        self.refused == 0 && self.unreadable == 0
    }

    /// Counts an event, and gives what a person should know of it.
    pub fn count(&mut self, told: Told) -> Option<String> {
        let aside = match told {
            Told::Accepted(aside) => {
                self.accepted += 1;
                aside
            }
            Told::Repeated(aside) => {
                self.repeated += 1;
                aside
            }
            Told::Quarantined => {
                self.quarantined += 1;
                return None;
            }
            Told::Unwanted => {
                self.unwanted += 1;
                return None;
            }
            Told::Refused(refusal) => {
                self.refused += 1;
                return Some(refusal.in_words());
            }
        };
        self.also_quarantined += usize::from(aside.quarantined > 0);
        aside.differs.then(|| LEFT_OUT.to_owned())
    }

    /// Says everything in one line.
    pub fn in_words(&self) -> String {
        let Self {
            accepted,
            repeated,
            quarantined,
            unwanted,
            refused,
            unreadable,
            also_quarantined,
        } = self;
        let words = format!(
            "accepted {accepted}, repeated {repeated}, quarantined {quarantined}, unwanted \
             {unwanted}, refused {refused}, unreadable {unreadable}"
        );
        if *also_quarantined == 0 {
            return words;
        }
        format!("{words}; {also_quarantined} quarantined by one publication and not by all")
    }
}

impl Refusal {
    fn in_words(self) -> String {
        let mut words = vec![format!("{} ({})", self.detail, self.code)];
        words.extend(self.violations.into_iter().map(|violation| {
            let Violation { pointer, message, code } = violation;
            // The whole event has no place.
            let place = if pointer.is_empty() { pointer } else { format!("at `{pointer}`: ") };
            format!("{place}{message} ({code})")
        }));
        words.join("\n  ")
    }
}

/// How many failed lines are held back until they are told.
const MOST: usize = 1000;

/// The lines that failed, held back until the end.
///
/// An input with very many of them is told of in parts, so that they do not fill the memory.
#[derive(Default)]
pub struct FailedLines(Vec<(usize, String)>);

impl FailedLines {
    /// Notes why a line failed; says whether it is time to [`tell`](Self::tell).
    pub fn note(&mut self, number: usize, why: String) -> bool {
        self.0.push((number, why));
        self.0.len() >= MOST
    }

    /// Says which lines failed and why, in their order, and forgets them.
    pub fn tell(&mut self) -> Vec<String> {
        self.0.sort_by_key(|(number, _)| *number);
        self.0.drain(..).map(|(number, why)| format!("line {number}: {why}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_counted_once_by_its_outcome_and_a_refusal_is_told_with_its_violations() {
        let told: Vec<Told> = serde_json::from_value(json!([
            {"outcome": "accepted", "eventIds": ["a", "b"], "repeated": false, "quarantined": 1},
            {"outcome": "repeated", "eventIds": ["a"], "repeated": true, "quarantined": 0},
            {"outcome": "quarantined", "eventIds": [], "repeated": false, "quarantined": 1},
            {"outcome": "unwanted", "eventIds": [], "repeated": false, "quarantined": 0},
            {"outcome": "refused", "code": "contract-violated", "detail": "because", "violations": [
                {"pointer": "/data/x", "code": "required", "message": "`x` is required"}]},
        ]))
        .unwrap();
        let mut tally = Tally::default();

        let complaints: Vec<_> = told.into_iter().filter_map(|told| tally.count(told)).collect();

        let expected = Tally {
            accepted: 1,
            repeated: 1,
            quarantined: 1,
            unwanted: 1,
            refused: 1,
            unreadable: 0,
            also_quarantined: 1,
        };
        assert_eq!(tally, expected);
        assert!(!tally.is_good());
        assert_eq!(
            complaints,
            ["because (contract-violated)\n  at `/data/x`: `x` is required (required)"]
        );
        assert_eq!(
            tally.in_words(),
            "accepted 1, repeated 1, quarantined 1, unwanted 1, refused 1, unreadable 0; 1 \
             quarantined by one publication and not by all"
        );
    }

    #[test]
    fn failed_lines_are_told_in_their_order() {
        let mut failed = FailedLines::default();
        failed.note(7, "b".to_owned());
        failed.note(2, "a".to_owned());

        assert_eq!(failed.tell(), ["line 2: a", "line 7: b"]);
        assert!((1..MOST).all(|number| !failed.note(number, String::new())));
        assert!(failed.note(MOST, String::new()));
    }
}
