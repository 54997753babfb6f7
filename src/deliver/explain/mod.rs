//! Says where a delivery stands, and why.
//!
//! An event and a subscription come in; a [`DeliveryStatus`] goes out, and by what it is
//! [blocked](BlockedBy). Evidence is told less, and only what stays so: [`EventStates`]. Nothing is changed
//! here.

mod concerned;
mod event_states;
mod explanation;
mod matching;
mod status;
mod wanting;

pub use concerned::ConcernedSubscriptions;
pub use event_states::EventStates;
pub use explanation::Explanation;
pub use matching::FilterMatching;
pub use status::{BlockedBy, DeliveryStatus};
