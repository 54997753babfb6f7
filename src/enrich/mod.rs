//! What crosses the border, and in which shape: publications and their patches.
//!
//! A [`Received`](crate::source::Received) event comes in and, for each [`Publication`] that wants
//! it, one [`Enriched`] event goes out: the publication's names, and the data that its JSON Patch
//! (RFC 6902) moved out of the envelope. [`Publications`] are read from the files of
//! `config/publications/`, and every mistake in them is found then, at its place.
//!
//! **Invariant:** only what a patch put below `/data` and what the publication names (subject, third
//! level of the name, extension attributes) leaves this room, and a patch applies whole or not at all.

mod attributes;
mod crossing;
mod document;
mod enriched;
mod file;
mod file_attributes;
mod item_step;
mod item_writing;
mod made;
mod maker;
mod marked;
mod matching_event;
mod noticed;
mod patch;
mod patch_effort;
mod patch_failure;
mod patch_file;
mod patch_members;
mod patch_rules;
mod patch_schema;
mod patch_step;
#[cfg(test)]
mod patch_testing;
mod publication;
mod publication_reader;
mod publications;
mod rehearsal;
mod reversal;
mod same_value;
mod starred;
mod taking;
#[cfg(test)]
mod tests;
mod value_map;
mod wanting;

pub use attributes::{ClearNames, PublishedAttribute};
pub use crossing::{CrossingFault, CrossingProblem, Numbers, as_crossed};
pub use enriched::{EnrichError, Enriched};
pub use made::{Made, MadeData, MadeMember, Misstep};
pub use patch::Patch;
pub use patch_failure::{OperationIndex, PatchFailure, PatchMistake, PatchProblem};
pub use patch_step::PatchStep;
pub use publication::{AccessRule, Mode, Publication, PublicationPlaces};
pub use publications::Publications;
pub use rehearsal::Rehearsal;
pub use value_map::ValueMap;
pub use wanting::{Wanting, WantingPublications};
