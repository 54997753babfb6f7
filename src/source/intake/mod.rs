//! The event intake (`POST /events`): CloudEvents in all three modes, and EventBridge envelopes.
//!
//! Headers and a body come in, a [`Posting`] of [`Received`](crate::source::Received) goes out; HTTP
//! itself stays in `api`.
//!
//! | `Content-Type` | Read as |
//! |---|---|
//! | `application/cloudevents+json` | one CloudEvent, structured mode |
//! | `application/cloudevents-batch+json` | an array of CloudEvents |
//! | JSON, with `ce-specversion` beside it | one CloudEvent, binary mode |
//! | `application/json` | one EventBridge envelope, or an array of them |
//!
//! **Invariant:** each event of a batch is read by itself, so one that cannot be read is answered by
//! its index and harms no other. Only a batch that cannot be split is refused whole.

mod attributes;
mod batch;
mod binary;
mod envelope;
mod posting;
mod sent;
mod structured;
mod told_id;
mod tree;
mod unreadable;
mod warnings;

pub use posting::{Posting, UnreadableItem, read, read_within};
pub use sent::sent_digests;
pub use told_id::told_id;
pub(in crate::source) use tree::receive;
pub use unreadable::Unreadable;
pub use warnings::{Warning, WarningKind};
