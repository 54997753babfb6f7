//! What a poll is answered about the receipts in it.

use std::collections::BTreeMap;

use crate::api::{Code, Problem};
use crate::deliver::{HeardReceipts, UnsignedEvent};
use crate::event::{EventId, Violation};
use crate::seal::ReceiptFault;

/// Holds receipts against the events that are acknowledged with them.
///
/// # Errors
///
/// A place in the request, and what fits there.
pub(super) fn of_acknowledged(
    receipts: BTreeMap<String, String>,
    acknowledged: &[EventId],
    event: impl Fn(&str, &str) -> Result<EventId, String>,
) -> Result<BTreeMap<EventId, String>, String> {
    let of = |(id, receipt): (String, String)| {
        let shown: String = id.chars().filter(|c| !c.is_control()).take(26).collect();
        let place = format!("/receipts/{shown}");
        let event = event(&place, &id)?;
        if acknowledged.contains(&event) {
            Ok((event, receipt))
        } else {
            Err(format!("{place}: it is not in /ack; a receipt goes with an acknowledgement"))
        }
    };
    receipts.into_iter().map(of).collect()
}

/// What is wrong with receipts that did not have to come, by the id of their event.
///
/// # Errors
///
/// The caller's turn: events are not acknowledged, because their receipts have to come.
pub(super) fn judged(heard: HeardReceipts) -> Result<BTreeMap<String, &'static str>, Problem> {
    let HeardReceipts { unsigned, required } = heard;
    if required && !unsigned.is_empty() {
        let count = unsigned.len();
        let detail = format!(
            "{count} events are not acknowledged and come again, because their receipts are missing or \
             wrong; the others of this poll are settled"
        );
        let violations = unsigned.iter().map(violation).collect();
        return Err(Problem::new(Code::ReceiptRefused, detail).with_violations(violations));
    }
    let given = unsigned.iter().filter(|one| one.fault != ReceiptFault::Missing);
    Ok(given.map(|one| (one.event.to_string(), one.fault.word())).collect())
}

fn violation(unsigned: &UnsignedEvent) -> Violation {
    let UnsignedEvent { event, fault } = unsigned;
    Violation {
        pointer: format!("/receipts/{event}"),
        code: fault.word().into(),
        message: words(*fault).into(),
    }
}

const fn words(fault: ReceiptFault) -> &'static str {
    match fault {
        ReceiptFault::Missing => "there is no receipt for the event",
        ReceiptFault::Invalid => {
            "it is no receipt from this consumer to this gateway, its signature is wrong, or it has no `chain`"
        }
        ReceiptFault::WrongEvent => "`jti`, `sub_id`, `seq` or `chain` are of something else",
        ReceiptFault::WrongToken => "it was made for another token",
        ReceiptFault::UnknownKey => {
            "its `kid` is not among the consumer's keys for receipts, or they cannot be had"
        }
    }
}
