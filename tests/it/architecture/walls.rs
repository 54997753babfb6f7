//! The walls of the house: which room may name which, and what a door is.

use std::collections::BTreeMap;
use std::fs;

use crate::architecture::sources::{assert_none, root, sources};

/// Every room, and the rooms that it may name. A row names only rows above it, so that there is no
/// circle.
const PLAN: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("ambient", &["event"]),
    ("telemetry", &["event"]),
    ("transparency", &["event"]),
    ("route", &["event"]),
    ("egress", &["event", "ambient"]),
    ("aws", &["event", "ambient", "egress"]),
    ("source", &["event", "ambient", "telemetry", "route", "aws"]),
    ("enrich", &["event", "ambient", "route", "source"]),
    ("contract", &["event", "ambient", "source", "enrich"]),
    ("eventlog", &["event", "ambient", "telemetry", "transparency"]),
    ("identify", &["event", "source", "enrich", "contract", "eventlog"]),
    ("keys", &["event", "ambient", "telemetry", "transparency", "eventlog", "egress"]),
    ("witness", &["event", "ambient", "telemetry", "transparency", "eventlog", "egress", "keys"]),
    ("access", &["event", "ambient", "telemetry", "eventlog"]),
    ("subscriptions", &["event", "ambient", "telemetry", "route", "eventlog", "keys", "access"]),
    ("seal", &["event", "ambient", "transparency", "keys"]),
    ("proof", &["event", "transparency", "route", "contract", "identify", "keys", "seal"]),
    (
        "deliver",
        &[
            "event",
            "ambient",
            "telemetry",
            "transparency",
            "route",
            "eventlog",
            "egress",
            "aws",
            "keys",
            "access",
            "subscriptions",
            "seal",
        ],
    ),
    (
        "jobs",
        &[
            "event",
            "ambient",
            "telemetry",
            "route",
            "eventlog",
            "access",
            "subscriptions",
            "deliver",
        ],
    ),
    ("archive", &["event", "ambient", "telemetry", "eventlog", "egress", "aws"]),
    (
        "api",
        &[
            "event",
            "ambient",
            "telemetry",
            "transparency",
            "route",
            "source",
            "enrich",
            "contract",
            "eventlog",
            "egress",
            "aws",
            "keys",
            "witness",
            "access",
            "subscriptions",
            "seal",
            "deliver",
            "jobs",
            "archive",
        ],
    ),
    ("console", &[]),
    (
        "config",
        &[
            "event",
            "ambient",
            "telemetry",
            "transparency",
            "route",
            "source",
            "enrich",
            "contract",
            "eventlog",
            "egress",
            "aws",
            "keys",
            "access",
            "subscriptions",
            "seal",
            "deliver",
            "jobs",
            "archive",
            "api",
        ],
    ),
    ("gateway", EVERY_ROOM_ABOVE),
    ("cli", EVERY_ROOM_ABOVE),
];

/// For the two rooms that put the others together.
const EVERY_ROOM_ABOVE: &[&str] = &["*"];

/// Rooms that turn bytes into values and do nothing else.
const PURE: &[&str] =
    &["event", "contract", "enrich", "identify", "route", "seal", "proof", "transparency"];

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

/// The rooms that a line names.
fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    line.split("crate::").skip(1).filter_map(move |rest| rest.split(ends).next())
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
    let root = root();
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
        found += &source.breaches(|line| {
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
        found += &source.breaches(|line| {
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
        found += &source.breaches(|line| {
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
fn a_door_has_no_logic() {
    let mut found = String::new();

    for source in sources().iter().filter(|source| source.path.ends_with("mod.rs")) {
        found += &source.breaches(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.contains(&"fn").then(|| "a door has no functions".to_owned())
        });
    }

    assert_none(&found);
}
