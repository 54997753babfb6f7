//! Runners by themselves, with a log in memory and a destination that remembers.

mod conformance;
mod runners;
