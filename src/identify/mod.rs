//! Gives an event its names: the idempotency key, the digest, and what a repeat is recognised by.
//!
//! A [`Validated`](crate::contract::Validated) event comes in and an [`Identified`] one goes out,
//! ready for the log, which alone gives it the last name, its id.
//!
//! **Invariant:** the names depend on nothing but the event itself: no clock, no entropy, no state.
//! The same content has the same key wherever it is computed.

mod canonical;
mod content;
mod identified;

pub use canonical::{CanonicalError, canonical};
pub use content::{BusinessKey, BusinessKeyError, Content};
pub use identified::{Identified, IdentifyError, Naming, identify};
