//! `sealway evidence`: exports what a subscription was offered, and verifies such a file offline.

use clap::Subcommand;

use crate::cli::{CommandResult, Context, evidence_export, evidence_exports, evidence_verify};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write what a subscription was offered into a file that stands alone
    Export(evidence_export::Args),
    /// List how far the bundles have come that the gateway writes by schedule
    Exports,
    /// Check such a file, with no network and no gateway; the answer is no if anything is wrong
    Verify(Box<evidence_verify::Args>),
}

/// Runs the command.
pub async fn run(command: Command, context: &Context) -> CommandResult {
    match command {
        Command::Export(args) => evidence_export::run(&args, context).await,
        Command::Exports => evidence_exports::run(context).await,
        Command::Verify(args) => evidence_verify::run(&args, context),
    }
}
