//! What consumers fetch themselves: pages, polls and streams, numbered as for a sink, sealed when they
//! ask.

mod fetch;
mod poll;

pub use fetch::{Collected, PullError, PullService, PullServiceParts};
pub use poll::{MOST_OUTSTANDING, PollRefusal, Polling};
