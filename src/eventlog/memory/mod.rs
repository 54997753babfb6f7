//! A log that lives as long as the process, for tests and trials.

mod aside;
mod log;
mod trim;

pub use log::MemoryLog;
