//! An inbox keeps order, says how far the log is known, and never waits for its courier.

use std::sync::Arc;

use crate::deliver::tests::stage::Stage;
use crate::deliver::worker::{Followed, Inbox, Taken};
use crate::eventlog::{Entry, Position};

fn inbox() -> (Arc<Followed>, Inbox) {
    let followed = Arc::new(Followed::default());
    (Arc::clone(&followed), Inbox::new(followed))
}

fn taken(inbox: &Inbox, most: usize) -> Option<(Vec<u64>, u64)> {
    match inbox.take(most) {
        Taken::Behind => None,
        Taken::Matches(entries, known) => {
            Some((entries.iter().map(|entry| entry.position.0).collect(), known.0))
        }
    }
}

async fn entries(count: usize) -> Vec<Arc<Entry>> {
    let words: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Stage::new().await.append(&words).await
}

#[tokio::test]
async fn an_inbox_begins_behind_and_joins_once_everything_was_read() {
    let (followed, inbox) = inbox();
    let entries = entries(3).await;

    inbox.put(entries[..2].to_vec());
    followed.advance(Position(2));

    assert_eq!(taken(&inbox, 9), None);
    assert!(!inbox.caught_up(Position(1)));
    assert!(inbox.caught_up(Position(2)));
    inbox.put(entries[2..].to_vec());
    followed.advance(Position(3));
    assert_eq!(taken(&inbox, 9), Some((vec![3], 3)));
}

#[tokio::test]
async fn the_log_is_known_up_to_the_next_match_that_waits() {
    let (followed, inbox) = inbox();
    assert!(inbox.caught_up(Position(0)));
    let entries = entries(5).await;

    inbox.put(vec![Arc::clone(&entries[0]), Arc::clone(&entries[3])]);
    followed.advance(Position(5));

    assert_eq!(taken(&inbox, 1), Some((vec![1], 3)));
    assert_eq!(taken(&inbox, 1), Some((vec![4], 5)));
    assert_eq!(taken(&inbox, 1), Some((vec![], 5)));
}

#[tokio::test]
async fn what_is_undecided_is_read_from_the_log_after_what_was_put_before_it() {
    let (followed, inbox) = inbox();
    assert!(inbox.caught_up(Position(0)));
    let entries = entries(4).await;

    inbox.put(entries[..1].to_vec());
    inbox.miss(Position(3));
    followed.advance(Position(4));
    inbox.put(entries[3..].to_vec());

    assert_eq!(taken(&inbox, 9), Some((vec![1], 1)));
    assert_eq!(taken(&inbox, 9), None);
    assert!(!inbox.caught_up(Position(3)));
    assert!(inbox.caught_up(Position(4)));
}

#[tokio::test]
async fn a_full_inbox_sends_its_courier_to_the_log_and_loses_nothing_it_holds() {
    let (followed, inbox) = inbox();
    assert!(inbox.caught_up(Position(0)));
    let entries = entries(600).await;

    for chunk in entries.chunks(100) {
        inbox.put(chunk.to_vec());
        followed.advance(chunk.last().unwrap().position);
    }

    let (held, known) = taken(&inbox, 1000).unwrap();
    assert_eq!(held, (1..=500).collect::<Vec<_>>());
    assert_eq!(known, 500, "what came later was not handed over");
    assert_eq!(taken(&inbox, 1000), None);
    assert!(!inbox.caught_up(Position(500)));
    assert!(inbox.caught_up(Position(600)));
}

#[tokio::test]
async fn falling_behind_forgets_what_an_old_filter_has_matched() {
    let (followed, inbox) = inbox();
    assert!(inbox.caught_up(Position(0)));
    inbox.put(entries(2).await);
    followed.advance(Position(2));

    inbox.fall_behind();

    assert_eq!(taken(&inbox, 9), None);
    inbox.arrival().await;
}
