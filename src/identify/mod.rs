//! Gives an event its names: the idempotency key, the content digest, and what a repeat is recognised by.
//!
//! A [`Validated`](crate::contract::Validated) event comes in and an [`Identified`] one goes out,
//! ready for the log, which alone gives it the last name, its id.
//!
//! **Invariant:** the names depend on nothing but the event itself: no clock, no entropy, no state.
//! The same content has the same key wherever it is computed.

mod business_key;
mod identified;

pub use crate::event::{CanonicalError, Content, canonical};
pub use business_key::{BusinessKey, BusinessKeyError};
pub use identified::{Identified, IdentifyError, Naming, identify};
