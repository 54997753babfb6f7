//! `sealway demo`: the main job on one machine, with real services and nothing pretended.
//!
//! A [`Stage`] is a gateway with the settings, contracts and publications of this installation, on a
//! data directory of its own. An order service and a payment service publish with the AWS SDK;
//! they, a notification service and an audit consume sealed events over HTTP, each with its own
//! key pair. `story` lets three orders through and shows what happens; `proof` checks everything
//! that was claimed.
//!
//! With an emulator of AWS, `aws` walks the same orders from a bus of EventBridge to another account's.
//!
//! **Invariant:** the services know nothing of the gateway but its two protocols.

mod aws;
mod command;
mod consumer;
mod narrator;
mod producer;
mod proof;
mod services;
mod stage;
mod story;

pub use command::{Args, run};

use consumer::{Consumer, DeliveredToken};
use narrator::Narrator;
use producer::Producer;
use services::DemoServices;
use stage::Stage;
