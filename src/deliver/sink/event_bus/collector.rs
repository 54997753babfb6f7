//! Gathers the entries for one bus that come while calls are in flight, so that they travel together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::ambient::Tasks;
use crate::deliver::sink::event_bus::client::BusClient;
use crate::deliver::sink::event_bus::entry::{BusEntry, MOST_ENTRIES, fitting};
use crate::deliver::sink::{AttemptFailure, SinkAnswer};

/// Calls in flight for one bus at the most: while that many are, entries gather.
const MOST_CALLS: usize = 2;
/// Entries that wait for a call at the most; whoever has more waits to hand it over.
const MOST_WAITING: usize = 256;

/// Hands entries to a task that calls.
pub(super) struct Collector {
    queue: mpsc::Sender<WaitingEntry>,
    client: Arc<BusClient>,
}

/// An entry, and where its answer is waited for.
struct WaitingEntry {
    entry: BusEntry,
    answer: oneshot::Sender<SinkAnswer>,
}

impl Collector {
    /// Starts the task. It ends with the gateway, when what was handed to it is answered.
    pub(super) fn start(client: Arc<BusClient>, tasks: &Tasks) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let calls = Arc::new(Semaphore::new(MOST_CALLS));
        let gathering = Gathering { waiting, next: Vec::new(), stop: tasks.stopping().clone() };
        tasks.spawn(call_on((gathering, calls), Arc::clone(&client), tasks.clone()));
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

/// Makes calls as long as there are entries.
async fn call_on(
    (mut gathering, calls): (Gathering, Arc<Semaphore>),
    client: Arc<BusClient>,
    tasks: Tasks,
) {
    // The right to call comes first: what arrives while nobody has it travels together.
    while let Ok(call) = Arc::clone(&calls).acquire_owned().await {
        let Some(batch) = gathering.batch().await else { break };
        tasks.spawn(put_all(batch, Arc::clone(&client), call));
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
            self.next.retain(|one| !one.answer.is_closed());
            while self.next.len() < MOST_ENTRIES
                && let Ok(one) = self.waiting.try_recv()
            {
                self.next.push(one);
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
