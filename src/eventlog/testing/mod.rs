//! Stores for tests: one in memory, and one that behaves as if it were far away.

mod memory;
mod memory_actions;
mod memory_ages;
mod memory_quarantine;
mod memory_schemas;
mod memory_seams;
mod memory_signatures;
mod memory_tree;
mod memory_trim;
mod remote;

pub(crate) use memory::MemoryLog;
pub(crate) use remote::RemoteStore;
