//! `sealway config`: the settings and their schema.

use clap::Subcommand;

use crate::cli::{Context, Exit, Failure, Outcome};
use crate::config::schema;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the settings in force: the file, and the defaults of what it leaves out
    Show,
    /// Print the JSON Schema of the gateway file, for editors
    Schema,
}

/// Runs the command.
pub fn run(command: &Command, context: &Context) -> Outcome {
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
        Command::Schema => output.document(&schema()),
    }
    Ok(Exit::Done)
}
