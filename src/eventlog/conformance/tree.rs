//! The tree over the log: one leaf for each entry, for ever, the same in every store.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::eventlog::conformance::fixture::{START, draft, engines, open, trim, words};
use crate::eventlog::sqlite::Database;
use crate::eventlog::{
    Draft, Entry, Log, LogLimits, LogOpenError, LogTree, Page, Position, Retention, StoredLog,
};
use crate::transparency::{
    Frontier, LeafData, ProofPlan, StoredSpan, TreeHash, TreeHead, TreeRoot, verify_consistency,
    verify_inclusion,
};

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };

fn leaf(entry: &Entry) -> LeafData {
    LeafData::new(entry.event.id, entry.event.digest)
}

/// The tree over entries.
fn tree_of(entries: &[Arc<Entry>]) -> TreeRoot {
    let mut frontier = Frontier::empty();
    for entry in entries {
        frontier.push(TreeHash::of_leaf(&leaf(entry)), |_, _, _| {});
    }
    frontier.root()
}

fn numbered(count: usize) -> Vec<Draft> {
    (0..count).map(|n| draft(&n.to_string())).collect()
}

async fn drop_up_to(log: &dyn Log, clock: &ManualClock, position: u64) {
    let retention = Retention {
        before: Some(clock.now().after(Duration::from_secs(1))),
        hold: Position(position),
        ..Retention::default()
    };
    trim(log, &retention).await;
}

#[tokio::test]
async fn the_tree_has_a_leaf_for_each_entry_and_none_for_a_repeat() {
    for fixture in engines(LogLimits::default()) {
        let (log, tree) = (&fixture.store.log, &fixture.store.tree);
        let empty = TreeHead { first: 1, tree: TreeRoot::empty() };
        assert_eq!(tree.tree_head().await.unwrap(), empty);

        let deduplicate = Some(Duration::from_hours(1));
        let once = Draft { deduplicate, ..draft("once") };
        log.append(vec![draft("a"), once.clone()]).await.unwrap();
        log.append(vec![once, draft("b")]).await.unwrap();
        log.fresh_head().await.unwrap();

        let entries = log.read(Position::START, ALL).await.unwrap();
        let head = tree.tree_head().await.unwrap();
        assert_eq!(head, TreeHead { first: 1, tree: tree_of(&entries) });
        assert_eq!(head.tree.size, 3);
        let leaves: Vec<_> = entries.iter().map(|entry| leaf(entry)).collect();
        assert_eq!(tree.tree_leaves(0..3).await.unwrap(), Some(leaves));
        assert_eq!(tree.tree_leaves(0..4).await.unwrap(), None);
    }
}

#[tokio::test]
async fn every_proof_holds_also_when_the_entries_are_gone() {
    for fixture in engines(LogLimits::default()) {
        let (log, tree) = (&fixture.store.log, &fixture.store.tree);
        // Groups that end inside of rows and tiles, and at their ends.
        let mut drafts = numbered(600);
        for group in [1, 14, 1, 17, 223, 1, 255, 88] {
            log.append(drafts.drain(..group).collect()).await.unwrap();
        }
        log.fresh_head().await.unwrap();
        let entries = log.read(Position::START, ALL).await.unwrap();
        let head = tree.tree_head().await.unwrap().tree;
        assert_eq!(head, tree_of(&entries));
        drop_up_to(&**log, &fixture.clock, 300).await;

        for size in [1, 15, 16, 17, 255, 256, 257, 511, 512, 513, 600] {
            let root = tree.tree_root(size).await.unwrap();
            assert_eq!(root, tree_of(&entries[..usize::try_from(size).unwrap()]));
            let proof = tree.make_proof(&ProofPlan::consistency(size, 600).unwrap()).await.unwrap();
            assert_eq!(verify_consistency(&root, &head, &proof), Ok(()));
            let plan = ProofPlan::inclusion(size - 1, 600).unwrap();
            let proof = tree.make_proof(&plan).await.unwrap();
            let leaf = leaf(&entries[usize::try_from(size).unwrap() - 1]);
            assert_eq!(verify_inclusion(&leaf, size - 1, &proof, &head), Ok(()));
        }
        let missing = StoredSpan { level: 1, start: 1, count: 2 };
        assert_eq!(tree.tree_hashes(vec![missing]).await.unwrap(), None);
        let missing = StoredSpan { level: 0, start: 599, count: 2 };
        assert_eq!(tree.tree_hashes(vec![missing]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_bundle_of_which_an_entry_is_left_has_the_data_of_all_its_leaves() {
    for fixture in engines(LogLimits::default()) {
        let (log, tree) = (&fixture.store.log, &fixture.store.tree);
        log.append(numbered(600)).await.unwrap();
        log.fresh_head().await.unwrap();
        let entries = log.read(Position::START, ALL).await.unwrap();
        let leaves: Vec<_> = entries.iter().map(|entry| leaf(entry)).collect();

        for (dropped, gone) in [(255, 0), (256, 256), (300, 256), (512, 512), (600, 512)] {
            drop_up_to(&**log, &fixture.clock, dropped).await;
            log.fresh_head().await.unwrap();
            assert_eq!(log.low_watermark().position, Position(dropped));
            for (bundle, start) in leaves.chunks(256).zip((0_u64..).step_by(256)) {
                let found = tree.tree_leaves(start..start + bundle.len() as u64).await.unwrap();
                let expected = (start >= gone).then(|| bundle.to_vec());
                assert_eq!(found, expected, "bundle at {start}, {dropped} were dropped");
            }
        }
    }
}

#[tokio::test]
async fn the_tree_survives_a_crash_and_goes_on() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let mut drafts = numbered(530);
    for group in [250, 5, 1, 14, 1] {
        log.append(drafts.drain(..group).collect()).await.unwrap();
        let before = log.tree_head().await.unwrap();
        let left = TempDir::new().unwrap();
        for name in ["sealway.db", "sealway.db-wal"] {
            std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
        }

        let after = open(left.path(), LogLimits::default(), &clock).unwrap();

        assert_eq!(after.tree_head().await.unwrap(), before);
        after.append(drafts.clone()).await.unwrap();
        let entries = after.read(Position::START, ALL).await.unwrap();
        assert_eq!(after.tree_head().await.unwrap().tree, tree_of(&entries));
        assert_eq!(after.tree_root(530).await.unwrap(), tree_of(&entries));
    }
}

#[tokio::test]
async fn what_a_full_disk_has_refused_is_in_no_tree() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.append(words("ab")).await.unwrap();
    log.close().await.unwrap();
    let pages: u32 = Connection::open(directory.path().join("sealway.db"))
        .unwrap()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let mut database = Database::of(directory.path()).unwrap();
    database.most_pages = Some(pages + 12);
    let log = crate::eventlog::conformance::fixture::open_database(&database, &clock).unwrap();
    let before = log.tree_head().await.unwrap();

    log.append(numbered(800)).await.unwrap_err();

    assert_eq!(log.tree_head().await.unwrap(), before);
    log.close().await.unwrap();
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    assert_eq!(log.tree_head().await.unwrap(), before);
    log.append(words("c")).await.unwrap();
    let entries = log.read(Position::START, ALL).await.unwrap();
    assert_eq!(log.tree_head().await.unwrap().tree, tree_of(&entries));
    log.close().await.unwrap();
    let stored = StoredLog::open(directory.path()).unwrap();
    assert_eq!(stored.tree_extent().unwrap(), (Position(1), 3, Position(3)));
}

#[tokio::test]
async fn a_log_whose_tree_is_not_its_own_is_not_opened() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.append(numbered(20)).await.unwrap();
    log.close().await.unwrap();
    let database = Connection::open(directory.path().join("sealway.db")).unwrap();
    database.execute("DELETE FROM tree_leaves WHERE number = 1", []).unwrap();
    drop(database);

    let refused = open(directory.path(), LogLimits::default(), &clock).err().unwrap();

    assert!(matches!(refused, LogOpenError::Storage { .. }), "{refused}");
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("16 leaves from position 1 on, and the log ends at 20"), "{cause}");
}

#[tokio::test]
async fn a_leaf_takes_little_more_than_its_hash() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let mut drafts = numbered(20_000);
    while !drafts.is_empty() {
        // Groups of many sizes, as they come.
        let group = (drafts.len() % 61 + 1).min(drafts.len());
        log.append(drafts.drain(..group).collect()).await.unwrap();
    }
    log.close().await.unwrap();
    let database = Connection::open(directory.path().join("sealway.db")).unwrap();
    let sql = "SELECT count(*) FROM dbstat WHERE name IN ('tree_leaves', 'tree_nodes')";
    let pages: u32 = database
        .query_row(sql, [], |row| row.get(0))
        .unwrap_or_else(|_| panic!("SQLite is built without dbstat"));
    let each = f64::from(pages) * 8192.0 / 20_000.0;
    assert!(each < 36.0, "{each} bytes");
}
