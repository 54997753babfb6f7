//! What is noted in the ledger: attempts and what follows from them, cursors, receipts.

use crate::deliver::outcome::{AttemptOutcome, Delivery, Ledger, Verdict};
use crate::event::SubscriptionId;
use crate::eventlog::{
    Cursor, DeadLetter, DeliveryKey, KeptReceipt, ReceiptKey, Retry, SequenceCheckpoint,
};

impl Ledger {
    /// Notes how far a subscription has come. Of two notes the one that is further counts, in whatever order
    /// they come: consumers and workers move one cursor.
    ///
    /// Called after the outcomes that let it come so far: what is written together is noted in
    /// this order, so that no cursor is ever kept without the retries that it has passed.
    pub fn cursor(&self, subscription: &SubscriptionId, cursor: &Cursor) {
        self.change(subscription, |pending| {
            pending.advance(subscription, cursor);
        });
    }

    /// Notes deliveries that were given up before they were offered, with the cursor that passes
    /// them.
    pub fn expire(&self, id: &SubscriptionId, letters: Vec<DeadLetter>, cursor: &Cursor) {
        self.change(id, |pending| {
            pending.dead_letters.extend(letters);
            pending.advance(id, cursor);
        });
    }

    /// Notes a place from which the matches of a subscription can be numbered.
    pub fn sequence_checkpoint(&self, subscription: &SubscriptionId, place: SequenceCheckpoint) {
        self.change(subscription, |pending| {
            pending.sequence_checkpoints.push((subscription.clone(), place));
        });
    }

    /// Notes a receipt that came with an acknowledgement, and the key that has signed it, before the cursor that
    /// passes its event.
    pub fn receipt(&self, receipt: KeptReceipt, signer: ReceiptKey) {
        let of = receipt.key.subscription.clone();
        self.change(&of, |pending| {
            pending.receipts.push(receipt);
            pending.receipt_keys.insert(signer);
        });
    }

    /// Notes an attempt and what follows from it.
    pub fn record(&self, delivery: &Delivery, outcome: &AttemptOutcome) {
        let key = delivery.key();
        let (attempt, receipt) = (outcome.attempt(delivery), outcome.signed_receipt(delivery));
        let signer = outcome.receipt_signer().cloned();
        self.change(&key.subscription, |pending| {
            pending.attempts.push(attempt);
            pending.receipts.extend(receipt);
            pending.receipt_keys.extend(signer);
            match outcome.verdict {
                // A first attempt that succeeds has left nothing to drop, unless there was one
                // before a crash that kept a dead letter and no cursor that has passed it.
                Verdict::Delivered
                    if delivery.first_attempt.is_none()
                        && delivery.entry.position > self.ownership.before => {}
                Verdict::Delivered => {
                    pending.retries.insert(key.clone(), None);
                }
                Verdict::Retry { due } => {
                    let first_attempt = delivery.first_attempt.unwrap_or(outcome.began);
                    let retry = delivery.to_retry(first_attempt, due);
                    pending.retries.insert(key.clone(), Some(retry));
                }
                Verdict::GiveUp(reason) => {
                    pending.retries.insert(key.clone(), None);
                    pending.dead_letters.push(outcome.dead_letter(delivery, reason));
                }
            }
        });
    }

    /// Notes a delivery that was given up without an attempt, and that it no longer waits.
    ///
    /// Both are written together: what waited may have been a dead letter before, and whoever
    /// settles it later would take the new one for that.
    pub fn give_up(&self, letter: DeadLetter) {
        let of = letter.key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(letter.key.clone(), None);
            pending.dead_letters.push(letter);
        });
    }

    /// Notes that a delivery no longer waits.
    pub fn settle(&self, key: DeliveryKey) {
        let of = key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(key, None);
        });
    }

    /// Notes that a delivery waits for its next attempt.
    pub fn retry(&self, retry: Retry) {
        let of = retry.key.subscription.clone();
        self.change(&of, |pending| {
            pending.retries.insert(retry.key.clone(), Some(retry));
        });
    }
}
