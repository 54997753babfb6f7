//! The gate: only what an AsyncAPI message describes goes on.
//!
//! Texts of AsyncAPI documents come in once, as a [`Catalog`]; an [`Enriched`] event comes in each
//! time, and leaves as [`Validated`] or [`ContractRefusal`]. Data has to keep the message's JSON Schema,
//! and every member of it has to be declared: closed on the way out, open for consumers.
//!
//! A text becomes a tree with places (`text`), whose references are followed within the contracts
//! folder (`reference`); the readers of the versions (`version2`, `version3`) find the messages
//! (`usage`), which become one list by name (`outline`); a payload becomes a schema that stands alone
//! (`bundle`) and is compiled (`rules`) by `shape_builder` into a graph (`shape`), which is bounded in
//! effort (`effort`). Data is walked along that graph: `accepting` asks whether it keeps the schema,
//! `explaining` how it breaks it, `alternatives` which branch was meant, `closing` what nothing
//! declares. Each schema has an address (`address`) and a meaning that stays equal however it is
//! written (`meaning`); a contract of several files is served as one (`served`). What a message says of the
//! CloudEvent itself is found (`envelope`), compiled (`attribute_rules`), held against publications
//! (`contradiction`) and against events (`crossing_identity`). `sample` makes data that
//! keeps a message. Without an event, `analysis` holds publications against their messages:
//! `reach` says what a schema says about a place, `written` walks what a patch can make.
//!
//! **Invariants:** nothing is read or fetched here; a `Validated` event has passed its message, or
//! its publication only observes and carries the breaches; no violation repeats a value.
//!
//! [`Enriched`]: crate::enrich::Enriched

mod accepting;
mod address;
#[cfg(test)]
mod agreement_tests;
mod alternatives;
#[cfg(test)]
mod alternatives_tests;
mod analysis;
mod anatomy;
mod assertion;
mod attribute_rules;
mod bounds;
mod bundle;
mod catalog;
mod closing;
mod collector;
mod contradiction;
mod copied;
mod crossing_identity;
mod demands;
mod dialect;
mod discriminator;
mod document;
mod effort;
mod envelope;
#[cfg(test)]
mod envelope_tests;
mod exact;
mod examples;
mod explaining;
mod fields;
mod format;
mod gate;
#[cfg(test)]
mod generated;
mod identity;
mod keyword;
mod keyword_value;
mod lookup;
mod meaning;
mod member_map;
mod message;
mod normal_form;
mod older_words;
mod outline;
mod partial;
mod pattern;
mod pointer;
mod reach;
mod reference;
mod resources;
mod rules;
mod sample;
mod schema_mistake;
mod sentence;
mod served;
mod served_form;
mod shape;
mod shape_builder;
mod survey;
mod survey_rules;
mod survey_schema;
#[cfg(test)]
mod tests;
mod text;
mod undeclared;
mod usage;
mod version2;
mod version3;
mod written;

pub use address::{SchemaAddress, SchemaAddresses};
pub use catalog::Catalog;
pub use crossing_identity::{AttributeBreach, CrossingIdentity};
pub use document::{ContractDocument, ContractMessage};
pub use examples::Example;
pub use gate::{ContractRefusal, Gate, Validated};
pub use lookup::MessageLookupError;
pub use meaning::SchemaMeaning;
pub use message::Message;
pub use partial::{PartialMessage, partial_contract};
pub use sample::{Sample, SampleKind, SampleRequest, Samples};
pub use usage::ChannelAction;
