//! `sealway aws`: what concerns the AWS services that a gateway reads from and delivers to.

mod command;
mod drain;

pub use command::{AwsCommand, run};
