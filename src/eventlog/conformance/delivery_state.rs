//! Cursors, retries, and places in the numbering.

use crate::event::{ChainValue, EventId, SubscriptionId, Timestamp};
use crate::eventlog::conformance::fixture::{draft, engines};
use crate::eventlog::conformance::makers::{
    attempt, commit, dead_letter, in_replay, key, letters, receipt, receipts, retry, subscription,
};
use crate::eventlog::{
    Changes, Cursor, LogLimits, Page, Position, SequenceCheckpoint, SequenceSet,
};

#[tokio::test]
async fn a_cursor_comes_back_with_what_is_settled_ahead_of_it() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let orders = subscription("orders");
        let first = Cursor::starting(&orders, Position(2));
        let later = Cursor {
            settled: Position(9),
            sequence: 5,
            chain: first.chain.next(EventId::first_of(1), draft("a").digest.into()),
            ahead: SequenceSet::from_ranges([(7, 7), (9, 12), (u64::MAX, u64::MAX)]),
            failing_since: Some(Timestamp::from_unix_nanos(5)),
        };
        let other = (subscription("other"), Cursor::starting(&subscription("other"), Position(1)));

        commit(store, Changes { cursors: vec![(orders.clone(), first)], ..Changes::default() })
            .await;
        let cursors = vec![(orders.clone(), later.clone()), other.clone()];
        commit(store, Changes { cursors, ..Changes::default() }).await;

        let retries = vec![retry(key("orders", 1), 2), retry(key("other", 1), 1)];
        commit(store, Changes { retries: retries.clone(), ..Changes::default() }).await;

        let (cursor, waiting) = store.state.load_one(&orders).await.unwrap();
        assert_eq!((cursor.as_ref(), &*waiting), (Some(&later), &retries[..1]));
        assert_eq!(
            store.state.load_one(&subscription("nobody")).await.unwrap(),
            (None, Vec::new())
        );
        assert_eq!(store.state.load().await.unwrap().cursors, [(orders, later), other]);
    }
}

#[tokio::test]
async fn a_sequence_checkpoint_is_found_from_both_sides_until_it_is_pruned_or_forgotten() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let place = |name: &str, position: u64| {
            let id = subscription(name);
            let chain = ChainValue::start(&id);
            (id, SequenceCheckpoint { position: Position(position), sequence: position * 2, chain })
        };
        let kept = [("orders", 0), ("orders", 4), ("orders", 9), ("other", 6), ("orders", 20)];
        let sequence_checkpoints = kept.map(|(name, position)| place(name, position)).to_vec();
        commit(store, Changes { sequence_checkpoints, ..Changes::default() }).await;
        let around = async |name: &str, at: u64| {
            let found = store
                .state
                .sequence_checkpoints_around(&subscription(name), Position(at))
                .await
                .unwrap();
            [found.0, found.1].map(|found| found.map(|place| (place.position.0, place.sequence)))
        };
        assert_eq!(around("orders", 0).await, [Some((0, 0)), Some((4, 8))]);
        assert_eq!(around("orders", 9).await, [Some((9, 18)), Some((20, 40))]);
        assert_eq!(around("orders", 19).await, [Some((9, 18)), Some((20, 40))]);
        assert_eq!(around("orders", u64::MAX >> 1).await, [Some((20, 40)), None]);
        assert_eq!(around("other", 5).await, [None, Some((6, 12))]);
        assert_eq!(around("nobody", 5).await, [None, None]);

        store.state.prune_sequence_checkpoints(Position(10)).await.unwrap();
        assert_eq!(around("orders", 8).await, [None, Some((9, 18))]);
        assert_eq!(around("orders", 10).await, [Some((9, 18)), Some((20, 40))]);
        assert_eq!(around("other", 10).await, [Some((6, 12)), None]);

        store.state.forget(&subscription("orders")).await.unwrap();
        assert_eq!(around("orders", 10).await, [None, None]);
        assert_eq!(around("other", 10).await, [Some((6, 12)), None]);
    }
}

#[tokio::test]
async fn many_sequence_checkpoints_are_pruned_and_of_each_subscription_the_newest_stays() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let place = |id: &SubscriptionId, position: u64| {
            let chain = ChainValue::start(id);
            (
                id.clone(),
                SequenceCheckpoint { position: Position(position), sequence: position, chain },
            )
        };
        let long = subscription("long");
        let many: Vec<_> = (0..600).map(|n| subscription(&format!("many-{n}"))).collect();
        let mut sequence_checkpoints: Vec<_> =
            (0..1500).map(|position| place(&long, position)).collect();
        sequence_checkpoints
            .extend(many.iter().flat_map(|id| [place(id, 3), place(id, 8), place(id, 2000)]));
        commit(store, Changes { sequence_checkpoints, ..Changes::default() }).await;

        store.state.prune_sequence_checkpoints(Position(1400)).await.unwrap();

        let around = async |id: &SubscriptionId, at: u64| {
            let found = store.state.sequence_checkpoints_around(id, Position(at)).await.unwrap();
            [found.0, found.1].map(|found| found.map(|place| place.position.0))
        };
        assert_eq!(around(&long, 1399).await, [None, Some(1400)]);
        assert_eq!(around(&long, 1400).await, [Some(1400), Some(1401)]);
        for id in &many {
            assert_eq!(around(id, 7).await, [None, Some(8)]);
            assert_eq!(around(id, 8).await, [Some(8), Some(2000)]);
        }
    }
}

#[tokio::test]
async fn a_retry_is_replaced_under_its_key_and_dropped_when_settled() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let replayed = in_replay(key("orders", 1));
        let retries =
            vec![retry(key("orders", 1), 1), retry(replayed.clone(), 2), retry(key("other", 1), 3)];
        commit(store, Changes { retries, ..Changes::default() }).await;

        let retries = vec![retry(key("orders", 1), 4)];
        commit(store, Changes { retries, settled: vec![key("other", 1)], ..Changes::default() })
            .await;

        assert_eq!(
            store.state.load().await.unwrap().retries,
            [retry(replayed.clone(), 2), retry(key("orders", 1), 4)]
        );
        assert_eq!(store.state.retry(&replayed).await.unwrap(), Some(retry(replayed, 2)));
        assert_eq!(store.state.retry(&key("other", 1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_forgotten_subscription_leaves_nothing_and_takes_nothing_of_others() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        for name in ["orders", "other"] {
            let id = subscription(name);
            let changes = Changes {
                cursors: vec![(id.clone(), Cursor::starting(&id, Position(1)))],
                retries: vec![retry(key(name, 1), 1)],
                dead_letters: vec![dead_letter(key(name, 1), None)],
                attempts: vec![attempt(key(name, 1), 1)],
                receipts: vec![receipt(key(name, 1), name)],
                ..Changes::default()
            };
            commit(store, changes).await;
        }

        store.state.forget(&subscription("orders")).await.unwrap();

        let state = store.state.load().await.unwrap();
        assert!(state.cursors.iter().all(|(id, _)| *id == subscription("other")));
        assert_eq!(state.retries, [retry(key("other", 1), 1)]);
        assert_eq!(letters(store, "orders").await, []);
        assert_eq!(letters(store, "other").await.len(), 1);
        let attempts = store.attempts.attempts(None, None, Page::default()).await.unwrap();
        assert_eq!(attempts, [attempt(key("other", 1), 1)]);
        assert_eq!(receipts(store, ("orders", None), 0, 10).await, []);
        assert_eq!(receipts(store, ("other", None), 0, 10).await.len(), 1);
    }
}

#[tokio::test]
async fn a_change_that_waits_is_written_before_its_subscription_is_forgotten() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let orders = subscription("orders");
        let cursors = vec![(orders.clone(), Cursor::starting(&orders, Position(1)))];

        let (committed, forgotten) = tokio::join!(
            store.state.commit(Changes { cursors, ..Changes::default() }),
            store.state.forget(&orders)
        );

        committed.unwrap();
        forgotten.unwrap();
        assert!(store.state.load().await.unwrap().cursors.is_empty());
    }
}
