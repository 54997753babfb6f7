//! The commands of `sealway aws`.

use crate::cli::aws::drain;
use crate::cli::{CommandResult, Context};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub enum AwsCommand {
    /// Let the messages of a dead-letter queue in, as if they had come by their queue
    ///
    /// The gateway reads the queue that its settings name as `dead-letter-queue`, by the settings of the
    /// queue beside it. A message is deleted once what it became is durable; a body that cannot be read
    /// goes to the quarantine. What cannot be taken now stays, and the exit code is 1 then.
    Drain(drain::DrainArgs),
}

/// Runs the command.
pub async fn run(command: AwsCommand, context: &Context) -> CommandResult {
    match command {
        AwsCommand::Drain(args) => drain::run(&args, context).await,
    }
}
