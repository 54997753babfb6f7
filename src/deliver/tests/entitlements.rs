//! The same log gives the same numbers, whatever becomes of grants and whenever it crashes.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use crate::access::{Access, AccessParts, Entitlement, GrantDocument, PublicationAccess};
use crate::ambient::{ManualClock, SeededEntropy};
use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{Progress, SequenceReader, SubscriptionView, WorkerStanding};
use crate::event::Timestamp;
use crate::eventlog::{
    Changes, Cursor, DeliveryState as _, Entry, LogLimits, MemoryLog, Page, Position,
};
use crate::subscriptions::{Subscription, Subscriptions};

/// The publication of the entries of a stage, and how many of them there are.
const COUNT: u64 = 40;

/// An entitlement that hears a publication from a position on, until a moment, or not at all.
async fn entitlement(publication: &str, from: Option<u64>) -> Entitlement {
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let entropy = Arc::new(SeededEntropy::new(9));
    let log =
        MemoryLog::new(LogLimits::default(), Arc::clone(&clock) as _, Arc::clone(&entropy) as _);
    let parts = AccessParts {
        config: crate::access::Config::default(),
        registry: Arc::clone(&log) as _,
        log: Arc::clone(&log) as _,
        clock,
        entropy,
    };
    let name: Arc<str> = publication.into();
    let closed = PublicationAccess { event_name: "Word".into(), name, by_grant: true };
    let access = Access::open(parts, &[closed]).await.unwrap();
    if from.is_some() {
        let document = json!({"consumer": "shop", "publication": publication, "history": "all"});
        let document: GrantDocument = serde_json::from_value(document).unwrap();
        access.give(document, "test").await.unwrap();
    }
    access.entitlement(&"shop".parse().unwrap())
}

/// Numbers entries as a courier does, from a cursor on.
fn number(
    subscription: &Subscription,
    entries: &[Arc<Entry>],
    progress: &mut Progress,
) -> Vec<u64> {
    let mut numbers = Vec::new();
    let from = progress.scanned();
    for entry in entries.iter().filter(|entry| entry.position > from) {
        if subscription.could_hear(entry) {
            let event = &entry.event;
            numbers.push(progress.number(entry.position, event.id, event.digest).sequence);
        }
        progress.pass(entry.position);
    }
    numbers
}

/// Epochs that begin at these positions and hear, or do not, in turn; a crash after so many entries of
/// which these are settled; a page that is read after a place.
async fn holds(begins: Vec<u64>, crash: usize, settled: Vec<u64>, after: u64) {
    let stage = Stage::new().await;
    let store = Subscriptions::new(Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    let words: Vec<String> = (0..COUNT).map(|number| format!("w{number}")).collect();
    let entries = stage.append(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let publication = Arc::clone(&entries[0].publication);
    let mut subscription = Arc::clone(&stage.subscription);
    for (index, from) in begins.iter().enumerate() {
        let hears = (index % 2 == 1).then_some(0);
        let entitlement = entitlement(&publication, hears).await;
        let at = (Position(*from), Position::START);
        subscription = store.entitle(&subscription, (&entitlement, Vec::new()), at).await.unwrap();
    }

    let start = || Progress::resume(Cursor::starting(&subscription.id, Position::START));
    let mut whole = start();
    let expected = number(&subscription, &entries, &mut whole);
    let heard = |entry: &&Arc<Entry>| {
        let epoch = begins.iter().filter(|from| **from <= entry.position.0).count();
        epoch % 2 == 0
    };
    assert_eq!(expected.len(), entries.iter().filter(heard).count());

    let mut before = start();
    number(&subscription, &entries[..crash], &mut before);
    for sequence in settled {
        before.settle(sequence);
    }
    // What is read again after a crash is what was kept, word for word.
    let again = store.get(&subscription.id).await.unwrap();
    let mut after_crash = Progress::resume(before.cursor().clone());
    number(&again, &entries, &mut after_crash);
    assert_eq!(after_crash.newest(), whole.newest());
    assert_eq!(after_crash.place(), whole.place());

    let (id, place) = (subscription.id.clone(), whole.place());
    let first = Cursor::starting(&id, Position::START).place();
    let sequence_checkpoints = vec![(id, first)];
    stage.log.commit(Changes { sequence_checkpoints, ..Changes::default() }).await.unwrap();
    let (log, state) = (Arc::clone(&stage.log) as _, Arc::clone(&stage.log) as _);
    let reader = SequenceReader::new(log, state, stage.decider());
    let view = SubscriptionView {
        standing: WorkerStanding {
            scanned: place.position,
            settled: place.position,
            sequence: place.sequence,
            chain: place.chain,
            open: 0,
            retrying: 0,
            blocked: 0,
            oldest_retry: None,
            next_accepted: None,
        },
        subscription: again,
        acknowledged: None,
    };
    let part = reader.read(&view, Position(after), Page::default()).await.unwrap();
    assert_eq!(part.reached, whole.place());
    let read: Vec<u64> = part.matches.iter().map(|one| one.sequence).collect();
    assert_eq!(read, expected[expected.len() - read.len()..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_log_gives_the_same_numbers_after_any_crash_whatever_grants_began_and_ended(
        begins in proptest::collection::btree_set(1_u64..=COUNT, 0..6),
        crash in 0_usize..=40,
        settled in proptest::collection::vec(1_u64..=COUNT, 0..40),
        after in 0_u64..COUNT,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(holds(begins.into_iter().collect(), crash, settled, after));
    }
}
