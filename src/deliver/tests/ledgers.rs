//! The ledger writes outcomes together with the cursor that has passed them.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock as _;
use crate::deliver::expiry::letter_of;
use crate::deliver::tests::stage::Stage;
use crate::deliver::{Answer, Delivery, Outcome, Reason, Verdict};
use crate::event::ChainValue;
use crate::eventlog::{Cursor, DeadLetterQuery, EventLog as _, Page, Position, SetAside as _};

async fn delivery(stage: &Stage) -> Delivery {
    let entry = stage.append(&["a"]).await.remove(0);
    Delivery {
        subscription: Arc::clone(&stage.subscription),
        entry,
        link: Some((1, ChainValue::start(&stage.subscription.id))),
        replay: None,
        attempts: 0,
        first_attempt: None,
        redriven: false,
    }
}

fn outcome(stage: &Stage, status: u16, verdict: Verdict) -> Outcome {
    let began = stage.clock.now();
    let ended = began.after(Duration::from_millis(7));
    Outcome { answer: Answer::of_status(status), verdict, began, ended, receipt: None }
}

#[tokio::test]
async fn nothing_is_written_before_the_flush_and_then_everything_at_once() {
    let stage = Stage::new().await;
    let delivery = delivery(&stage).await;
    let due = stage.clock.now().after(Duration::from_secs(5));
    let cursor = Cursor::starting(&stage.subscription.id, Position(1));

    stage.ledger.record(&delivery, &outcome(&stage, 503, Verdict::Retry { due }));
    stage.ledger.cursor(&stage.subscription.id, &cursor);
    assert!(stage.log.load().await.unwrap().retries.is_empty());
    stage.ledger.flush().await.unwrap();

    let state = stage.log.load().await.unwrap();
    assert_eq!((state.retries[0].attempts, state.retries[0].due), (1, due));
    assert_eq!(state.cursors, [(stage.subscription.id.clone(), cursor)]);
    let attempts = stage.log.attempts(None, None, Page::default()).await.unwrap();
    assert_eq!((attempts[0].status, attempts[0].duration_ms), (Some(503), 7));
}

#[tokio::test]
async fn a_retry_that_ends_is_no_longer_kept() {
    let stage = Stage::new().await;
    let first = delivery(&stage).await;
    let due = stage.clock.now();
    stage.ledger.record(&first, &outcome(&stage, 503, Verdict::Retry { due }));
    stage.ledger.flush().await.unwrap();

    let second = Delivery { attempts: 1, first_attempt: Some(due), ..first };
    let given_up = Verdict::GiveUp(Reason::AttemptsExhausted);
    stage.ledger.record(&second, &outcome(&stage, 500, given_up));
    stage.ledger.flush().await.unwrap();

    assert!(stage.log.load().await.unwrap().retries.is_empty());
    let query = DeadLetterQuery::all(second.key().subscription);
    let letters = stage.log.dead_letters(&query, Page::default()).await.unwrap();
    assert_eq!((letters[0].attempts, &*letters[0].reason), (2, "attempts-exhausted"));
    assert_eq!(letters[0].link, second.link);
}

#[tokio::test]
async fn what_expires_is_written_with_the_cursor_that_passes_it() {
    let stage = Stage::new().await;
    let delivery = delivery(&stage).await;
    let (id, link) = (&stage.subscription.id, delivery.link.unwrap());
    let letter = letter_of(&stage.subscription, &delivery.entry, link, stage.clock.now());
    let cursor = Cursor { sequence: 1, ..Cursor::starting(id, Position(1)) };
    let query = DeadLetterQuery::all(id.clone());

    stage.ledger.expire(id, vec![letter], &cursor);
    // A crash here leaves neither: it expires again.
    assert!(stage.log.load().await.unwrap().cursors.is_empty());
    assert!(stage.log.dead_letters(&query, Page::default()).await.unwrap().is_empty());
    stage.ledger.flush().await.unwrap();

    assert_eq!(stage.log.load().await.unwrap().cursors, [(id.clone(), cursor)]);
    let letters = stage.log.dead_letters(&query, Page::default()).await.unwrap();
    assert_eq!((letters[0].link, &*letters[0].reason), (delivery.link, "expired"));
}

#[tokio::test]
async fn what_is_forgotten_is_never_written() {
    let stage = Stage::new().await;
    let delivery = delivery(&stage).await;
    let cursor = Cursor::starting(&stage.subscription.id, Position(1));
    stage.ledger.record(&delivery, &outcome(&stage, 500, Verdict::GiveUp(Reason::Refused)));
    stage.ledger.retry(delivery.to_retry(stage.clock.now(), stage.clock.now()));
    stage.ledger.cursor(&stage.subscription.id, &cursor);

    stage.ledger.forget(&stage.subscription.id);
    stage.ledger.flush().await.unwrap();

    let state = stage.log.load().await.unwrap();
    assert!(state.cursors.is_empty() && state.retries.is_empty());
    assert!(stage.log.attempts(None, None, Page::default()).await.unwrap().is_empty());
}
