//! Event buses of consumers as sinks: PutEvents of Amazon EventBridge.
//!
//! A sealed event becomes an entry: `Source` is the gateway, `DetailType` the event's name, `Detail`
//! a CloudEvent in JSON whose data is the token, so that rules match on its attributes. Entries of one
//! consumer for one bus gather while its calls are in flight, and travel together, ten at the most.
//!
//! **Invariants:** nobody borrows another's role. A bus and the role to take for it come from the
//! operator's list ([`EventBusPermissions`]) and are named there for one consumer; the external id that
//! the role's owner asks for is of the gateway's making ([`ExternalIds`]). A bus that the gateway
//! reads from gets nothing.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod answer;
#[cfg(feature = "aws")]
mod batcher;
#[cfg(feature = "aws")]
mod client;
#[cfg(feature = "aws")]
mod destination;
#[cfg(feature = "aws")]
mod entry;
mod external_ids;
mod permissions;

#[cfg(not(feature = "aws"))]
pub use absent::NoEventBuses;
#[cfg(feature = "aws")]
pub use destination::{EventBusDestination, EventBusParts};
pub use external_ids::ExternalIds;
pub use permissions::{EventBusPermission, EventBusPermissions};
