//! What crosses the border, and in which shape: publications and their patches.
//!
//! A [`Received`](crate::source::Received) event comes in and, for each [`Publication`] that wants
//! it, one [`Enriched`] event goes out: the publication's names, and the data that its JSON Patch
//! (RFC 6902) moved out of the envelope. [`Publications`] are read from the files of
//! `config/publications/`, and every mistake in them is found then, at its place.
//!
//! **Invariant:** only what a patch put below `/data` leaves this room, and a patch applies whole
//! or not at all.

mod crossing;
mod document;
mod enriched;
mod file;
mod made;
mod maker;
mod marked;
mod noticed;
mod patch;
mod publication;
mod publications;
mod rehearsal;

pub use crossing::{CrossingFault, CrossingProblem, Numbers, as_crossed};
pub use enriched::{EnrichError, Enriched};
pub use made::{Made, MadeData, MadeMember, Misstep};
pub use patch::{Patch, PatchFailure, PatchMistake, PatchProblem, PatchStep};
pub use publication::{Mode, Publication, PublicationPlaces};
pub use publications::Publications;
pub use rehearsal::Rehearsal;
