//! The delivery log.

use crate::event::EventId;
use crate::eventlog::conformance::fixture::engines;
use crate::eventlog::conformance::makers::{attempt, commit, in_replay, key, subscription};
use crate::eventlog::{Changes, LogLimits, Page};

#[tokio::test]
async fn attempts_are_listed_newest_first_by_subscription_and_event() {
    for fixture in engines(LogLimits::default()) {
        let store = &fixture.store;
        let made = [
            attempt(key("orders", 1), 1),
            attempt(key("other", 1), 1),
            attempt(in_replay(key("orders", 2)), 1),
            attempt(key("orders", 1), 2),
        ];
        let (early, late) = made.split_at(2);
        for attempts in [early, late] {
            commit(store, Changes { attempts: attempts.to_vec(), ..Changes::default() }).await;
        }
        let list = async |of: Option<&str>, event: Option<u64>, items: usize| {
            let page = Page { items, ..Page::default() };
            let of = of.map(subscription);
            store.attempts.attempts(of.as_ref(), event.map(EventId::first_of), page).await.unwrap()
        };
        let expected = |numbers: &[usize]| {
            numbers.iter().map(|number| made[*number].clone()).collect::<Vec<_>>()
        };

        assert_eq!(list(None, None, 10).await, expected(&[3, 2, 1, 0]));
        assert_eq!(list(None, None, 2).await, expected(&[3, 2]));
        assert_eq!(list(Some("orders"), None, 10).await, expected(&[3, 2, 0]));
        assert_eq!(list(None, Some(1), 10).await, expected(&[3, 1, 0]));
        assert_eq!(list(Some("orders"), Some(1), 10).await, expected(&[3, 0]));
    }
}
