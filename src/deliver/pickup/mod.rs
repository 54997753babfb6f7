//! What consumers fetch themselves: numbered as for a sink, sealed when they ask.
//!
//! A [`Clerk`] works for a subscription without a sink in the place of a courier: it numbers matches
//! and attempts nothing. What the consumer has said to have stands on the [`Shelf`]. [`Pickup`] hands
//! out events: page by page, in polls of RFC 8936, and one after the other for a stream.
//!
//! **Invariant:** what is handed out has the number and the link that delivery gives, whoever fetches
//! it, however often. An event of a subscription without a sink is settled by its consumer, or expires
//! where its backlog is bounded.

mod clerk;
mod fetch;
mod overdue;
mod poll;
mod shelf;

pub use clerk::Clerk;
pub use fetch::{Collected, Pickup, PickupError, PickupParts, Served};
pub use poll::{MOST_OUTSTANDING, Polled, Polling, Refusal};
pub use shelf::Shelf;
