//! The tree against the text of RFC 6962, its reference vectors, and two other implementations.

mod incarnations;
mod naive;
mod notes;
mod others;
mod proving;
mod tiles;
mod vectors;
mod witnesses;
