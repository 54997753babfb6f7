//! Names drafts and stores them, inside a transaction.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::ambient::Entropy;
use crate::event::{EventId, Salt, Subject, Timestamp, TraceContext};
use crate::eventlog::id_generator::IdGenerator;
use crate::eventlog::sqlite::recent::Recent;
use crate::eventlog::sqlite::running::{PastAges, RunningTime};
use crate::eventlog::sqlite::schemas::SchemaMarks;
use crate::eventlog::sqlite::tree::TreeWriter;
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::{
    contexts, envelopes, observed, protections, quarantine, rows, times,
};
use crate::eventlog::{
    Appended, Draft, Entry, KeptEntry, LowWatermark, NewQuarantined, Position, QuarantineQuota,
    UnreadBytes,
};

/// What one transaction adds to the log. Nothing of it counts before the commit.
pub(super) struct Appending<'a> {
    /// The connection, with its transaction open.
    pub(super) connection: &'a Connection,
    /// Goes on after the newest entry.
    pub(super) id_generator: IdGenerator,
    /// The moment of the transaction.
    pub(super) now: Timestamp,
    /// Entropy for new ids.
    pub(super) entropy: &'a dyn Entropy,
    /// How long gateways have run on this log.
    pub(super) running: RunningTime,
    /// What is older than that.
    pub(super) past: PastAges,
    /// The entries that were added so far.
    pub(super) entries: Vec<Arc<Entry>>,
    /// How far old entries were dropped.
    pub(super) trimming: Trimming,
    /// The tree over the entries.
    pub(super) tree: TreeWriter,
    /// What repeats and conflicts of the newest entries are told by.
    pub(super) recent: &'a mut Recent,
    /// The schemas that events name; what is new here counts after the commit.
    pub(super) marks: SchemaMarks,
}

impl Appending<'_> {
    /// Stores those drafts of a batch that the log does not hold yet.
    ///
    /// Each draft sees the ones before it, in this batch and in the whole transaction.
    pub(super) fn append(&mut self, drafts: Vec<Draft>) -> rusqlite::Result<Vec<Appended>> {
        drafts.into_iter().map(|draft| self.append_one(draft)).collect()
    }

    fn append_one(&mut self, mut draft: Draft) -> rusqlite::Result<Appended> {
        if let Some(of) = self.repeat_of_origin(&draft)? {
            return Ok(Appended::Duplicate { of });
        }
        if let Some(of) = self.repeat_of_content(&draft)? {
            let known = (of, self.id_generator.head());
            envelopes::remember_repeat(self.connection, &draft.envelope_id, known)?;
            // Nothing of the log goes for what was swallowed, so it pays for its row itself.
            let low_watermark = self.trimming.low_watermark.position;
            envelopes::sweep(self.connection, envelopes::ROWS, low_watermark)?;
            return Ok(Appended::Duplicate { of });
        }
        let conflict =
            self.recent.conflict(self.connection, &draft, self.trimming.low_watermark)?;
        let Some((id, position)) = self.id_generator.next(self.now, self.entropy) else {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX));
        };
        self.recent.remember(self.connection, &draft, (id, position, self.now))?;
        if let Some(observed) = draft.observed.take() {
            observed::put(self.connection, position, &observed)?;
        }
        if let Some(dataschema) = &draft.dataschema {
            self.marks.mark(self.connection, dataschema, (id, self.now))?;
        }
        let salt = Salt::from_bytes(self.entropy.next_u128().to_be_bytes());
        let entry = Entry::new(draft, id, position, self.now).salted(salt);
        let entry = Entry { conflict, ..entry };
        self.tree.push(self.connection, &entry)?;
        insert(self.connection, &entry)?;
        self.entries.push(Arc::new(entry));
        Ok(Appended::New { id, position, conflict })
    }

    fn repeat_of_origin(&self, draft: &Draft) -> rusqlite::Result<Option<EventId>> {
        let Some(origin) = draft.origin else { return Ok(None) };
        let known = self.recent.of_origin(self.connection, origin)?;
        let Some((event, at)) = known else { return Ok(None) };
        Ok(Some(event).filter(|event| !self.past.origins().has_event(*event, at)))
    }

    fn repeat_of_content(&mut self, draft: &Draft) -> rusqlite::Result<Option<EventId>> {
        let Some(window) = draft.deduplicate else { return Ok(None) };
        let known = self.recent.of_content(self.connection, draft, self.trimming.low_watermark)?;
        // What a clock that was set back makes new again is told by its age; and where a clock that was set
        // forward makes it old, it is kept once more rather than lost.
        let known = known.filter(|(_, at)| self.now.since(*at) < window);
        let Some((event, at)) = known else { return Ok(None) };
        let older = self.past.of_window(self.connection, &self.running, window)?;
        Ok(Some(event).filter(|event| !older.has_event(*event, at)))
    }

    /// Keeps events that broke their contract, within the quota of each producer.
    pub(super) fn quarantine(
        &self,
        batch: &[NewQuarantined],
        quota: QuarantineQuota,
    ) -> rusqlite::Result<Vec<KeptEntry>> {
        quarantine::put(self.connection, batch, quota, self.now)
    }

    /// Keeps what could not be read, within the quota of each producer.
    pub(super) fn quarantine_bytes(
        &self,
        batch: &[UnreadBytes],
        quota: QuarantineQuota,
    ) -> rusqlite::Result<Vec<KeptEntry>> {
        quarantine::put_bytes(self.connection, batch, quota, self.now)
    }
}

fn insert(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let event = &entry.event;
    connection
        .prepare_cached(
            "INSERT INTO events
               (position, id, source, type, subject, time, dataschema, idempotency_key, digest, trace,
                data, accepted, publication, envelope_id, conflict)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            rows::signed(entry.position.0),
            event.id.to_bytes(),
            event.source.as_str(),
            event.event_type.as_str(),
            event.subject.as_ref().map(Subject::as_str),
            event.time.nearest().unix_nanos(),
            event.dataschema,
            event.idempotency_key.to_bytes(),
            rows::KeptDigest::of(event),
            event.trace.as_ref().map(TraceContext::as_str),
            event.data.text(),
            entry.accepted.unix_nanos(),
            entry.publication,
            entry.envelope_id,
            entry.conflict.map(EventId::to_bytes),
        ])?;
    times::put(connection, entry.position, &event.time)?;
    contexts::put(connection, entry.position, event.context.as_deref())?;
    protections::put(connection, entry.position, &entry.protection)
}

/// Goes on after the newest entry that the database holds, or has held, and after all ids that can
/// have been given before it was brought back from a backup.
pub(super) fn resume(
    connection: &Connection,
    low_watermark: LowWatermark,
) -> rusqlite::Result<IdGenerator> {
    let (id, head) = newest(connection, low_watermark)?;
    let restored: Option<[u8; 16]> =
        connection.query_row("SELECT max(id) FROM restores", [], |row| row.get(0))?;
    Ok(IdGenerator::after(id.max(restored.map_or(EventId::MIN, EventId::from_bytes)), head))
}

/// The newest entry that the database holds, or has held.
pub(super) fn newest(
    connection: &Connection,
    low_watermark: LowWatermark,
) -> rusqlite::Result<(EventId, Position)> {
    let newest = connection
        .query_row("SELECT id, position FROM events ORDER BY position DESC LIMIT 1", [], |row| {
            Ok((rows::event_id(row, 0)?, Position(rows::unsigned(row.get(1)?))))
        })
        .optional()?;
    let (id, position) = newest.unwrap_or((low_watermark.id, low_watermark.position));
    // An old entry that waits for another attempt may be all that is left.
    Ok((id.max(low_watermark.id), position.max(low_watermark.position)))
}
