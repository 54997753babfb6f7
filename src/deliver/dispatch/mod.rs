//! Follows the log and hands each entry to the workers of those it is for; starts, changes and ends
//! workers.
//!
//! Entries come in, matches go out to inboxes. [`SubscriptionService`] keeps the registry, the table
//! and the workers in step. Nothing here waits for a consumer.

mod dropping;
mod entitling;
mod follow;
mod lag;
mod look_up;
mod old_epochs;
mod known_events;
mod newest_heard;
mod oldest;
mod proving;
mod redrive;
mod resume;
mod rotating;
mod service;
mod sink_step;
mod standing;
mod telling;
mod waiting;
mod worker_handle;
mod workers;
mod wrong_nonce;

pub use follow::follow;
#[cfg(test)]
pub use follow::tell_moved;
pub use lag::{Lag, accepted_after};
pub use service::{SubscriptionService, SubscriptionServiceError, SubscriptionServiceParts};
pub use worker_handle::WorkerHandle;
pub use workers::Dispatch;
pub use wrong_nonce::WrongNonce;
