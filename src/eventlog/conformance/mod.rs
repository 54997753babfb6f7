//! The promises of the log, as tests that every engine passes.

mod appending;
mod dead_letters;
mod delivering;
mod filling;
mod fixture;
mod keeping;
mod observing;
mod reading;
mod receipts;
mod surviving;
mod trimming;

pub(super) use fixture::draft;
