//! The promises of the log, as tests that every engine passes.

mod appending;
mod fixture;

pub(super) use fixture::draft;
