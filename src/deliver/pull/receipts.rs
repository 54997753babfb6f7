//! Receipts that come with acknowledgements: what one says is held against the event, as that in the answer of a
//! sink is.

use std::collections::BTreeMap;

use crate::deliver::outcome::{ReadReceipt, word_of};
use crate::deliver::pull::PullServiceParts;
use crate::deliver::worker::NumberedEntry;
use crate::event::EventId;
use crate::eventlog::{DeliveryKey, KeptReceipt, ReceiptId};
use crate::seal::ReceiptFault;
use crate::subscriptions::Subscription;
use crate::telemetry::Metric;

/// An acknowledgement without a receipt that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnsignedEvent {
    /// Of which event.
    pub event: EventId,
    /// What is wrong with its receipt.
    pub fault: ReceiptFault,
}

/// What became of the receipts of a poll.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct HeardReceipts {
    /// Acknowledgements without a receipt that counts.
    pub unsigned: Vec<UnsignedEvent>,
    /// Whether those events are not acknowledged, because the subscription requires receipts.
    pub required: bool,
}

/// The receipts of a poll that is being heard.
pub(super) struct PollReceipts {
    read: BTreeMap<EventId, Result<ReadReceipt, ReceiptFault>>,
    heard: HeardReceipts,
}

impl PollReceipts {
    /// Reads what came for a subscription. Keys may be fetched for that, so it is done before anybody has to
    /// wait for it.
    pub(super) async fn read(
        parts: &PullServiceParts,
        subscription: &Subscription,
        given: BTreeMap<EventId, String>,
    ) -> Self {
        let Some(terms) = &subscription.receipts else {
            return Self { read: BTreeMap::new(), heard: HeardReceipts::default() };
        };
        let read = parts.receipts.read_all((subscription, terms), given).await;
        let heard = HeardReceipts { unsigned: Vec::new(), required: terms.required };
        Self { read, heard }
    }

    /// Notes the receipt of an event that is acknowledged; says whether the acknowledgement counts.
    ///
    /// Called before the cursor passes the event: no cursor is ever kept without the receipts before it.
    pub(super) fn settle(
        &mut self,
        parts: &PullServiceParts,
        subscription: &Subscription,
        one: &NumberedEntry,
    ) -> bool {
        if subscription.receipts.is_none() {
            return true;
        }
        let event = &one.entry.event;
        let place = (one.sequence, one.previous.next(event.id, event.digest));
        let read = self.read.remove(&event.id).unwrap_or(Err(ReceiptFault::Missing));
        let checked = read.and_then(|read| read.signs(event.id, &subscription.id, place));
        let labels = [subscription.id.as_str(), word_of(&checked)];
        parts.metrics.counter(Metric::Receipts, &labels).increment();
        match checked {
            Ok(signed) => {
                let key = DeliveryKey {
                    subscription: subscription.id.clone(),
                    replay: None,
                    event: event.id,
                };
                let receipt = KeptReceipt {
                    id: ReceiptId(0),
                    key,
                    sequence: Some(one.sequence),
                    at: parts.clock.now(),
                    token: signed.token,
                    jws: signed.jws,
                };
                parts.ledger.receipt(receipt, signed.signer);
                true
            }
            Err(fault) => {
                self.heard.unsigned.push(UnsignedEvent { event: event.id, fault });
                !self.heard.required
            }
        }
    }

    /// What became of them.
    pub(super) fn into_heard(self) -> HeardReceipts {
        self.heard
    }
}
