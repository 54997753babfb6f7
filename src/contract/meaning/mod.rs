//! What a schema lets pass, told apart from how it is written.
//!
//! A schema becomes a graph (`graph`) of what it asserts (`words`); its parts are marked until no more
//! of them can be told apart (`marks`); the mark of the whole is its [`SchemaMeaning`].

mod graph;
mod marks;
mod schema_meaning;
mod words;

pub use schema_meaning::SchemaMeaning;
