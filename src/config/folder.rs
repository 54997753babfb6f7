//! Reads the folders of files that people write: publications, subscriptions, contracts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::event::Diagnostic;

/// The largest file that is read; a real contract has a tenth of it.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How deep folders may lie in each other; more is a loop.
const MAX_DEPTH: usize = 16;

/// Texts by the path of their file below the folder.
pub type Texts = BTreeMap<String, String>;

/// Reads every `.yaml`, `.yml` and `.json` file of a folder and of the folders in it.
///
/// A folder that is not there has no files.
///
/// # Errors
///
/// The operator's turn: every file that cannot be read, or is not text.
pub fn folder(directory: &Path) -> Result<Texts, Vec<Diagnostic>> {
    let mut reader = Reader { texts: Texts::new(), mistakes: Vec::new() };
    reader.read(directory, directory, MAX_DEPTH);
    if reader.mistakes.is_empty() { Ok(reader.texts) } else { Err(reader.mistakes) }
}

struct Reader {
    texts: Texts,
    mistakes: Vec<Diagnostic>,
}

impl Reader {
    fn read(&mut self, root: &Path, directory: &Path, depth: usize) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory == root => return,
            Err(error) => return self.mistake(directory, format!("cannot be read: {error}")),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    self.mistake(directory, format!("cannot be read: {error}"));
                    continue;
                }
            };
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if hidden {
                continue;
            }
            if !path.is_dir() {
                self.file(root, &path);
            } else if depth == 0 {
                self.mistake(&path, "lies too deep; is it a loop?".to_owned());
            } else {
                self.read(root, &path, depth - 1);
            }
        }
    }

    fn file(&mut self, root: &Path, path: &Path) {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("yaml" | "yml" | "json")) {
            return;
        }
        match text(path) {
            Ok(text) => {
                let below = path.strip_prefix(root).unwrap_or(path);
                self.texts.insert(below.display().to_string(), text);
            }
            Err(problem) => self.mistake(path, problem),
        }
    }

    fn mistake(&mut self, path: &Path, problem: String) {
        self.mistakes.push(Diagnostic::of_file(&path.display().to_string(), problem));
    }
}

fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("cannot be read: {error}");
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes"));
    }
    fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_the_folders_in_it_and_other_files_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("parts")).unwrap();
        for name in ["a.yaml", "parts/b.json", "README.md", ".hidden.yaml"] {
            fs::write(root.path().join(name), name).unwrap();
        }

        let texts = folder(root.path()).unwrap();

        assert_eq!(texts.keys().collect::<Vec<_>>(), ["a.yaml", "parts/b.json"]);
        assert!(folder(&root.path().join("absent")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_not_text_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.yaml"), [0xff, 0xfe]).unwrap();

        let mistakes = folder(root.path()).unwrap_err();

        assert!(mistakes[0].file.ends_with("a.yaml"));
    }
}
