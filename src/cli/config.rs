//! `sealway config`: the settings and their schema.

use clap::Subcommand;

use crate::cli::config_drift;
use crate::cli::{CommandResult, Context, Exit, Failure};
use crate::config::schema;
use crate::enrich::Publications;
use crate::subscriptions::SubscriptionDocument;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the settings in force: the file, and the defaults of what it leaves out
    Show,
    /// Print the digests of the settings, contracts and publications in the files, as a running gateway
    /// tells those that are in force
    Digest,
    /// Say what the running gateway has otherwise than the files here; the answer is no if anything is
    Drift,
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
pub async fn run(command: &Command, context: &Context) -> CommandResult {
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
        Command::Digest => {
            let digests = config_drift::of_files(&context.config()?)?;
            output.item(&digests, ToString::to_string);
        }
        Command::Drift => return config_drift::run(context).await,
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
