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
//! **Invariant:** a posting is read whole or not at all, so a batch with one unreadable event
//! leaves nothing behind.

mod attributes;
mod binary;
mod envelope;
mod posting;
mod structured;
mod unreadable;
mod warnings;

pub use posting::{Posting, read};
pub use unreadable::Unreadable;
pub use warnings::{Warning, WarningKind};
