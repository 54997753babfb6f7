//! Regular expressions of contracts, in linear time and little memory.
//!
//! The text of a `pattern` comes in once and is read as ECMA-262 has it ([`PatternPool`]); texts of
//! data come in each time, and are matched or not ([`TextPattern`]). A pattern is read into a tree
//! (`syntax`, with `escape`, `set` and `property` for its characters) and becomes a program over
//! whole characters (`program`, run by `simulation`, its cost bounded by `breadth`), or a plain list of steps where no choice is
//! ever open (`sequence`).
//!
//! **Invariants:** a text is read once, whatever the pattern. A counted repetition of one class of
//! characters, such as `\p{L}{1,50}`, is one instruction that counts, whatever its numbers. Nothing
//! is kept between two texts.
//!
//! **Absent:** look-around and back-references, which need more than linear time.

mod breadth;
mod class;
mod escape;
mod mistake;
mod pool;
mod program;
mod property;
mod reader;
mod sequence;
mod set;
mod simulation;
mod syntax;
#[cfg(test)]
mod tests;

pub(super) use mistake::PatternMistake;
pub(super) use pool::{PatternPool, TextPattern};
pub(super) use syntax::{Piece, read};
