//! Finds an event by what its producer was given: its own id, or the id of the envelope it came in.

use std::sync::Arc;

use crate::api::event_choice::EventChoice;
use crate::api::{Caller, Code, Problem, Services};
use crate::event::EventId;
use crate::eventlog::{Entry, LowWatermark, Page, Position, QuarantineQuery};

/// The most events that a caller is given to choose from.
const MOST: usize = 100;
/// How many pages of events of the same envelope id are looked through, most of which may be others'.
const MOST_PAGES: usize = 10;
/// Such a page ends at its events, unless these are very large.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

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
    for _ in 0..MOST_PAGES {
        if found.len() >= MOST {
            break;
        }
        let page = Page { items: MOST, bytes: PAGE_BYTES };
        let some = log.of_envelope(given, after, page).await?;
        let Some(last) = some.last() else { break };
        after = last.position;
        found.extend(some.into_iter().filter(sees));
    }
    found.truncate(MOST);
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let words = "several events came of this id; name one of them by its ULID";
    let choices = found.iter().map(|entry| EventChoice::of(entry)).collect();
    Err(Problem::new(Code::Ambiguous, words).with_choices(choices))
}

/// The event up to which retention has dropped all, where that may concern one; for who does not see every
/// event the end of the minute, because whose it was nobody knows any more.
pub(super) fn dropped_through(
    caller: &Caller,
    low_watermark: LowWatermark,
    one: EventId,
) -> Option<EventId> {
    if low_watermark == LowWatermark::START {
        return None;
    }
    let exact = low_watermark.id;
    let id = if caller.sees_metadata() { exact } else { exact.end_of_minute() };
    // Not whether, either: who asks for many ids would find the exact one.
    LowWatermark { id, ..low_watermark }.is_above(one).then_some(id)
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
    let dropped =
        given.parse().ok().and_then(|id| dropped_through(caller, log.low_watermark(), id));
    let (envelope_id, domains) = (Some(given.into()), caller.domains_seen()?);
    let query = QuarantineQuery { envelope_id, domains, ..QuarantineQuery::default() };
    let page = Page { items: 1, ..Page::default() };
    let is_aside = !services.store.quarantine.quarantined(&query, page).await?.is_empty();
    let words = if is_aside {
        "there is no such event: what came under this id is in quarantine; `GET \
         /quarantine?envelope=` and `sealway quarantine list --envelope` list it and say why"
            .to_owned()
    } else if let Some(dropped) = dropped {
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
