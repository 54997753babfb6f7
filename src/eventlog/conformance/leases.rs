//! Who delivers: a new owner fences the one before.

use crate::eventlog::conformance::fixture::engines;
use crate::eventlog::conformance::makers::{commit, key, retry};
use crate::eventlog::{Changes, CommitError, FencingEpoch, LogError, LogLimits, Store};

fn of(epoch: FencingEpoch, event: u64) -> Changes {
    Changes { epoch, retries: vec![retry(key("orders", event), 1)], ..Changes::default() }
}

async fn kept(store: &Store) -> usize {
    store.state.load().await.unwrap().retries.len()
}

#[tokio::test]
async fn the_newest_owner_commits_and_whoever_it_has_fenced_does_not() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let first = store.leases.acquire().await.unwrap();
        commit(store, of(first, 1)).await;

        let second = store.leases.acquire().await.unwrap();
        commit(store, of(second, 2)).await;

        assert!(second >= first);
        assert_eq!(kept(store).await, 2);
        // Where one owner stays for ever, it is the same one again.
        if second > first {
            let refused = store.state.commit(of(first, 3)).await;
            assert!(matches!(refused, Err(CommitError::Fenced)), "{refused:?}");
            assert!(matches!(refused.map_err(LogError::from), Err(LogError::Fenced)));
            assert_eq!(kept(store).await, 2, "nothing of it was written");
            commit(store, of(second, 3)).await;
        }
    }
}
