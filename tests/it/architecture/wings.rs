//! Rooms with wings: which wing may name which.

use std::fmt::Write as _;
use std::fs;

use crate::architecture::sources::{Source, assert_none, root, sources};

/// The wings of a room, each with those that it may name. A row names only rows above it.
type Wings = &'static [(&'static str, &'static [&'static str])];

/// Every room that has wings. A wing is a folder with a door, or one file.
const WINGS: &[(&str, Wings)] = &[(
    "deliver",
    &[
        ("sink", &[]),
        ("outcome", &["sink"]),
        ("limits", &["sink", "outcome"]),
        ("config", &["sink", "outcome", "limits"]),
        ("attempt", &["sink", "outcome"]),
        ("worker", &["outcome", "limits", "attempt"]),
        ("dispatch", &["sink", "limits", "attempt", "worker"]),
        ("handshake", &["sink", "outcome", "attempt", "dispatch"]),
        ("pull", &["outcome", "attempt", "worker", "dispatch"]),
        ("explain", &["outcome", "limits", "worker", "dispatch"]),
    ],
)];

/// Whether a room has wings.
pub fn has_wings(room: &str) -> bool {
    WINGS.iter().any(|(name, _)| *name == room)
}

/// The wing that a file is in; nothing for the door of the room.
fn wing_of(source: &Source) -> Option<&str> {
    let wing = source.path.split('/').nth(1)?;
    Some(wing.trim_end_matches(".rs")).filter(|wing| *wing != "mod")
}

/// How a row breaks the plan of its room: it names a row that does not stand above it.
fn misplaced(room: &str, wings: Wings) -> String {
    let mut found = String::new();
    for (index, (wing, may_name)) in wings.iter().enumerate() {
        let is_above = |named: &&&str| !wings[..index].iter().any(|(above, _)| above == *named);
        for named in may_name.iter().filter(is_above) {
            writeln!(found, "`{room}::{wing}` names `{named}`, which does not stand above it")
                .unwrap();
        }
    }
    found
}

/// How a line of a wing's file breaks the plan: it names a wing that it may not, or something through
/// the door of the room.
fn breach(room: &str, wings: Wings, wing: &str, line: &str) -> Option<String> {
    let may_name = wings.iter().find(|(name, _)| *name == wing).map_or(&[][..], |(_, may)| *may);
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    if [";", " as ", ", "].iter().any(|end| line.contains(&format!("crate::{room}{end}"))) {
        return Some(format!("`{room}::{wing}` imports its whole room: name the wing"));
    }
    let room_named = format!("crate::{room}::");
    let steps = line.split(&room_named).skip(1);
    let mut named = steps.map(|rest| rest.split(ends).next().unwrap_or_default());
    let wrong = named.find(|named| *named != wing && !may_name.contains(named))?;
    Some(if wings.iter().any(|(name, _)| *name == wrong) {
        format!("`{room}::{wing}` may not name `{room}::{wrong}`")
    } else {
        format!("`{room}::{wing}` imports through the door of its room: name the wing")
    })
}

/// How a line of a wing's door leaves the wing upwards.
fn climbs(line: &str) -> Option<String> {
    line.contains("super::").then(|| "`super::` leads through the door of the room".to_owned())
}

#[test]
fn the_plan_of_wings_has_no_circle() {
    assert_none(&WINGS.iter().map(|(room, wings)| misplaced(room, wings)).collect::<String>());
}

#[test]
fn every_wing_has_a_row_and_a_door() {
    let mut found = String::new();
    for (room, wings) in WINGS.iter().filter(|(_, wings)| !wings.is_empty()) {
        for source in sources().iter().filter(|source| source.room == *room) {
            let wing = wing_of(source);
            if wing.is_some_and(|wing| !wings.iter().any(|(name, _)| *name == wing)) {
                writeln!(found, "src/{} is in no wing of the plan", source.path).unwrap();
            }
        }
        for (wing, _) in *wings {
            let door = root().join(room).join(wing).join("mod.rs");
            let file = root().join(room).join(wing).with_extension("rs");
            let says = fs::read_to_string(door).or_else(|_| fs::read_to_string(file));
            if !says.is_ok_and(|text| text.starts_with("//! ")) {
                writeln!(found, "`{room}::{wing}` has no door that says what it is for").unwrap();
            }
        }
    }

    assert_none(&found);
}

#[test]
fn a_wing_names_only_the_wings_that_its_row_allows() {
    let mut found = String::new();
    for (room, wings) in WINGS.iter().filter(|(_, wings)| !wings.is_empty()) {
        for source in sources().iter().filter(|source| source.room == *room) {
            let Some(wing) = wing_of(source) else { continue };
            found += &source.breaches(|line| breach(room, wings, wing, line));
            // From a door, and from a wing of one file, one step up is the room.
            if source.is_door() || source.path.split('/').count() == 2 {
                found += &source.breaches(climbs);
            }
        }
    }

    assert_none(&found);
}

#[test]
fn a_line_that_leaves_its_wing_by_another_way_is_found() {
    const ROOMS: Wings = &[("sink", &[]), ("limits", &[]), ("attempt", &["sink", "limits"])];
    let says = |wing: &str, line: &str| breach("deliver", ROOMS, wing, line).unwrap_or_default();

    for (wing, line) in [
        ("attempt", "use crate::deliver::sink::Destination;"),
        ("attempt", "use crate::deliver::attempt::judge;"),
        ("attempt", "    let breaker = crate::deliver::limits::Breaker::new();"),
        ("sink", "use crate::keys::KeySet;"),
        ("sink", "use super::handshake;"),
    ] {
        assert_eq!(says(wing, line), "", "{wing}: {line}");
    }
    assert!(says("sink", "use crate::deliver::attempt::judge;").contains("may not name"));
    assert!(says("limits", "use crate::deliver::sink::{self, Destination};").contains("may not"));
    for line in
        ["use crate::deliver::Destination;", "use crate::deliver::{", "use crate::deliver::*;"]
    {
        assert!(says("attempt", line).contains("through the door"), "{line}");
    }
    for line in
        ["use crate::deliver;", "use crate::deliver as room;", "use crate::{deliver, route};"]
    {
        let is_found = says("attempt", line).contains("whole room");
        // Braces after `crate` are refused everywhere.
        assert_eq!(is_found, !line.contains('{'), "{line}");
    }
    assert_eq!(says("attempt", "    pub(in crate::deliver) log: Log,"), "");
    assert!(climbs("use super::attempt::judge;").is_some());
    assert!(climbs("    pub(super) judge: Judge,").is_none());
    assert_eq!(misplaced("deliver", ROOMS), "");
    assert!(misplaced("deliver", &[("a", &["b"]), ("b", &[])]).contains("`deliver::a` names `b`"));
    assert!(misplaced("deliver", &[("a", &["a"])]).contains("above"));
    let place = |path| wing_of(&Source::new(path, "")).map(str::to_owned);
    assert_eq!(place("deliver/sink/http.rs").as_deref(), Some("sink"));
    assert_eq!(place("deliver/config.rs").as_deref(), Some("config"));
    assert_eq!(place("deliver/mod.rs"), None);
}
