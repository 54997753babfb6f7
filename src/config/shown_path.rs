//! How paths, and commands that lead to the same files, are told to a person.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::event::Diagnostic;

/// The gateway file that commands read if no other is named.
pub const DEFAULT_FILE: &str = "config/gateway.yaml";

/// A path as a person would write it: `config/../asyncapi` is `asyncapi`.
pub fn shown_path(path: &Path) -> String {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match (component, tidy.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                tidy.pop();
            }
            (Component::CurDir, _) => {}
            _ => tidy.push(component),
        }
    }
    // Behind a link, `..` leads elsewhere than the text says.
    let leads_elsewhere = fs::canonicalize(path)
        .is_ok_and(|real| fs::canonicalize(&tidy).is_ok_and(|other| other != real));
    let shown = if leads_elsewhere { path } else { &tidy };
    if shown.as_os_str().is_empty() { ".".to_owned() } else { shown.display().to_string() }
}

/// Whether two paths lead to the same place.
pub fn is_same_place(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => shown_path(one) == shown_path(other),
    }
}

/// A mistake of a file that was read from a folder, under its name on the disk.
pub fn on_disk(folder: &Path, mistake: Diagnostic) -> Diagnostic {
    let path = folder.join(&mistake.file);
    if path.is_file() { Diagnostic { file: shown_path(&path), ..mistake } } else { mistake }
}

/// A command of this program that has the same gateway file and data directory, to be copied into a shell.
pub fn command(words: &str, file: &Path, data_dir: &Path) -> String {
    let is_default = file.as_os_str().is_empty() || file == Path::new(DEFAULT_FILE);
    let config =
        if is_default { String::new() } else { format!(" --config {}", quoted(&shown_path(file))) };
    format!("sealway {words}{config} --data-dir {}", quoted(&shown_path(data_dir)))
}

impl Config {
    /// A command on the data directory of these settings, to be copied into a shell.
    pub fn command(&self, words: &str) -> String {
        command(words, &self.file, &self.data_dir)
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+:@%".contains(c);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_a_person_would_write_it() {
        for (path, shown) in [
            ("config/../asyncapi/a.yaml", "asyncapi/a.yaml"),
            ("./config/x.yaml", "config/x.yaml"),
            ("../../x", "../../x"),
            ("x/..", "."),
        ] {
            assert_eq!(shown_path(Path::new(path)), shown);
        }
    }

    #[test]
    fn a_way_through_a_link_is_shown_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["real/config", "real/data", "data"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        std::os::unix::fs::symlink(path("real/config"), path("config")).unwrap();

        let shown = shown_path(&path("config/../data"));

        assert_eq!(shown, path("config/../data").display().to_string());
    }

    #[test]
    fn a_command_that_is_told_can_be_copied_into_a_shell() {
        let told =
            |file: &str, data: &str| command("log restored", Path::new(file), Path::new(data));

        assert_eq!(
            told("config/gateway.yaml", "../rest"),
            "sealway log restored --data-dir ../rest"
        );
        assert_eq!(
            told("it's/a b.yaml", "config/../data"),
            r"sealway log restored --config 'it'\''s/a b.yaml' --data-dir data"
        );
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_word_is_one_word_of_a_shell(word in "[ -~]{1,20}") {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(&word))])
                .output()
                .unwrap();
            proptest::prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
