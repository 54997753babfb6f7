//! Data made from a message's schema: what an event that keeps the contract can look like.
//!
//! In goes a [`Message`], out come [`Samples`]: an ordinary one, one without each optional member, one
//! for each alternative and value of a list, and the edges of what the schema allows. `graph` lays
//! the schema out, `denial` turns what it excludes into what may stand instead, `demand` adds up
//! everything that holds for one value, `maker` makes the value (`object`, `array`, `scalar`), and
//! `sampler` asks for one deviation from the ordinary after the other.
//!
//! **Invariants:** a sample has passed [`Message::check`]; the same message and request give the same
//! samples; steps, sizes and counts are bounded, whatever the schema says.
//!
//! [`Message`]: crate::contract::Message
//! [`Message::check`]: crate::contract::Message::check

mod array;
mod chooser;
mod demand;
mod denial;
mod dice;
mod graph;
mod layout;
mod maker;
mod number;
mod object;
mod pattern;
mod sampler;
mod samples;
mod scalar;
mod text;

#[cfg(test)]
pub(in crate::contract) use dice::Dice;
pub use samples::{Sample, SampleKind, SampleRequest, Samples};
