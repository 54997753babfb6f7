//! The promises of each seam, as tests that every store passes; and what the durable one adds.

mod actions;
mod ages;
mod attempts;
mod dead_letters;
mod delivery_state;
mod filling;
mod fixture;
mod leases;
mod log;
mod makers;
mod quarantine;
mod quarantine_size;
mod receipts;
mod registry;
mod schemas;
mod sizes;
mod signatures;
mod surviving;
mod tree;
mod upgrading;

pub(super) use fixture::draft;
