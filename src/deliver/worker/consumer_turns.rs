//! Turns at deciding beside others: however many workers of one consumer read the log, few of them are
//! in front of the workers of another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::event::ConsumerId;

/// Workers of one consumer that decide at the same time. On a machine with more cores one consumer
/// still has several of them.
const AT_A_TIME: usize = 4;
/// Steps after which a consumer lets others go first; a small part of a millisecond.
const STEPS_OF_A_TURN: u64 = 2_000;
/// Consumers that are known although they decide nothing at the moment.
const KNOWN: usize = 1_024;

/// Where each consumer waits for itself.
#[derive(Debug, Default)]
pub(super) struct ConsumerTurns(Mutex<HashMap<ConsumerId, Arc<ConsumerTurn>>>);

#[derive(Debug)]
struct ConsumerTurn {
    free: Semaphore,
    /// Steps since others went first.
    taken: AtomicU64,
}

impl ConsumerTurns {
    /// Does some work, which tells its steps, when it is the turn of its consumer.
    ///
    /// Cancel safe: work that was not begun is not done.
    pub(super) async fn take<T>(
        &self,
        consumer: &ConsumerId,
        work: impl FnOnce() -> (T, u64),
    ) -> T {
        let turn = self.of(consumer);
        // It is never closed.
        let _permit = turn.free.acquire().await;
        let (done, steps) = work();
        if turn.taken.fetch_add(steps, Ordering::Relaxed) + steps >= STEPS_OF_A_TURN {
            turn.taken.store(0, Ordering::Relaxed);
            // The turn is kept meanwhile, so that the next of this consumer goes behind the others.
            tokio::task::yield_now().await;
        }
        done
    }

    fn of(&self, consumer: &ConsumerId) -> Arc<ConsumerTurn> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = known.get(consumer) {
            return Arc::clone(turn);
        }
        if known.len() >= KNOWN {
            known.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        let turn =
            Arc::new(ConsumerTurn { free: Semaphore::new(AT_A_TIME), taken: AtomicU64::new(0) });
        known.insert(consumer.clone(), Arc::clone(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ambient::Tasks;

    #[tokio::test]
    async fn few_of_many_workers_are_in_front_of_another_consumers() {
        let turns = Arc::new(ConsumerTurns::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let worker = |consumer: &'static str, decisions: usize, steps: u64| {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            async move {
                for _ in 0..decisions {
                    let note = || (order.lock().unwrap().push(consumer), steps);
                    turns.take(&consumer.parse().unwrap(), note).await;
                }
            }
        };
        let tasks = Tasks::new();
        let mut all: Vec<_> = (0..300).map(|_| tasks.spawn(worker("flood", 20, 1_900))).collect();
        all.push(tasks.spawn(worker("other", 20, 2_000)));
        for one in all {
            one.await.unwrap();
        }

        let order = order.lock().unwrap();
        assert_eq!(order.len(), 300 * 20 + 20);
        let last = order.iter().rposition(|consumer| *consumer == "other").unwrap();
        // At each of its turns it waits for two decisions of each worker in front of it.
        assert!(last < 2 * 2 * AT_A_TIME * 21, "the other was through after {last}");
    }

    #[tokio::test]
    async fn consumers_that_decide_nothing_are_forgotten_in_time() {
        let turns = ConsumerTurns::default();
        for consumer in 0..3 * KNOWN {
            turns.take(&consumer.to_string().parse().unwrap(), || ((), 1)).await;
        }

        assert!(turns.0.lock().unwrap().len() <= KNOWN);
    }
}
