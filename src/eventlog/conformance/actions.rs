//! What callers changed: begun before, ended after, listed newest first, and dropped by age and number.

use std::time::Duration;

use tempfile::TempDir;

use crate::ambient::{Clock as _, ManualClock};
use crate::eventlog::conformance::fixture::{Fixture, START, engines, open};
use crate::eventlog::{
    ActionEnd, ActionId, ActionKind, ActionOutcome, ActionOwners, ActionQuery, Actions as _,
    LogLimits, NewAction, Page, SqliteRegistry,
};

pub(super) fn pause(caller: &str, name: &str) -> NewAction {
    NewAction {
        at: START,
        caller: caller.into(),
        kind: ActionKind::PauseSubscription,
        target: format!("subscriptions/{name}").into(),
        consumer: Some("shop".parse().unwrap()),
        domain: None,
        request: Some("00ff".into()),
        reason: Some("the sink's disk, „voll“".parse().unwrap()),
    }
}

async fn begin(fixture: &Fixture, action: NewAction) -> u64 {
    fixture.store.actions.begin_action(action).await.unwrap().0
}

async fn listed(fixture: &Fixture, query: ActionQuery) -> Vec<u64> {
    let page = Page { items: usize::MAX, bytes: usize::MAX };
    let found = fixture.store.actions.actions(&query, page).await.unwrap();
    found.iter().map(|action| action.id.0).collect()
}

#[tokio::test]
async fn an_action_is_there_when_it_begins_and_told_how_it_ended() {
    for fixture in engines(LogLimits::default()) {
        let actions = &fixture.store.actions;
        let one = pause("ops", "orders");
        let id = actions.begin_action(one.clone()).await.unwrap();
        let bare = NewAction {
            kind: ActionKind::StartReplay,
            consumer: None,
            domain: Some("payments".into()),
            request: None,
            reason: None,
            ..pause("cli:0@host", "orders")
        };
        let other = actions.begin_action(bare.clone()).await.unwrap();

        let found = actions.actions(&ActionQuery::default(), Page::default()).await.unwrap();
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [other, id]);
        assert!(found.iter().all(|one| one.end == ActionEnd::OPEN));
        assert_eq!((&found[0].begun, &found[1].begun), (&bare, &one));

        let made = ActionEnd { made: Some("replays/r1".into()), ..ActionEnd::DONE };
        let refused = ActionEnd {
            outcome: ActionOutcome::Refused,
            code: Some("wrong-state".into()),
            made: None,
        };
        actions.end_action(other, made.clone()).await.unwrap();
        actions.end_action(id, refused.clone()).await.unwrap();
        actions.end_action(ActionId(9), refused.clone()).await.unwrap();

        let found = actions.actions(&ActionQuery::default(), Page::default()).await.unwrap();
        assert_eq!(found.iter().map(|one| &one.end).collect::<Vec<_>>(), [&made, &refused]);
    }
}

#[tokio::test]
async fn actions_are_chosen_by_each_of_their_sides_and_paged_from_the_newest() {
    for fixture in engines(LogLimits::default()) {
        let later = START.after(Duration::from_mins(1));
        let domain = NewAction { domain: Some("payments".into()), ..pause("ops", "x") };
        for action in [
            pause("ops", "orders"),
            NewAction { at: later, ..pause("shop", "orders/dead-letters/3") },
            NewAction { kind: ActionKind::DeleteSubscription, ..pause("ops", "orders2") },
            NewAction { consumer: Some("other".parse().unwrap()), ..pause("ops", "orders") },
            NewAction { consumer: None, ..domain },
        ] {
            begin(&fixture, action).await;
        }
        let any = ActionQuery::default;
        let owners = |consumers: &[&str], domains: &[&str]| {
            Some(ActionOwners {
                consumers: consumers.iter().map(|name| name.parse().unwrap()).collect(),
                domains: domains.iter().map(|name| (*name).into()).collect(),
            })
        };

        for (query, expected) in [
            (any(), vec![5, 4, 3, 2, 1]),
            (ActionQuery { before: Some(ActionId(3)), ..any() }, vec![2, 1]),
            (ActionQuery { caller: Some("shop".into()), ..any() }, vec![2]),
            (ActionQuery { kind: Some(ActionKind::DeleteSubscription), ..any() }, vec![3]),
            (ActionQuery { target: Some("subscriptions/orders".into()), ..any() }, vec![4, 2, 1]),
            (ActionQuery { from: Some(later), ..any() }, vec![2]),
            (ActionQuery { to: Some(START), ..any() }, vec![5, 4, 3, 1]),
            (ActionQuery { owners: owners(&["shop"], &[]), ..any() }, vec![3, 2, 1]),
            (ActionQuery { owners: owners(&["other"], &["payments"]), ..any() }, vec![5, 4]),
            (ActionQuery { owners: owners(&[], &[]), ..any() }, vec![]),
        ] {
            assert_eq!(listed(&fixture, query.clone()).await, expected, "{query:?}");
        }
        let page = Page { items: 2, ..Page::default() };
        let first = fixture.store.actions.actions(&any(), page).await.unwrap();
        assert_eq!(first.iter().map(|action| action.id.0).collect::<Vec<_>>(), [5, 4]);
    }
}

#[tokio::test]
async fn old_actions_go_and_of_a_caller_that_does_much_its_own() {
    let day = Duration::from_hours(24);
    let limits = LogLimits { action_age: day, actions_per_caller: 100, ..LogLimits::default() };
    for fixture in engines(limits) {
        let old = begin(&fixture, pause("old", "a")).await;
        fixture.clock.advance(day + Duration::from_secs(1));
        let now = || NewAction { at: fixture.clock.now(), ..pause("quiet", "a") };
        let quiet = begin(&fixture, now()).await;
        for _ in 0..256 {
            begin(&fixture, NewAction { caller: "loud".into(), ..now() }).await;
        }

        let left = listed(&fixture, ActionQuery::default()).await;

        assert!(!left.contains(&old) && left.contains(&quiet), "{left:?}");
        assert!((100..200).contains(&left.len()), "{}", left.len());
        assert_eq!(left.first(), Some(&258), "the newest stay");
    }
}

#[tokio::test]
async fn an_action_outlives_the_process_and_is_kept_beside_a_gateway() {
    let (directory, clock) = (TempDir::new().unwrap(), ManualClock::at(START));
    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    log.begin_action(pause("ops", "orders")).await.unwrap();
    let beside = SqliteRegistry::open(directory.path(), std::sync::Arc::new(clock.clone()));
    let beside = beside.unwrap();
    let id = beside.begin_action(pause("cli:0@host", "orders")).await.unwrap();
    beside.end_action(id, ActionEnd::DONE).await.unwrap();
    drop(log);

    let log = open(directory.path(), LogLimits::default(), &clock).unwrap();
    let found = log.actions(&ActionQuery::default(), Page::default()).await.unwrap();

    let ends: Vec<_> = found.iter().map(|action| action.end.outcome).collect();
    assert_eq!(ends, [ActionOutcome::Done, ActionOutcome::Begun]);
    assert_eq!(beside.actions(&ActionQuery::default(), Page::default()).await.unwrap(), found);
}
