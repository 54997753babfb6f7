//! Reads the folders of documents that people write: contracts and publications.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Documents in one folder, in all.
const MOST_FILES: usize = 1000;
/// The longest document.
const LONGEST: u64 = 1024 * 1024;

/// A folder of documents that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which one.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is too long.
    #[error("{path} is longer than 1 MiB")]
    TooLong {
        /// Which one.
        path: String,
    },
    /// There are too many files.
    #[error("{path} holds more than 1000 documents")]
    TooMany {
        /// Which folder.
        path: String,
    },
}

/// Reads every `.yaml`, `.yml` and `.json` file of a folder, by its path below the folder.
///
/// # Errors
///
/// The operator's turn: the folder or a file cannot be read, or there is too much of it.
pub fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, FolderError> {
    let mut documents = BTreeMap::new();
    read_below(folder, "", &mut documents)?;
    Ok(documents)
}

fn read_below(
    folder: &Path,
    prefix: &str,
    documents: &mut BTreeMap<String, String>,
) -> Result<(), FolderError> {
    let shown = folder.display().to_string();
    let unreadable = |source| FolderError::Unreadable { path: shown.clone(), source };
    for item in fs::read_dir(folder).map_err(unreadable)? {
        let item = item.map_err(unreadable)?;
        let path = item.path();
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        let kind = item.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            read_below(&path, &format!("{name}/"), documents)?;
        } else if [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) {
            documents.insert(name, read_file(&path)?);
        }
        if documents.len() > MOST_FILES {
            return Err(FolderError::TooMany { path: shown });
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<String, FolderError> {
    let shown = path.display().to_string();
    let unreadable = |source| FolderError::Unreadable { path: shown.clone(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > LONGEST {
        return Err(FolderError::TooLong { path: shown });
    }
    fs::read_to_string(path).map_err(unreadable)
}
