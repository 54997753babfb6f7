//! What every command is given beside its own arguments.

use std::path::PathBuf;

use crate::ambient::Secret;
use crate::cli::{Client, Failure, Format, Output};
use crate::config::{self, Config};
use crate::eventlog::ActionReason;

/// Options that every command takes, and what follows from them.
///
/// They stand under a heading of their own, so that those of a command come first in its help.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Context {
    /// The gateway file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SEALWAY_CONFIG",
        default_value = config::DEFAULT_FILE
    )]
    pub config: PathBuf,
    /// For whom to write
    #[arg(long, global = true, value_enum, default_value = "human")]
    output: Format,
    /// What to log, for example `debug` or `sealway::deliver=trace,info`
    #[arg(long, global = true, value_name = "FILTER", env = "SEALWAY_LOG")]
    pub log: Option<String>,
    /// The running gateway that commands speak to
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SEALWAY_GATEWAY",
        default_value = "http://127.0.0.1:8080"
    )]
    gateway: String,
    /// The key of the caller, as `sealway callers add` printed it
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "SEALWAY_CALLER_KEY",
        hide_env_values = true
    )]
    caller_key: Option<String>,
    /// Why, for the record of what was changed: 1 to 500 characters
    #[arg(long, global = true, value_name = "TEXT")]
    because: Option<ActionReason>,
}

impl Context {
    /// Where to write.
    pub const fn output(&self) -> Output {
        Output::new(self.output)
    }

    /// Why whoever runs the command changes something, if that was said.
    pub const fn reason(&self) -> Option<&ActionReason> {
        self.because.as_ref()
    }

    /// Reads the gateway file.
    ///
    /// # Errors
    ///
    /// The caller's turn: the file cannot be read, or has a mistake.
    pub fn config(&self) -> Result<Config, Failure> {
        config::load(&self.config).map_err(Failure::blame)
    }

    /// A client of the running gateway.
    ///
    /// # Errors
    ///
    /// The caller's turn: the gateway's address or the key cannot be used.
    pub fn client(&self) -> Result<Client, Failure> {
        let key = self.caller_key.clone().map(Secret::new);
        Client::new(&self.gateway, key.as_ref(), self.reason())
    }
}
