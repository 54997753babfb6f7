//! The files of `src/` as text, without their tests.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src/`.
pub struct Source {
    /// Where it is below `src/`.
    pub path: String,
    /// The folder of `src/` that it is in.
    pub room: String,
    /// Everything before the tests.
    pub code: String,
}

impl Source {
    /// A file of this path and text.
    pub fn new(path: &str, text: &str) -> Self {
        let room = path.split('/').next().unwrap();
        Self { path: path.to_owned(), room: room.to_owned(), code: without_tests(text).to_owned() }
    }

    /// Whether it is the door of a folder.
    pub fn is_door(&self) -> bool {
        self.path.ends_with("mod.rs")
    }

    /// Its path in the language: `deliver::sink` for `deliver/sink/mod.rs`, nothing for `lib.rs`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let parts = path.split('/').filter(|part| !["lib", "main"].contains(part));
        parts.map(str::to_owned).collect()
    }

    /// Its code without comments.
    pub fn statements(&self) -> String {
        let statement = |line: &'_ str| line.split("//").next().unwrap().to_owned() + "\n";
        self.code.lines().map(statement).collect()
    }

    /// Gives the places where it breaks a rule, by line.
    pub fn breaches(&self, breaks: impl Fn(&str) -> Option<String>) -> String {
        let mut found = String::new();
        for (number, line) in self.code.lines().enumerate() {
            let is_prose = line.trim_start().starts_with("//");
            if let Some(breach) = (!is_prose).then(|| breaks(line)).flatten() {
                writeln!(found, "src/{}:{}: {breach}", self.path, number + 1).unwrap();
            }
        }
        found
    }
}

/// Cuts off the tests, which stand in a module at the end.
fn without_tests(text: &str) -> &str {
    let begins = |(at, mark): (usize, &str)| {
        let (before, rest) = text.split_at(at);
        let next = rest.trim_start_matches(mark).lines().next().unwrap_or_default();
        (next.contains("mod ") && next.ends_with('{')).then_some(before)
    };
    text.match_indices("#[cfg(test)]\n").find_map(begins).unwrap_or(text)
}

/// Every file of `src/`, in the order of their paths.
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        let below = file.strip_prefix(&root).unwrap();
        Source::new(below.to_str().unwrap(), &text)
    };
    files.into_iter().map(read).collect()
}

/// The folder `src/`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory can be read") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Folders of tests only are laid out as their tests need.
            if !path.ends_with("tests") && !path.ends_with("testing") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Fails the test with what was found.
pub fn assert_none(found: &str) {
    assert!(found.is_empty(), "\n{found}");
}
