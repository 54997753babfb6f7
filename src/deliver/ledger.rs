//! Gathers what became of deliveries and writes it together, a few times a second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ambient::Clock;
use crate::deliver::{Answer, Delivery, Reason, SignedReceipt, Verdict, word_of};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{
    Attempt, Changes, Cursor, DeadLetter, DeadLetterId, DeliveryKey, Error, EventLog, Milestone,
    Receipt, ReceiptId, Retry,
};
use crate::seal::ReceiptFault;

/// What became of one attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How the sink answered.
    pub answer: Answer,
    /// What that means.
    pub verdict: Verdict,
    /// When the attempt began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The receipt that came with the answer, or what was wrong with it; nothing if none was asked
    /// for, or the sink did not say yes.
    pub receipt: Option<Result<SignedReceipt, ReceiptFault>>,
}

/// How long an outcome waits for others before it is written.
const INTERVAL: Duration = Duration::from_millis(50);
/// How many changes are written without waiting any longer.
const PLENTY: usize = 1024;

/// The outcomes that are not written yet.
///
/// Nothing is synced for one delivery: outcomes ride together, and a crash before they are written
/// repeats these deliveries and drops none.
pub struct Ledger {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    pending: Mutex<Pending>,
    plenty: Notify,
    /// Held while writing, so that a newer cursor is never overtaken by an older one.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Pending {
    cursors: BTreeMap<SubscriptionId, Cursor>,
    milestones: Vec<(SubscriptionId, Milestone)>,
    retries: BTreeMap<DeliveryKey, Option<Retry>>,
    dead_letters: Vec<DeadLetter>,
    attempts: Vec<Attempt>,
    receipts: Vec<Receipt>,
}

impl Pending {
    fn len(&self) -> usize {
        self.cursors.len()
            + self.milestones.len()
            + self.retries.len()
            + self.dead_letters.len()
            + self.attempts.len()
            + self.receipts.len()
    }

    fn into_changes(self) -> Changes {
        let (mut retries, mut settled) = (Vec::new(), Vec::new());
        for (key, retry) in self.retries {
            match retry {
                Some(retry) => retries.push(retry),
                None => settled.push(key),
            }
        }
        Changes {
            cursors: self.cursors.into_iter().collect(),
            milestones: self.milestones,
            retries,
            settled,
            dead_letters: self.dead_letters,
            attempts: self.attempts,
            receipts: self.receipts,
        }
    }
}

impl Ledger {
    /// Starts with nothing to write.
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>) -> Self {
        Self {
            log,
            clock,
            pending: Mutex::default(),
            plenty: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending();
        change(&mut pending);
        if pending.len() >= PLENTY {
            self.plenty.notify_one();
        }
    }

    /// Notes how far a subscription has come.
    ///
    /// Called after the outcomes that let it come so far: what is written together is noted in
    /// this order, so that no cursor is ever kept without the retries that it has passed.
    pub fn cursor(&self, subscription: &SubscriptionId, cursor: &Cursor) {
        self.change(|pending| {
            pending.cursors.insert(subscription.clone(), cursor.clone());
        });
    }

    /// Notes deliveries that were given up before they were offered, with the cursor that passes them.
    pub fn expire(&self, id: &SubscriptionId, letters: Vec<DeadLetter>, cursor: &Cursor) {
        self.change(|pending| {
            pending.dead_letters.extend(letters);
            pending.cursors.insert(id.clone(), cursor.clone());
        });
    }

    /// Notes a place from which the matches of a subscription can be numbered.
    pub fn milestone(&self, subscription: &SubscriptionId, place: Milestone) {
        self.change(|pending| pending.milestones.push((subscription.clone(), place)));
    }

    /// Notes an attempt and what follows from it.
    pub fn record(&self, delivery: &Delivery, outcome: &Outcome) {
        let Outcome { answer, verdict, began, ended, receipt } = outcome;
        let first_attempt = delivery.first_attempt.unwrap_or(*began);
        let number = delivery.attempts.saturating_add(1);
        let key = delivery.key();
        let attempt = Attempt {
            key: key.clone(),
            number,
            at: *began,
            duration_ms: u32::try_from(ended.since(*began).as_millis()).unwrap_or(u32::MAX),
            status: answer.status(),
            verdict: Arc::from(verdict.word()),
            detail: answer.detail(),
            receipt: receipt.as_ref().map(|receipt| Arc::from(word_of(receipt))),
        };
        let receipt = receipt.as_ref().and_then(|receipt| receipt.as_ref().ok());
        let receipt = receipt.map(|signed| Receipt {
            id: ReceiptId(0),
            key: key.clone(),
            sequence: delivery.link.map(|(sequence, _)| sequence),
            at: *ended,
            token: signed.token,
            jws: Arc::clone(&signed.jws),
        });
        let dead_letter = |reason: Reason| DeadLetter {
            id: DeadLetterId(0),
            key: key.clone(),
            position: delivery.entry.position,
            link: delivery.link,
            event: delivery.entry.event.clone(),
            reason: Arc::from(reason.word()),
            attempts: number,
            status: answer.status(),
            detail: answer.detail(),
            at: *ended,
            redriven: false,
        };
        self.change(|pending| {
            pending.attempts.push(attempt);
            pending.receipts.extend(receipt);
            match verdict {
                // A first attempt that succeeds has left nothing to drop.
                Verdict::Delivered if delivery.first_attempt.is_none() => {}
                Verdict::Delivered => {
                    pending.retries.insert(key.clone(), None);
                }
                Verdict::Retry { due } => {
                    let retry = delivery.to_retry(first_attempt, *due);
                    pending.retries.insert(key.clone(), Some(retry));
                }
                Verdict::GiveUp(reason) => {
                    pending.retries.insert(key.clone(), None);
                    pending.dead_letters.push(dead_letter(*reason));
                }
            }
        });
    }

    /// Notes a delivery that was given up without an attempt.
    pub fn give_up(&self, letter: DeadLetter) {
        self.change(|pending| pending.dead_letters.push(letter));
    }

    /// Notes that a delivery no longer waits.
    pub fn settle(&self, key: DeliveryKey) {
        self.change(|pending| {
            pending.retries.insert(key, None);
        });
    }

    /// Notes that a delivery waits for its next attempt.
    pub fn retry(&self, retry: Retry) {
        self.change(|pending| {
            pending.retries.insert(retry.key.clone(), Some(retry));
        });
    }

    /// Forgets what is not written yet of a subscription that is being removed.
    pub fn forget(&self, subscription: &SubscriptionId) {
        self.change(|pending| {
            pending.cursors.remove(subscription);
            pending.milestones.retain(|(owner, _)| owner != subscription);
            pending.retries.retain(|key, _| key.subscription != *subscription);
            pending.dead_letters.retain(|letter| letter.key.subscription != *subscription);
            pending.attempts.retain(|attempt| attempt.key.subscription != *subscription);
            pending.receipts.retain(|receipt| receipt.key.subscription != *subscription);
        });
    }

    /// Writes everything that was noted.
    ///
    /// # Errors
    ///
    /// Ours: the log failed; what was noted is lost, so its deliveries are repeated after a restart.
    pub async fn flush(&self) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        let pending = std::mem::take(&mut *self.pending());
        if pending.len() == 0 {
            return Ok(());
        }
        self.log.commit(pending.into_changes()).await
    }

    /// Writes a few times a second until it is dropped or the log fails.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn run(&self) -> Result<(), Error> {
        loop {
            tokio::select! {
                () = self.clock.sleep(INTERVAL) => {}
                () = self.plenty.notified() => {}
            }
            self.flush().await?;
        }
    }
}
