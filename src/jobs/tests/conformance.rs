//! Every source of deliveries keeps the same promises at both ends: the events of a subject in order,
//! numbers that never change, and after a crash repeats of what was not written, and no loss.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::Clock as _;
use crate::deliver::tests::couriers::{Working, start};
use crate::deliver::tests::pulled::{Pulled, start_pulled};
use crate::deliver::tests::stage::{Act, Recorder, Stage, until};
use crate::deliver::{
    Ledger, Ownership, Progress, ReplayOutcome, ReplayTicket, ReplayedMatch, WorkerCommand,
};
use crate::event::ChainValue;
use crate::eventlog::{
    Changes, Cursor, DeadLetter, DeadLetterId, DeadLetters as _, DeliveryKey, DeliveryState as _,
    Entry, Log as _, Position, Retry, Revision,
};
use crate::jobs::{JobError, JobState, JobStore, Replay, ReplayCounts, ReplayRunner, Selection};
use crate::telemetry::Metrics;

/// What is delivered: the subject of each stands before the full stop.
const WORDS: [&str; 5] = ["a.1", "b.1", "a.2", "b.2", "a.3"];

/// Where deliveries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Live,
    Retry,
    Replay,
    Redrive,
}

impl Source {
    const ALL: [Self; 4] = [Self::Live, Self::Retry, Self::Replay, Self::Redrive];
}

type Links = Vec<(u64, ChainValue)>;

/// A log of all words, in which each is a delivery of this source; and the links that they have.
async fn staged(source: Source) -> (Stage, Vec<Arc<Entry>>, Links, ChainValue) {
    let mut stage = Stage::new().await;
    stage.in_order(&json!({ "ordering": "subject" }));
    let entries = stage.append(&WORDS).await;
    let id = stage.subscription.id.clone();
    let mut progress = Progress::resume(Cursor::starting(&id, Position::START));
    let mut links = Vec::new();
    for entry in &entries {
        let event = &entry.event;
        let numbered = progress.number(entry.position, event.id, event.digest);
        links.push((numbered.sequence, numbered.previous));
    }
    let chain = progress.newest().1;
    if source == Source::Live {
        return (stage, entries, links, chain);
    }
    (1..=5).for_each(|sequence| progress.settle(sequence));
    let waiting: Vec<Retry> = entries
        .iter()
        .zip(&links)
        .map(|(entry, link)| retry(&stage, entry, *link, source))
        .collect();
    let mut changes =
        Changes { cursors: vec![(id, progress.cursor().clone())], ..Changes::default() };
    match source {
        Source::Retry => changes.retries = waiting,
        Source::Redrive => {
            changes.dead_letters = entries.iter().zip(&waiting).map(letter).collect();
            stage.log.commit(std::mem::take(&mut changes)).await.unwrap();
            let revived = (1..).map(DeadLetterId).zip(waiting).collect();
            stage.log.revive(revived).await.unwrap();
        }
        Source::Live | Source::Replay => {}
    }
    stage.log.commit(changes).await.unwrap();
    (stage, entries, links, chain)
}

fn retry(stage: &Stage, entry: &Entry, link: (u64, ChainValue), source: Source) -> Retry {
    let redriven = source == Source::Redrive;
    let (subscription, event) = (stage.subscription.id.clone(), entry.event.id);
    Retry {
        key: DeliveryKey { subscription, replay: None, event },
        position: entry.position,
        link: Some(link),
        attempts: u32::from(!redriven),
        first_attempt: stage.clock.now(),
        due: stage.clock.now(),
        redriven,
    }
}

fn letter((entry, retry): (&Arc<Entry>, &Retry)) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId(0),
        key: retry.key.clone(),
        position: entry.position,
        link: retry.link,
        event: entry.event.clone(),
        reason: "refused".into(),
        attempts: 1,
        status: None,
        detail: "".into(),
        at: retry.due,
        redriven: false,
    }
}

/// One life of the gateway, as far as one subscription with a sink needs it.
struct Life {
    working: Working,
    replay: Option<JoinHandle<Result<Replay, JobError>>>,
    _subscription: watch::Sender<Arc<crate::subscriptions::Subscription>>,
}

impl Life {
    async fn begin(source: Source, stage: &Stage, recorder: &Arc<Recorder>) -> Self {
        let working = start(stage, recorder).await;
        let subscription = watch::Sender::new(Arc::clone(&stage.subscription));
        let replay = match source {
            Source::Replay => {
                let replay = kept_replay(stage).await;
                let runner = ReplayRunner {
                    log: Arc::clone(&stage.log) as _,
                    replays: JobStore::new(Arc::clone(&stage.log) as _),
                    decider: stage.decider(),
                    attempter: stage.attempter(Arc::clone(recorder) as _),
                    ledger: Arc::clone(&stage.ledger),
                    clock: Arc::new(stage.clock.clone()),
                    tasks: stage.tasks.clone(),
                    parallel: 8,
                    patience: Duration::from_hours(24),
                    subscription: subscription.subscribe(),
                    courier: working.commands.clone(),
                    cancel: CancellationToken::new(),
                };
                Some(stage.tasks.spawn(runner.run(replay)))
            }
            _ => None,
        };
        Self { working, replay, _subscription: subscription }
    }

    /// Ends without warning; what was noted and not written is lost.
    async fn crash(self, stage: &mut Stage) {
        self.working.end.abort();
        self.working.end.await.unwrap_err();
        if let Some(replay) = self.replay {
            replay.abort();
            replay.await.unwrap_err();
        }
        forget_unwritten(stage);
    }

    fn is_done(&self) -> bool {
        let standing = *self.working.standing.borrow();
        let replayed = self.replay.as_ref().is_none_or(JoinHandle::is_finished);
        standing.retrying == 0 && standing.open == 0 && standing.sequence == 5 && replayed
    }
}

fn forget_unwritten(stage: &mut Stage) {
    let (log, clock) = (Arc::clone(&stage.log), Arc::new(stage.clock.clone()));
    let ownership = Ownership { before: log.head(), ..Ownership::default() };
    stage.ledger = Arc::new(Ledger::new(log, ownership, clock, &Metrics::new()));
}

async fn kept_replay(stage: &Stage) -> Replay {
    let replays = JobStore::<Replay>::new(Arc::clone(&stage.log) as _);
    if let Ok(kept) = replays.get("again").await {
        return kept;
    }
    let now = stage.clock.now();
    let entries = stage.log.read(Position::START, crate::eventlog::Page::default()).await.unwrap();
    let mut replay = Replay {
        id: "again".parse().unwrap(),
        subscription: stage.subscription.id.clone(),
        owner: Some(stage.subscription.created),
        selection: Selection {
            from: entries[0].event.id,
            to: entries[4].event.id,
            types: Vec::new(),
        },
        wish: crate::subscriptions::WishText::new(&[], &[]),
        rate: 0,
        state: JobState::Running,
        reached: Position::START,
        counts: ReplayCounts { matched: 5, ..ReplayCounts::default() },
        created: now,
        moved: now,
        stood: Duration::ZERO,
        revision: Revision(0),
    };
    replays.keep(&mut replay).await.unwrap();
    replay
}

/// How many of the words were attempted when the sink began to hang, and all words as they were
/// attempted in both lives.
async fn pushed_through_a_crash(source: Source, is_written: bool) -> (usize, Vec<String>) {
    let (mut stage, _, _, _) = staged(source).await;
    let recorder = Arc::new(Recorder::default());
    let delivered = Act::Say(crate::deliver::tests::stage::DELIVERED);
    recorder.acts.lock().unwrap().extend([delivered, delivered, Act::Hang, Act::Hang, Act::Hang]);
    let life = Life::begin(source, &stage, &recorder).await;
    until("the sink hangs", || recorder.words().len() >= 3).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    if is_written {
        stage.ledger.flush().await.unwrap();
        if source == Source::Replay {
            let replays = JobStore::<Replay>::new(Arc::clone(&stage.log) as _);
            stage.clock.advance(Duration::from_millis(500));
            while replays.get("again").await.unwrap().reached < Position(2) {
                tokio::task::yield_now().await;
            }
        }
    }
    life.crash(&mut stage).await;
    let before = recorder.words().len();
    recorder.acts.lock().unwrap().clear();

    let life = Life::begin(source, &stage, &recorder).await;
    until("everything is delivered", || life.is_done()).await;

    let attempted = recorder.attempted.lock().unwrap();
    for parcel in &*attempted {
        let word = parcel.attribute("dataschema").unwrap();
        let number = WORDS.iter().position(|one| *one == word).unwrap() as u64 + 1;
        let is_replayed = source == Source::Replay;
        assert_eq!(parcel.sequence, (!is_replayed).then_some(number), "{source:?}: {word}");
        assert_eq!(parcel.replay.is_some(), is_replayed, "{source:?}: {word}");
    }
    drop(attempted);
    (before, recorder.words())
}

fn subject(word: &str) -> Option<&str> {
    word.split('.').next()
}

#[tokio::test]
async fn what_is_pushed_keeps_its_order_and_its_numbers_through_a_crash_whatever_its_source() {
    for (source, is_written) in Source::ALL.into_iter().flat_map(|one| [(one, true), (one, false)])
    {
        let (before, words) = pushed_through_a_crash(source, is_written).await;

        let is_taken = |index: usize| index < 2 || index >= before;
        for (index, word) in words.iter().enumerate() {
            let earlier =
                WORDS.iter().filter(|one| subject(one) == subject(word) && **one < word.as_str());
            for earlier in earlier {
                let taken = words[..index].iter().enumerate();
                let mut taken = taken.filter(|(at, other)| is_taken(*at) && other == earlier);
                assert!(taken.next().is_some(), "{source:?}: {word} before {earlier} in {words:?}");
            }
        }
        let all: BTreeSet<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(all, BTreeSet::from(WORDS), "{source:?}: none is lost");
        if is_written {
            for delivered in &words[..2] {
                let times = words.iter().filter(|word| *word == delivered).count();
                assert_eq!(
                    times, 1,
                    "{source:?}: {delivered} was written, and comes again: {words:?}"
                );
            }
        }
    }
}

/// What waits to be fetched beside what is numbered, oldest first.
fn returned(pulled: &Pulled) -> Links {
    pulled.ack_state.returned().iter().map(|retry| retry.link.unwrap()).collect()
}

#[tokio::test]
async fn what_is_fetched_keeps_its_order_and_its_numbers_through_a_crash_whatever_its_source() {
    for source in [Source::Live, Source::Retry, Source::Redrive] {
        let (mut stage, _, links, chain) = staged(source).await;
        for life in 0..2 {
            let pulled = start_pulled(&stage).await;
            until("all are numbered", || pulled.standing.borrow().sequence == 5).await;
            // The chain tells the order in which they were numbered.
            assert_eq!(pulled.standing.borrow().chain, chain, "{source:?}");
            let expected =
                if source == Source::Live { Links::new() } else { links[life..].to_vec() };
            assert_eq!(returned(&pulled), expected, "{source:?} in life {life}");
            let open = if source == Source::Live { 5 - life } else { 0 };
            assert_eq!(pulled.standing.borrow().open, open, "{source:?} in life {life}");

            // The first is acknowledged and written, the second only acknowledged.
            for (index, is_written) in [(life, true), (life + 1, false)] {
                acknowledge(&stage, &pulled, source, &links[..=index]);
                if is_written {
                    stage.ledger.flush().await.unwrap();
                }
            }
            pulled.end.abort();
            pulled.end.await.unwrap_err();
            forget_unwritten(&mut stage);
        }
    }
}

/// Acknowledges the last of these deliveries, as a poll does.
fn acknowledge(stage: &Stage, pulled: &Pulled, source: Source, through: &[(u64, ChainValue)]) {
    let (sequence, _) = through[through.len() - 1];
    if source == Source::Live {
        let mut cursor = pulled.ack_state.acknowledged();
        cursor.ahead.insert(sequence);
        stage.ledger.cursor(&stage.subscription.id, &cursor);
        pulled.ack_state.acknowledge(cursor);
        return;
    }
    let waiting = pulled.ack_state.returned();
    let retry = waiting.iter().find(|retry| retry.link.unwrap().0 == sequence).unwrap();
    pulled.ack_state.take_back(retry.key.event);
    stage.ledger.settle(retry.key.clone());
}

#[tokio::test]
async fn what_is_fetched_is_never_replayed() {
    let (stage, entries, _, chain) = staged(Source::Live).await;
    let pulled = start_pulled(&stage).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let replayed = ReplayedMatch {
        replay: "again".parse().unwrap(),
        entry: Arc::clone(&entries[0]),
        ticket: ReplayTicket::new(1, tell),
    };

    pulled.commands.send(WorkerCommand::Replay(Box::new(replayed))).await.unwrap();

    assert_eq!(told.recv().await, Some((1, ReplayOutcome::Lost)));
    until("all are numbered", || pulled.standing.borrow().sequence == 5).await;
    assert_eq!(pulled.standing.borrow().chain, chain);
    assert!(returned(&pulled).is_empty());
}
