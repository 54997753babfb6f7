//! `sealway aws template`: CloudFormation for the three edges, filled in from the gateway file.
//!
//! Each kind has a text in `texts/` that reads as the template it becomes, and a struct of what is
//! filled in. Values are written as JSON, which YAML reads as it is, so none can end where it stands.

mod command;
mod filling;
mod principal;
mod pull;
mod push;
mod receive;
mod rule_sources;

pub use command::{TemplateKind, run};
