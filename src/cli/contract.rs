//! `sealway contract`: what contracts allow, offline.

use clap::Subcommand;

use crate::cli::{CommandResult, Context, contract_sample};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make data that keeps a message, from its schema
    Sample(contract_sample::Args),
}

/// Runs the command.
pub fn run(command: &Command, context: &Context) -> CommandResult {
    let Command::Sample(args) = command;
    contract_sample::run(args, context)
}
