//! Tests of what repeats of the newest events are told by.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ambient::SystemEntropy;
use crate::eventlog::conformance::draft;
use crate::eventlog::id_generator::IdGenerator;
use crate::eventlog::sqlite::append::Appending;
use crate::eventlog::sqlite::database::{Database, STEPS};
use crate::eventlog::sqlite::running::{PastAges, RunningTime};
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
        let recent = self.recent.get_or_insert_with(resume);
        recent.after_failure(&self.connection).unwrap();
        let mut appending = Appending {
            connection: &self.connection,
            id_generator: self.ids,
            now: START,
            entropy: &SystemEntropy,
            running,
            past: PastAges::of(&self.connection, &running).unwrap(),
            entries: Vec::new(),
            trimming: Trimming::resume(&self.connection).unwrap(),
            tree: TreeWriter::resume(&self.connection, self.ids.head()).unwrap(),
            recent,
            marks: SchemaMarks::default(),
        };
        let events = work(&mut appending);
        let Appending { id_generator, trimming, mut tree, recent, past, .. } = appending;
        tree.flush(&self.connection).unwrap();
        recent.owe(events);
        recent.move_rows(&self.connection, (past.origins(), trimming.low_watermark)).unwrap();
        if is_kept {
            self.connection.execute_batch("COMMIT").unwrap();
            recent.committed();
            self.ids = id_generator;
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
        let recent = match &self.recent {
            Some(recent) if !recent.is_ahead => recent,
            _ => {
                resumed = Recent::resume(&self.connection, FEW).unwrap();
                &resumed
            }
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
            let is_key =
                |one: &Plain| one.is_there && one.draft.idempotency_key == asked.idempotency_key;
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
            let found = envelopes::entries(db, &name, Position::START, Page::default()).unwrap();
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

    assert!(together <= 40 && 3 * together <= each, "{together} and {each} pages for 64 events");
}
