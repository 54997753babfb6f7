//! Events that came again under the id of an earlier one: whether they say the same.

use std::collections::HashMap;

use crate::event::{ContentDigest, EventId};
use crate::eventlog::{Appended, Log};

/// Tells of each event that was appended whether it was taken for a repeat of one with another
/// content. What the log cannot tell any more is taken for equal.
pub(super) async fn differing(
    log: &dyn Log,
    digests: &[ContentDigest],
    appended: &[Appended],
) -> Vec<bool> {
    let repeated = |one: &Appended| match one {
        Appended::Duplicate { of } => Some(*of),
        Appended::New { .. } => None,
    };
    let mut earlier: Vec<EventId> = appended.iter().filter_map(repeated).collect();
    earlier.sort_unstable();
    earlier.dedup();
    let found = match earlier.as_slice() {
        [] => Vec::new(),
        ids => log.find(ids).await.unwrap_or_default(),
    };
    let known: HashMap<EventId, ContentDigest> = found
        .iter()
        .flatten()
        .map(|entry| (entry.event.id, entry.event.content_digest()))
        .collect();
    let differs = |(digest, one): (&ContentDigest, &Appended)| {
        let first = repeated(one).and_then(|of| known.get(&of));
        first.is_some_and(|first| first != digest)
    };
    digests.iter().zip(appended).map(differs).collect()
}
