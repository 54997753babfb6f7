//! What is read again has the numbers of delivery, wherever reading begins.

use std::sync::Arc;

use serde_json::json;

use crate::access::Entitlement;
use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{
    NumberedEntry, Progress, SequenceReadError, SequenceReader, SubscriptionView, WorkerStanding,
};
use crate::event::EventId;
use crate::eventlog::{
    Changes, Cursor, DeliveryState as _, Entry, Log as _, LowWatermark, Page, Position,
    RemoteStore, Retention, SequenceCheckpoint, Store,
};
use crate::route::{BoundedFilter, Budget, EventTree, Filter};
use crate::subscriptions::{Subscription, SubscriptionDocument, Subscriptions, Terms};

/// A stage whose subscription wanted `a` up to entry 300 and everything since.
async fn stage() -> (Stage, Arc<Subscription>, Vec<Arc<Entry>>) {
    let stage = Stage::new().await;
    let store = Subscriptions::new(Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    let old = &stage.subscription;
    let only_a = SubscriptionDocument {
        filters: vec![json!({"pattern": {"data": {"word": ["a"]}}})],
        ..old.whole_document()
    };
    let terms = |from| Terms {
        from: Position(from),
        low_watermark: Position::START,
        begins: Position::START,
        shared_secret: None,
        credential: None,
        outer_key_secret: None,
        handshake: None,
        entitlement: Entitlement::default(),
    };
    let narrow = store.update(old, only_a, terms(1)).await.unwrap();
    let wide = store.update(&narrow, old.whole_document(), terms(301)).await.unwrap();
    let words: Vec<&str> = (0..600).map(|n| if n % 3 == 0 { "a" } else { "b" }).collect();
    let entries = stage.append(&words[..256]).await;
    let mut all = entries;
    all.extend(stage.append(&words[256..512]).await);
    all.extend(stage.append(&words[512..]).await);
    (stage, wide, all)
}

/// Numbers everything as a courier does.
fn numbered(
    subscription: &Subscription,
    entries: &[Arc<Entry>],
) -> (Vec<NumberedEntry>, Vec<SequenceCheckpoint>) {
    let start = Cursor::starting(&subscription.id, Position::START);
    let mut progress = Progress::resume(start);
    let (mut matches, mut places) = (Vec::new(), vec![progress.place()]);
    for entry in entries {
        let filter = subscription.filter_at(entry.position).unwrap();
        if filter.matches(&entry.event.to_tree()) {
            let event = &entry.event;
            let number = progress.number(entry.position, event.id, event.digest);
            let (sequence, previous) = (number.sequence, number.previous);
            let (entry, given_up) = (Arc::clone(entry), false);
            matches.push(NumberedEntry { entry, sequence, previous, given_up });
        }
        progress.pass(entry.position);
        places.push(progress.place());
    }
    (matches, places)
}

fn reading(stage: &Stage, store: &Store) -> SequenceReader {
    SequenceReader::new(Arc::clone(&store.log), Arc::clone(&store.state), stage.decider())
}

fn view(subscription: &Arc<Subscription>, place: &SequenceCheckpoint) -> SubscriptionView {
    let SequenceCheckpoint { position: scanned, sequence, chain } = *place;
    let settled = scanned;
    let standing = WorkerStanding {
        scanned,
        settled,
        sequence,
        chain,
        open: 0,
        retrying: 0,
        blocked: 0,
        oldest_retry: None,
        next_accepted: None,
    };
    SubscriptionView { standing, subscription: Arc::clone(subscription), acknowledged: None }
}

async fn keep(stage: &Stage, places: &[SequenceCheckpoint]) {
    let id = &stage.subscription.id;
    let sequence_checkpoints = places.iter().map(|place| (id.clone(), *place)).collect();
    stage.log.commit(Changes { sequence_checkpoints, ..Changes::default() }).await.unwrap();
}

fn names(matches: &[NumberedEntry]) -> Vec<(EventId, u64, String)> {
    let name = |one: &NumberedEntry| (one.entry.event.id, one.sequence, one.previous.to_string());
    matches.iter().map(name).collect()
}

#[tokio::test]
async fn every_place_gives_the_numbers_of_delivery() {
    let (stage, subscription, entries) = stage().await;
    let (matches, places) = numbered(&subscription, &entries);
    keep(&stage, &[places[0], places[290], places[512]]).await;
    let view = view(&subscription, &places[590]);

    for after in (0..=600).step_by(37) {
        // One that remembers nothing, and one that goes on from what it remembers.
        let reader = reading(&stage, &Store::of(&stage.log));
        let (mut read, mut at) = (Vec::new(), Position(after));
        loop {
            let page = Page { items: 50, ..Page::default() };
            let part = reader.read(&view, at, page).await.unwrap();
            at = part.reached.position;
            read.extend(part.matches);
            if at == view.standing.scanned {
                break;
            }
        }
        let wanted = matches.iter().filter(|one| (after + 1..=590).contains(&one.entry.position.0));
        assert_eq!(names(&read), names(&wanted.cloned().collect::<Vec<_>>()), "after {after}");
        let at = Position(after.min(590));
        let place = reader.place(&view, at).await.unwrap();
        assert_eq!(place, places[usize::try_from(at.0).unwrap()]);
    }
}

#[tokio::test]
async fn what_lies_before_the_start_is_skipped_and_what_is_lost_is_told() {
    let (stage, subscription, entries) = stage().await;
    let (_, places) = numbered(&subscription, &entries);
    let mut view = view(&subscription, &places[600]);
    let start = Cursor::starting(&subscription.id, Position(400)).place();
    keep(&stage, &[start]).await;
    let reader = reading(&stage, &Store::of(&stage.log));
    let page = Page { items: 1, ..Page::default() };

    let part = reader.read(&view, Position(7), page).await.unwrap();
    assert_eq!((part.matches[0].sequence, part.matches[0].entry.position), (1, Position(401)));

    // A subscription of which only a later place is known.
    stage.log.forget(&subscription.id).await.unwrap();
    keep(&stage, &[places[500]]).await;
    let reader = reading(&stage, &Store::of(&stage.log));
    let lost = reader.read(&view, Position(499), page).await;
    let Err(SequenceReadError::Gone { after, place }) = lost else { panic!("{lost:?}") };
    assert_eq!((place, after), (places[500].position, entries[499].event.id.end_of_minute()));

    // What the consumer has acknowledged is a place to begin at, too.
    view.acknowledged = Some(places[450]);
    let part = reader.read(&view, Position(455), page).await.unwrap();
    assert_eq!(part.matches[0].sequence, places[455].sequence + 1);
    view.acknowledged = None;

    let part = reader.read(&view, place, page).await.unwrap();
    assert_eq!(part.matches[0].sequence, places[500].sequence + 1);
}

#[tokio::test]
async fn what_is_given_up_has_the_same_number_wherever_reading_begins() {
    let stage = Stage::new().await;
    let store = Subscriptions::new(Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    let only_a = SubscriptionDocument {
        filters: vec![json!({"pattern": {"data": {"word": ["a"], "z": [{"exists": false}]}}})],
        ..stage.subscription.document.clone()
    };
    // Enough for another word, and not for this one.
    let words = ["a", "b", "b", "a", "a", "b"];
    let entries = stage.append(&words).await;
    let asked = Filter::new(&[], &only_a.filters).unwrap();
    let takes = |entry: &Arc<Entry>| {
        let tree = entry.event.to_tree();
        let asked = BoundedFilter::from(Arc::new(asked.clone()));
        asked.decide_within(&EventTree::of(&tree), u64::MAX).1
    };
    let (of_a, of_b) = (takes(&entries[0]), takes(&entries[1]));
    assert!(of_b < of_a);
    let store = store.with_budget(Budget(of_a - 1));
    let terms = Terms {
        from: Position(1),
        low_watermark: Position::START,
        begins: Position::START,
        shared_secret: None,
        credential: None,
        outer_key_secret: None,
        entitlement: Entitlement::default(),
        handshake: None,
    };
    let narrow = store.update(&stage.subscription, only_a, terms).await.unwrap();
    assert_eq!(narrow.epochs.last().unwrap().budget, Budget(of_a - 1));
    let reader = reading(&stage, &Store::of(&stage.log));
    let start = SequenceCheckpoint {
        position: Position::START,
        sequence: 0,
        chain: Cursor::starting(&narrow.id, Position::START).chain,
    };
    keep(&stage, &[start]).await;
    let mut seen = view(&narrow, &start);
    seen.standing.scanned = Position(6);

    let part = reader.read(&seen, Position::START, Page::default()).await.unwrap();

    let found = part.matches.iter().map(|one| (one.sequence, one.entry.position.0, one.given_up));
    assert_eq!(found.collect::<Vec<_>>(), [(1, 1, true), (2, 4, true), (3, 5, true)]);
    let place = reader.place(&seen, Position(4)).await.unwrap();
    assert_eq!((place.sequence, place.chain), (2, part.matches[2].previous));
}

#[tokio::test]
async fn what_another_node_has_dropped_is_not_skipped_in_silence() {
    let (stage, _, entries) = stage().await;
    let store = RemoteStore::over(Arc::clone(&stage.log)).store().tailed(1);
    let reader = reading(&stage, &store);
    let hold = Position(100);
    let old = Retention { bytes: Some(0), hold, ..Retention::default() };
    assert_eq!(stage.log.trim(&old).await.unwrap().dropped, 100);
    assert_eq!(store.log.low_watermark(), LowWatermark::START, "nobody has told this one yet");

    let dropped = reader.position_of(entries[9].event.id).await.unwrap();
    let kept = reader.position_of(entries[149].event.id).await.unwrap();

    assert_eq!(dropped, Position(99), "reading on from there says what is not kept");
    assert_eq!(kept, Position(150));
}
