//! What is counted of the log and of dead letters is what is there, whatever has come and gone; and one
//! does not count for the other.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::event::{Data, Subject, Violation};
use crate::eventlog::conformance::fixture::{START, context, draft, engines, open, trim};
use crate::eventlog::conformance::makers::{
    commit, dead_letter, in_replay, key, letters, retry, subscription,
};
use crate::eventlog::{
    Changes, DeadLetter, DeadLetterId, DeadLetterUsage, DeliveryKey, Draft, Entry, Log, LogLimits,
    Observed, Page, Position, Retention, Retry, Store,
};

const ALL: Page = Page { items: usize::MAX, bytes: usize::MAX };
const NAMES: [&str; 3] = ["orders", "other", "a-much-longer-name-of-a-subscription"];

/// Something that happens to dead letters.
#[derive(Clone, Debug)]
enum Step {
    Keep(usize, u64, usize),
    Settle(usize, u64),
    Redrive(usize, u64),
    Dismiss(usize, u64),
    DropOldest(usize, usize, u64),
    Expire(usize),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (of, event, number) = (0..NAMES.len(), 1..6_u64, 1..12_u64);
    prop_oneof![
        6 => (of.clone(), event.clone(), 0..9000_usize).prop_map(|(of, event, size)| Step::Keep(of, event, size)),
        2 => (of.clone(), event).prop_map(|(of, event)| Step::Settle(of, event)),
        3 => (of.clone(), number.clone()).prop_map(|(of, number)| Step::Redrive(of, number)),
        2 => (of.clone(), number).prop_map(|(of, number)| Step::Dismiss(of, number)),
        1 => (of.clone(), 0..4_usize, 0..20_000_u64)
            .prop_map(|(of, most, bytes)| Step::DropOldest(of, most, bytes)),
        1 => (0..4_usize).prop_map(Step::Expire),
        1 => of.prop_map(Step::Forget),
    ]
}

/// A dead letter of any event: some with all that an event can have, some of a replay.
fn letter(of: usize, event: u64, size: usize) -> DeadLetter {
    let own = key(NAMES[of], event);
    let mut letter = dead_letter(if event == 1 { in_replay(own) } else { own }, Some(410));
    letter.event.data = Data::from_text(format!("{{\"text\":\"{}\"}}", "é".repeat(size / 2)));
    letter.detail = "no".repeat(size % 100).into();
    if event == 2 {
        letter.event.context = Some(context());
        letter.event.subject = Some(Subject::new("grüße").unwrap());
        letter.event.dataschema = Some("https://shop.example/schemas/order".into());
    }
    letter
}

/// The dead letters of a number that are listed.
async fn listed(store: &Store, of: usize, number: u64) -> Option<DeliveryKey> {
    let all = letters(store, NAMES[of]).await;
    all.into_iter().find(|one| one.id.0 == number).map(|one| one.key)
}

async fn take((store, clock): (&Store, &ManualClock), step: Step) {
    match step {
        Step::Keep(of, event, size) => {
            let dead_letters = vec![letter(of, event, size)];
            commit(store, Changes { dead_letters, ..Changes::default() }).await;
        }
        Step::Settle(of, event) => {
            let settled = vec![letter(of, event, 0).key];
            commit(store, Changes { settled, ..Changes::default() }).await;
        }
        Step::Redrive(of, number) => {
            let Some(key) = listed(store, of, number).await else { return };
            let retry = Retry { redriven: true, ..retry(key, 0) };
            store.dead_letters.revive(vec![(DeadLetterId(number), retry)]).await.unwrap();
        }
        Step::Dismiss(of, number) => {
            let of = subscription(NAMES[of]);
            store.dead_letters.dismiss(&of, DeadLetterId(number)).await.unwrap();
        }
        Step::DropOldest(of, most, bytes) => {
            let before = letters(store, NAMES[of]).await;
            let of = subscription(NAMES[of]);
            let dropped = store.dead_letters.drop_dead_letters(&of, most, bytes).await.unwrap();
            let mut gone = 0;
            for (one, expected) in dropped.iter().zip(&before) {
                assert!(gone < bytes, "{dropped:?}");
                assert_eq!((&one.key, one.bytes), (&expected.key, expected.bytes_on_disk()));
                gone += one.bytes;
            }
            assert!(dropped.len() == most.min(before.len()) || gone >= bytes, "{dropped:?}");
        }
        Step::Expire(most) => {
            clock.advance(Duration::from_secs(2));
            store.dead_letters.expire_dead_letters(Duration::from_secs(1), most).await.unwrap();
        }
        Step::Forget(of) => store.state.forget(&subscription(NAMES[of])).await.unwrap(),
    }
}

/// How much there really is, told from the dead letters themselves.
async fn real(store: &Store) -> Vec<DeadLetterUsage> {
    let mut all = Vec::new();
    for name in NAMES {
        let mut usage = DeadLetterUsage::none(subscription(name));
        for event in 1..6 {
            let own = key(name, event);
            for key in [in_replay(own.clone()), own] {
                let Some(letter) = store.dead_letters.dead_letter(&key).await.unwrap() else {
                    continue;
                };
                usage.entries += 1;
                usage.bytes += letter.bytes_on_disk();
                usage.redriven += u64::from(letter.redriven);
                usage.redriven_bytes += u64::from(letter.redriven) * letter.bytes_on_disk();
            }
        }
        all.extend((usage.entries > 0).then_some(usage));
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_counted_of_dead_letters_is_what_is_there(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for fixture in engines(LogLimits::default()) {
                let store = &fixture.store;
                for step in steps.clone() {
                    take((store, &fixture.clock), step.clone()).await;
                    let mut counted = store.dead_letters.dead_letter_usage().await.unwrap();
                    counted.sort();
                    assert_eq!(counted, real(store).await, "after {step:?}");
                }
            }
        });
    }

    #[test]
    fn what_is_counted_of_the_log_is_what_is_there(
        batches in prop::collection::vec((1..300_usize, 0..2000_usize, 0..600_usize), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
            let memory = engines(LogLimits::default()).swap_remove(0);
            for (number, (events, size, kept)) in batches.into_iter().enumerate() {
                // Opened anew each time, as after a crash.
                let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
                let drafts = || (0..events).map(|at| event(number * 1000 + at, size)).collect();
                log.append(drafts()).await.unwrap();
                memory.store.log.append(drafts()).await.unwrap();
                let before = bytes(&*log).await;
                assert_eq!(before, bytes(&*memory.store.log).await);
                let most = Retention {
                    bytes: Some(before / 600 * kept as u64),
                    hold: Position(u64::MAX),
                    ..Retention::default()
                };
                trim(&*log, &most).await;
                trim(&*memory.store.log, &most).await;
                assert_eq!(bytes(&*log).await, bytes(&*memory.store.log).await);
                assert!(bytes(&*log).await <= most.bytes.unwrap());
                assert_eq!(log.low_watermark().position, memory.store.log.low_watermark().position);
            }
        });
    }
}

async fn bytes(log: &dyn Log) -> u64 {
    log.extent(&BTreeSet::new()).await.unwrap().bytes
}

/// An event with as much as an event can have, each third one.
fn event(number: usize, size: usize) -> Draft {
    let word = format!("{number}-{}", "ö".repeat(size / 2));
    if !number.is_multiple_of(3) {
        return draft(&word);
    }
    let violation = |pointer: &str| Violation {
        pointer: pointer.to_owned(),
        code: "required".to_owned(),
        message: "is missing".repeat(size % 7),
    };
    Draft {
        context: Some(context()),
        subject: Some(Subject::new("grüße").unwrap()),
        dataschema: Some("https://shop.example/schemas/order".into()),
        observed: Observed::of(vec![violation("/a"), violation("/b")]),
        ..draft(&word)
    }
}

#[tokio::test]
async fn what_the_events_take_is_told_from_the_events() {
    for fixture in engines(LogLimits::default()) {
        let log = &*fixture.store.log;
        assert_eq!(bytes(log).await, 0);
        for number in 0..1200 {
            log.append(vec![draft(&format!("{number}-{}", "x".repeat(number)))]).await.unwrap();
        }
        let entries = log.read(Position::START, ALL).await.unwrap();
        let expected: u64 = entries.iter().map(|entry| Entry::bytes_on_disk(entry, 0)).sum();
        assert_eq!(bytes(log).await, expected);
    }
}

#[tokio::test]
async fn few_appends_write_nothing_to_be_counted() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let look = Connection::open(directory.path().join("sealway.db")).unwrap();
    let kept =
        || look.query_row("SELECT position FROM log_size", [], |row| row.get::<_, u32>(0)).unwrap();
    let mut positions = BTreeSet::new();
    for number in 0..1300 {
        log.append(vec![draft(&number.to_string())]).await.unwrap();
        positions.insert(kept());
    }
    assert_eq!(positions, [0, 512, 1024].into());
}

#[tokio::test]
async fn what_consumers_cause_does_not_count_as_the_log() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let appended = store.log.append((0..50).map(|n| event(n, 500)).collect()).await.unwrap();
        let before = bytes(&*store.log).await;

        for event in 1..6 {
            let dead_letters = (0..3).map(|of| letter(of, event, 200_000)).collect();
            commit(store, Changes { dead_letters, ..Changes::default() }).await;
        }
        let usage = store.dead_letters.dead_letter_usage().await.unwrap();
        assert!(usage.iter().all(|one| one.bytes > 1_000_000), "{usage:?}");
        assert_eq!(bytes(&*store.log).await, before);

        // And neither does an old event that waits for a consumer's next attempt.
        let waits = Retry {
            position: Position(1),
            ..retry(DeliveryKey { event: appended[0].id(), ..key("orders", 1) }, 1)
        };
        commit(store, Changes { retries: vec![waits.clone()], ..Changes::default() }).await;
        fixture.clock.advance(Duration::from_hours(1));
        let all = Retention {
            before: Some(fixture.clock.now()),
            hold: Position(50),
            ..Retention::default()
        };
        assert_eq!(trim(&*store.log, &all).await, 49);
        assert_eq!(bytes(&*store.log).await, 0);
        let settled = vec![waits.key];
        commit(store, Changes { settled, ..Changes::default() }).await;
        let small = Retention { bytes: Some(0), hold: Position(50), ..Retention::default() };
        assert_eq!(trim(&*store.log, &small).await, 1, "it was dropped already");
        assert_eq!(bytes(&*store.log).await, 0);
    }
}

/// The bytes of the pages that hold something.
fn used(directory: &Path) -> u64 {
    let look = Connection::open(directory.join("sealway.db")).unwrap();
    let ask = |pragma: &str| -> u64 {
        u64::from(look.query_row(pragma, [], |row| row.get::<_, u32>(0)).unwrap())
    };
    (ask("PRAGMA page_count") - ask("PRAGMA freelist_count")) * ask("PRAGMA page_size")
}

#[tokio::test]
async fn events_take_about_as_much_of_the_disk_as_is_counted() {
    for size in [30, 300, 1000, 2500, 4200, 6000, 9000, 20_000, 200_000] {
        let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
        let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
        let before = used(directory.path());
        let events = (8_000_000 / size).min(8000);
        for batch in 0..8 {
            let event = |number| draft(&format!("{batch}-{number}-{}", "x".repeat(size)));
            log.append((0..events / 8).map(event).collect()).await.unwrap();
        }
        let (counted, real) = (bytes(&*log).await, used(directory.path()) - before);
        assert!(
            counted.abs_diff(real) < real / 8,
            "of {size} bytes: {counted} counted, {real} on disk"
        );
    }
}

#[tokio::test]
async fn dead_letters_take_no_more_of_the_disk_than_is_counted() {
    for size in [10, 800, 2100, 4200, 5600, 9000, 200_000] {
        let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
        let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
        let store = Store::of(&log);
        let before = used(directory.path());
        for batch in 0..10 {
            let one = |event| DeadLetter { key: key("orders", event), ..letter(0, 3, size) };
            let dead_letters = (batch * 20 + 1..=batch * 20 + 20).map(one).collect();
            commit(&store, Changes { dead_letters, ..Changes::default() }).await;
        }
        let real = used(directory.path()) - before;
        let counted = store.dead_letters.dead_letter_usage().await.unwrap()[0].bytes;
        assert!(real <= counted, "of {size} bytes: {counted} counted, {real} on disk");
    }
}
