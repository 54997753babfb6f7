//! A name that leaves its room is unique: whoever searches for it finds one thing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::architecture::imports::{imports, items};
use crate::architecture::sources::{Source, assert_none, sources};
use crate::architecture::wings::has_wings;

/// What is written before the name of a type.
const TYPES: &[&str] = &["struct", "enum", "union", "trait", "type"];

/// Names that several rooms give away, each with its reason.
const SHARED: &[(&str, &str)] =
    &[("Config", "every room owns its settings, and says its own name with them: `keys::Config`")];

/// Whether other rooms import through a file: the door of a room, of a wing, or of a folder that its
/// room shows.
fn is_seen_from_outside(source: &Source, sources: &[Source]) -> bool {
    let shows = |room: &str, folder: &str| {
        let door = sources.iter().find(|source| source.path == format!("{room}/mod.rs"));
        let shown = format!("\npub mod {folder};");
        has_wings(room) || door.is_some_and(|door| door.code.contains(&shown))
    };
    match source.path.split('/').collect::<Vec<_>>()[..] {
        [_, "mod.rs"] => true,
        [room, folder, "mod.rs"] => shows(room, folder),
        _ => false,
    }
}

/// The public types of files that their room shows whole, with `pub mod`.
fn shown_files(sources: &[Source]) -> impl Iterator<Item = (Vec<String>, &str)> {
    sources.iter().filter_map(|source| {
        let [room, file] = source.path.split('/').collect::<Vec<_>>()[..] else { return None };
        let shown = format!("\npub mod {};", file.trim_end_matches(".rs"));
        let door = sources.iter().find(|door| door.path == format!("{room}/mod.rs"))?;
        let public: String = source
            .code
            .lines()
            .filter(|line| line.starts_with("pub "))
            .fold(String::new(), |text, line| text + line + "\n");
        let names = items(&public, TYPES).map(str::to_owned).collect();
        door.code.contains(&shown).then_some((names, source.path.as_str()))
    })
}

/// The types that a door passes on and that are defined in more than one place.
fn repeated(sources: &[Source]) -> String {
    let mut defined: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for name in items(&source.code, TYPES) {
            defined.entry(name).or_default().push(&source.path);
        }
    }
    let mut leaving: BTreeMap<String, &str> = BTreeMap::new();
    for door in sources.iter().filter(|source| is_seen_from_outside(source, sources)) {
        let folder = door.path.trim_end_matches("/mod.rs");
        let passed_on = imports(&door.statements()).into_iter().filter(|import| import.is_public);
        leaving.extend(passed_on.map(|import| (import.name, folder)));
    }
    let mut found = String::new();
    for door in sources.iter().filter(|source| source.is_door()) {
        if door.statements().lines().any(|line| line.starts_with("pub use") && line.contains('*')) {
            writeln!(found, "src/{} passes on more than it names", door.path).unwrap();
        }
    }
    for (shown, file) in shown_files(sources) {
        leaving.extend(shown.into_iter().map(|name| (name, file)));
    }
    for (name, folder) in leaving {
        let places = defined.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        if places.len() > 1 && !SHARED.iter().any(|(shared, _)| *shared == name) {
            writeln!(found, "`{name}` of {folder} is defined in {}", places.join(", ")).unwrap();
        }
    }
    found
}

#[test]
fn a_name_that_leaves_its_room_is_unique() {
    assert_none(&repeated(&sources()));
}

#[test]
fn a_name_that_is_given_away_twice_or_is_also_used_inside_is_found() {
    let files = |other: &str| {
        [
            (
                "keys/mod.rs",
                "mod ring;\n\npub use ring::{Ring, Step as RingStep};\nuse ring::Own;\n",
            ),
            (
                "keys/ring.rs",
                "pub struct Ring;\npub enum Step {}\nstruct Own;\nstruct Share;\npub struct Config;\n",
            ),
            ("seal/mod.rs", "mod inner;\npub mod outer;\nmod other;\n\npub use other::Config;\n"),
            ("seal/inner/mod.rs", "pub use ring::Own;\n"),
            ("seal/outer/mod.rs", "pub use ring::Share;\n"),
            ("seal/other.rs", other),
        ]
        .map(|(path, text)| Source::new(path, text))
    };
    let unique = "pub struct Config;\nstruct Own;\npub trait Step {\n    type Ring;\n}\n\n\
                  #[cfg(test)]\nmod tests {\n}\nstruct Ring;\n";

    assert_eq!(repeated(&files(unique)), "");
    let share = "`Share` of seal/outer is defined in keys/ring.rs, seal/other.rs\n";
    assert_eq!(repeated(&files("pub struct Share(());")), share);
    let told = "`Ring` of keys is defined in keys/ring.rs, seal/other.rs\n";
    for own in ["struct Ring;", "pub(super) enum Ring {", "pub type Ring<T> = Vec<T>;"] {
        assert_eq!(repeated(&files(own)), told, "{own}");
    }
}
