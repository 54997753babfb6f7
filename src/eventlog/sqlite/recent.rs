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
    publication: String,
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
        let mut statement =
            connection.prepare(&format!("SELECT {ROW} FROM recent ORDER BY position"))?;
        for row in statement.query_map([], recent_row)? {
            going.add(&row?);
        }
        let leaving = going.span;
        Ok(Self { pace, filling: Generation::default(), going, leaving, owed: 0 })
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
            publication: draft.publication.to_string(),
            envelope: envelopes::name(&draft.envelope_id),
        };
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
                return Ok(read(connection, *at)?.map(|row| (row.event, row.accepted)));
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
                return Ok(read(connection, *at)?.map(|row| (row.event, row.accepted)));
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
                let other = read(connection, *at)?.filter(|row| row.digest != draft.digest);
                if let Some(row) = other
                    && is_there(connection, *at, low_watermark)?
                {
                    return Ok(Some(row.event));
                }
            }
        }
        contents::conflict(connection, draft, low_watermark.id)
    }

    /// Lets rows go to their tables, as many as the events that have come and gone pay for; at once where
    /// the log has dropped what they are of, or the bus does not repeat it any more, so that nothing of it
    /// stays here.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        events: usize,
        (older, low_watermark): (&Older, LowWatermark),
    ) -> rusqlite::Result<()> {
        self.owed += events;
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
            let row = read(connection, at)?;
            if let Some(row) = row.filter(|row| !older.has_event(row.event, row.accepted)) {
                origins::remember(connection, origin, (row.event, row.accepted))?;
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

/// The columns that [`recent_row`] reads.
const ROW: &str =
    "position, event, accepted, origin, idempotency_key, digest, publication, envelope";

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

fn read(connection: &Connection, at: Position) -> rusqlite::Result<Option<RecentRow>> {
    connection
        .prepare_cached(&format!("SELECT {ROW} FROM recent WHERE position = ?"))?
        .query_row([rows::signed(at.0)], recent_row)
        .optional()
}

impl RecentRow {
    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(&format!("INSERT INTO recent ({ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))?
            .execute(params![
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
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::ambient::SystemEntropy;
    use crate::eventlog::conformance::draft;
    use crate::eventlog::id_generator::IdGenerator;
    use crate::eventlog::sqlite::append::Appending;
    use crate::eventlog::sqlite::database::{Database, STEPS};
    use crate::eventlog::sqlite::running::RunningTime;
    use crate::eventlog::sqlite::schemas::SchemaMarks;
    use crate::eventlog::sqlite::tree::TreeWriter;
    use crate::eventlog::sqlite::trim::Trimming;
    use crate::eventlog::{Appended, Page, Retention};

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const FEW: Pace = Pace { full: 6, step: 2 };

    /// What may happen to a log.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        /// An event comes, of few origins, keys, contents and publications.
        Comes(u8, u8, u8, u8),
        /// An event comes, and its transaction fails.
        Fails(u8, u8),
        /// The oldest events up to some are dropped.
        Drops(u8),
        /// The gateway starts anew.
        Starts,
    }

    fn happenings() -> impl Strategy<Value = Vec<Happening>> {
        let comes =
            (0..5_u8, 0..3_u8, 0..3_u8, 0..2_u8).prop_map(|(origin, key, content, publication)| {
                Happening::Comes(origin, key, content, publication)
            });
        let one = prop_oneof![
            12 => comes,
            1 => (0..5_u8, 0..3_u8).prop_map(|(origin, key)| Happening::Fails(origin, key)),
            2 => (1..4_u8).prop_map(Happening::Drops),
            1 => Just(Happening::Starts),
        ];
        proptest::collection::vec(one, 0..120)
    }

    /// An event as a plain list has it.
    struct Plain {
        id: EventId,
        position: Position,
        draft: Draft,
        is_there: bool,
    }

    fn draft_of((origin, key, content, publication): (u8, u8, u8, u8)) -> Draft {
        Draft {
            origin: (origin > 0).then_some(Origin([origin; 16])),
            idempotency_key: IdempotencyKey::from_bytes([key; 16]),
            digest: ContentDigest::from_bytes([content; 32]),
            publication: format!("shop/{publication}").into(),
            envelope_id: format!("envelope-{origin}").into(),
            deduplicate: None,
            ..draft("a")
        }
    }

    struct World {
        connection: Connection,
        ids: IdGenerator,
        pace: Pace,
        recent: Option<Recent>,
        running: Option<RunningTime>,
        plain: Vec<Plain>,
    }

    impl World {
        fn new() -> Self {
            let connection = Connection::open_in_memory().unwrap();
            for step in STEPS {
                connection.execute_batch(step).unwrap();
            }
            let ids = IdGenerator::after(EventId::MIN, Position::START);
            let (recent, running, plain) = (None, None, Vec::new());
            Self { connection, ids, pace: FEW, recent, running, plain }
        }

        /// Does something in a transaction, as the writer does.
        fn write(&mut self, work: impl FnOnce(&mut Appending<'_>) -> usize, is_kept: bool) {
            let begin = || RunningTime::resume(&self.connection, (START, Duration::ZERO)).unwrap();
            let running = *self.running.get_or_insert_with(begin);
            self.connection.execute_batch("BEGIN").unwrap();
            let resume = || Recent::resume(&self.connection, self.pace).unwrap();
            let mut appending = Appending {
                connection: &self.connection,
                id_generator: self.ids,
                now: START,
                entropy: &SystemEntropy,
                running,
                entries: Vec::new(),
                trimming: Trimming::resume(&self.connection).unwrap(),
                tree: TreeWriter::resume(&self.connection, self.ids.head()).unwrap(),
                recent: self.recent.take().unwrap_or_else(resume),
                marks: SchemaMarks::default(),
            };
            let events = work(&mut appending);
            let Appending { id_generator, trimming, mut tree, mut recent, .. } = appending;
            tree.flush(&self.connection).unwrap();
            let as_of = (&running.past_origins(&self.connection).unwrap(), trimming.low_watermark);
            recent.go_on(&self.connection, events, as_of).unwrap();
            if is_kept {
                self.connection.execute_batch("COMMIT").unwrap();
                (self.ids, self.recent) = (id_generator, Some(recent));
            } else {
                self.connection.execute_batch("ROLLBACK").unwrap();
            }
        }

        fn come(&mut self, draft: Draft, is_kept: bool) {
            let mut named = None;
            let own = draft.clone();
            let append = |log: &mut Appending<'_>| {
                let appended = log.append(vec![draft]).unwrap().remove(0);
                if let Appended::New { id, position, .. } = appended {
                    named = Some((id, position));
                }
                1
            };
            self.write(append, is_kept);
            if let (true, Some((id, position))) = (is_kept, named) {
                self.plain.push(Plain { id, position, draft: own, is_there: true });
            }
        }

        fn drop_through(&mut self, count: usize) {
            let left = self.plain.iter().filter(|one| one.is_there);
            let Some(last) = left.take(count).last().map(|one| one.position) else { return };
            let before = Some(START.after(Duration::from_secs(1)));
            let retention = Retention { before, hold: last, ..Retention::default() };
            let slice = |log: &mut Appending<'_>| {
                let trimmed = log.trimming.slice(log.connection, &retention).unwrap();
                usize::try_from(trimmed.dropped).unwrap()
            };
            self.write(slice, true);
            // A slice ends early on a busy machine.
            let dropped = Trimming::resume(&self.connection).unwrap().low_watermark.position;
            for one in &mut self.plain {
                one.is_there &= one.position > dropped;
            }
        }

        fn happen(&mut self, happening: Happening) {
            match happening {
                Happening::Comes(origin, key, content, publication) => {
                    self.come(draft_of((origin, key, content, publication)), true);
                }
                Happening::Fails(origin, key) => self.come(draft_of((origin, key, 0, 0)), false),
                Happening::Drops(count) => self.drop_through(usize::from(count)),
                Happening::Starts => self.recent = None,
            }
        }

        /// Whether the log tells of each key what the plain list tells.
        fn agrees(&self) -> Result<(), TestCaseError> {
            let resumed;
            let recent = if let Some(recent) = &self.recent {
                recent
            } else {
                resumed = Recent::resume(&self.connection, FEW).unwrap();
                &resumed
            };
            let (db, low) =
                (&self.connection, Trimming::resume(&self.connection).unwrap().low_watermark);
            let newest = |is: &dyn Fn(&Plain) -> bool| {
                self.plain.iter().rev().find(|one| is(one)).map(|one| one.id)
            };
            for origin in (1..5).map(|origin| Origin([origin; 16])) {
                let known = recent.of_origin(db, origin).unwrap().map(|(id, _)| id);
                prop_assert_eq!(known, newest(&|one| one.draft.origin == Some(origin)));
            }
            for (key, content, publication) in contents_asked() {
                let asked = draft_of((0, key, content, publication));
                let is_key = |one: &Plain| {
                    one.is_there && one.draft.idempotency_key == asked.idempotency_key
                };
                let known = recent.of_content(db, &asked, low).unwrap().map(|(id, _)| id);
                let is_same = |one: &Plain| {
                    is_key(one)
                        && one.draft.digest == asked.digest
                        && one.draft.publication == asked.publication
                };
                prop_assert_eq!(known, newest(&is_same));
                let conflict = recent.conflict(db, &asked, low).unwrap();
                let others = |one: &Plain| is_key(one) && one.draft.digest != asked.digest;
                prop_assert_eq!(conflict.is_some(), newest(&others).is_some());
                let is_other = |id| self.plain.iter().any(|one| one.id == id && others(one));
                prop_assert!(conflict.is_none_or(is_other));
            }
            for origin in 0..5 {
                let name = format!("envelope-{origin}");
                let found =
                    envelopes::entries(db, &name, Position::START, Page::default()).unwrap();
                let of_it = |one: &&Plain| one.is_there && *one.draft.envelope_id == *name;
                let expected: Vec<_> =
                    self.plain.iter().filter(of_it).map(|one| one.position).collect();
                let found: Vec<_> = found.iter().map(|entry| entry.position).collect();
                prop_assert_eq!(found, expected);
            }
            Ok(())
        }

        fn count(&self, table: &str) -> u64 {
            let sql = format!("SELECT count(*) FROM {table}");
            self.connection.query_row(&sql, [], |row| row.get(0).map(rows::unsigned)).unwrap()
        }
    }

    /// Every key, content and publication.
    fn contents_asked() -> impl Iterator<Item = (u8, u8, u8)> {
        (0..18).map(|n| (n % 3, n / 3 % 3, n / 9))
    }

    proptest! {
        #[test]
        fn what_is_recent_and_what_has_gone_tell_the_same(happenings in happenings()) {
            let mut world = World::new();
            for (at, happening) in happenings.into_iter().enumerate() {
                world.happen(happening);
                if at % 5 == 0 {
                    world.agrees()?;
                }
            }
            world.agrees()?;
            // Two generations, and what has come while the first one went.
            prop_assert!(world.count("recent") <= 3 * FEW.full + 2);
        }
    }

    #[test]
    fn nothing_stays_of_what_is_dropped() {
        let mut world = World::new();
        for n in 0..3 {
            world.happen(Happening::Comes(n, n, n, 0));
        }

        while world.plain.iter().any(|one| one.is_there) {
            world.drop_through(3);
        }

        assert_eq!((world.count("recent"), world.count("contents")), (0, 0));
        assert_eq!(world.count("origins"), 2, "a repeat by the bus is told from it for a day");
    }

    /// The pages that each of many groups of 64 events wrote, on average.
    fn pages_of_a_group(pace: Pace) -> u64 {
        const GROUPS: u64 = 96;
        let directory = TempDir::new().unwrap();
        let connection = Database::of(directory.path()).unwrap().open_for_writing().unwrap();
        let mut world = World { connection, pace, ..World::new() };
        let mut keys = (0..GROUPS * 64).map(|n| <[u8; 32]>::from(Sha256::digest(n.to_be_bytes())));
        for _ in 0..GROUPS {
            let drafts = keys.by_ref().take(64).map(|key| Draft {
                origin: key.first_chunk().copied().map(Origin),
                idempotency_key: IdempotencyKey::from_bytes(*key.last_chunk().unwrap()),
                digest: ContentDigest::from_bytes(key),
                envelope_id: format!("{key:x?}").into(),
                ..draft("a")
            });
            world.write(|log| log.append(drafts.collect()).unwrap().len(), true);
        }
        // Nothing was moved out of the WAL.
        let wal = std::fs::metadata(directory.path().join("sealway.db-wal")).unwrap().len();
        wal / (8192 + 24) / GROUPS
    }

    #[test]
    fn a_group_of_events_writes_a_few_pages_and_not_one_for_each_of_its_keys() {
        let (usual, at_once) = (Pace { full: 2048, step: 64 }, Pace::AT_ONCE);

        let (together, each) = (pages_of_a_group(usual), pages_of_a_group(at_once));

        assert!(
            together <= 40 && 3 * together <= each,
            "{together} and {each} pages for 64 events"
        );
    }
}
