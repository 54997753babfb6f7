//! The pages lead to files, and to places in pages, that are there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::sources::assert_none;

/// The pages below a folder of the repository.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of pages can be read");
    let mut pages = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            pages.extend(self::pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// Where the links of a page lead below the repository: a file, or none for the page itself, and a place in it.
fn targets(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = links.filter(|link| !link.contains(':'));
    local.map(|link| link.split_once('#').map_or((link, None), |(file, place)| (file, Some(place))))
}

/// The places of a page: its headings, as links name them.
fn places(text: &str) -> impl Iterator<Item = String> {
    let mut is_code = false;
    let outside = text.lines().filter(move |line| {
        is_code ^= line.starts_with("```");
        !is_code && line.starts_with('#')
    });
    let headings = outside.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    headings.map(|heading| {
        let heading = heading.trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    })
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_to_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_the_top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut found = String::new();

    for page in pages(&root.join("docs")).into_iter().chain(at_the_top.map(|name| root.join(name)))
    {
        let text = fs::read_to_string(&page).unwrap();
        for (file, place) in targets(&text) {
            let to = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let is_there = to.exists()
                && place.filter(|_| to.extension().is_some_and(|kind| kind == "md")).is_none_or(
                    |place| places(&fs::read_to_string(&to).unwrap()).any(|one| one == place),
                );
            if !is_there {
                let page = page.strip_prefix(root).unwrap().display();
                writeln!(found, "{page}: {file}#{}", place.unwrap_or_default()).unwrap();
            }
        }
    }

    assert_none(&found);
}

#[test]
fn links_are_found_where_they_stand_and_addresses_are_left_alone() {
    let text = "a [b](../c.rs), [d](https://e.example/f) and [g](h.md#i)\n[j](#k) [l](m/)";

    let expected = [("../c.rs", None), ("h.md", Some("i")), ("", Some("k")), ("m/", None)];
    assert_eq!(targets(text).collect::<Vec<_>>(), expected);
    let page = "# A `b`: c_d, e\n## F\n```\n# g\n```\n#h\n i\n";
    assert_eq!(places(page).collect::<Vec<_>>(), ["a-b-c_d-e", "f"]);
}
