//! Handshakes as durable work: every pending subscription with a sink is asked until it has proved
//! itself, or for days.
//!
//! What is due stands in the registry, with its subscription, so that a crash loses nothing; who goes
//! next, and when, is said by the queue of this process. [`Handshakes`] makes the attempts and has
//! `dispatch` keep what came of them. Nothing is held while it waits: no lock, no connection, and no
//! shutdown.

mod queue;
mod runner;
mod verify_error;

pub use runner::{Handshakes, HandshakesParts};
pub use verify_error::VerifyError;
