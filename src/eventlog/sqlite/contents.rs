//! Which contents the log holds: what repeats and conflicts are told by.
//!
//! Contents lie in the order of their keys, which is no order of time. To remove the content of each
//! entry that goes would touch a page for each; here they stay, count no more, and are swept in the
//! order of their keys, so that a page is touched once for many.

use rusqlite::{Connection, OptionalExtension, params};

use crate::event::{ContentDigest, EventId, IdempotencyKey};
use crate::eventlog::Draft;
use crate::eventlog::sqlite::rows::{self, Known};

/// Contents that a sweep looks at for each entry that was dropped: at most about a third of the rows
/// are then of entries that are gone.
const LOOKS: u64 = 4;

/// The newest event with the content of a draft, and when the log took it.
///
/// An event up to the low watermark counts only if it is still there.
pub(super) fn newest(
    connection: &Connection,
    draft: &Draft,
    low_watermark: EventId,
) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached(
            "SELECT event, accepted FROM contents
             WHERE idempotency_key = ? AND digest = ? AND publication = ?
               AND (event > ? OR EXISTS (SELECT 1 FROM events WHERE id = contents.event))",
        )?
        .query_row(
            params![
                draft.idempotency_key.to_bytes(),
                draft.digest.to_bytes(),
                draft.publication,
                low_watermark.to_bytes()
            ],
            |row| Ok((rows::event_id(row, 0)?, rows::timestamp(row, 1)?)),
        )
        .optional()
}

/// An event that has the key of a draft and another content.
///
/// At most one row per content and publication has the key, so this looks at few.
pub(super) fn conflict(
    connection: &Connection,
    draft: &Draft,
    low_watermark: EventId,
) -> rusqlite::Result<Option<EventId>> {
    connection
        .prepare_cached(
            "SELECT event FROM contents WHERE idempotency_key = ? AND digest <> ?
               AND (event > ? OR EXISTS (SELECT 1 FROM events WHERE id = contents.event))
             LIMIT 1",
        )?
        .query_row(
            params![
                draft.idempotency_key.to_bytes(),
                draft.digest.to_bytes(),
                low_watermark.to_bytes()
            ],
            |row| rows::event_id(row, 0),
        )
        .optional()
}

/// Takes an event as the newest with its content, unless a newer one is known.
pub(super) fn remember(
    connection: &Connection,
    (key, digest, publication): (IdempotencyKey, ContentDigest, &str),
    (event, accepted): Known,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO contents
               (idempotency_key, digest, publication, event, accepted) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (idempotency_key, digest, publication)
             DO UPDATE SET event = excluded.event, accepted = excluded.accepted
              WHERE excluded.event > event",
        )?
        .execute(params![
            key.to_bytes(),
            digest.to_bytes(),
            publication,
            event.to_bytes(),
            accepted.unix_nanos()
        ])?;
    Ok(())
}

/// Where a sweep through the contents goes on; nothing: at the first key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sweep(Option<IdempotencyKey>);

impl Sweep {
    /// Removes contents of events that are gone, as far as so many dropped entries pay for.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        dropped: u64,
        low_watermark: EventId,
    ) -> rusqlite::Result<()> {
        let looks = rows::signed(dropped.saturating_mul(LOOKS));
        if looks == 0 {
            return Ok(());
        }
        let after = self.0.map_or(Vec::new(), |key| key.to_bytes().to_vec());
        let (last, looked_at): (Option<[u8; 16]>, i64) = connection
            .prepare_cached(
                "SELECT max(idempotency_key), count(*) FROM
                   (SELECT idempotency_key FROM contents
                    WHERE idempotency_key > ? ORDER BY idempotency_key LIMIT ?)",
            )?
            .query_row(params![after, looks], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let Some(last) = last {
            connection
                .prepare_cached(
                    "DELETE FROM contents
                     WHERE idempotency_key > ? AND idempotency_key <= ? AND event <= ?
                       AND NOT EXISTS (SELECT 1 FROM events WHERE id = contents.event)",
                )?
                .execute(params![after, last, low_watermark.to_bytes()])?;
        }
        // At the end of the table, the next sweep begins at the front again.
        self.0 = last.filter(|_| looked_at == looks).map(IdempotencyKey::from_bytes);
        Ok(())
    }
}
