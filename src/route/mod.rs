//! Who wants this event: patterns, one by one and all at once.
//!
//! A [`Pattern`] is the event-pattern language of Amazon EventBridge, read strictly; it judges the
//! JSON form of an event ([`EventTree`]).
//!
//! **Invariant:** nothing here knows what a subscription is for, or does any input or output.

mod block;
mod caseless;
mod error;
mod evaluate;
mod event_tree;
mod field;
mod operators;
mod pattern;
mod predicate;
mod reader;
mod syntax;
mod wildcard;

pub use error::PatternError;
pub use event_tree::EventTree;
pub use pattern::{Mismatch, Pattern};
