//! Feeds every parser of outside bytes with a corpus and with what chance makes of it; a failure names the
//! file that repeats it.
//!
//! `TARGET` names one target, `RUNS` how many inputs each is fed beside its corpus, `SEED` another chance.
//! `make fuzz` has libFuzzer feed the same targets, guided by coverage.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks to whoever runs it, and says what is wrong by panicking"
)]

mod mutator;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use mutator::{Chance, mutate};
use targets::{ALL, Target};

/// Inputs that chance makes for each target.
const RUNS: u64 = 1000;
/// What no input takes, also in a debug build on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(10);
/// What all of them together do not add to the memory of the process, in KiB.
const TOO_MUCH: u64 = 768 * 1024;

/// A text of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::vars_os()
        .find(|(found, _)| found == name)
        .and_then(|(_, text)| text.into_string().ok())
}

fn number(name: &str, usual: u64) -> u64 {
    variable(name).map_or(usual, |text| text.parse().expect("a whole number"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The corpus of a target, in the order of its files' names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fuzz/corpus").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|_| panic!("{} is missing", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no file", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// The most memory that this process has had, in KiB (proc(5)).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Feeds one input; where it fails, keeps it and says so.
fn feed(target: &Target, input: &[u8]) -> bool {
    let begun = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok();
    let took = begun.elapsed();
    if passed && took < TOO_LONG {
        return true;
    }
    let folder = root().join("target/fuzz");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}-failed", target.name));
    fs::write(&file, input).unwrap();
    println!(
        "{} failed after {took:?} on {} bytes, kept in {}",
        target.name,
        input.len(),
        file.display()
    );
    false
}

/// Feeds a target with its corpus and with mutations of it.
fn run(target: &Target, seed: u64) -> bool {
    let (corpus, mut chance) = (corpus(target), Chance::new(seed, target.name));
    let begun = Instant::now();
    let before = peak();
    let runs = number("RUNS", RUNS);
    let passed = corpus.iter().all(|input| feed(target, input))
        && (0..runs).all(|_| feed(target, &mutate(&corpus, &mut chance)));
    let grown = peak().saturating_sub(before);
    println!(
        "{}: {} of the corpus, {runs} by chance, {:?}, memory grew by {grown} KiB",
        target.name,
        corpus.len(),
        begun.elapsed()
    );
    assert!(grown < TOO_MUCH, "{} takes {grown} KiB", target.name);
    passed
}

/// Every target has a row in the list of parsers, and every file there a target.
fn is_documented() {
    let listed = fs::read_to_string(root().join("docs/fuzzing.md")).unwrap();
    for target in ALL {
        assert!(
            listed.contains(&format!("`{}`", target.name)),
            "docs/fuzzing.md lacks {}",
            target.name
        );
    }
    for folder in fs::read_dir(root().join("tests/fuzz/corpus")).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(ALL.iter().any(|target| target.name == name), "corpus/{name} has no target");
    }
}

fn main() -> ExitCode {
    is_documented();
    let (only, seed) = (variable("TARGET"), number("SEED", 12));
    let chosen: Vec<_> =
        ALL.iter().filter(|target| only.as_ref().is_none_or(|name| name == target.name)).collect();
    assert!(!chosen.is_empty(), "there is no such target");
    println!("seed {seed}");
    let failed = chosen.into_iter().filter(|target| !run(target, seed)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
