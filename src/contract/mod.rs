//! The gate: only what an AsyncAPI message describes goes on.
//!
//! Texts of AsyncAPI documents come in once, as a [`Catalog`]; an [`Enriched`] event comes in each
//! time, and leaves as [`Validated`] or [`ContractRefusal`]. Data has to keep the message's JSON Schema,
//! and every member of it has to be declared: closed on the way out, open for consumers.
//!
//! A text becomes a tree with places (`text`), whose references are followed within the contracts
//! folder (`reference`); the readers of the versions (`version2`, `version3`) find the messages
//! (`usage`), which become one list by name (`outline`); a payload becomes a schema that stands alone (`bundle`), is compiled (`rules`), laid
//! out as a graph of declared members (`shape`) and bounded in effort (`effort`); `closing` walks
//! data along that graph. Without an event, `analysis` holds publications against their messages:
//! `reach` says what a schema says about a place, `written` walks what a patch can make.
//!
//! **Invariants:** nothing is read or fetched here; a `Validated` event has passed its message, or
//! its publication only observes and carries the breaches; no violation repeats a value.
//!
//! [`Enriched`]: crate::enrich::Enriched

mod analysis;
mod bounds;
mod bundle;
mod catalog;
mod closing;
mod demands;
mod effort;
mod gate;
mod keyword;
mod message;
mod outline;
mod pointer;
mod reach;
mod reference;
mod rules;
mod shape;
mod text;
mod usage;
mod version2;
mod version3;
mod written;

pub use catalog::{Catalog, ContractDocument};
pub use gate::{Absence, ContractRefusal, Gate, Validated};
pub use message::{Example, Message};
pub use usage::ChannelAction;
