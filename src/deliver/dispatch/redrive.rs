//! Brings dead letters back, or lets them go.

use crate::deliver::dispatch::{SubscriptionService, SubscriptionServiceError, WorkerHandle};
use crate::deliver::worker::{RedrivenDelivery, WorkerCommand, is_withheld};
use crate::event::SubscriptionId;
use crate::eventlog::{
    DeadLetter, DeadLetterId, DeadLetterQuery, DeliveryKey, LogError, Page, Position, Retry,
};
use crate::subscriptions::{Subscription, SubscriptionError, SubscriptionState};

impl SubscriptionService {
    pub(super) fn open_worker(&self, of: &Subscription) -> Result<WorkerHandle, SubscriptionError> {
        let worker = self.dispatch.worker(&of.id);
        let worker = worker.filter(|worker| worker.subscription.borrow().created == of.created);
        worker.ok_or(SubscriptionError::Step {
            from: SubscriptionState::Closed,
            to: SubscriptionState::Active,
        })
    }

    /// The handle of the worker of a subscription, once no change of the subscription is under way.
    pub async fn worker_again(&self, id: &SubscriptionId) -> Option<WorkerHandle> {
        let _changing = self.changing(id).await;
        self.dispatch.worker(id)
    }

    /// Turns dead letters into retries that are due now; their copies stay until they are settled.
    /// Says of how many: those that others have brought back or dropped meanwhile are left alone,
    /// and so are those of replays where there is no sink, since nobody fetches a replay.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription is closed or gone. Ours: the log failed.
    pub async fn revive(
        &self,
        of: &Subscription,
        letters: &[DeadLetter],
    ) -> Result<usize, SubscriptionServiceError> {
        // What is kept while a courier is replaced would be neither loaded by the next nor sent to
        // it.
        let _changing = self.changing(&of.id).await;
        let worker = self.open_worker(of)?;
        let now = self.clock.now();
        let to_retry = |letter: &DeadLetter| Retry {
            key: letter.key.clone(),
            position: letter.position,
            link: letter.link,
            attempts: 0,
            first_attempt: now,
            due: now,
            redriven: true,
        };
        let fits = |letter: &&DeadLetter| worker.ack_state.is_none() || letter.key.replay.is_none();
        let mut wanted = Vec::new();
        for letter in letters.iter().filter(fits) {
            if self.may_return(of, letter).await? {
                wanted.push((letter.id, to_retry(letter)));
            }
        }
        let retries = self.store.dead_letters.revive(wanted).await?;
        let revived = retries.len();
        // Whoever redrives has reason to think that the sink is well again.
        worker.command(WorkerCommand::Nudge).await;
        for retry in retries {
            let letter = letters.iter().find(|letter| letter.key == retry.key);
            let subject = letter.and_then(|letter| letter.event.subject.clone());
            // A courier that has ended takes the retry up at its next start.
            worker
                .command(WorkerCommand::Retry(Box::new(RedrivenDelivery { retry, subject })))
                .await;
        }
        Ok(revived)
    }

    /// Whether a dead letter may be delivered again: its consumer may hear it, and has always been
    /// allowed to since it was given up.
    async fn may_return(&self, of: &Subscription, letter: &DeadLetter) -> Result<bool, LogError> {
        if is_withheld(letter) {
            return Ok(false);
        }
        let lets = |publication: &str| {
            self.access().lets(&of.consumer, (publication, &letter.event), letter.position)
        };
        if lets("") {
            return Ok(true);
        }
        // The letter does not say which publication it was, and more than one may have its name.
        let before = Position(letter.position.0.saturating_sub(1));
        let kept = self.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        let kept = kept.first().filter(|entry| entry.event.id == letter.event.id);
        Ok(kept.is_some_and(|entry| lets(&entry.publication)))
    }

    /// Drops a dead letter that nobody wants any more.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none of that number, or it is being redriven. Ours: the log
    /// failed.
    pub async fn dismiss(
        &self,
        subscription: &Subscription,
        id: DeadLetterId,
    ) -> Result<DeadLetter, SubscriptionServiceError> {
        let query = DeadLetterQuery {
            ids: Some([id].into()),
            ..DeadLetterQuery::all(subscription.id.clone())
        };
        let found = self
            .store
            .dead_letters
            .dead_letters(&query, Page { items: 1, ..Page::default() })
            .await?;
        let letter = found.into_iter().next().ok_or(SubscriptionServiceError::NoDeadLetter)?;
        if !self.store.dead_letters.dismiss(&subscription.id, id).await? {
            return Err(SubscriptionServiceError::NoDeadLetter);
        }
        self.let_go(&letter.key).await;
        Ok(letter)
    }

    /// Lets the events go on that wait behind a dead letter which is dropped.
    pub async fn let_go(&self, key: &DeliveryKey) {
        if let Some(worker) = self.dispatch.worker(&key.subscription) {
            // A courier that has ended looks at its next start.
            worker.command(WorkerCommand::Dismissed(Box::new(key.clone()))).await;
        }
    }
}
