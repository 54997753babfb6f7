//! Signatures that were seen: kept once, listed with the first invocation first, forgotten by age, and
//! durable no later than what is appended after them.

use std::time::Duration;

use tempfile::TempDir;

use crate::ambient::ManualClock;
use crate::event::Timestamp;
use crate::eventlog::conformance::fixture::{START, engines, open, words};
use crate::eventlog::{
    KeptSignature, Log as _, LogLimits, Page, Position, SignatureStore as _, Store,
};

fn seen(second: u64, signature: u8, invocation: u8, is_first: bool) -> KeptSignature {
    KeptSignature {
        access_key: "AKIA1".into(),
        signed_at: START.after(Duration::from_secs(second)),
        signature: [signature; 16],
        invocation: [invocation; 32],
        is_first,
    }
}

async fn kept(store: &Store) -> Vec<KeptSignature> {
    store.signatures.kept_signatures(Timestamp::EPOCH).await.unwrap()
}

#[tokio::test]
async fn a_signature_is_kept_once_with_what_came_first_first() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let [first, other, next] = [seen(1, 7, 9, true), seen(1, 7, 3, false), seen(0, 8, 1, true)];
        for seen in [&first, &other, &next, &first, &other] {
            store.signatures.keep_signature(seen.clone(), START).await.unwrap();
        }

        assert_eq!(kept(store).await, [next.clone(), first.clone(), other.clone()]);
        let later = START.after(Duration::from_secs(1));
        let listed = store.signatures.kept_signatures(later).await.unwrap();
        assert_eq!(listed, [first.clone(), other.clone()]);

        let newest = seen(9, 1, 1, true);
        store.signatures.keep_signature(newest.clone(), later).await.unwrap();
        assert_eq!(kept(store).await, [first, other, newest], "what is older is gone");
    }
}

#[tokio::test]
async fn a_signature_outlives_the_process_with_what_was_appended_after_it() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let one = seen(0, 7, 7, true);
    let keep = log.keep_signature(one.clone(), START);
    // The answer to the append alone is waited for.
    let both = futures_util::future::join(keep, log.append(words("a")));
    both.await.1.unwrap();
    drop(log);

    let reader = open(directory.path(), LogLimits::default(), &clock).unwrap();

    let all = Page { items: usize::MAX, bytes: usize::MAX };
    assert_eq!(reader.read(Position::START, all).await.unwrap().len(), 1);
    assert_eq!(reader.kept_signatures(START).await.unwrap(), [one]);
}
