//! The walls of the house: which room may name which, and how long a file may grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room, and the rooms that it may name. A row names only rows above it, so that there is no
/// circle.
const PLAN: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("ambient", &["event"]),
    ("telemetry", &["event"]),
    ("route", &["event"]),
    ("source", &["event", "ambient", "telemetry", "route"]),
    ("enrich", &["event", "ambient", "route", "source"]),
    ("contract", &["event", "ambient", "source", "enrich"]),
    ("eventlog", &["event", "ambient", "telemetry"]),
    ("identify", &["event", "source", "enrich", "contract", "eventlog"]),
    ("egress", &["event", "ambient"]),
    ("keys", &["event", "ambient", "telemetry", "eventlog", "egress"]),
    ("subscriptions", &["event", "ambient", "telemetry", "route", "eventlog", "keys"]),
    ("seal", &["event", "ambient", "keys"]),
    (
        "deliver",
        &[
            "event",
            "ambient",
            "telemetry",
            "route",
            "eventlog",
            "egress",
            "keys",
            "subscriptions",
            "seal",
        ],
    ),
    ("jobs", &["event", "ambient", "telemetry", "route", "eventlog", "subscriptions", "deliver"]),
    (
        "api",
        &[
            "event",
            "ambient",
            "telemetry",
            "route",
            "source",
            "enrich",
            "contract",
            "eventlog",
            "egress",
            "keys",
            "subscriptions",
            "seal",
            "deliver",
            "jobs",
        ],
    ),
    ("console", &[]),
    (
        "config",
        &[
            "event",
            "ambient",
            "telemetry",
            "route",
            "source",
            "enrich",
            "contract",
            "eventlog",
            "egress",
            "keys",
            "subscriptions",
            "seal",
            "deliver",
            "jobs",
            "api",
        ],
    ),
    ("gateway", EVERY_ROOM_ABOVE),
    ("cli", EVERY_ROOM_ABOVE),
];

/// For the two rooms that put the others together.
const EVERY_ROOM_ABOVE: &[&str] = &["*"];

/// Rooms that turn bytes into values and do nothing else.
const PURE: &[&str] = &["event", "contract", "enrich", "identify", "route", "seal"];

/// What a pure room does not name.
const INPUT_AND_OUTPUT: &[&str] = &[
    "tokio::",
    "axum::",
    "reqwest::",
    "hyper",
    "rusqlite::",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::env",
    "std::process",
];

/// The most lines of a file before its tests.
const FILE_LINES: usize = 400;

/// One file of `src/`.
struct Source {
    path: String,
    room: String,
    /// Everything before the tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let describe = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        let below = file.strip_prefix(&root).unwrap();
        let room = below.components().next().unwrap().as_os_str().to_str().unwrap();
        Source {
            path: below.display().to_string(),
            room: room.to_owned(),
            code: text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned(),
        }
    };
    files.into_iter().map(describe).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory can be read") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Folders of tests only are laid out as their tests need.
            if !path.ends_with("tests") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Gives the places where a file breaks a rule, by line.
fn breaches(source: &Source, breaks: impl Fn(&str) -> Option<String>) -> String {
    let mut found = String::new();
    for (number, line) in source.code.lines().enumerate() {
        let is_prose = line.trim_start().starts_with("//");
        if let Some(breach) = (!is_prose).then(|| breaks(line)).flatten() {
            writeln!(found, "src/{}:{}: {breach}", source.path, number + 1).unwrap();
        }
    }
    found
}

/// The rooms that a line names.
fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    line.split("crate::").skip(1).filter_map(move |rest| rest.split(ends).next())
}

fn assert_none(found: &str) {
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn the_plan_has_no_circle() {
    let order: BTreeMap<_, _> =
        PLAN.iter().enumerate().map(|(index, (room, _))| (*room, index)).collect();

    for (room, allowed) in PLAN {
        for named in allowed.iter().filter(|named| **named != "*") {
            assert!(order[named] < order[room], "{room} names {named}, which stands below it");
        }
    }
}

#[test]
fn every_room_has_a_row_in_the_plan_and_a_line_in_lib() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let door = fs::read_to_string(root.join("lib.rs")).unwrap();
    let listed: Vec<_> = door.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();

    for entry in fs::read_dir(&root).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
        let room = entry.file_name().into_string().unwrap();
        assert!(PLAN.iter().any(|(name, _)| *name == room), "{room} has no row");
        assert!(listed.contains(&format!("{room};").as_str()), "{room} is not in lib.rs");
    }
}

#[test]
fn a_room_names_only_the_rooms_that_its_row_allows() {
    let order = |room: &str| PLAN.iter().position(|(name, _)| *name == room);
    let mut found = String::new();

    for source in sources() {
        let Some((room, allowed)) = PLAN.iter().find(|(name, _)| *name == source.room) else {
            continue;
        };
        found += &breaches(&source, |line| {
            let may = |named: &str| {
                named == *room
                    || allowed.contains(&named)
                    || (allowed.contains(&"*") && order(named) < order(room))
            };
            rooms_named(line)
                .find(|named| !may(named))
                .map(|named| format!("`{room}` may not name `{named}`"))
        });
    }

    assert_none(&found);
}

#[test]
fn pure_rooms_do_no_input_and_output() {
    let mut found = String::new();

    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str())) {
        found += &breaches(source, |line| {
            let named = INPUT_AND_OUTPUT.iter().find(|name| line.contains(**name))?;
            Some(format!("a pure room names `{named}`"))
        });
    }

    assert_none(&found);
}

#[test]
fn imports_stand_on_lines_of_their_own_and_climb_no_further_than_one_door() {
    let mut found = String::new();

    for source in sources() {
        found += &breaches(&source, |line| {
            ["crate::{", "super::super"]
                .into_iter()
                .find(|form| line.contains(form))
                .map(|form| format!("`{form}`"))
        });
    }

    assert_none(&found);
}

#[test]
fn every_file_says_what_it_is_for() {
    let sources = sources();
    let silent = sources.iter().filter(|source| !source.code.starts_with("//! "));
    let paths: Vec<_> = silent.map(|source| source.path.as_str()).collect();

    assert_none(&paths.join("\n"));
}

#[test]
fn a_file_has_one_duty() {
    let mut found = String::new();

    for source in sources() {
        let lines = source.code.lines().count();
        if lines > FILE_LINES {
            writeln!(found, "src/{}: {lines} lines; look for its second duty", source.path)
                .unwrap();
        }
    }

    assert_none(&found);
}

#[test]
fn a_door_has_no_logic() {
    let mut found = String::new();

    for source in sources().iter().filter(|source| source.path.ends_with("mod.rs")) {
        found += &breaches(source, |line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.contains(&"fn").then(|| "a door has no functions".to_owned())
        });
    }

    assert_none(&found);
}
