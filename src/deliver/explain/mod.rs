//! Says where a delivery stands, and why.
//!
//! An event and a subscription come in; a [`DeliveryStatus`] goes out, and by what it is
//! [blocked](BlockedBy). Of a subscription alone, a [`LagReport`] says what keeps events from it. Evidence is
//! told less, and only what stays so: [`EventStates`]. Nothing is changed here.

mod concerned;
mod event_states;
mod explanation;
mod lag_cause;
mod lag_report;
mod matching;
mod status;
mod wanting;

pub use concerned::ConcernedSubscriptions;
pub use event_states::EventStates;
pub use explanation::Explanation;
pub use lag_cause::{LagCause, LagTurn};
pub use lag_report::LagReport;
pub use matching::FilterMatching;
pub use status::{BlockedBy, DeliveryStatus};
