//! Runners by themselves, with a log in memory and a carrier that remembers.

mod runners;
