//! `sealway aws`: what operators do at AWS for the gateway.
//!
//! **Invariant:** nothing at AWS is changed unless an option asks for it; templates are printed, and
//! whoever owns the account deploys them.

mod command;
#[cfg(feature = "aws")]
mod doctor;
mod drain;
mod external_id;
#[cfg(feature = "aws")]
mod template;

pub use command::{AwsCommand, run};
