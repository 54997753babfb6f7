//! How much is in quarantine, counted on the disk as entries come and go.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::event::EventProducer;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{
    KeptEntry, ProducerUsage, QuarantineKind, QuarantineQuota, QuarantineSize, QuarantineUsage,
};

/// What an entry counts for.
pub(super) struct EntrySize<'a> {
    /// Whose it is; nothing if nobody's.
    pub(super) producer: Option<&'a EventProducer>,
    pub(super) kind: QuarantineKind,
    pub(super) bytes: u64,
}

impl EntrySize<'_> {
    /// The columns `producer, producer_kind, is_unread`.
    fn key(&self) -> (&str, &'static str, bool) {
        let (name, kind) = self.producer.map_or(("", ""), |one| (&*one.name, one.kind.text()));
        (name, kind, self.kind == QuarantineKind::Bytes)
    }

    /// Why there is no room for it, if there is none.
    pub(super) fn refusal(
        &self,
        connection: &Connection,
        quota: QuarantineQuota,
    ) -> rusqlite::Result<Option<KeptEntry>> {
        if self.producer.is_some() && !quota.admits(self.usage(connection)?, self.bytes) {
            return Ok(Some(KeptEntry::OverQuota));
        }
        let has_room = quota.has_room(total(connection)?, self.bytes);
        Ok((!has_room).then_some(KeptEntry::Full))
    }

    /// What the producer has of the kind.
    fn usage(&self, connection: &Connection) -> rusqlite::Result<QuarantineUsage> {
        let found = connection
            .prepare_cached(
                "SELECT entries, bytes FROM quarantine_usage
                 WHERE producer = ? AND producer_kind = ? AND is_unread = ?",
            )?
            .query_row(self.key(), |row| usage(row, 0))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Counts it, with the entry of its id.
    pub(super) fn add(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let (producer, kind, is_unread) = self.key();
        let bytes = rows::signed(self.bytes);
        connection
            .prepare_cached("INSERT INTO quarantine_sizes VALUES (?, ?, ?, ?, ?)")?
            .execute(params![id, producer, kind, is_unread, bytes])?;
        connection
            .prepare_cached(
                "INSERT INTO quarantine_usage VALUES (?, ?, ?, 1, ?4)
                 ON CONFLICT DO UPDATE SET entries = entries + 1, bytes = bytes + ?4",
            )?
            .execute(params![producer, kind, is_unread, bytes])?;
        connection
            .prepare_cached("UPDATE quarantine_total SET entries = entries + 1, bytes = bytes + ?")?
            .execute([bytes])?;
        Ok(())
    }
}

/// Counts an entry out that is gone.
pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM quarantine_sizes WHERE id = ?
             RETURNING producer, producer_kind, is_unread, bytes",
        )?
        .query_row([id], |row| {
            let key: (String, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((key, row.get::<_, i64>(3)?))
        })
        .optional()?;
    let Some(((producer, kind, is_unread), bytes)) = removed else { return Ok(()) };
    let of_it = "producer = ?1 AND producer_kind = ?2 AND is_unread = ?3";
    connection
        .prepare_cached(&format!(
            "UPDATE quarantine_usage SET entries = entries - 1, bytes = bytes - ?4 WHERE {of_it}"
        ))?
        .execute(params![producer, kind, is_unread, bytes])?;
    connection
        .prepare_cached(&format!("DELETE FROM quarantine_usage WHERE {of_it} AND entries = 0"))?
        .execute(params![producer, kind, is_unread])?;
    connection
        .prepare_cached("UPDATE quarantine_total SET entries = entries - 1, bytes = bytes - ?")?
        .execute([bytes])?;
    Ok(())
}

/// All entries, and the most bytes that they take.
pub(super) fn total(connection: &Connection) -> rusqlite::Result<QuarantineUsage> {
    connection
        .prepare_cached("SELECT entries, bytes FROM quarantine_total")?
        .query_row([], |row| usage(row, 0))
}

/// How much there is, and which producers have most.
pub(super) fn size(connection: &Connection, producers: usize) -> rusqlite::Result<QuarantineSize> {
    let largest = connection
        .prepare_cached(
            "SELECT producer, producer_kind, is_unread, entries, bytes FROM quarantine_usage
             ORDER BY bytes DESC LIMIT ?",
        )?
        .query_map([rows::signed(producers as u64)], producer_usage)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(QuarantineSize { total: total(connection)?, largest })
}

fn usage(row: &Row<'_>, at: usize) -> rusqlite::Result<QuarantineUsage> {
    Ok(QuarantineUsage {
        entries: rows::unsigned(row.get(at)?),
        bytes: rows::unsigned(row.get(at + 1)?),
    })
}

fn producer_usage(row: &Row<'_>) -> rusqlite::Result<ProducerUsage> {
    let kind = if row.get(2)? { QuarantineKind::Bytes } else { QuarantineKind::Event };
    Ok(ProducerUsage { producer: rows::producer(row, (1, 0))?, kind, usage: usage(row, 3)? })
}
