//! The Rust consumer of docs/verify.md, word for word.

use sealway::event::{ChainValue, EventId, Timestamp};
use sealway::keys::{OpeningKeys, VerifyingKeys};
use sealway::seal::{OpenError, Opened, Opening, open};

const ISSUER: &str = "https://events.example.com";
const AUDIENCE: &str = "shop";

/// Opens the body of a delivery. `Opened` exists only when every check has passed.
pub fn open_event(
    body: &str,
    my_keys: &OpeningKeys,
    gateway_keys: &VerifyingKeys,
    now: Timestamp,
) -> Result<Opened, OpenError> {
    let event_type = format!("{ISSUER}/events/cloudevent/v1");
    let expected = Opening::new(my_keys, gateway_keys, ISSUER, AUDIENCE, now);
    open(body, &Opening { event_type: Some(&event_type), ..expected })
}

/// The chain value after an event: the `prv` of the next one. Nothing on a replay.
pub fn chain_after(opened: &Opened) -> Option<ChainValue> {
    let id: EventId = opened.id().parse().ok()?;
    Some(opened.place()?.previous.next(id, opened.digest()?))
}
