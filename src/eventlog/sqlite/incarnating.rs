//! Has a log that was brought back, or set back, go on as another incarnation, in one transaction.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::ambient::{Clock, Entropy};
use crate::event::{EventId, Timestamp};
use crate::eventlog::sqlite::append::newest;
use crate::eventlog::sqlite::trim::Trimming;
use crate::eventlog::sqlite::{records, rows, tree};
use crate::eventlog::{KeptIncarnation, LogIdentity, NewIncarnation, Position, RestoredFrom};
use crate::transparency::{Incarnation, LogHead};

/// What becomes of a log.
pub(super) enum Change {
    /// It was brought back, and goes on as another once an operator has said so.
    Restored(NewIncarnation),
    /// It was set back, and is the one to go on with.
    Accepted(NewIncarnation),
    /// It goes on as what it has begun as already.
    Confirmed,
}

/// Gives a log another name and number, and begins a range of ids after everything that can have been
/// minted since the backup. Either all of it is there afterwards or nothing.
pub(super) fn change(
    file: &Path,
    (clock, entropy): (&dyn Clock, &dyn Entropy),
    change: Change,
) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = clock.now();
    let head = begin_ids(&transaction, now, entropy)?;
    let identity = put_identity(&transaction, now, |known| match change {
        Change::Restored(new) => {
            let restored = Some(RestoredFrom { at: now, head: head.0 });
            (known.succeeded(entropy, restored), Some(new))
        }
        Change::Accepted(new) => (known.succeeded(entropy, None), Some(new)),
        Change::Confirmed => (known.confirmed(), None),
    })?;
    if let (before, Some(new)) = identity {
        // What came while it was looked at, after it was found shorter, is the new one's own.
        let survived = before.found_short.map_or(head, |found| head.min(Position(found)));
        begin(&transaction, (now, entropy), (survived, new))?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// Begins a range of ids; gives the newest position.
fn begin_ids(
    transaction: &Transaction<'_>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> rusqlite::Result<Position> {
    let low_watermark = Trimming::resume(transaction)?.low_watermark;
    let (last, head) = newest(transaction, low_watermark)?;
    let now_ms = u64::try_from(now.unix_ms()).unwrap_or(0).max(last.unix_ms() + 1);
    // Entropy keeps it apart from the ids of that millisecond, if it was lived through before.
    let id = EventId::from_parts(now_ms, entropy.next_u128() & (u128::MAX >> 49));
    transaction.execute(
        "INSERT INTO restores (at, head, id) VALUES (?, ?, ?)",
        params![now.unix_nanos(), rows::signed(head.0), id.to_bytes()],
    )?;
    Ok(head)
}

/// Puts another identity in place of the one that is there, and gives that one.
fn put_identity<T>(
    transaction: &Transaction<'_>,
    now: Timestamp,
    next: impl FnOnce(&LogIdentity) -> (LogIdentity, T),
) -> rusqlite::Result<(LogIdentity, T)> {
    let key = LogIdentity::key();
    let found = records::get(transaction, &key)?;
    let expected = found.as_ref().map(|record| record.revision);
    // A log from before there were names has none.
    let known = found.and_then(|record| LogIdentity::from_body(&record.body)).unwrap_or_default();
    let (identity, told) = next(&known);
    // The revision was read in this transaction, so that nobody can have written meanwhile.
    let _ = records::put(transaction, &key, expected, &identity.body(), now)?;
    Ok((known, told))
}

fn begin(
    transaction: &Transaction<'_>,
    (now, entropy): (Timestamp, &dyn Entropy),
    (survived, new): (Position, NewIncarnation),
) -> rusqlite::Result<()> {
    let last = last_number(transaction)?;
    let survivors = LogHead {
        incarnation: last,
        position: survived.0,
        event: id_at(transaction, survived)?,
        tree: Some(tree::head_at(transaction, survived)?),
    };
    let incarnation = Incarnation {
        number: new.number.max(last + 1),
        id: format!("{:032x}", entropy.next_u128()),
        began: now,
        survivors,
        before: None,
    };
    // A head that knows less than what survived tells nothing of what was lost.
    let told = Incarnation { before: new.before, ..incarnation.clone() };
    let incarnation = if told.is_sound() { told } else { incarnation };
    let kept = KeptIncarnation { incarnation, token: None };
    let key = KeptIncarnation::key(kept.incarnation.number);
    let _ = records::put(transaction, &key, None, &kept.body(), now)?;
    Ok(())
}

/// The number of the last incarnation.
fn last_number(connection: &Connection) -> rusqlite::Result<u64> {
    let kept = records::list(connection, KeptIncarnation::kind())?;
    Ok(kept.last().and_then(|record| record.id.parse().ok()).unwrap_or(1))
}

/// The event at a position, if the log or its tree still has it.
fn id_at(connection: &Connection, position: Position) -> rusqlite::Result<Option<EventId>> {
    connection
        .query_row(
            "SELECT id FROM events WHERE position = ?1
             UNION ALL SELECT id FROM tree_entries WHERE position = ?1",
            [rows::signed(position.0)],
            |row| rows::event_id(row, 0),
        )
        .optional()
}
