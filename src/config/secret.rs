//! Reads secrets from where the settings say that they are kept.

use std::path::Path;

use zeroize::Zeroize as _;

use crate::ambient::{Secret, SecretReference};
use crate::event::{Blame, Fault};

/// A secret that is not where the settings say.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The variable is not set, or is not text.
    #[error("the environment variable {name} is not set; set it to the secret")]
    Unset {
        /// The variable.
        name: String,
    },
    /// There is nothing in it.
    #[error("the secret in {place} is empty")]
    Empty {
        /// Where it should be.
        place: String,
    },
}

impl Blame for SecretError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Reads a secret; a file's path is relative to `directory`, and one newline at its end is cut.
///
/// # Errors
///
/// The operator's turn: the secret is not where the settings say.
#[expect(clippy::disallowed_methods, reason = "this is the one room that reads the environment")]
pub fn secret(reference: &SecretReference, directory: &Path) -> Result<Secret, SecretError> {
    let mut text = match reference {
        SecretReference::File(path) => {
            let path = directory.join(path);
            let unreadable =
                |source| SecretError::Unreadable { path: path.display().to_string(), source };
            std::fs::read_to_string(&path).map_err(unreadable)?
        }
        SecretReference::Env(name) => {
            std::env::var(name).map_err(|_| SecretError::Unset { name: name.clone() })?
        }
    };
    let trimmed = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let secret = trimmed.unwrap_or(&text).to_owned();
    text.zeroize();
    if secret.is_empty() {
        return Err(SecretError::Empty { place: reference.to_string() });
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_loses_one_newline_and_what_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "s3cret\n").unwrap();
        std::fs::write(directory.path().join("void"), "\n").unwrap();
        let read = |name: &str| secret(&SecretReference::File(name.into()), directory.path());

        assert_eq!(read("key").unwrap().expose(), "s3cret");
        assert!(read("void").unwrap_err().to_string().contains("is empty"));
        assert!(read("absent").unwrap_err().to_string().contains("absent"));
        let unset = secret(&SecretReference::Env("SEALWAY_NO_SUCH".into()), directory.path());
        assert!(unset.unwrap_err().to_string().contains("SEALWAY_NO_SUCH"));
    }
}
