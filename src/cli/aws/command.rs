//! The commands of `sealway aws`.

use clap::Subcommand;

use crate::cli::aws::template;
use crate::cli::{CommandResult, Context};

/// The commands, a file for each.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    /// Print the CloudFormation template of one edge, filled in from the gateway file
    #[command(subcommand)]
    Template(template::TemplateKind),
}

/// Runs the command.
pub async fn run(command: AwsCommand, context: &Context) -> CommandResult {
    match command {
        AwsCommand::Template(kind) => template::run(kind, context).await,
    }
}
