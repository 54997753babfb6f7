//! Gathers the entries of one consumer for one bus that come while calls are in flight, so that they travel together.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Tasks, restarted};
use crate::deliver::sink::event_bus::client::BusClient;
use crate::deliver::sink::event_bus::entry::{BusEntry, MOST_ENTRIES, fitting};
use crate::deliver::sink::{AttemptFailure, SinkAnswer};

/// Calls in flight for one consumer and bus at the most: while that many are, entries gather.
const MOST_CALLS: usize = 2;
/// Entries that wait for a call at the most; whoever has more waits to hand it over.
const MOST_WAITING: usize = 256;

/// Hands entries to a task that calls.
pub(super) struct BusBatcher {
    queue: mpsc::Sender<WaitingEntry>,
    client: Arc<BusClient>,
}

/// An entry, and where its answer is waited for.
struct WaitingEntry {
    entry: BusEntry,
    answer: oneshot::Sender<SinkAnswer>,
}

impl BusBatcher {
    /// Starts the task. It ends with the gateway, when what was handed to it is answered, and begins anew
    /// where it panics.
    pub(super) fn start(client: Arc<BusClient>, tasks: &Tasks, clock: Arc<dyn Clock>) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let gathering = Gathering { waiting, next: Vec::new(), stop: tasks.stopping().clone() };
        let of_calls = (tasks.clone(), Arc::clone(&client));
        let call = move |batch, permit| {
            let (tasks, client) = &of_calls;
            drop(tasks.spawn(put_all(batch, Arc::clone(client), permit)));
        };
        tasks.spawn(async move { supervised(gathering, call, &*clock).await });
        Self { queue, client }
    }

    /// Puts an entry, maybe together with others.
    ///
    /// Cancel safe: an entry whose answer nobody waits for is not sent, unless it is on its way.
    pub(super) async fn put(&self, entry: BusEntry) -> SinkAnswer {
        let (answer, answered) = oneshot::channel();
        let none = || SinkAnswer::failed(AttemptFailure::Broken, "no answer");
        match self.queue.send(WaitingEntry { entry, answer }).await {
            Ok(()) => answered.await.unwrap_or_else(|_| none()),
            // The gateway stops, and what it has begun goes to its end alone.
            Err(mpsc::error::SendError(WaitingEntry { entry, .. })) => {
                self.client.put(&[entry]).await.pop().unwrap_or_else(none)
            }
        }
    }
}

/// Makes calls as long as there are entries, and goes on after a panic.
async fn supervised(
    gathering: Gathering,
    call: impl Fn(Vec<WaitingEntry>, OwnedSemaphorePermit),
    clock: &dyn Clock,
) {
    let (gathering, calls) = (Mutex::new(gathering), Arc::new(Semaphore::new(MOST_CALLS)));
    restarted(("event bus", clock), || call_on(&gathering, &calls, &call)).await;
}

async fn call_on(
    gathering: &Mutex<Gathering>,
    calls: &Arc<Semaphore>,
    call: &impl Fn(Vec<WaitingEntry>, OwnedSemaphorePermit),
) {
    let mut gathering = gathering.lock().await;
    // What was taken up before a panic may be why: it stays without an answer, and is attempted again.
    gathering.next.clear();
    // The right to call comes first: what arrives while nobody has it travels together.
    while let Ok(permit) = Arc::clone(calls).acquire_owned().await {
        let Some(batch) = gathering.batch().await else { break };
        call(batch, permit);
    }
}

async fn put_all(batch: Vec<WaitingEntry>, client: Arc<BusClient>, _call: OwnedSemaphorePermit) {
    let (entries, waiting): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.entry, one.answer)).unzip();
    let answers = client.put(&entries).await;
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        // Whoever has gone meanwhile tries again, by its own schedule.
        let _ = waiting.send(answer);
    }
}

/// What waits to be called with.
struct Gathering {
    waiting: mpsc::Receiver<WaitingEntry>,
    /// Taken from there, and not called with yet.
    next: Vec<WaitingEntry>,
    stop: CancellationToken,
}

impl Gathering {
    /// The entries of the next call, once there are some; nothing when the gateway stops and there
    /// are no more.
    async fn batch(&mut self) -> Option<Vec<WaitingEntry>> {
        loop {
            let is_waited_for = |one: &WaitingEntry| !one.answer.is_closed();
            self.next.retain(is_waited_for);
            while self.next.len() < MOST_ENTRIES
                && let Ok(one) = self.waiting.try_recv()
            {
                self.next.extend(Some(one).filter(is_waited_for));
            }
            let count = fitting(self.next.iter().map(|one| &one.entry));
            if count > 0 {
                return Some(self.next.drain(..count).collect());
            }
            tokio::select! {
                biased;
                one = self.waiting.recv() => self.next.push(one?),
                () = self.stop.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::ambient::ManualClock;
    use crate::deliver::sink::AnswerKind;
    use crate::deliver::sink::event_bus::entry::MOST_BYTES;
    use crate::deliver::sink::event_bus::entry::tests::parcel;
    use crate::event::Timestamp;

    /// Something to gather from, and the sending half.
    fn gathering() -> (Gathering, mpsc::Sender<WaitingEntry>) {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        (Gathering { waiting, next: Vec::new(), stop: CancellationToken::new() }, queue)
    }

    /// An entry whose token is so long, and where its answer comes.
    fn waiting(length: usize) -> (WaitingEntry, oneshot::Receiver<SinkAnswer>) {
        let entry = BusEntry::new(parcel("A", "t".repeat(length)), "a".to_owned()).ok().unwrap();
        let (answer, answered) = oneshot::channel();
        (WaitingEntry { entry, answer }, answered)
    }

    /// Hands one over.
    fn hand_over(
        queue: &mpsc::Sender<WaitingEntry>,
        length: usize,
    ) -> oneshot::Receiver<SinkAnswer> {
        let (entry, answered) = waiting(length);
        queue.try_send(entry).ok().unwrap();
        answered
    }

    #[tokio::test]
    async fn what_waits_travels_in_tens_and_in_its_order() {
        let (mut gathering, queue) = gathering();
        let _answers: Vec<_> = (0..23).map(|length| hand_over(&queue, length)).collect();
        let mut sizes = Vec::new();

        for count in [10, 10, 3] {
            let batch = gathering.batch().await.unwrap();
            assert_eq!(batch.len(), count);
            sizes.extend(batch.iter().map(|one| one.entry.bytes()));
        }

        assert!(sizes.is_sorted(), "{sizes:?}");
    }

    #[tokio::test]
    async fn a_call_ends_before_it_is_too_large_and_what_is_left_comes_first() {
        let (mut gathering, queue) = gathering();
        let _answers: Vec<_> =
            [500_000, 500_000, 500_000, 1].map(|length| hand_over(&queue, length)).into();

        let (first, second) = (gathering.batch().await.unwrap(), gathering.batch().await.unwrap());

        assert_eq!((first.len(), second.len()), (2, 2));
        for batch in [first, second] {
            assert!(batch.iter().map(|one| one.entry.bytes()).sum::<usize>() <= MOST_BYTES);
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_sent() {
        let (mut gathering, queue) = gathering();
        let gone = hand_over(&queue, 1);
        drop(gone);
        let _answer = hand_over(&queue, 2);

        let batch = gathering.batch().await.unwrap();

        assert_eq!(batch.len(), 1);
        assert!(!batch[0].answer.is_closed());
    }

    #[tokio::test]
    async fn at_the_end_what_was_handed_over_is_sent_and_then_nothing() {
        let (mut gathering, queue) = gathering();
        let _answer = hand_over(&queue, 1);
        gathering.stop.cancel();

        assert_eq!(gathering.batch().await.unwrap().len(), 1);
        assert!(gathering.batch().await.is_none());
        assert!(queue.send(waiting(1).0).await.is_err(), "who comes later sends alone");
    }

    #[tokio::test]
    async fn after_a_panic_entries_travel_again_and_what_was_taken_up_has_no_answer() {
        let (gathering, queue) = gathering();
        let (clock, panics) = (ManualClock::at(Timestamp::EPOCH), AtomicBool::new(true));
        let call = |batch: Vec<WaitingEntry>, _| {
            assert!(!panics.swap(false, Ordering::Relaxed), "as the test says");
            for one in batch {
                let _ = one.answer.send(SinkAnswer::new(AnswerKind::Delivered));
            }
        };
        let (first, others) = (hand_over(&queue, 1), async {
            let mut answers = Vec::new();
            for length in [2, 3] {
                while panics.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
                answers.push(hand_over(&queue, length));
            }
            while answers.iter().any(oneshot::Receiver::is_empty) {
                clock.advance(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
            answers.into_iter().all(|mut one| one.try_recv().is_ok())
        });

        let answered = tokio::select! {
            () = supervised(gathering, call, &clock) => false,
            answered = others => answered,
        };

        assert!(answered, "what comes later is sent");
        assert!(first.await.is_err(), "whoever waits for it tries again by its schedule");
    }
}
