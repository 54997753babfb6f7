//! Couriers, inboxes, the ledger and the HTTP destination by themselves, with fakes around them.

mod attempts;
mod backlogs;
mod couriers;
mod deciders;
mod entitlements;
mod handshakes;
mod inboxes;
mod ledgers;
mod limiters;
mod orders;
mod proving;
mod readers;
mod sinks;
mod sizes;
pub(crate) mod stage;
