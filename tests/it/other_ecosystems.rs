//! Starts the programs of `tests/interop`, which open and mint tokens, and verify signatures, with other
//! ecosystems' libraries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A JOSE library of another ecosystem.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    NodeJose,
    Joserfc,
    Jwcrypto,
}

impl Library {
    pub const ALL: [Self; 3] = [Self::NodeJose, Self::Joserfc, Self::Jwcrypto];

    /// Runs `open` or `mint` over cases; gives what the program says about each, by its name.
    pub fn run(self, command: &str, cases: &[Value]) -> BTreeMap<String, Value> {
        let mut program = match self {
            Self::NodeJose => node(&programs().join("consumer.mjs")),
            Self::Joserfc => python(&programs().join("consumer_joserfc.py")),
            Self::Jwcrypto => python(&programs().join("consumer_jwcrypto.py")),
        };
        answers(program.arg(command), cases)
    }
}

/// A library of the Standard Webhooks project.
#[derive(Clone, Copy, Debug)]
pub enum WebhookLibrary {
    JavaScript,
    Python,
}

impl WebhookLibrary {
    pub const ALL: [Self; 2] = [Self::JavaScript, Self::Python];

    /// Has requests verified, each under a secret; gives what the program says about each, by its
    /// name.
    pub fn verify(self, cases: &[Value]) -> BTreeMap<String, Value> {
        let mut program = match self {
            Self::JavaScript => node(&programs().join("verify_webhook.mjs")),
            Self::Python => python(&programs().join("verify_webhook.py")),
        };
        answers(&mut program, cases)
    }
}

/// Gives cases to a program, each in a file of its own, and reads a line about each.
fn answers(program: &mut Command, cases: &[Value]) -> BTreeMap<String, Value> {
    let directory = tempfile::tempdir().unwrap();
    for (number, case) in cases.iter().enumerate() {
        let path = directory.path().join(format!("{number:04}.json"));
        fs::write(path, case.to_string()).unwrap();
    }
    let output = said(program.arg(directory.path()).arg(harness()));
    let answers: BTreeMap<String, Value> = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|answer| (answer["case"].as_str().unwrap().to_owned(), answer))
        .collect();
    assert_eq!(answers.len(), cases.len(), "{program:?} answers every case");
    answers
}

/// Runs a program to its end and gives its standard output.
pub fn said(program: &mut Command) -> String {
    let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?} failed: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// A JavaScript program.
pub fn node(program: &Path) -> Command {
    let mut node = Command::new("node");
    node.arg(program);
    node
}

/// A Python program, with the libraries of the harness.
pub fn python(program: &Path) -> Command {
    let mut python = Command::new(harness().join("venv/bin/python"));
    // joserfc warns of the name `EdDSA`, which consumers still expect.
    python.args(["-W", "ignore"]).env("PYTHONDONTWRITEBYTECODE", "1").arg(program);
    python
}

/// Where `make harness` puts the libraries.
pub fn harness() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join(".harness");
    assert!(
        harness.join("pins").exists(),
        "other ecosystems' libraries are missing: run `make harness` first"
    );
    harness
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}
