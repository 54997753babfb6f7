//! Holds what a command prints for programs against the page that describes it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Each member of an object stands on a page, in code style.
pub fn assert_members_are_documented(printed: &Value, page: &str) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let members = printed.as_object().unwrap();
    assert!(!members.is_empty());
    for member in members.keys() {
        assert!(text.contains(&format!("`{member}`")), "{page} does not tell of `{member}`");
    }
}
