//! Dead letters: numbered, listed, counted, redriven and dropped.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ambient::Clock as _;
use crate::event::{EventId, EventType};
use crate::eventlog::conformance::fixture::{context, engines, trim, words};
use crate::eventlog::conformance::makers::{
    commit, dead_letter, in_replay, key, letters, retry, subscription,
};
use crate::eventlog::{
    Changes, DeadLetter, DeadLetterCount, DeadLetterId, DeadLetterQuery, DeliveryKey,
    DroppedDeadLetter, LogLimits, Page, Position, Retention, Retry, Store,
};

async fn numbers(store: &Store, query: DeadLetterQuery, items: usize) -> Vec<u64> {
    let listed =
        store.dead_letters.dead_letters(&query, Page { items, ..Page::default() }).await.unwrap();
    listed.iter().map(|letter| letter.id.0).collect()
}

async fn keep(store: &Store, dead_letters: Vec<DeadLetter>) {
    commit(store, Changes { dead_letters, ..Changes::default() }).await;
}

/// Brings a dead letter back, as `deliver` does it.
async fn redrive(store: &Store, key: DeliveryKey, number: u64) {
    let retry = Retry { redriven: true, ..retry(key, 0) };
    let revived =
        store.dead_letters.revive(vec![(DeadLetterId(number), retry.clone())]).await.unwrap();
    assert_eq!(revived, [retry]);
}

#[tokio::test]
async fn dead_letters_are_numbered_for_their_subscription_and_listed_in_pages() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let dead_letters = vec![
            dead_letter(key("orders", 1), Some(410)),
            dead_letter(key("other", 1), None),
            dead_letter(in_replay(key("orders", 1)), None),
        ];
        keep(store, dead_letters.clone()).await;

        let named = |at: usize, id| DeadLetter { id: DeadLetterId(id), ..dead_letters[at].clone() };
        assert_eq!(letters(store, "orders").await, [named(0, 1), named(2, 2)]);
        assert_eq!(letters(store, "other").await, [named(1, 1)]);
        let all = DeadLetterQuery::all(subscription("orders"));
        let after = DeadLetterQuery { after: DeadLetterId(1), ..all.clone() };
        assert_eq!(numbers(store, after, 10).await, [2]);
        assert_eq!(numbers(store, all, 1).await, [1]);

        let orders = subscription("orders");
        assert_eq!(store.dead_letters.last_dead_letter(&orders).await.unwrap(), DeadLetterId(2));
        assert_eq!(
            store.dead_letters.last_dead_letter(&subscription("none")).await.unwrap(),
            DeadLetterId(0)
        );
        assert!(store.dead_letters.dismiss(&orders, DeadLetterId(2)).await.unwrap());
        assert!(!store.dead_letters.dismiss(&orders, DeadLetterId(2)).await.unwrap());
        keep(store, vec![dead_letter(key("orders", 3), None)]).await;
        let all = DeadLetterQuery::all(subscription("orders"));
        assert_eq!(numbers(store, all, 10).await, [1, 3], "a number is never given twice");
    }
}

#[tokio::test]
async fn what_was_given_up_is_known_until_it_is_settled_after_all_or_leaves_the_log() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let at = |event, position| DeadLetter {
            position: Position(position),
            ..dead_letter(key("orders", event), None)
        };
        let known = async |event| {
            let given_up = store.dead_letters.given_up(&key("orders", event)).await.unwrap();
            given_up.map(|given_up| given_up.reason.to_string())
        };
        let reason = at(1, 1).reason.to_string();
        keep(store, vec![at(1, 1), at(2, 900), at(3, 901), dead_letter(key("other", 4), None)])
            .await;
        keep(store, vec![in_replay_letter(5)]).await;
        let orders = subscription("orders");
        assert!(store.dead_letters.dismiss(&orders, DeadLetterId(1)).await.unwrap());
        redrive(store, key("orders", 2), 2).await;
        assert_eq!(known(1).await, Some(reason.clone()), "it was dismissed");
        assert_eq!(known(2).await, Some(reason.clone()), "it waits for an attempt");
        assert_eq!(known(5).await, None, "a replay is no delivery of its own");

        let settled = vec![key("orders", 2)];
        commit(store, Changes { settled, ..Changes::default() }).await;
        assert_eq!(known(2).await, None, "it was delivered after all");

        store.log.append(words("ab")).await.unwrap();
        let all = Retention {
            before: Some(fixture.clock.now().after(Duration::from_hours(1))),
            hold: Position(u64::MAX),
            ..Retention::default()
        };
        trim(&*store.log, &all).await;
        assert_eq!((known(1).await, known(3).await), (None, Some(reason)), "one has left the log");
        store.state.forget(&orders).await.unwrap();
        assert_eq!(known(3).await, None);
        let other = key("other", 4);
        assert!(store.dead_letters.given_up(&other).await.unwrap().is_some());
    }
}

fn in_replay_letter(event: u64) -> DeadLetter {
    dead_letter(in_replay(key("orders", event)), None)
}

#[tokio::test]
async fn a_dead_letter_keeps_what_its_publication_decided_and_is_chosen_by_either_name() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let mut letter = dead_letter(key("orders", 1), None);
        letter.event.context = Some(context());
        keep(store, vec![letter, dead_letter(key("orders", 2), None)]).await;

        let kept = letters(store, "orders").await;
        assert_eq!(kept[0].event.context, Some(context()));
        assert_eq!(kept[1].event.context, None);
        let of_type = |name: &str| DeadLetterQuery {
            event_type: Some(name.into()),
            ..DeadLetterQuery::all(subscription("orders"))
        };
        for (name, chosen) in [("Test.Named", 1), ("Test.*", 2), ("Test.Other", 0)] {
            assert_eq!(numbers(store, of_type(name), 10).await.len(), chosen, "{name}");
        }
        assert!(numbers(store, of_type("Test.Happened"), 10).await.contains(&1), "its type too");
    }
}

#[tokio::test]
async fn a_query_chooses_by_number_reason_type_and_event() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let of = |event, reason: &str, event_type| {
            let mut letter = dead_letter(key("orders", event), None);
            letter.event.event_type = EventType::new(event_type).unwrap();
            DeadLetter { reason: reason.into(), ..letter }
        };
        keep(
            store,
            vec![
                of(1, "refused", "Order.Created"),
                of(2, "sink-gone", "Order.Created.Late"),
                of(3, "refused", "Order"),
                of(4, "refused", "OrderCreated"),
            ],
        )
        .await;
        let all = DeadLetterQuery::all(subscription("orders"));
        let of_type = |name: &str| DeadLetterQuery { event_type: Some(name.into()), ..all.clone() };
        let refused = DeadLetterQuery { reason: Some("refused".into()), ..all.clone() };
        let range = DeadLetterQuery {
            from: Some(EventId::first_of(2)),
            to: Some(EventId::first_of(3)),
            ..all.clone()
        };

        let named = |ids: &[u64]| ids.iter().copied().map(DeadLetterId).collect::<BTreeSet<_>>();

        for (query, expected) in [
            (of_type("Order.Created"), &[1][..]),
            (of_type("Order.*"), &[1, 2]),
            (of_type("Order"), &[3]),
            (of_type("Order.Created.*"), &[2]),
            (DeadLetterQuery { last: Some(DeadLetterId(3)), ..refused.clone() }, &[1, 3]),
            (DeadLetterQuery { after: DeadLetterId(1), ..refused }, &[3, 4]),
            (range, &[2, 3]),
            (DeadLetterQuery { ids: Some(named(&[4, 2, 9])), ..all.clone() }, &[2, 4]),
            (DeadLetterQuery { ids: Some(named(&[])), ..all }, &[]),
        ] {
            assert_eq!(
                store.dead_letters.count_chosen(&query).await.unwrap(),
                expected.len() as u64
            );
            assert_eq!(numbers(store, query, 10).await, expected);
        }
    }
}

#[tokio::test]
async fn a_redriven_dead_letter_is_hidden_and_kept_until_it_is_settled() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let one = key("orders", 1);
        keep(store, vec![dead_letter(one.clone(), None), dead_letter(key("orders", 2), None)])
            .await;

        redrive(store, one.clone(), 1).await;

        assert_eq!(letters(store, "orders").await.len(), 1);
        let kept = store.dead_letters.dead_letter(&one).await.unwrap().unwrap();
        assert!(kept.redriven && kept.event == dead_letter(one.clone(), None).event);
        assert!(store.state.retry(&one).await.unwrap().unwrap().redriven);
        assert!(store.state.load().await.unwrap().retries[0].redriven);
        commit(store, Changes { settled: vec![one.clone()], ..Changes::default() }).await;
        assert_eq!(store.dead_letters.dead_letter(&one).await.unwrap(), None);
        assert_eq!(store.state.retry(&one).await.unwrap(), None);
        assert_eq!(letters(store, "orders").await.len(), 1);
    }
}

#[tokio::test]
async fn a_dead_letter_is_redriven_once_and_neither_dismissed_meanwhile_nor_brought_back_after() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let (one, two) = (key("orders", 1), key("orders", 2));
        keep(store, vec![dead_letter(one.clone(), None), dead_letter(two.clone(), None)]).await;
        redrive(store, one.clone(), 1).await;
        commit(store, Changes { retries: vec![retry(one.clone(), 3)], ..Changes::default() }).await;
        assert!(store.dead_letters.dismiss(&two.subscription, DeadLetterId(2)).await.unwrap());

        let named = |number, key| (DeadLetterId(number), retry(key, 0));
        let again = vec![named(1, one.clone()), named(2, two.clone()), named(3, two.clone())];
        assert_eq!(
            store.dead_letters.revive(again).await.unwrap(),
            [],
            "redriven already, gone, never there"
        );
        assert!(!store.dead_letters.dismiss(&one.subscription, DeadLetterId(1)).await.unwrap());

        assert!(store.dead_letters.dead_letter(&one).await.unwrap().unwrap().redriven);
        assert_eq!(store.state.retry(&one).await.unwrap().unwrap().attempts, 3, "it is in flight");
        assert_eq!(store.state.retry(&two).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_delivery_that_is_given_up_again_is_one_dead_letter() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let one = key("orders", 1);
        keep(store, vec![dead_letter(one.clone(), None)]).await;
        redrive(store, one.clone(), 1).await;

        let dead_letters = vec![dead_letter(one.clone(), Some(503))];
        let settled = vec![one.clone()];
        commit(store, Changes { settled, dead_letters, ..Changes::default() }).await;
        // What a crash has repeated.
        keep(store, vec![dead_letter(one.clone(), Some(503))]).await;

        let listed = letters(store, "orders").await;
        assert_eq!(listed.iter().map(|letter| letter.id.0).collect::<Vec<_>>(), [3]);
        assert!(!listed[0].redriven);
    }
}

#[tokio::test]
async fn dead_letters_are_counted_by_reason() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let refused = |event| DeadLetter {
            reason: "refused".into(),
            ..dead_letter(key("orders", event), None)
        };
        let other = dead_letter(key("other", 1), None);
        keep(store, vec![refused(1), refused(2), dead_letter(key("orders", 3), None), other]).await;
        redrive(store, key("orders", 2), 2).await;

        let count = |of: &str, reason: &str, redriven| DeadLetterCount {
            subscription: subscription(of),
            reason: reason.into(),
            redriven,
            count: 1,
        };
        let orders = [
            count("orders", "gone", false),
            count("orders", "refused", false),
            count("orders", "refused", true),
        ];
        let counted =
            store.dead_letters.count_dead_letters(Some(&subscription("orders"))).await.unwrap();
        assert_eq!(counted, orders);
        let all = store.dead_letters.count_dead_letters(None).await.unwrap();
        assert_eq!(all, [&orders[..], &[count("other", "gone", false)]].concat());
    }
}

#[tokio::test]
async fn old_dead_letters_expire_oldest_first_but_not_while_they_are_redriven() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        for event in [4, 2, 3, 1] {
            keep(store, vec![dead_letter(key("orders", event), None)]).await;
            fixture.clock.advance(Duration::from_secs(10));
        }
        redrive(store, key("orders", 4), 1).await;
        let age = Duration::from_secs(11);

        let first = store.dead_letters.expire_dead_letters(age, 1).await.unwrap();
        let second = store.dead_letters.expire_dead_letters(age, 10).await.unwrap();

        assert_eq!(first, [(key("orders", 2), "gone".into())]);
        assert_eq!(second, [(key("orders", 3), "gone".into())]);
        assert_eq!(store.dead_letters.expire_dead_letters(age, 10).await.unwrap(), []);
        assert_eq!(letters(store, "orders").await.len(), 1);
        assert!(store.dead_letters.dead_letter(&key("orders", 4)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn of_too_many_dead_letters_the_oldest_of_their_subscription_go_unless_they_are_redriven() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let made = [key("orders", 1), key("other", 1), key("orders", 2), key("orders", 3)];
        keep(store, made.map(|key| dead_letter(key, None)).into()).await;
        redrive(store, key("orders", 1), 1).await;

        let dropped = store
            .dead_letters
            .drop_dead_letters(&subscription("orders"), 1, u64::MAX)
            .await
            .unwrap();

        let bytes = dead_letter(key("orders", 2), None).bytes_on_disk();
        let reason = "gone".into();
        assert_eq!(dropped, [DroppedDeadLetter { key: key("orders", 2), reason, bytes }]);
        let left = letters(store, "orders").await;
        assert_eq!(
            left.iter().map(|letter| letter.key.clone()).collect::<Vec<_>>(),
            [key("orders", 3)]
        );
        assert!(store.dead_letters.dead_letter(&key("orders", 1)).await.unwrap().is_some());
        assert_eq!(letters(store, "other").await.len(), 1);
    }
}
