//! What consumers fetch themselves: pages, polls and streams, numbered as for a sink, sealed when
//! they ask.
//!
//! A place and acknowledgements come in; numbered events go out ([`Collected`]). What a consumer
//! has not acknowledged is handed out again.

mod fetch;
mod poll;
mod receipts;

pub use fetch::{Collected, PullError, PullService, PullServiceParts, ReadAfter, Served};
pub use poll::{MOST_OUTSTANDING, PollRefusal, PollWish, PollWord};
pub use receipts::{HeardReceipts, UnsignedEvent};
