//! The commands of `sealway aws`.

use clap::Subcommand;

#[cfg(feature = "aws")]
use crate::cli::aws::{doctor, template};
use crate::cli::aws::{drain, external_id};
use crate::cli::{CommandResult, Context};

/// The commands, a file for each.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    /// Call what the gateway would call, and say what each call returned
    #[cfg(feature = "aws")]
    Doctor(doctor::Args),
    /// Let the messages of a dead-letter queue in, as if they had come by their queue
    ///
    /// The gateway reads a queue that its settings name in `dead-letter-queues`, by the settings of the
    /// queue beside it. A message is deleted once what it became is durable; a body that cannot be read
    /// goes to the quarantine. What cannot be taken now stays, and the exit code is 1 then.
    Drain(drain::DrainArgs),
    /// Show the external id that the trust policy of a consumer's role asks for
    ExternalId(external_id::Args),
    /// Print the CloudFormation template of one edge, filled in from the gateway file
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Template(template::TemplateKind),
}

/// Runs the command.
pub async fn run(command: AwsCommand, context: &Context) -> CommandResult {
    match command {
        #[cfg(feature = "aws")]
        AwsCommand::Doctor(args) => Box::pin(doctor::run(&args, context)).await,
        AwsCommand::Drain(args) => drain::run(&args, context).await,
        AwsCommand::ExternalId(args) => external_id::run(&args, context).await,
        #[cfg(feature = "aws")]
        AwsCommand::Template(kind) => template::run(kind, context).await,
    }
}
