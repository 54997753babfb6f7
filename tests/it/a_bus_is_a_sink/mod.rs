//! Sealed events are put on buses of consumers, each only where its operator lets it.

mod domain;
mod emulators;
mod entries;
mod faults;
mod refusals;
