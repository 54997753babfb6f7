//! Counts the jobs of each consumer that run, so that none takes all of the gateway's time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::ConsumerId;
use crate::jobs::JobError;

/// The jobs that run, counted by consumer. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct JobSlots(Arc<Mutex<BTreeMap<ConsumerId, usize>>>);

/// The place of one job that runs, which is free again once this is dropped.
pub(super) struct JobSlot {
    slots: JobSlots,
    consumer: ConsumerId,
}

impl JobSlots {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConsumerId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a job that was let in before.
    pub(super) fn take(&self, consumer: &ConsumerId) -> JobSlot {
        self.count(consumer, usize::MAX);
        JobSlot { slots: self.clone(), consumer: consumer.clone() }
    }

    /// Counts one more, if there are not so many; says whether it did.
    fn count(&self, consumer: &ConsumerId, most: usize) -> bool {
        let mut slots = self.lock();
        let running = slots.get(consumer).copied().unwrap_or_default();
        if running >= most {
            return false;
        }
        slots.insert(consumer.clone(), running + 1);
        true
    }

    /// Takes a place for a new job.
    ///
    /// # Errors
    ///
    /// The caller's turn: so many jobs of the consumer run already.
    pub(super) fn enter(&self, consumer: &ConsumerId, most: usize) -> Result<JobSlot, JobError> {
        if !self.count(consumer, most) {
            return Err(JobError::TooMany { consumer: consumer.clone(), most });
        }
        Ok(JobSlot { slots: self.clone(), consumer: consumer.clone() })
    }
}

impl Drop for JobSlot {
    fn drop(&mut self) {
        let mut slots = self.slots.lock();
        if let Some(running) = slots.get_mut(&self.consumer) {
            *running -= 1;
            if *running == 0 {
                slots.remove(&self.consumer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_job_has_ended() {
        let (slots, shop) = (JobSlots::default(), "shop".parse().unwrap());
        let first = slots.enter(&shop, 2).unwrap();
        let _second = slots.enter(&shop, 2).unwrap();
        assert!(slots.enter(&shop, 2).is_err(), "a third one");
        assert!(slots.enter(&"billing".parse().unwrap(), 2).is_ok(), "someone else's");

        drop(first);

        assert!(slots.enter(&shop, 2).is_ok());
    }
}
