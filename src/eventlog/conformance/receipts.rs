//! Receipts of delivery: named, listed, and dropped with their time.

use crate::ambient::Clock as _;
use crate::eventlog::conformance::fixture::engines;
use crate::eventlog::conformance::makers::{
    commit, in_replay, key, receipt, receipts, subscription,
};
use crate::eventlog::{Changes, KeptReceipt, LogLimits, Page, ReceiptId, ReceiptKey, Store};

#[tokio::test]
async fn receipts_are_named_by_the_log_and_listed_in_pages() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let made = [
            receipt(key("orders", 1), "a"),
            receipt(key("other", 1), "b"),
            receipt(in_replay(key("orders", 2)), "c"),
            receipt(in_replay(key("orders", 1)), "d"),
        ];
        for receipts in made.chunks(2) {
            commit(store, Changes { receipts: receipts.to_vec(), ..Changes::default() }).await;
        }
        let named: Vec<_> = (1..)
            .zip(made)
            .map(|(id, receipt)| KeptReceipt { id: ReceiptId(id), ..receipt })
            .collect();
        let expected =
            |ids: &[usize]| ids.iter().map(|id| named[id - 1].clone()).collect::<Vec<_>>();

        assert_eq!(receipts(store, ("orders", None), 0, 10).await, expected(&[1, 3, 4]));
        assert_eq!(receipts(store, ("orders", None), 1, 1).await, expected(&[3]));
        assert_eq!(receipts(store, ("orders", Some(1)), 0, 10).await, expected(&[1, 4]));
        assert_eq!(receipts(store, ("orders", Some(1)), 1, 10).await, expected(&[4]));
        assert_eq!(receipts(store, ("other", None), 2, 10).await, []);
    }
}

#[tokio::test]
async fn old_receipts_go_as_new_ones_come() {
    let day = std::time::Duration::from_hours(24);
    for fixture in engines(LogLimits { receipt_age: day, ..LogLimits::default() }) {
        let store = &fixture.store;
        for _ in 0..4 {
            let at = fixture.clock.now();
            let made = (0..256).map(|n| KeptReceipt { at, ..receipt(key("orders", n), "a") });
            commit(store, Changes { receipts: made.collect(), ..Changes::default() }).await;
            fixture.clock.advance(day);
        }

        let page = Page { items: usize::MAX, bytes: usize::MAX };
        let of = subscription("orders");
        let left = store.receipts.receipts(&of, None, ReceiptId(0), page).await.unwrap();
        assert_eq!(left.len(), 2 * 256, "those of a day ago and those of now");
    }
}

#[tokio::test]
async fn of_too_many_receipts_the_oldest_of_their_subscription_go() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let made = [key("orders", 1), key("other", 1), key("orders", 2), key("orders", 3)];
        let made = made.map(|key| receipt(key, "a"));
        commit(store, Changes { receipts: made.into(), ..Changes::default() }).await;
        let counted = store.receipts.count_receipts().await.unwrap();
        assert_eq!(counted, [(subscription("orders"), 3), (subscription("other"), 1)]);

        assert_eq!(store.receipts.drop_receipts(&subscription("orders"), 2).await.unwrap(), 2);

        let left = receipts(store, ("orders", None), 0, 10).await;
        assert_eq!(left.iter().map(|one| one.id.0).collect::<Vec<_>>(), [4]);
        assert_eq!(receipts(store, ("other", None), 0, 10).await.len(), 1);
        assert_eq!(store.receipts.drop_receipts(&subscription("orders"), 9).await.unwrap(), 1);
    }
}

/// A key under which receipts of a subscription were checked.
fn receipt_key(of: &str, kid: &str, thumbprint: &str) -> ReceiptKey {
    ReceiptKey {
        subscription: subscription(of),
        kid: kid.into(),
        thumbprint: thumbprint.into(),
        jwk: format!("{{\"kid\":\"{kid}\"}}").into(),
    }
}

async fn keys(store: &Store, of: &str) -> Vec<String> {
    let keys = store.receipts.receipt_keys(&subscription(of)).await.unwrap();
    keys.iter().map(|key| format!("{} {}", key.kid, key.thumbprint)).collect()
}

#[tokio::test]
async fn a_key_is_kept_as_long_as_the_last_receipt_under_it() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let signed = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")];
        for (number, (kid, thumbprint)) in (1..).zip(signed) {
            let changes = Changes {
                receipts: vec![receipt(key("orders", number), "a")],
                receipt_keys: vec![receipt_key("orders", kid, thumbprint)],
                ..Changes::default()
            };
            commit(store, changes).await;
        }
        let other = Changes {
            receipts: vec![receipt(key("other", 1), "a")],
            receipt_keys: vec![receipt_key("other", "c", "z")],
            ..Changes::default()
        };
        commit(store, other).await;
        let of = subscription("orders");
        assert_eq!(keys(store, "orders").await, ["a x", "b x", "a y"], "the last used first");

        store.receipts.drop_receipts(&of, 2).await.unwrap();
        assert_eq!(keys(store, "orders").await, ["a x", "b x"]);
        store.receipts.drop_receipts(&of, 1).await.unwrap();
        assert_eq!(keys(store, "orders").await, ["a x"]);
        store.receipts.drop_receipts(&of, 1).await.unwrap();

        assert_eq!(keys(store, "orders").await, [""; 0]);
        assert_eq!(keys(store, "other").await, ["c z"]);
        store.state.forget(&subscription("other")).await.unwrap();
        assert_eq!(keys(store, "other").await, [""; 0]);
    }
}

#[tokio::test]
async fn keys_go_with_old_receipts_and_none_keeps_more_than_its_share() {
    let day = std::time::Duration::from_hours(24);
    for fixture in engines(LogLimits { receipt_age: day, ..LogLimits::default() }) {
        let store = &fixture.store;
        for number in 0..130 {
            let changes = Changes {
                receipts: vec![KeptReceipt {
                    at: fixture.clock.now(),
                    ..receipt(key("orders", number), "a")
                }],
                receipt_keys: vec![receipt_key("orders", &format!("{number:03}"), "x")],
                ..Changes::default()
            };
            commit(store, changes).await;
        }
        let kept = keys(store, "orders").await;
        assert_eq!((kept.len(), &*kept[0], &*kept[99]), (ReceiptKey::MOST, "129 x", "030 x"));

        for _ in 0..3 {
            fixture.clock.advance(day);
            let at = fixture.clock.now();
            let made = (0..256).map(|n| KeptReceipt { at, ..receipt(key("orders", n), "a") });
            let receipt_keys = vec![receipt_key("orders", "new", "x")];
            let receipts = made.collect();
            commit(store, Changes { receipts, receipt_keys, ..Changes::default() }).await;
        }

        assert_eq!(keys(store, "orders").await, ["new x"]);
    }
}
