//! Reads the gateway file.

use std::fs;
use std::io;
use std::path::Path;

use crate::config::Config;
use crate::event::{Blame, Diagnostic, Fault, yaml};

/// A gateway file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the gateway file {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file has a mistake.
    #[error("{0}")]
    Mistake(Box<Diagnostic>),
}

impl Blame for LoadError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Reads the gateway file and makes its paths relative to it.
///
/// # Errors
///
/// The caller's turn: the file cannot be read, or has a mistake.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| LoadError::Unreadable { path: name.clone(), source })?;
    let config: Config = yaml::read(&name, &text).map_err(LoadError::Mistake)?;
    Ok(config.relative_to(path.parent().unwrap_or(Path::new("."))))
}
