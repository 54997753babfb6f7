//! Holds the dates of a bundle against its events, each other and the present: an id has the moment in it at
//! which its event was accepted.

use serde_json::{Map, Value};

use crate::event::{EventId, Timestamp};
use crate::seal::evidence::{BundleTrust, Examiner};
use crate::seal::signed::seconds;

/// When an event was accepted.
fn accepted(event: EventId) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(event.unix_ms()).unwrap_or(i64::MAX))
}

/// Says that something is dated before an event that it speaks of.
pub(super) fn too_early(what: &str, dated: Timestamp, event: Option<EventId>) -> Option<String> {
    let event = event?;
    let accepted = accepted(event);
    (dated.after(BundleTrust::LEEWAY) < accepted).then(|| {
        format!(
            "{what} is dated {dated}, before event {event} was accepted ({accepted}): the date is \
             false, or the gateway's clock had gone ahead"
        )
    })
}

/// Says that something is dated in the future.
pub(super) fn too_late(what: &str, dated: Timestamp, now: Timestamp) -> Option<String> {
    (dated > now.after(BundleTrust::LEEWAY)).then(|| {
        format!(
            "{what} is dated {dated}, which lies in the future: it is {now} here, unless this clock is \
             behind"
        )
    })
}

impl Examiner<'_> {
    /// Notes what is wrong with the date of something that speaks of an event.
    pub(super) fn hold_date(&mut self, what: &str, dated: Timestamp, event: Option<EventId>) {
        let problem = too_early(what, dated, event);
        let problem = problem.or_else(|| too_late(what, dated, self.trust.now));
        if let Some(problem) = problem {
            self.find(problem);
        }
    }

    /// Notes the same of something that was signed behind all that is signed before it.
    pub(super) fn hold_order(&mut self, what: &str, dated: Timestamp, event: Option<EventId>) {
        self.hold_date(what, dated, event);
        let before = self.dated.filter(|before| dated.after(BundleTrust::LEEWAY) < *before);
        if let Some(before) = before {
            self.find(format!(
                "{what} is dated {dated}, and what stands before it {before}: it was signed behind that"
            ));
        }
        self.dated = self.dated.max(Some(dated));
    }

    /// The date in claims; that there is none is noted.
    pub(super) fn issued(&mut self, what: &str, claims: &Map<String, Value>) -> Option<Timestamp> {
        let issued = seconds(claims, "iat").map(Timestamp::from_unix_seconds);
        if issued.is_none() {
            self.find(format!("{what} has no date"));
        }
        issued
    }
}
