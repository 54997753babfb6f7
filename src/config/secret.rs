//! Reads secrets from where the settings say they are kept.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::ambient::{Secret, SecretReference};
use crate::event::{Blame, Fault};

/// The bits of a file mode that let anyone but its owner in.
const OTHERS: u32 = 0o077;
/// The longest secret; a file beyond it is something else.
const MAX_BYTES: u64 = 64 * 1024;

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Other users may read the file.
    #[error(
        "{} holds a secret and others may read it (mode {mode:03o}); run: chmod 600 {}",
        path.display(),
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is too large to be a secret.
    #[error("{} is too large to be a secret", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The variable is not set, or is not text.
    #[error("the environment variable {name} is not set; it has to hold a secret")]
    Unset {
        /// The variable.
        name: String,
    },
    /// There is nothing in it.
    #[error("the secret in {place} is empty")]
    Empty {
        /// Where it is kept.
        place: String,
    },
}

impl Blame for SecretError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Reads a secret; a file's path is relative to `directory`, and a newline at its end does not belong to it.
///
/// # Errors
///
/// The operator's turn: the file or variable is missing or empty, or others may read the file.
pub fn secret(reference: &SecretReference, directory: &Path) -> Result<Secret, SecretError> {
    let text = match reference {
        SecretReference::File(path) => file(&directory.join(path))?,
        SecretReference::Env(name) => variable(name)?,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(SecretError::Empty { place: reference.to_string() });
    }
    Ok(Secret::new(text.to_owned()))
}

fn file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode });
    }
    if metadata.len() > MAX_BYTES {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    fs::read_to_string(path).map(Into::into).map_err(unreadable)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Result<Zeroizing<String>, SecretError> {
    let unset = |_| SecretError::Unset { name: name.to_owned() };
    std::env::var(name).map(Into::into).map_err(unset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str, mode: u32) -> (tempfile::TempDir, SecretReference) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, SecretReference::File(path))
    }

    #[test]
    fn the_newline_of_an_editor_is_not_part_of_the_secret() {
        let (_directory, reference) = kept("hunter 2\n", 0o600);

        assert_eq!(secret(&reference, Path::new("")).unwrap().expose(), "hunter 2");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_remedy() {
        let (_directory, reference) = kept("hunter2", 0o640);

        let refused = secret(&reference, Path::new("")).unwrap_err().to_string();

        assert!(refused.contains("mode 640") && refused.contains("chmod 600"), "{refused}");
        assert!(!refused.contains("hunter2"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let variable = SecretReference::Env("SEALWAY_TEST_NEVER_SET".into());
        let missing = secret(&variable, Path::new("")).unwrap_err();
        let (_directory, empty) = kept("\n", 0o600);

        assert!(missing.to_string().contains("SEALWAY_TEST_NEVER_SET"));
        assert!(matches!(secret(&empty, Path::new("")), Err(SecretError::Empty { .. })));
        let nowhere = SecretReference::File("/nowhere/secret".into());
        assert!(matches!(secret(&nowhere, Path::new("")), Err(SecretError::Unreadable { .. })));
    }
}
