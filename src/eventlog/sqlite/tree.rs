//! The tree over the log on the disk: leaves as they come, and the roots of each 256.

use std::ops::Range;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, params};

use crate::event::EventDigest;
use crate::eventlog::sqlite::rows;
use crate::eventlog::{Entry, LowWatermark, Position};
use crate::transparency::{
    Frontier, LeafData, ProofPlan, StoredSpan, TILE_HEIGHT, TILE_WIDTH, TreeHash, TreeHead,
    TreeRoot,
};

/// How many hashes of leaves a row has: few enough to be written again with each transaction, and many
/// enough that a row costs little beside them.
const ROW: u64 = 16;

/// Where the tree goes on; what a failed transaction has added is dropped with its copy.
#[derive(Clone)]
pub(super) struct TreeWriter {
    first: Position,
    frontier: Frontier,
    /// The hashes of the last row, while it is not full.
    row: Vec<TreeHash>,
    /// Whether the last row on the disk has fewer.
    grew: bool,
}

/// A tree that is not the one over its log.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tree over the log has {size} leaves from position {first} on, and the log ends at {head}"
)]
struct OtherTree {
    first: Position,
    size: u64,
    head: Position,
}

impl TreeWriter {
    /// Goes on where the database stands.
    pub(super) fn resume(connection: &Connection, head: Position) -> rusqlite::Result<Self> {
        let (first, size) = extent(connection)?;
        let plan = ProofPlan::frontier(size);
        let hashes = spans(connection, plan.spans())?;
        let peaks = hashes.and_then(|hashes| plan.assemble(&hashes));
        let frontier = peaks.and_then(|peaks| Frontier::of(size, peaks));
        let last = size / ROW * ROW;
        let row = leaves(connection, last..size)?;
        match (frontier, row) {
            (Some(frontier), Some(row)) if first.0 + size == head.0 + 1 => {
                Ok(Self { first, frontier, row, grew: false })
            }
            _ => {
                let other = Box::new(OtherTree { first, size, head });
                Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, other))
            }
        }
    }

    /// The position of the first leaf.
    pub(super) const fn first(&self) -> Position {
        self.first
    }

    /// The tree with everything that was added.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Adds the next entry.
    pub(super) fn push(&mut self, connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
        let leaf = TreeHash::of_leaf(&LeafData::new(entry.event.id, entry.event.digest));
        let mut completed = Vec::new();
        self.frontier.push(leaf, |height, number, hash| {
            if height % TILE_HEIGHT == 0 {
                completed.push((height / TILE_HEIGHT, number, hash));
            }
        });
        self.row.push(leaf);
        self.grew = true;
        if self.frontier.size().is_multiple_of(ROW) {
            self.flush(connection)?;
            self.row.clear();
        }
        for (level, number, hash) in completed {
            connection
                .prepare_cached("INSERT INTO tree_nodes (level, number, hash) VALUES (?, ?, ?)")?
                .execute(params![level, rows::signed(number), hash.to_bytes()])?;
        }
        Ok(())
    }

    /// Writes the last row; before each commit.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if std::mem::take(&mut self.grew) {
            let number = (self.frontier.size() - 1) / ROW;
            let hashes: Vec<u8> = self.row.iter().flat_map(|hash| hash.to_bytes()).collect();
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO tree_leaves (number, hashes) VALUES (?, ?)",
                )?
                .execute(params![rows::signed(number), hashes])?;
        }
        Ok(())
    }
}

/// Where the tree begins, and how many leaves it has.
pub(super) fn extent(connection: &Connection) -> rusqlite::Result<(Position, u64)> {
    let first: i64 = connection.query_row("SELECT first FROM tree", [], |row| row.get(0))?;
    Ok((Position(rows::unsigned(first)), size(connection)?))
}

fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT number, length(hashes) FROM tree_leaves ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last.map_or(0, |(number, bytes)| {
        rows::unsigned(number) * ROW + rows::unsigned(bytes) / TreeHash::LENGTH as u64
    }))
}

/// The tree when the log ended at a position, which it must have had.
pub(super) fn head_at(connection: &Connection, end: Position) -> rusqlite::Result<TreeHead> {
    let (first, _) = extent(connection)?;
    let size = (end.0 + 1).saturating_sub(first.0);
    let Some(plan) = ProofPlan::root(size) else {
        return Ok(TreeHead { first: first.0, tree: TreeRoot::empty() });
    };
    let hashes = spans(connection, plan.spans())?;
    let root = hashes.and_then(|hashes| plan.assemble(&hashes)?.first().copied());
    let root = root.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(TreeHead { first: first.0, tree: TreeRoot { size, root } })
}

/// Reads kept hashes, for each span its own; nothing if some are not there.
pub(super) fn spans(
    connection: &Connection,
    spans: &[StoredSpan],
) -> rusqlite::Result<Option<Vec<Vec<TreeHash>>>> {
    spans.iter().map(|span| self::span(connection, span)).collect::<Result<Option<_>, _>>()
}

fn span(connection: &Connection, span: &StoredSpan) -> rusqlite::Result<Option<Vec<TreeHash>>> {
    let indexes = span.start..span.start + span.count;
    if span.level == 0 {
        leaves(connection, indexes)
    } else {
        nodes(connection, span.level, indexes)
    }
}

fn leaves(connection: &Connection, indexes: Range<u64>) -> rusqlite::Result<Option<Vec<TreeHash>>> {
    let (first, behind) = (indexes.start / ROW, indexes.end.div_ceil(ROW));
    let mut statement = connection.prepare_cached(
        "SELECT hashes FROM tree_leaves WHERE number >= ? AND number < ? ORDER BY number",
    )?;
    let mut found = statement.query(params![rows::signed(first), rows::signed(behind)])?;
    let mut hashes = Vec::new();
    while let Some(row) = found.next()? {
        let (kept, []) = row.get_ref(0)?.as_blob()?.as_chunks::<{ TreeHash::LENGTH }>() else {
            return Err(FromSqlError::InvalidType.into());
        };
        hashes.extend(kept.iter().map(|hash| TreeHash::from_bytes(*hash)));
    }
    let skip = indexes.start - first * ROW;
    let bounds = usize::try_from(skip)
        .and_then(|from| Ok(from..from + usize::try_from(indexes.end - indexes.start)?));
    Ok(bounds.ok().and_then(|bounds| hashes.get(bounds)).map(<[TreeHash]>::to_vec))
}

fn nodes(
    connection: &Connection,
    level: u32,
    numbers: Range<u64>,
) -> rusqlite::Result<Option<Vec<TreeHash>>> {
    let found: Vec<TreeHash> = connection
        .prepare_cached(
            "SELECT hash FROM tree_nodes WHERE level = ? AND number >= ? AND number < ?
             ORDER BY number",
        )?
        .query_map(params![level, rows::signed(numbers.start), rows::signed(numbers.end)], |row| {
            row.get(0).map(TreeHash::from_bytes)
        })?
        .collect::<Result<_, _>>()?;
    Ok((found.len() as u64 == numbers.end - numbers.start).then_some(found))
}

/// Reads the data of those leaves that are there, with their indexes, in order.
pub(super) fn entries(
    connection: &Connection,
    indexes: Range<u64>,
) -> rusqlite::Result<Vec<(u64, LeafData)>> {
    let first: i64 = connection.query_row("SELECT first FROM tree", [], |row| row.get(0))?;
    let bound = |index: u64| first.saturating_add(rows::signed(index));
    connection
        .prepare_cached(
            "SELECT position, id, substr(digest, 1, 32) FROM events
             WHERE position >= ?1 AND position < ?2
             UNION ALL
             SELECT position, id, digest FROM tree_entries WHERE position >= ?1 AND position < ?2
             ORDER BY position",
        )?
        .query_map(params![bound(indexes.start), bound(indexes.end)], |row| {
            let digest = EventDigest::from_bytes(row.get(2)?);
            let index = rows::unsigned(row.get::<_, i64>(0)? - first);
            Ok((index, LeafData::new(rows::event_id(row, 1)?, digest)))
        })?
        .collect()
}

/// Keeps the data of an entry's leaf, which is about to be dropped, and not the salt behind the digest.
pub(super) fn keep_entry(connection: &Connection, at: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO tree_entries (position, id, digest)
             SELECT position, id, substr(digest, 1, 32) FROM events
             WHERE position = ? AND position >= (SELECT first FROM tree)",
        )?
        .execute([rows::signed(at.0)])?;
    Ok(())
}

/// Drops the data of leaves in bundles of which retention has dropped all.
pub(super) fn sweep_entries(
    connection: &Connection,
    low_watermark: LowWatermark,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM tree_entries WHERE position <
               (SELECT first + (?1 + 1 - first) / ?2 * ?2 FROM tree WHERE ?1 >= first)",
        )?
        .execute(params![rows::signed(low_watermark.position.0), rows::signed(TILE_WIDTH)])?;
    Ok(())
}
