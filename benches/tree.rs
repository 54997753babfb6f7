//! What the tree over the log costs per event, by the size of a transaction: hashing, the frontier, and
//! its rows in SQLite, written as the log writes them. The bound is two microseconds.
//!
//! `cargo bench --bench tree`. The least time of many rounds counts, which on a busy machine is the time
//! that nothing disturbed. Syncing is left out: a transaction is synced with the tree or without.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has nothing to say")]

use std::hint::black_box;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use sealway::event::{EventDigest, EventId};
use sealway::transparency::{Frontier, LeafData, TreeHash};
use tempfile::TempDir;
use tokio::time::Instant;

/// The tables of the log's step, without what is there for its readers.
const TABLES: &str = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
    CREATE TABLE tree_leaves (number INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
    CREATE TABLE tree_nodes (level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;";
/// Events of one round.
const ROUND: u64 = 65_536;
const ROUNDS: usize = 20;

fn leaf(number: u64) -> TreeHash {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let leaf = LeafData::new(EventId::first_of(number), EventDigest::from_bytes(digest));
    TreeHash::of_leaf(&leaf)
}

/// The tree alone, in memory.
fn hashing() -> Duration {
    let mut frontier = Frontier::empty();
    let mut kept = 0_u64;
    let begun = Instant::now();
    for number in 0..ROUND {
        frontier.push(leaf(number), |height, _, _| kept += u64::from(height % 8 == 0));
    }
    black_box((frontier.root(), kept));
    begun.elapsed()
}

/// The tree with its rows, so many events a transaction.
fn writing(group: u64) -> Duration {
    let directory = TempDir::new().unwrap();
    let mut connection = Connection::open(directory.path().join("tree.db")).unwrap();
    connection.execute_batch(TABLES).unwrap();
    let (mut frontier, mut row) = (Frontier::empty(), Vec::new());
    let mut spent = Duration::ZERO;
    let mut number = 0;
    while number < ROUND / 8 {
        // The log has begun to write already when it comes to the tree.
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let begun = Instant::now();
        let copy = frontier.clone();
        for _ in 0..group {
            let hash = leaf(number);
            frontier.push(hash, |height, at, hash| {
                if height % 8 == 0 {
                    transaction
                        .prepare_cached("INSERT INTO tree_nodes VALUES (?, ?, ?)")
                        .unwrap()
                        .execute(params![height / 8, at.cast_signed(), hash.to_bytes()])
                        .unwrap();
                }
            });
            row.push(hash);
            number += 1;
            if number % 16 == 0 {
                write(&transaction, number, &row);
                row.clear();
            }
        }
        if !row.is_empty() {
            write(&transaction, number, &row);
        }
        black_box(copy);
        spent += begun.elapsed();
        transaction.commit().unwrap();
    }
    spent * 8
}

fn write(connection: &Connection, size: u64, row: &[TreeHash]) {
    let bytes: Vec<u8> = row.iter().flat_map(|hash| hash.to_bytes()).collect();
    connection
        .prepare_cached("INSERT OR REPLACE INTO tree_leaves VALUES (?, ?)")
        .unwrap()
        .execute(params![((size - 1) / 16).cast_signed(), bytes])
        .unwrap();
}

fn least(measure: impl Fn() -> Duration) -> f64 {
    let least = (0..ROUNDS).map(|_| measure()).min().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a round is a small number")]
    let events = ROUND as f64;
    least.as_secs_f64() * 1e6 / events
}

fn main() {
    println!("hashing alone: {:.2} us per event", least(hashing));
    for group in [1, 4, 16, 64, 256] {
        let each = least(|| writing(group));
        println!("{group:>3} events a transaction: {each:.2} us per event");
    }
}
