//! `sealway config`: the settings and their schema.

use clap::Subcommand;

use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::schema;
use crate::enrich::Publications;
use crate::subscriptions::SubscriptionDocument;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the settings in force: the file, and the defaults of what it leaves out
    Show,
    /// Print the JSON Schema of a file that people write, for editors
    Schema {
        /// Which file
        #[arg(value_enum, default_value = "gateway")]
        file: File,
    },
}

/// A kind of file that people write.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum File {
    /// The settings of a gateway
    Gateway,
    /// What a domain lets cross
    Publications,
    /// Who receives what
    Subscription,
}

/// Runs the command.
pub fn run(command: &Command, context: &Context) -> CommandResult {
    let output = context.output();
    match command {
        Command::Show => {
            let config = context.config()?;
            if output.is_json() {
                output.item(&config, |_| String::new());
            } else {
                output.line(serde_saphyr::to_string(&config).map_err(Failure::ours)?.trim_end());
            }
        }
        Command::Schema { file: File::Gateway } => output.document(&schema()),
        Command::Schema { file: File::Publications } => {
            output.document(&Publications::file_schema());
        }
        Command::Schema { file: File::Subscription } => {
            output.document(&schemars::schema_for!(SubscriptionDocument));
        }
    }
    Ok(Exit::Done)
}
