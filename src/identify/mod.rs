//! Gives an event its names: the idempotency key, the digest, and what a repeat is recognised by.
//!
//! A validated event comes in and an identified one goes out,
//! ready for the log, which alone gives it the last name, its id.
//!
//! **Invariant:** the names depend on nothing but the event itself: no clock, no chance, no state.
//! The same content has the same key wherever it is computed.

mod canonical;
mod content;

pub use canonical::{CanonicalError, canonical};
pub use content::{BusinessKey, BusinessKeyError, Content};
