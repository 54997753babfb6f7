//! The ledger writes outcomes together with the cursor that has passed them.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock as _;
use crate::deliver::outcome::MOST_ATTEMPTS;
use crate::deliver::outcome::{AttemptOutcome, Delivery, Ledger, Ownership, Reason, Verdict};
use crate::deliver::sink::{AnswerKind, SinkAnswer};
use crate::deliver::tests::couriers::start;
use crate::deliver::tests::stage::{Recorder, Stage, until};
use crate::deliver::worker::letter_of;
use crate::event::ChainValue;
use crate::eventlog::{
    Attempts as _, Cursor, DeadLetterQuery, DeadLetters as _, DeliveryState as _, Leases as _,
    Log as _, LogError, Page, Position, RemoteStore,
};

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

fn outcome(stage: &Stage, status: u16, verdict: Verdict) -> AttemptOutcome {
    let began = stage.clock.now();
    let ended = began.after(Duration::from_millis(7));
    // The verdict is what is followed, whatever kind of answer it came from.
    let answer = SinkAnswer { status: Some(status), ..SinkAnswer::new(AnswerKind::Delivered) };
    AttemptOutcome { answer, verdict, began, ended, receipt: None }
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
async fn an_outcome_waits_from_its_own_moment_on() {
    let stage = Stage::new().await;
    let id = &stage.subscription.id;
    let settled = async || stage.log.load().await.unwrap().cursors.len();
    let mut running = std::pin::pin!(stage.ledger.run());
    assert!(futures_util::poll!(&mut running).is_pending());

    stage.ledger.cursor(id, &Cursor::starting(id, Position(1)));
    stage.clock.advance(Duration::from_millis(29));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert_eq!(settled().await, 0, "others may come that are written with it");
    stage.clock.advance(Duration::from_millis(1));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert_eq!(settled().await, 1);

    // As when something else is being written meanwhile.
    stage.ledger.cursor(&"other".parse().unwrap(), &Cursor::starting(id, Position(1)));
    stage.clock.advance(Duration::from_millis(30));
    assert!(futures_util::poll!(&mut running).is_pending());
    assert_eq!(settled().await, 2, "it has waited long enough already");
    let shown = stage.metrics.render();
    assert!(shown.contains("sealway_outcome_seconds_sum 0.06\n"), "{shown}");
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
    let letter =
        letter_of(&stage.subscription, &delivery.entry, (link, Reason::Expired), stage.clock.now());
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
async fn what_is_delivered_after_a_crash_is_no_dead_letter() {
    let stage = Stage::new().await;
    let first = delivery(&stage).await;
    // The dead letter reaches the disk, and the cursor that has passed it does not.
    stage.ledger.record(&first, &outcome(&stage, 500, Verdict::GiveUp(Reason::Refused)));
    stage.ledger.flush().await.unwrap();
    let query = DeadLetterQuery::all(first.key().subscription);
    assert_eq!(stage.log.dead_letters(&query, Page::default()).await.unwrap().len(), 1);

    let (state, clock) = (Arc::clone(&stage.log) as _, Arc::new(stage.clock.clone()));
    let ownership = Ownership { before: stage.log.head(), ..Ownership::default() };
    let started = Ledger::new(state, ownership, clock, &stage.metrics);
    started.record(&first, &outcome(&stage, 204, Verdict::Delivered));
    started.flush().await.unwrap();

    assert!(stage.log.dead_letters(&query, Page::default()).await.unwrap().is_empty());
    let attempts = stage.log.attempts(None, None, Page::default()).await.unwrap();
    assert_eq!(attempts.len(), 2);
}

#[tokio::test]
async fn what_is_forgotten_is_never_written() {
    let stage = Stage::new().await;
    let delivery = delivery(&stage).await;
    let cursor = Cursor::starting(&stage.subscription.id, Position(1));
    stage.ledger.record(&delivery, &outcome(&stage, 500, Verdict::GiveUp(Reason::Refused)));
    stage.ledger.retry(delivery.to_retry(stage.clock.now(), stage.clock.now()));
    stage.ledger.cursor(&stage.subscription.id, &cursor);

    stage.ledger.forget(&stage.subscription.id).await.unwrap();
    stage.ledger.flush().await.unwrap();

    let state = stage.log.load().await.unwrap();
    assert!(state.cursors.is_empty() && state.retries.is_empty());
    assert!(stage.log.attempts(None, None, Page::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_finds_no_room_is_written_with_what_came_since_once_there_is_some() {
    let stage = Stage::new().await;
    let first = delivery(&stage).await;
    let due = stage.clock.now().after(Duration::from_secs(5));
    let id = &stage.subscription.id;
    stage.ledger.record(&first, &outcome(&stage, 503, Verdict::Retry { due }));
    stage.ledger.cursor(id, &Cursor::starting(id, Position(1)));

    stage.log.fill(true);
    let refused = stage.ledger.try_flush().await;
    assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
    {
        let mut waits = std::pin::pin!(stage.ledger.flush());
        assert!(futures_util::poll!(&mut waits).is_pending());
    }
    let newer = Cursor::starting(id, Position(2));
    stage.ledger.cursor(id, &newer);
    let second = Delivery { attempts: 1, first_attempt: Some(due), ..first };
    for _ in 0..MOST_ATTEMPTS {
        stage.ledger.record(&second, &outcome(&stage, 503, Verdict::Retry { due }));
    }
    let refused = stage.ledger.try_flush().await;
    assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
    stage.log.fill(false);
    stage.ledger.try_flush().await.unwrap();

    let state = stage.log.load().await.unwrap();
    assert_eq!(state.cursors, [(id.clone(), newer)]);
    assert_eq!((state.retries.len(), state.retries[0].attempts), (1, 2));
    let all = Page { items: usize::MAX, bytes: usize::MAX };
    let attempts = stage.log.attempts(None, None, all).await.unwrap();
    assert_eq!(attempts.len(), MOST_ATTEMPTS, "the oldest attempt is dropped");
    assert!(attempts.iter().all(|attempt| attempt.number == 2));
}

#[tokio::test]
async fn who_waits_until_it_is_written_causes_no_writing_and_hears_of_trouble() {
    let stage = Stage::new().await;
    let id = &stage.subscription.id;
    let note = |at| stage.ledger.cursor(id, &Cursor::starting(id, Position(at)));
    stage.ledger.written().await.unwrap();

    note(1);
    {
        let mut first = std::pin::pin!(stage.ledger.written());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(stage.log.load().await.unwrap().cursors.is_empty());
        stage.ledger.flush().await.unwrap();
        assert!(futures_util::poll!(&mut first).is_ready());
        assert!(futures_util::poll!(std::pin::pin!(stage.ledger.written())).is_ready());
    }
    // What is forgotten before it is written has nobody wait for ever.
    note(2);
    let mut forgotten = std::pin::pin!(stage.ledger.written());
    assert!(futures_util::poll!(&mut forgotten).is_pending());
    stage.ledger.forget(id).await.unwrap();
    stage.ledger.flush().await.unwrap();
    forgotten.await.unwrap();
    stage.ledger.open(id);

    note(3);
    let mut unlucky = std::pin::pin!(stage.ledger.written());
    assert!(futures_util::poll!(&mut unlucky).is_pending());
    stage.log.fill(true);
    stage.ledger.try_flush().await.unwrap_err();
    let refused = unlucky.await;
    assert!(matches!(refused, Err(LogError::Full { .. })), "{refused:?}");
    stage.log.fill(false);
    stage.ledger.written().await.unwrap();
    assert_eq!(stage.log.load().await.unwrap().cursors[0].1.settled, Position(3));

    note(4);
    let mut broken = std::pin::pin!(stage.ledger.written());
    assert!(futures_util::poll!(&mut broken).is_pending());
    stage.log.close().await.unwrap();
    stage.ledger.try_flush().await.unwrap_err();
    assert!(broken.await.is_err());
}

#[tokio::test]
async fn what_was_lost_is_never_said_to_be_written() {
    let stage = Stage::new().await;
    let id = &stage.subscription.id;
    stage.ledger.cursor(id, &Cursor::starting(id, Position(1)));
    let mut slow = std::pin::pin!(stage.ledger.written());
    assert!(futures_util::poll!(&mut slow).is_pending());

    stage.log.close().await.unwrap();
    stage.ledger.try_flush().await.unwrap_err();
    // There is nothing left to write, and who waits looks only now.
    stage.ledger.try_flush().await.unwrap();

    let lost = slow.await;
    assert!(matches!(lost, Err(LogError::Broken)), "{lost:?}");
}

#[tokio::test]
async fn nothing_of_a_forgotten_subscription_comes_back_for_want_of_room() {
    let stage = Stage::new().await;
    let id = &stage.subscription.id;
    stage.ledger.cursor(id, &Cursor::starting(id, Position(1)));
    stage.log.fill(true);
    stage.ledger.try_flush().await.unwrap_err();

    stage.ledger.forget(id).await.unwrap();
    stage.log.fill(false);
    stage.ledger.flush().await.unwrap();

    assert!(stage.log.load().await.unwrap().cursors.is_empty());
}

#[tokio::test]
async fn what_ends_after_its_subscription_was_removed_is_not_written() {
    let stage = Stage::new().await;
    let (delivery, id) = (delivery(&stage).await, &stage.subscription.id);
    let due = stage.clock.now();
    let cursor = Cursor::starting(id, Position(1));
    let note = async || {
        stage.ledger.record(&delivery, &outcome(&stage, 503, Verdict::Retry { due }));
        stage.ledger.retry(delivery.to_retry(due, due));
        stage.ledger.cursor(id, &cursor);
        stage.ledger.sequence_checkpoint(id, cursor.place());
        stage.ledger.flush().await.unwrap();
        let state = stage.log.load().await.unwrap();
        (state.cursors.len(), state.retries.len())
    };

    stage.ledger.forget(id).await.unwrap();
    assert_eq!(note().await, (0, 0));
    assert_eq!(note().await, (0, 0), "also after a flush");
    let places = stage.log.sequence_checkpoints_around(id, Position(9)).await.unwrap();
    assert_eq!(places, (None, None));

    stage.ledger.open(id);
    assert_eq!(note().await, (1, 1), "a new subscription of the same name");
}

#[tokio::test]
async fn of_two_notes_of_a_cursor_the_one_that_is_further_counts() {
    let stage = Stage::new().await;
    let id = &stage.subscription.id;
    let kept = async || {
        stage.ledger.flush().await.unwrap();
        stage.log.load().await.unwrap().cursors.remove(0).1
    };
    let at = |position: u64, sequence: u64, ahead: &[u64]| {
        let mut cursor = Cursor { sequence, ..Cursor::starting(id, Position(position)) };
        for number in ahead {
            cursor.ahead.insert(*number);
        }
        cursor
    };
    stage.ledger.cursor(id, &at(7, 3, &[5]));
    stage.ledger.cursor(id, &at(6, 3, &[5, 6, 7]));
    assert_eq!(kept().await, at(7, 3, &[5]));

    // Whoever was overtaken while the other was written is, too.
    stage.ledger.cursor(id, &at(7, 3, &[]));
    stage.ledger.cursor(id, &at(6, 4, &[]));
    stage.ledger.expire(id, Vec::new(), &at(7, 2, &[3]));
    assert_eq!(kept().await, at(7, 3, &[5]));
    stage.ledger.cursor(id, &at(7, 3, &[5, 9]));
    assert_eq!(kept().await, at(7, 3, &[5, 9]));

    // What found no room is as far.
    stage.ledger.cursor(id, &at(8, 4, &[]));
    stage.log.fill(true);
    stage.ledger.try_flush().await.unwrap_err();
    stage.ledger.cursor(id, &at(7, 3, &[5, 9]));
    stage.log.fill(false);
    assert_eq!(kept().await, at(8, 4, &[]));

    // A subscription that is made anew begins where it begins.
    stage.ledger.forget(id).await.unwrap();
    stage.ledger.open(id);
    stage.ledger.cursor(id, &at(2, 0, &[]));
    assert_eq!(kept().await, at(2, 0, &[]));
}

#[tokio::test]
async fn a_batch_whose_writer_was_cancelled_is_ended_by_the_loop() {
    for full in [false, true] {
        let stage = Stage::new().await;
        let remote = RemoteStore::over(Arc::clone(&stage.log));
        let ledger = owned(&stage, &remote).await;
        let mut running = std::pin::pin!(ledger.run());
        assert!(futures_util::poll!(&mut running).is_pending());
        let id = &stage.subscription.id;
        ledger.cursor(id, &Cursor::starting(id, Position(1)));
        let mut waiting = std::pin::pin!(ledger.written());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        stage.log.fill(full);
        {
            // Its asker has gone before the store has answered.
            let mut left = std::pin::pin!(ledger.try_flush());
            assert!(futures_util::poll!(&mut left).is_pending());
            assert!(futures_util::poll!(&mut running).is_pending());
        }

        let ended = async {
            tokio::select! {
                ended = &mut waiting => ended,
                stopped = &mut running => panic!("{stopped:?}"),
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;

        let ended = ended.expect("nobody else notes anything");
        assert_eq!(matches!(ended, Err(LogError::Full { .. })), full, "{ended:?}");
        let kept = stage.log.load().await.unwrap().cursors.len();
        assert_eq!(kept, usize::from(!full));
    }
}

/// A ledger of what a new owner delivers, far from its store.
async fn owned(stage: &Stage, remote: &Arc<RemoteStore>) -> Arc<Ledger> {
    let ownership = Ownership {
        epoch: remote.acquire().await.unwrap(),
        stopping: stage.tasks.stopping().clone(),
        ..Ownership::default()
    };
    let (state, clock) = (Arc::clone(remote) as _, Arc::new(stage.clock.clone()));
    Arc::new(Ledger::new(state, ownership, clock, &stage.metrics))
}

#[tokio::test]
async fn whoever_is_fenced_drops_what_it_noted_and_stops_its_workers() {
    let stage = Stage::new().await;
    let remote = RemoteStore::over(Arc::clone(&stage.log));
    let ledger = owned(&stage, &remote).await;
    let id = &stage.subscription.id;
    let mut running = std::pin::pin!(ledger.run());
    assert!(futures_util::poll!(&mut running).is_pending());
    ledger.cursor(id, &Cursor::starting(id, Position(1)));
    ledger.try_flush().await.unwrap();

    remote.acquire().await.unwrap();
    ledger.cursor(id, &Cursor::starting(id, Position(2)));
    let fenced = ledger.try_flush().await;

    assert!(matches!(fenced, Err(LogError::Fenced)), "{fenced:?}");
    assert!(stage.tasks.stopping().is_cancelled());
    assert!(matches!(running.await, Err(LogError::Fenced)));
    ledger.cursor(id, &Cursor::starting(id, Position(3)));
    assert!(
        matches!(ledger.try_flush().await, Err(LogError::Fenced)),
        "there is no second attempt"
    );
    assert!(matches!(ledger.written().await, Err(LogError::Fenced)));
    assert_eq!(stage.log.load().await.unwrap().cursors[0].1.settled, Position(1));
}

#[tokio::test]
async fn a_courier_ends_once_its_owner_is_fenced() {
    let (mut stage, recorder) = (Stage::new().await, Arc::new(Recorder::default()));
    let remote = RemoteStore::over(Arc::clone(&stage.log));
    stage.ledger = owned(&stage, &remote).await;
    stage.append(&["a"]).await;
    let working = start(&stage, &recorder).await;
    until("it is settled", || working.standing.borrow().settled == Position(1)).await;
    stage.ledger.flush().await.unwrap();

    remote.acquire().await.unwrap();
    let id = &stage.subscription.id;
    stage.ledger.cursor(id, &Cursor::starting(id, Position(2)));
    let fenced = stage.ledger.flush().await;

    assert!(matches!(fenced, Err(LogError::Fenced)), "{fenced:?}");
    working.end.await.unwrap();
    stage.append(&["b"]).await;
    assert_eq!(recorder.words(), ["a"]);
}
