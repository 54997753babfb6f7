//! Says where a delivery stands, and why.

mod explanation;
mod status;

pub use explanation::{Explanation, FilterMatching};
pub use status::{BlockedBy, DeliveryStatus};
