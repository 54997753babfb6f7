//! Couriers, inboxes, the ledger and the HTTP destination by themselves, with fakes around them.

mod attempts;
mod backlogs;
pub(crate) mod couriers;
mod deciders;
mod entitlements;
mod handshakes;
mod inboxes;
mod ledgers;
mod limiters;
mod orders;
mod panics;
mod proving;
pub(crate) mod pulled;
mod readers;
mod replayed;
mod resting;
mod sink_steps;
mod sinks;
mod sizes;
pub(crate) mod stage;
mod stalled_reads;
