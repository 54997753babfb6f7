//! The members that each line of a bundle may have: a verifier of before tells what it does not know.

use serde_json::{Map, Value};

use crate::seal::evidence::Examiner;

/// Names of unknown members that are told.
const MOST_UNKNOWN: usize = 32;
/// Characters of such a name that are told.
const LONGEST_NAME: usize = 64;

/// What a line of a kind has; nothing for a kind that is none, or has one form alone.
const fn of_kind(kind: &str) -> &'static [&'static str] {
    match kind.as_bytes() {
        b"evidence" => &[
            "version",
            "issuer",
            "audience",
            "subscription",
            "from",
            "to",
            "at",
            "tree",
            "incarnation",
            "previous",
            "aliases",
            "asked",
            "sub_digest",
        ],
        b"subscription" => &["asked", "token"],
        b"keys" => &["jwks"],
        b"receipt-keys" => &["jwks", "fetched", "problem", "kept"],
        b"checkpoint" | b"closing" => &["token"],
        b"incarnation" => &["token", "proof"],
        b"contract" => &["dataschema", "schema", "document", "sha256"],
        b"event" => &[
            "id",
            "seq",
            "prv",
            "digest",
            "token_sha256",
            "token",
            "receipts",
            "inclusion",
            "state",
            "dead_letter",
        ],
        b"consistency" => &["proof"],
        b"note" => &["note", "proof"],
        _ => &[],
    }
}

impl Examiner<'_> {
    /// Notes the members of a line that are of a later gateway, and that nothing is held against.
    pub(super) fn note_unknown(&mut self, kind: &str, members: &Map<String, Value>) {
        let known = of_kind(kind);
        for name in members.keys() {
            let is_known = name == "kind" || known.contains(&&**name) || known.is_empty();
            if !is_known && self.unknown_members.len() < MOST_UNKNOWN {
                let name: String = name.chars().take(LONGEST_NAME).collect();
                self.unknown_members.insert(format!("{kind}.{name}"));
            }
        }
    }
}
