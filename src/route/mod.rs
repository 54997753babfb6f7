//! Who wants this event: patterns, one by one and all at once.
//!
//! A [`Pattern`] is the event-pattern language of Amazon EventBridge, read strictly; it judges the
//! JSON form of an event ([`EventTree`]). A [`Filter`] is what a subscription wants: types, and
//! filters in the dialects of the CloudEvents Subscriptions API, of which `pattern` is one. A
//! [`Table`] holds the filters of all subscriptions and matches them at once.
//!
//! **Invariant:** whether an event matches is always the word of one recursive evaluator; the index
//! of a table only chooses whom to ask. No filter can change what another one matches. Nothing here
//! knows what a subscription is for, or does any input or output.

mod access;
mod block;
mod budget;
#[cfg(test)]
mod budget_tests;
mod caseless;
mod clause;
mod config;
mod dialect;
mod error;
mod evaluate;
mod event_tree;
mod field;
mod filter;
mod found;
mod index;
mod interval;
mod mismatch;
mod operators;
mod owners;
mod part;
mod pattern;
mod predicate;
mod ranks;
mod reader;
mod selectivity;
#[cfg(test)]
mod strategies;
mod syntax;
mod table;
mod wildcard;

pub use budget::{Budget, LEAST_STEPS, MatchOutcome, Routed, StepAllowance, Undecided};
pub use config::{PatternConfig, PatternConfigMistake};
pub use error::{FilterError, PatternError};
pub use event_tree::EventTree;
pub use filter::{BoundedFilter, Filter, OwnedFilter};
pub use mismatch::Mismatch;
pub use pattern::{MAX_PRICE, Pattern};
pub use table::Table;
