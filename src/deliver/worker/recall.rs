//! Finds the event of a delivery that waits: in the log, or in the copy of its dead letter.

use std::sync::Arc;

use crate::event::Timestamp;
use crate::eventlog::{DeadLetter, Entry, LogError, Page, Position, Protection, Retry, Store};

/// Reads the event of a retry; nothing if neither the log nor a dead letter has it.
pub async fn recall(store: &Store, retry: &Retry) -> Result<Option<Arc<Entry>>, LogError> {
    let before = Position(retry.position.0.saturating_sub(1));
    let found = store.log.read(before, Page { items: 1, bytes: 1 }).await?;
    let found = found.into_iter().next().filter(|entry| entry.event.id == retry.key.event);
    if found.is_some() || !retry.redriven {
        return Ok(found);
    }
    // Dead letters are kept independently of the log, whose retention may have passed the event.
    Ok(store.dead_letters.dead_letter(&retry.key).await?.map(|letter| Arc::new(entry_of(letter))))
}

/// The entry that a dead letter was made from, as far as its copy tells.
fn entry_of(letter: DeadLetter) -> Entry {
    Entry {
        position: letter.position,
        // The id was minted at the moment at which the log took the event.
        accepted: Timestamp::from_unix_ms(letter.event.id.unix_ms().cast_signed()),
        event: letter.event,
        publication: Arc::from(""),
        envelope_id: Arc::from(""),
        conflict: None,
        protection: Protection::default(),
    }
}
