//! The codes of violations are a promise to programs: the code and the documents list the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The files that give violations their codes, and how a code begins there.
const GIVEN: &[(&str, &str)] = &[
    ("src/contract/assertion.rs", "(\""),
    ("src/contract/bounds.rs", "=> \""),
    ("src/contract/explaining.rs", "report(\""),
    ("src/contract/explaining.rs", "(branches, \""),
    ("src/contract/explaining.rs", "code: \""),
    ("src/contract/rules.rs", "code: \""),
    ("src/contract/undeclared.rs", "code: \""),
    ("src/contract/gate.rs", "code: \""),
    ("src/contract/crossing_identity.rs", "code: \""),
    ("src/enrich/enriched.rs", "} => \""),
    ("src/enrich/enriched.rs", "(_) => \""),
    ("src/enrich/enriched.rs", "Inexact => \""),
    ("src/identify/identified.rs", "=> \""),
    ("src/gateway/choosing.rs", "code: \""),
];

/// The pages and headings below which a table lists them.
const LISTED: &[(&str, &str)] =
    &[("docs/contracts.md", "\n## Violations\n"), ("docs/errors.md", "\n## Codes of violations\n")];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

fn given() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (path, before) in GIVEN {
        let text = read(path);
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code: String = code.lines().map(str::trim).collect();
        // Of a message, which stands in quotes too, no part looks like a code up to its end quote.
        let quoted = code.split(before).skip(1).filter_map(|rest| rest.split('"').next());
        let found: Vec<_> = quoted.filter(|text| is_code(text)).map(str::to_owned).collect();
        assert!(!found.is_empty(), "{path} gives no code");
        codes.extend(found);
    }
    codes
}

fn listed() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (path, heading) in LISTED {
        let text = read(path);
        let section = text.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
        let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        codes.extend(quoted.filter(|text| is_code(text)).map(str::to_owned));
    }
    codes
}

#[test]
fn every_code_of_a_violation_is_listed_and_no_other() {
    assert_eq!(given(), listed());
}
