//! The pages lead to files that are there.

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

/// Where the links of a page lead below the repository, without the places within other pages.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = links.filter(|link| !link.contains(':') && !link.starts_with('#'));
    local.filter_map(|link| link.split('#').next())
}

#[test]
fn every_link_of_a_page_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_the_top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut found = String::new();

    for page in pages(&root.join("docs")).into_iter().chain(at_the_top.map(|name| root.join(name)))
    {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            if !page.parent().unwrap().join(target).exists() {
                let page = page.strip_prefix(root).unwrap().display();
                writeln!(found, "{page}: {target}").unwrap();
            }
        }
    }

    assert_none(&found);
}

#[test]
fn links_are_found_where_they_stand_and_addresses_are_left_alone() {
    let text = "a [b](../c.rs), [d](https://e.example/f) and [g](h.md#i)\n[j](#k) [l](m/)";

    assert_eq!(targets(text).collect::<Vec<_>>(), ["../c.rs", "h.md", "m/"]);
}
