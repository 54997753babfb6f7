//! Deliveries for the tests.

use std::time::Duration;

use crate::event::{ChainValue, EventId, Salt, SubscriptionId, Timestamp, TokenDigest};
use crate::eventlog::conformance::fixture::{START, draft};
use crate::eventlog::{
    Attempt, Changes, DeadLetter, DeadLetterId, DeadLetterQuery, DeliveryKey, Draft, Entry,
    KeptReceipt, Page, Position, ReceiptId, Retry, Store,
};

pub(super) fn subscription(name: &str) -> SubscriptionId {
    name.parse().unwrap()
}

pub(super) fn key(name: &str, event: u64) -> DeliveryKey {
    DeliveryKey { subscription: subscription(name), replay: None, event: EventId::first_of(event) }
}

pub(super) fn in_replay(key: DeliveryKey) -> DeliveryKey {
    DeliveryKey { replay: Some("again".parse().unwrap()), ..key }
}

pub(super) fn retry(key: DeliveryKey, attempts: u32) -> Retry {
    let link = key.replay.is_none().then(|| (7, ChainValue::start(&key.subscription)));
    Retry {
        key,
        position: Position(3),
        link,
        attempts,
        first_attempt: START,
        due: START.after(Duration::from_secs(attempts.into())),
        redriven: false,
    }
}

pub(super) fn dead_letter(key: DeliveryKey, status: Option<u16>) -> DeadLetter {
    let time = "2026-11-21T20:17:00.10+01:00".parse().unwrap();
    let draft = Draft { time, ..draft("a") };
    let entry = Entry::new(draft, key.event, Position(3), Timestamp::EPOCH);
    // Some of before there were salts, some of after.
    let entry = if status.is_some() { entry.salted(Salt::from_bytes([5; 16])) } else { entry };
    let event = entry.event;
    DeadLetter {
        id: DeadLetterId(99),
        link: Some((u64::MAX, ChainValue::start(&key.subscription))),
        key,
        position: Position(3),
        event,
        reason: "gone".into(),
        attempts: 4,
        status,
        detail: "410 Gone".into(),
        at: START,
        redriven: false,
    }
}

pub(super) fn attempt(key: DeliveryKey, number: u32) -> Attempt {
    Attempt {
        key,
        number,
        at: START,
        duration_ms: 12,
        status: Some(503),
        verdict: "retry".into(),
        detail: "busy".into(),
        receipt: number.is_multiple_of(2).then(|| "valid".into()),
    }
}

pub(super) fn receipt(key: DeliveryKey, token: &str) -> KeptReceipt {
    KeptReceipt {
        id: ReceiptId(99),
        sequence: key.replay.is_none().then_some(u64::MAX),
        key,
        at: START,
        token: TokenDigest::of(token),
        jws: token.into(),
    }
}

pub(super) async fn receipts(
    store: &Store,
    (of, event): (&str, Option<u64>),
    after: u64,
    items: usize,
) -> Vec<KeptReceipt> {
    let page = Page { items, ..Page::default() };
    let event = event.map(EventId::first_of);
    store.receipts.receipts(&subscription(of), event, ReceiptId(after), page).await.unwrap()
}

pub(super) async fn commit(store: &Store, changes: Changes) {
    store.state.commit(changes).await.unwrap();
}

/// The dead letters of a subscription.
pub(super) async fn letters(store: &Store, of: &str) -> Vec<DeadLetter> {
    let query = DeadLetterQuery::all(subscription(of));
    store.dead_letters.dead_letters(&query, Page::default()).await.unwrap()
}
