//! `sealway demo --aws URL`: the same story with a bus, rules and queues of EventBridge and SQS, and
//! a second account on whose bus sealed events arrive.
//!
//! [`DemoAccounts`](accounts::DemoAccounts) is what stands at AWS, here an emulator's: the sample's bus
//! with its four rules, and one more that fills the gateway's queue; the partner's bus, and a queue for
//! each of its services. The sample's services (`domain`) know nothing of the gateway; the partner's
//! (`partner`) have a key each, and know the gateway's public keys.
//!
//! **Invariant:** whoever publishes or consumes uses an unmodified AWS SDK and nothing of the gateway
//! but its HTTP API.

mod accounts;
mod command;
mod domain;
mod partner;
mod poller;
mod proof;
mod story;

pub use command::perform;
