//! Holds the dates of a bundle against its events: an id has the moment in it at which its event was accepted.

use serde_json::{Map, Value};

use crate::event::{EventId, Timestamp};
use crate::seal::evidence::{BundleTrust, Examiner};
use crate::seal::signed::seconds;

impl Examiner<'_> {
    /// Notes that something is dated before an event that it speaks of.
    pub(super) fn not_before(&mut self, what: &str, dated: Timestamp, event: Option<EventId>) {
        let Some(event) = event else { return };
        let accepted = Timestamp::from_unix_ms(i64::try_from(event.unix_ms()).unwrap_or(i64::MAX));
        if dated.after(BundleTrust::LEEWAY) < accepted {
            self.find(format!(
                "{what} is dated {dated}, before event {event} was accepted ({accepted}): the date is \
                 false, or the gateway's clock had gone ahead"
            ));
        }
    }

    /// Notes the same of claims, which have their date in `iat`.
    pub(super) fn issued_not_before(
        &mut self,
        what: &str,
        claims: &Map<String, Value>,
        event: Option<EventId>,
    ) {
        match seconds(claims, "iat") {
            Some(issued) => self.not_before(what, Timestamp::from_unix_seconds(issued), event),
            None => self.find(format!("{what} has no date")),
        }
    }
}
