//! What repeats, conflicts and envelopes of the newest events are told by, until it lies with that of the
//! older ones.
//!
//! `origins`, `contents` and `envelopes` lie in the order of their keys, which is no order of time: an event
//! that went there at once would have a page of its own written in each. So a row of each event comes into a
//! table in the order of time, where a group of events fills a page, and memory holds where its keys are. A
//! generation of them that is full goes to its tables in the order of keys, a few at a time while the next
//! one fills, so that a page is written once for many; then its rows here go. What goes twice, because the
//! gateway was killed in between, says the same twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::event::{ContentDigest, EventId, IdempotencyKey, Timestamp};
use crate::eventlog::sqlite::rows::Known;
use crate::eventlog::sqlite::running::Older;
use crate::eventlog::sqlite::{contents, envelopes, origins, rows};
use crate::eventlog::{Draft, LowWatermark, Origin, Position};

/// Rows of each kind that go for each event that has come.
const ROWS: usize = 4;

/// How many events are taken together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Events of a generation.
    full: u64,
    /// Rows go once so many events have come.
    step: usize,
}

impl Pace {
    /// An event takes some 90 bytes of memory, so that two generations take 6 MB.
    pub(super) const USUAL: Self = Self { full: 32_768, step: 64 };
    /// Rows go with the event that they are of.
    #[cfg(test)]
    pub(super) const AT_ONCE: Self = Self { full: 0, step: 1 };
}

/// The first bytes of a SHA-256 over the digest and the publication: with the key, which content it is.
type ContentName = [u8; 16];

/// Where the keys of the newest events are.
#[derive(Debug)]
pub(super) struct Recent {
    pace: Pace,
    filling: Generation,
    /// What has not gone to its table yet of the generation before.
    going: Generation,
    /// The rows of that one, which go behind it.
    leaving: Option<(Position, Position)>,
    /// Events that rows are still to go for.
    owed: usize,
    /// Whether something here is of a transaction that is not committed.
    is_ahead: bool,
}

/// The newest position of each key.
#[derive(Debug, Default)]
struct Generation {
    origins: BTreeMap<Origin, Position>,
    contents: BTreeMap<(IdempotencyKey, ContentName), Position>,
    /// By part, as they will lie.
    envelopes: BTreeSet<(i64, i64, Position)>,
    /// The first and the last event.
    span: Option<(Position, Position)>,
    /// The first event, and when it came.
    begun: Option<Known>,
}

/// A row of the table.
struct RecentRow {
    position: Position,
    event: EventId,
    accepted: Timestamp,
    origin: Option<Origin>,
    key: IdempotencyKey,
    digest: ContentDigest,
    publication: Arc<str>,
    envelope: i64,
}

impl Generation {
    fn add(&mut self, row: &RecentRow) {
        let at = row.position;
        if let Some(origin) = row.origin {
            self.origins.insert(origin, at);
        }
        self.contents.insert((row.key, content_name(row.digest, &row.publication)), at);
        self.envelopes.insert((envelopes::part(at), row.envelope, at));
        self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        self.begun.get_or_insert((row.event, row.accepted));
    }

    fn events(&self) -> u64 {
        self.span.map_or(0, |(first, last)| last.0 - first.0 + 1)
    }

    fn is_empty(&self) -> bool {
        self.origins.is_empty() && self.contents.is_empty() && self.envelopes.is_empty()
    }
}

impl Recent {
    /// Goes on with the rows that are there, some of which may have gone to their tables already.
    pub(super) fn resume(connection: &Connection, pace: Pace) -> rusqlite::Result<Self> {
        let mut going = Generation::default();
        let mut statement = connection.prepare(ALL)?;
        for row in statement.query_map([], recent_row)? {
            going.add(&row?);
        }
        let (leaving, events) = (going.span, going.events());
        // A gateway that is killed again and again must get rid of some, too.
        let owed = if events > 2 * pace.full { usize::try_from(events).unwrap_or(0) } else { 0 };
        let filling = Generation::default();
        Ok(Self { pace, filling, going, leaving, owed, is_ahead: false })
    }

    /// Forgets what a transaction has left here that failed.
    pub(super) fn after_failure(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_ahead {
            *self = Self::resume(connection, self.pace)?;
        }
        Ok(())
    }

    /// Takes what is here as it is in the database.
    pub(super) const fn committed(&mut self) {
        self.is_ahead = false;
    }

    /// Notes for how many events, which have come or gone, rows are to go.
    pub(super) const fn owe(&mut self, events: usize) {
        self.owed = self.owed.saturating_add(events);
    }

    /// Takes an event as the newest with its origin, its content and its envelope.
    pub(super) fn remember(
        &mut self,
        connection: &Connection,
        draft: &Draft,
        (event, position, accepted): (EventId, Position, Timestamp),
    ) -> rusqlite::Result<()> {
        let row = RecentRow {
            position,
            event,
            accepted,
            origin: draft.origin,
            key: draft.idempotency_key,
            digest: draft.digest,
            publication: Arc::clone(&draft.publication),
            envelope: envelopes::name(&draft.envelope_id),
        };
        self.is_ahead = true;
        row.insert(connection)?;
        self.filling.add(&row);
        Ok(())
    }

    /// The newest event with an origin.
    pub(super) fn of_origin(
        &self,
        connection: &Connection,
        origin: Origin,
    ) -> rusqlite::Result<Option<Known>> {
        for generation in [&self.filling, &self.going] {
            if let Some(at) = generation.origins.get(&origin) {
                return known(connection, *at);
            }
        }
        origins::newest(connection, origin)
    }

    /// The newest event with the content of a draft that is there.
    pub(super) fn of_content(
        &self,
        connection: &Connection,
        draft: &Draft,
        low_watermark: LowWatermark,
    ) -> rusqlite::Result<Option<Known>> {
        let name = content_name(draft.digest, &draft.publication);
        for generation in [&self.filling, &self.going] {
            let Some(at) = generation.contents.get(&(draft.idempotency_key, name)) else {
                continue;
            };
            if is_there(connection, *at, low_watermark)? {
                return known(connection, *at);
            }
        }
        contents::newest(connection, draft, low_watermark.id)
    }

    /// An event that is there, with the key of a draft and another content.
    pub(super) fn conflict(
        &self,
        connection: &Connection,
        draft: &Draft,
        low_watermark: LowWatermark,
    ) -> rusqlite::Result<Option<EventId>> {
        let key = draft.idempotency_key;
        for generation in [&self.filling, &self.going] {
            let of_key = (key, [0; 16])..=(key, [u8::MAX; 16]);
            for (_, at) in generation.contents.range(of_key) {
                if !is_there(connection, *at, low_watermark)? {
                    continue;
                }
                if let Some(event) = of_other_content(connection, *at, draft.digest)? {
                    return Ok(Some(event));
                }
            }
        }
        contents::conflict(connection, draft, low_watermark.id)
    }

    /// Moves rows to their tables, as many as the events that have come and gone pay for; at once where the
    /// log has dropped what they are of, or the bus does not repeat it any more, so that nothing of it stays
    /// here.
    pub(super) fn move_rows(
        &mut self,
        connection: &Connection,
        (older, low_watermark): (&Older, LowWatermark),
    ) -> rusqlite::Result<()> {
        let is_over = |generation: &Generation| {
            generation.begun.is_some_and(|(event, at)| older.has_event(event, at))
                || generation.span.is_some_and(|(first, _)| first <= low_watermark.position)
        };
        let is_due = self.filling.events() > self.pace.full || is_over(&self.filling);
        if self.leaving.is_none() && is_due {
            self.going = std::mem::take(&mut self.filling);
            self.leaving = self.going.span;
        }
        let Some((first, last)) = self.leaving else {
            self.owed = 0;
            return Ok(());
        };
        if self.owed < self.pace.step && !is_over(&self.going) {
            return Ok(());
        }
        self.is_ahead = true;
        let most = ROWS * std::mem::take(&mut self.owed).max(self.pace.step);
        self.let_go(connection, most, (older, low_watermark))?;
        if self.going.is_empty() {
            let through = last.min(Position(first.0.saturating_add(most as u64)));
            connection
                .prepare_cached("DELETE FROM recent WHERE position <= ?")?
                .execute([rows::signed(through.0)])?;
            self.leaving = (through < last).then_some((Position(through.0 + 1), last));
        }
        Ok(())
    }

    /// Moves the next rows of each kind in the order of their keys, at most so many.
    fn let_go(
        &mut self,
        connection: &Connection,
        most: usize,
        (older, low_watermark): (&Older, LowWatermark),
    ) -> rusqlite::Result<()> {
        for _ in 0..most {
            let Some((origin, at)) = self.going.origins.pop_first() else { break };
            if let Some(known) =
                known(connection, at)?.filter(|(id, at)| !older.has_event(*id, *at))
            {
                origins::remember(connection, origin, known)?;
            }
        }
        for _ in 0..most {
            let Some((_, at)) = self.going.contents.pop_first() else { break };
            // What is gone tells no repeat any more.
            if is_there(connection, at, low_watermark)?
                && let Some(row) = read(connection, at)?
            {
                let content = (row.key, row.digest, &*row.publication);
                contents::remember(connection, content, (row.event, row.accepted))?;
            }
        }
        for _ in 0..most {
            let Some((part, name, at)) = self.going.envelopes.pop_first() else { break };
            if !envelopes::is_passed(part, low_watermark.position) {
                envelopes::remember(connection, name, at)?;
            }
        }
        Ok(())
    }
}

/// Whether the log still has the event of a position.
fn is_there(
    connection: &Connection,
    at: Position,
    low_watermark: LowWatermark,
) -> rusqlite::Result<bool> {
    if at > low_watermark.position {
        return Ok(true);
    }
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE position = ?)")?
        .query_row([rows::signed(at.0)], |row| row.get(0))
}

fn content_name(digest: ContentDigest, publication: &str) -> ContentName {
    let hash: [u8; 32] =
        Sha256::new().chain_update(digest.to_bytes()).chain_update(publication).finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

const ALL: &str =
    "SELECT position, event, accepted, origin, idempotency_key, digest, publication, envelope
   FROM recent ORDER BY position";
const ONE: &str =
    "SELECT position, event, accepted, origin, idempotency_key, digest, publication, envelope
   FROM recent WHERE position = ?";
const INSERT: &str = "INSERT INTO recent
       (position, event, accepted, origin, idempotency_key, digest, publication, envelope)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

fn recent_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecentRow> {
    Ok(RecentRow {
        position: Position(rows::unsigned(row.get(0)?)),
        event: rows::event_id(row, 1)?,
        accepted: rows::timestamp(row, 2)?,
        origin: row.get::<_, Option<[u8; 16]>>(3)?.map(Origin),
        key: IdempotencyKey::from_bytes(row.get(4)?),
        digest: ContentDigest::from_bytes(row.get(5)?),
        publication: row.get(6)?,
        envelope: row.get(7)?,
    })
}

/// The event of a position, and when the log took it.
fn known(connection: &Connection, at: Position) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached("SELECT event, accepted FROM recent WHERE position = ?")?
        .query_row([rows::signed(at.0)], |row| {
            Ok((rows::event_id(row, 0)?, rows::timestamp(row, 1)?))
        })
        .optional()
}

/// The event of a position, if it has another content.
fn of_other_content(
    connection: &Connection,
    at: Position,
    digest: ContentDigest,
) -> rusqlite::Result<Option<EventId>> {
    connection
        .prepare_cached("SELECT event FROM recent WHERE position = ? AND digest <> ?")?
        .query_row(params![rows::signed(at.0), digest.to_bytes()], |row| rows::event_id(row, 0))
        .optional()
}

fn read(connection: &Connection, at: Position) -> rusqlite::Result<Option<RecentRow>> {
    connection.prepare_cached(ONE)?.query_row([rows::signed(at.0)], recent_row).optional()
}

impl RecentRow {
    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached(INSERT)?.execute(params![
            rows::signed(self.position.0),
            self.event.to_bytes(),
            self.accepted.unix_nanos(),
            self.origin.map(|origin| origin.0),
            self.key.to_bytes(),
            self.digest.to_bytes(),
            self.publication,
            self.envelope,
        ])?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "recent_tests.rs"]
mod tests;
