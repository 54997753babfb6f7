//! The commands of `sealway aws`.

use clap::Subcommand;

use crate::cli::aws::external_id;
use crate::cli::{CommandResult, Context};

/// The commands, a file for each.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    /// Show the external id that the trust policy of a consumer's role asks for
    ExternalId(external_id::Args),
}

/// Runs the command.
pub async fn run(command: AwsCommand, context: &Context) -> CommandResult {
    match command {
        AwsCommand::ExternalId(args) => external_id::run(&args, context).await,
    }
}
