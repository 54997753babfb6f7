//! One attempt: seal, send, judge, record.
//!
//! A [`Delivery`](crate::deliver::outcome::Delivery) comes in; an
//! [`AttemptResult`](crate::deliver::outcome::AttemptResult) goes out, and its outcome is in the
//! ledger before. [`Handshake`] seals and asks in the same way before a sink gets its first event.
//! Backoff, order and limits belong to others.

mod attempter;
mod from_subscription;
mod handshake;
mod incarnation_records;
mod incarnations;
mod other_secret;
mod sealer;
mod sealer_error;
mod secret_overlap;
mod shared_secrets;

pub use attempter::Attempter;
pub use handshake::{Handshake, HandshakeError};
pub use incarnations::LogIncarnations;
pub use sealer::{Sealer, SealerParts};
pub use sealer_error::SealerError;
