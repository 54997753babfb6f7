//! No two files need each other: what both need lies in a third file below them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::architecture::imports::{Edges, Modules};
use crate::architecture::sources::{Source, assert_none, sources};

/// Rooms whose circles are not opened yet.
const NOT_YET: &[&str] = &[];

/// The circles of files, each told by its steps.
fn circles(sources: &[Source]) -> String {
    let mut edges = Modules::of(sources).edges();
    let mut told = String::new();
    while let Some(circle) = circle_in(&edges) {
        writeln!(told, "a circle of {} files:", circle.len()).unwrap();
        let mut next: Vec<String> = circle.clone();
        next.rotate_left(1);
        for (from, to) in circle.iter().zip(&next) {
            let names = &edges[from][to];
            let is_whole =
                |name: &&String| !names.iter().any(|other| other.starts_with(&format!("{name}::")));
            let names: Vec<_> = names.iter().filter(is_whole).map(String::as_str).collect();
            writeln!(told, "    src/{from} -> src/{to}: {}", names.join(", ")).unwrap();
        }
        // The next one is looked for as if this one had been opened.
        edges.get_mut(circle.last().unwrap()).unwrap().remove(&circle[0]);
    }
    told
}

/// Some circle, if there is one.
fn circle_in(edges: &Edges) -> Option<Vec<String>> {
    let mut left = edges.clone();
    // Who needs nobody that is left is in no circle.
    loop {
        let files: BTreeSet<String> = left.keys().cloned().collect();
        for to in left.values_mut() {
            to.retain(|to, _| files.contains(to));
        }
        left.retain(|_, to| !to.is_empty());
        if left.len() == files.len() {
            break;
        }
    }
    let mut walked: Vec<String> = vec![left.keys().next()?.clone()];
    loop {
        let step = left[walked.last()?].keys().next()?.clone();
        if let Some(before) = walked.iter().position(|file| *file == step) {
            return Some(walked.split_off(before));
        }
        walked.push(step);
    }
}

#[test]
fn no_files_form_a_circle() {
    let mut sources = sources();
    sources.retain(|source| !NOT_YET.contains(&source.room.as_str()));

    assert_none(&circles(&sources));
}

#[test]
fn a_circle_is_found_also_through_a_door_and_told_with_its_names() {
    let files = |keys: &str| {
        [
            ("room/mod.rs", "mod key;\nmod lock;\n\npub use lock::{Bolt, Lock as Latch};\n"),
            ("room/key.rs", keys),
            (
                "room/lock.rs",
                "use crate::room::key::Key;\n\npub struct Bolt(Key);\npub struct Lock;",
            ),
        ]
        .map(|(path, text)| Source::new(path, text))
    };
    let by_import = "use crate::room::Latch;\n\npub struct Key(Latch);\n";
    let by_mention = "pub struct Key(crate::room::Latch);\n";
    let by_door = "use crate::room;\n\npub struct Key(room::Latch);\n";
    let in_a_list = "use crate::{\n    event::{self, Fault},\n    room::{lock, key},\n};\n";

    for keys in [by_import, by_mention, by_door, in_a_list] {
        let told = circles(&files(keys));

        assert!(told.starts_with("a circle of 2 files:\n"), "{keys}: {told}");
        assert!(told.contains("src/room/lock.rs -> src/room/key.rs: crate::room::key::Key\n"));
        assert!(told.contains("src/room/key.rs -> src/room/lock.rs: "), "{told}");
    }
    let with_others =
        "use crate::room::Latch;\nuse crate::event::Fault;\n\npub struct Key(Latch);\n";
    assert!(circles(&files(with_others)).contains("circle of 2 files"));
    let in_its_tests =
        "pub struct Key;\n\n#[cfg(test)]\nmod tests {\n    use crate::room::Latch;\n}\n";
    assert_eq!(circles(&files(in_its_tests)), "");
    assert_eq!(circles(&files("use other::room::Latch;\n\npub struct Key(Latch);\n")), "");
}
