//! Which data directory a command works on: what the command line or the environment says, and else what
//! the gateway file says.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::cli::{Context, Failure};
use crate::config::{Config, command, shown_path};
use crate::eventlog::StoredLog;

/// The data directory, as every command that opens it is told.
#[derive(Debug, clap::Args)]
pub struct DataDirectory {
    /// The data directory, instead of `data-dir` of the gateway file
    #[arg(long, global = true, value_name = "DIR", env = "SEALWAY_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDirectory {
    /// Where it is, told to the person who asks. The gateway file is read only if nothing else names it.
    ///
    /// # Errors
    ///
    /// The caller's turn: the gateway file cannot be read, or has a mistake.
    pub(super) fn place(&self, context: &Context) -> Result<PathBuf, Failure> {
        let place = match &self.data_dir {
            Some(place) => place.clone(),
            None => context.config()?.data_dir,
        };
        tell(&place, context);
        Ok(place)
    }

    /// The settings, with the data directory that is to be used, told to the person who asks.
    ///
    /// # Errors
    ///
    /// The caller's turn: the gateway file cannot be read, or has a mistake.
    pub(super) fn config(&self, context: &Context) -> Result<Config, Failure> {
        let config = self.settings(context)?;
        tell(&config.data_dir, context);
        Ok(config)
    }

    /// The settings, with the data directory that is to be used; nobody is told.
    ///
    /// # Errors
    ///
    /// The caller's turn: the gateway file cannot be read, or has a mistake.
    pub(super) fn settings(&self, context: &Context) -> Result<Config, Failure> {
        let mut config = context.config()?;
        if let Some(place) = &self.data_dir {
            config.data_dir.clone_from(place);
        }
        Ok(config)
    }
}

fn tell(place: &Path, context: &Context) {
    context.output().note(format_args!("data directory: {}", shown_path(place)));
}

/// Refuses to look at, or change, a log that is not there: nothing is made in its place.
///
/// # Errors
///
/// The caller's turn: there is none.
pub(super) fn must_have_log(config: &Config) -> Result<(), Failure> {
    if StoredLog::is_at(&config.data_dir) {
        return Ok(());
    }
    let (place, start) = (shown_path(&config.data_dir), config.command("serve"));
    Err(Failure::input(anyhow!(
        "there is no log in {place}; name its data directory with `--data-dir` or SEALWAY_DATA_DIR, or \
         begin a log with `{start}`"
    )))
}

/// A command on a data directory, with the gateway file of this one, to be copied into a shell.
pub(super) fn command_on(words: &str, place: &Path, context: &Context) -> String {
    command(words, &context.config, place)
}
