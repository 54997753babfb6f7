//! Counts the time in which gateways ran on the log, and notes what there was when.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::event::{EventId, Timestamp};
use crate::eventlog::id_generator::ORIGIN_WINDOW;
use crate::eventlog::sqlite::{queries, rows};
use crate::eventlog::{Aged, Position, Revision};

/// How far apart new marks are, at the least.
const GRAIN: Duration = Duration::from_secs(1);
/// How much may be counted before it is kept, where nothing else is written.
const KEEP_AFTER: Duration = Duration::from_mins(10);
/// From which age on marks are how far apart: a hundredth of it.
const THINNED: [(Duration, Duration); 3] = [
    (Duration::from_mins(100), Duration::from_mins(1)),
    (Duration::from_hours(100), Duration::from_hours(1)),
    (Duration::from_hours(100 * 24), Duration::from_hours(24)),
];

/// The columns of [`Newest`].
const COLUMNS: &str =
    "position, event, dead_letter, quarantined, attempt, receipt, action, revision";

/// The newest of everything that was there at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) position: i64,
    pub(super) event: EventId,
    pub(super) dead_letter: i64,
    pub(super) quarantined: i64,
    pub(super) attempt: i64,
    pub(super) receipt: i64,
    pub(super) action: i64,
    pub(super) revision: i64,
}

/// What is older than an age: everything up to `through`, and what was there before ages were counted,
/// up to `uncounted`, if its own time is before a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Older {
    pub(super) through: Newest,
    pub(super) uncounted: Newest,
    pub(super) before: Timestamp,
}

/// How much was counted, as far as the writer knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningTime {
    /// What was counted when this process began, and what its clock had counted then.
    began: (Duration, Duration),
    now: Duration,
    /// When something was written last.
    wrote: Duration,
    /// The newest mark.
    noted: (Duration, Newest),
    /// How much was kept last.
    kept: Duration,
    /// How much was counted when marks were last thinned.
    thinned: Duration,
}

impl Newest {
    const NOTHING: Self = Self {
        position: 0,
        event: EventId::MIN,
        dead_letter: 0,
        quarantined: 0,
        attempt: 0,
        receipt: 0,
        action: 0,
        revision: 0,
    };

    /// What is there now.
    fn now(connection: &Connection) -> rusqlite::Result<Self> {
        let numbered = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = ";
        let sql = format!(
            "SELECT max(floors.position, coalesce((SELECT max(position) FROM events), 0)),
                    coalesce((SELECT max(id) FROM events), floors.id), floors.id,
                    {numbered}'dead_letters'), 0), {numbered}'quarantine'), 0),
                    coalesce((SELECT max(number) FROM attempts), 0),
                    {numbered}'receipts'), 0), {numbered}'actions'), 0),
                    (SELECT last FROM revisions)
             FROM floors"
        );
        connection.prepare_cached(&sql)?.query_row([], |row| {
            Ok(Self {
                position: row.get(0)?,
                event: rows::event_id(row, 1)?.max(rows::event_id(row, 2)?),
                dead_letter: row.get(3)?,
                quarantined: row.get(4)?,
                attempt: row.get(5)?,
                receipt: row.get(6)?,
                action: row.get(7)?,
                revision: row.get(8)?,
            })
        })
    }

    /// The same behind what was noted before: where the newest attempts are gone, others have their numbers.
    fn behind(self, noted: &Self) -> Self {
        Self { attempt: self.attempt.max(noted.attempt), ..self }
    }

    /// Reads [`COLUMNS`] from a column on.
    fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            position: row.get(first)?,
            event: rows::event_id(row, first + 1)?,
            dead_letter: row.get(first + 2)?,
            quarantined: row.get(first + 3)?,
            attempt: row.get(first + 4)?,
            receipt: row.get(first + 5)?,
            action: row.get(first + 6)?,
            revision: row.get(first + 7)?,
        })
    }

    /// Writes it behind a number into a table.
    fn put(&self, connection: &Connection, into: &str, number: i64) -> rusqlite::Result<()> {
        let sql =
            format!("INSERT OR REPLACE INTO {into}, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        connection.prepare_cached(&sql)?.execute(params![
            number,
            self.position,
            self.event.to_bytes(),
            self.dead_letter,
            self.quarantined,
            self.attempt,
            self.receipt,
            self.action,
            self.revision,
        ])?;
        Ok(())
    }
}

impl Older {
    /// Whether an event is older that was taken at a moment.
    pub(super) fn has_event(&self, id: EventId, accepted: Timestamp) -> bool {
        id <= self.through.event || (id <= self.uncounted.event && accepted < self.before)
    }

    /// The columns of a statement that drops rows by number: the last one that is older, the last one that
    /// was there before ages were counted, and the moment before which that is older.
    pub(super) fn bounds(&self, of: impl Fn(&Newest) -> i64) -> (i64, i64, i64) {
        (of(&self.through), of(&self.uncounted), self.before.unix_nanos())
    }
}

/// What is older in one transaction, in which no time passes: asked for once and not for each event.
#[derive(Debug)]
pub(super) struct PastAges {
    origins: Older,
    window: Option<(Duration, Older)>,
}

impl PastAges {
    /// Asks for what every event may be held against.
    pub(super) fn of(connection: &Connection, running: &RunningTime) -> rusqlite::Result<Self> {
        Ok(Self { origins: running.past_origins(connection)?, window: None })
    }

    /// What is as old as, or older than, a bus repeats its events.
    pub(super) const fn origins(&self) -> &Older {
        &self.origins
    }

    /// What is older than the window of a publication; most have one window.
    pub(super) fn of_window(
        &mut self,
        connection: &Connection,
        running: &RunningTime,
        window: Duration,
    ) -> rusqlite::Result<Older> {
        match self.window {
            Some((known, older)) if known == window => Ok(older),
            _ => {
                let older = running.older(connection, window)?;
                self.window = Some((window, older));
                Ok(older)
            }
        }
    }
}

impl RunningTime {
    /// Goes on where the database stands; begins to count, at a moment, if nobody has. `running` is what
    /// the clock has counted so far.
    pub(super) fn resume(
        connection: &Connection,
        (now, running): (Timestamp, Duration),
    ) -> rusqlite::Result<Self> {
        let transaction = connection.unchecked_transaction()?;
        let newest = Newest::now(connection)?;
        let kept = connection
            .query_row("SELECT ran FROM running_time", [], |row| row.get(0).map(span))
            .optional()?;
        if kept.is_none() {
            newest.put(connection, "running_time (begun", now.unix_nanos())?;
        }
        let noted = connection
            .query_row(
                &format!("SELECT ran, {COLUMNS} FROM running_marks ORDER BY ran DESC LIMIT 1"),
                [],
                |row| Ok((span(row.get(0)?), Newest::of(row, 1)?)),
            )
            .optional()?;
        let marked = noted.map_or(Duration::ZERO, |(ran, _)| ran);
        let ran = kept.unwrap_or_default().max(marked);
        let newest = noted.as_ref().map_or(newest, |(_, noted)| newest.behind(noted));
        // What was written after the newest mark, and what was there before the first one.
        if noted.is_none_or(|(_, noted)| noted != newest) {
            newest.put(connection, "running_marks (ran", nanos(ran))?;
        }
        transaction.commit()?;
        Ok(Self {
            began: (ran, running),
            now: ran,
            wrote: ran,
            noted: (ran, newest),
            kept: ran,
            thinned: Duration::ZERO,
        })
    }

    /// Counts up to what the clock has counted by now, and notes what was there before this transaction,
    /// if there is room: what makes room must not fail for it.
    pub(super) fn count(
        &mut self,
        connection: &Connection,
        (running, has_room): (Duration, bool),
    ) -> rusqlite::Result<()> {
        let (counted, clock) = self.began;
        self.now = self.now.max(counted.saturating_add(running.saturating_sub(clock)));
        if !has_room {
            return Ok(());
        }
        let (last, noted) = self.noted;
        if self.now.saturating_sub(last) >= GRAIN {
            let newest = Newest::now(connection)?.behind(&noted);
            if newest != noted {
                newest.put(connection, "running_marks (ran", nanos(self.wrote))?;
                self.noted = (self.wrote, newest);
                self.keep(connection)?;
                if minutes(last) != minutes(self.wrote) {
                    self.thin(connection)?;
                }
            }
        }
        if self.is_due(running) {
            self.keep(connection)?;
        }
        Ok(())
    }

    /// Whether so much was counted that it is to be kept also if nothing else is written.
    pub(super) fn is_due(&self, running: Duration) -> bool {
        let (counted, clock) = self.began;
        counted.saturating_add(running.saturating_sub(clock)) >= self.kept + KEEP_AFTER
    }

    /// Notes that something is written in this transaction.
    pub(super) const fn wrote(&mut self) {
        self.wrote = self.now;
    }

    /// Keeps how much was counted.
    pub(super) fn keep(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached("UPDATE running_time SET ran = ?")?.execute([nanos(self.now)])?;
        self.kept = self.now;
        Ok(())
    }

    /// Leaves fewer marks of what is long ago: the last one of a width, so that what came in it is told
    /// once that is over, and not only with what comes next.
    fn thin(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (age, width) in THINNED {
            let Some(last) = self.now.checked_sub(age) else { break };
            // The width before what was thinned already may have ended within it.
            let first = self.thinned.saturating_sub(age).saturating_sub(width);
            connection
                .prepare_cached(
                    "DELETE FROM running_marks WHERE ran > ?1 AND ran < ?2 AND ran / ?3 =
                       (SELECT min(later.ran) / ?3 FROM running_marks AS later
                         WHERE later.ran > running_marks.ran)",
                )?
                .execute(params![nanos(first), nanos(last), nanos(width)])?;
        }
        self.thinned = self.now;
        Ok(())
    }

    /// What is older than an age.
    pub(super) fn older(&self, connection: &Connection, age: Duration) -> rusqlite::Result<Older> {
        let through = match self.now.checked_sub(age) {
            Some(at) => connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM running_marks WHERE ran < ? ORDER BY ran DESC LIMIT 1"
                ))?
                .query_row([nanos(at)], |row| Newest::of(row, 0))
                .optional()?,
            None => None,
        };
        let (begun, uncounted) = connection
            .prepare_cached(&format!("SELECT begun, {COLUMNS} FROM running_time"))?
            .query_row([], |row| Ok((rows::timestamp(row, 0)?, Newest::of(row, 1)?)))?;
        Ok(Older {
            through: through.unwrap_or(Newest::NOTHING),
            uncounted,
            before: begun.after(self.now).before(age),
        })
    }

    /// What is as old as, or older than, a bus repeats its events.
    pub(super) fn past_origins(&self, connection: &Connection) -> rusqlite::Result<Older> {
        self.older(connection, ORIGIN_WINDOW.saturating_sub(Duration::from_nanos(1)))
    }

    /// The same of events and documents.
    pub(super) fn aged(&self, connection: &Connection, age: Duration) -> rusqlite::Result<Aged> {
        let Older { through, uncounted, before } = self.older(connection, age)?;
        let position = |of: &Newest| Position(rows::unsigned(of.position));
        let revision = |of: &Newest| Revision(rows::unsigned(of.revision));
        let mut older = position(&through);
        if through.position < uncounted.position {
            let first = EventId::first_of(u64::try_from(before.unix_ms()).unwrap_or(0));
            older = older.max(queries::seek(connection, first)?.min(position(&uncounted)));
        }
        let uncounted = Some((revision(&uncounted), before));
        Ok(Aged { position: older, revision: revision(&through), uncounted })
    }
}

const fn minutes(span: Duration) -> u64 {
    span.as_secs() / 60
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn span(nanos: i64) -> Duration {
    Duration::from_nanos(rows::unsigned(nanos))
}
