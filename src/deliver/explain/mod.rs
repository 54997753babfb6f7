//! Says where a delivery stands, and why.
//!
//! An event and a subscription come in; a [`DeliveryStatus`] goes out, and by what it is
//! [blocked](BlockedBy). Nothing is changed here.

mod concerned;
mod explanation;
mod matching;
mod status;
mod wanting;

pub use concerned::ConcernedSubscriptions;
pub use explanation::Explanation;
pub use matching::FilterMatching;
pub use status::{BlockedBy, DeliveryStatus};
