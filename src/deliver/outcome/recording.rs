//! What became of an attempt, and what is kept of it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::deliver::outcome::{Delivery, Reason, SignedReceipt, Verdict, word_of};
use crate::deliver::sink::SinkAnswer;
use crate::event::Timestamp;
use crate::eventlog::{
    Attempt, DeadLetter, DeadLetterId, FencingEpoch, KeptReceipt, Position, ReceiptId, ReceiptKey,
};
use crate::seal::ReceiptFault;

/// What became of one attempt.
#[derive(Clone, Debug)]
pub struct AttemptOutcome {
    /// How the sink answered.
    pub answer: SinkAnswer,
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

/// What delivers, of which a ledger keeps the outcomes.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    /// The epoch in which it delivers.
    pub epoch: FencingEpoch,
    /// The newest entry when it began.
    pub before: Position,
    /// Stops the gateway once another owner has taken over, because it delivers nothing any more.
    pub stopping: CancellationToken,
}

impl AttemptOutcome {
    /// The attempt as it is kept.
    pub(super) fn attempt(&self, delivery: &Delivery) -> Attempt {
        let took = self.ended.since(self.began).as_millis();
        Attempt {
            key: delivery.key(),
            number: delivery.attempts.saturating_add(1),
            at: self.began,
            duration_ms: u32::try_from(took).unwrap_or(u32::MAX),
            status: self.answer.status,
            verdict: Arc::from(self.verdict.word()),
            detail: Arc::clone(&self.answer.detail),
            receipt: self.receipt.as_ref().map(|receipt| Arc::from(word_of(receipt))),
        }
    }

    /// The receipt as it is kept, if a valid one came.
    pub(super) fn signed_receipt(&self, delivery: &Delivery) -> Option<KeptReceipt> {
        let signed = self.receipt.as_ref()?.as_ref().ok()?;
        Some(KeptReceipt {
            id: ReceiptId(0),
            key: delivery.key(),
            sequence: delivery.link.map(|(sequence, _)| sequence),
            at: self.ended,
            token: signed.token,
            jws: Arc::clone(&signed.jws),
        })
    }

    /// The key under which that receipt was checked.
    pub(super) fn receipt_signer(&self) -> Option<&ReceiptKey> {
        Some(&self.receipt.as_ref()?.as_ref().ok()?.signer)
    }

    /// The dead letter that is made of a delivery.
    pub(super) fn dead_letter(&self, delivery: &Delivery, reason: Reason) -> DeadLetter {
        DeadLetter {
            id: DeadLetterId(0),
            key: delivery.key(),
            position: delivery.entry.position,
            link: delivery.link,
            event: delivery.entry.event.clone(),
            reason: Arc::from(reason.word()),
            attempts: delivery.attempts.saturating_add(1),
            status: self.answer.status,
            detail: Arc::clone(&self.answer.detail),
            at: self.ended,
            redriven: false,
        }
    }
}
