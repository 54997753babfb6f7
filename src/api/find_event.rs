//! Finds an event by what its producer was given: its own id, or the id of the envelope it came in.

use std::sync::Arc;

use crate::api::event_choice::EventChoice;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::EventId;
use crate::eventlog::{Entry, LowWatermark, Page, Position, QuarantineQuery};

/// The most events that a caller is given to choose from.
const MOST: usize = 100;

/// Finds the one event that a ULID, an `EventId` of EventBridge or the `id` of a CloudEvent names;
/// nothing if the log holds none that the caller sees.
///
/// # Errors
///
/// The caller's turn: several events came of the envelope. Ours: the log failed.
pub(super) async fn find_event(
    services: &Services,
    caller: &Caller,
    given: &str,
) -> Result<Option<Arc<Entry>>, Problem> {
    let log = &services.store.log;
    let sees = |entry: &Arc<Entry>| caller.sees_event_of(&entry.publication);
    if let Ok(id) = given.parse::<EventId>()
        && let Some(found) = log.find(&[id]).await?.into_iter().next().flatten().filter(sees)
    {
        return Ok(Some(found));
    }
    let (mut found, mut after) = (Vec::new(), Position::START);
    // Whoever sends chooses such ids, so that others may have many of the same.
    while found.len() < MOST {
        let page = Page { items: MOST, ..Page::default() };
        let some = log.of_envelope(given, after, page).await?;
        let Some(last) = some.last() else { break };
        after = last.position;
        found.extend(some.into_iter().filter(sees));
    }
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let words = "several events came of this id; name one of them by its ULID";
    let choices = found.iter().map(|entry| EventChoice::of(entry)).collect();
    Err(Problem::new(Code::Ambiguous, words).with_choices(choices))
}

/// The event up to which retention has dropped all; for who does not see every event the minute, because whose
/// it was nobody knows any more.
pub(super) fn dropped_through(caller: &Caller, low_watermark: LowWatermark) -> EventId {
    if caller.sees_metadata() { low_watermark.id } else { low_watermark.id.end_of_minute() }
}

/// The earlier event with the same key and another content, if the caller sees it: another domain may use the
/// same keys.
///
/// # Errors
///
/// Ours: the log failed.
pub(super) async fn conflict(
    services: &Services,
    caller: &Caller,
    entry: &Entry,
) -> Result<Option<String>, Problem> {
    let Some(earlier) = entry.conflict else { return Ok(None) };
    if caller.sees_metadata() {
        return Ok(Some(earlier.to_string()));
    }
    let found = services.store.log.find(&[earlier]).await?.into_iter().next().flatten();
    let seen = found.filter(|found| caller.sees_event_of(&found.publication));
    Ok(seen.map(|found| found.event.id.to_string()))
}

/// Says why there is no event under an id, as far as that is known and the caller may know it, and where to
/// look.
///
/// # Errors
///
/// The caller's turn: it sees no events. Ours: the log failed.
pub(super) async fn missing(
    services: &Services,
    caller: &Caller,
    given: &str,
) -> Result<Problem, Problem> {
    let log = &services.store.log;
    // Where others append too, what is known of the low watermark may be old.
    log.fresh_head().await?;
    let low_watermark = log.low_watermark();
    let (envelope_id, domains) = (Some(given.into()), caller.domains_seen()?);
    let query = QuarantineQuery { envelope_id, domains, ..QuarantineQuery::default() };
    let page = Page { items: 1, ..Page::default() };
    let is_aside = !services.store.quarantine.quarantined(&query, page).await?.is_empty();
    let words = if is_aside {
        "there is no such event: what came under this id is in quarantine; `GET \
         /quarantine?envelope=` and `sealway quarantine list --envelope` list it and say why"
            .to_owned()
    } else if given.parse().is_ok_and(|id| low_watermark.is_above(id)) {
        let dropped = dropped_through(caller, low_watermark);
        format!("there is no such event; those up to {dropped} were dropped by retention")
    } else {
        "there is no such event, and none that came of an envelope with this id: no publication \
         wanted it, it was refused, retention has dropped it, it is in quarantine as bytes \
         of which nobody knew the id, or it is from before the gateway \
         kept such ids; `sealway events try` tells what would become of it now"
            .to_owned()
    };
    Ok(Problem::new(Code::NotFound, words))
}
