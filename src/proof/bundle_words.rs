//! What single lines of a bundle say of events and trees, whoever may have written them.

use serde_json::Value;

use crate::event::{EventDigest, EventId, Timestamp, json};
use crate::seal::evidence::LONGEST_LINE;
use crate::transparency::TreeHead;

/// What a line says, as far as it can be read. Nothing of it is verified here.
#[derive(Debug)]
pub struct BundleWords {
    /// When the line was made; the beginning of time where it does not say.
    pub(super) at: Timestamp,
    /// The incarnation of the log then.
    pub(super) incarnation: u64,
    /// The tree over the log then.
    pub(super) tree: Option<TreeHead>,
    /// Of the first line alone.
    pub(super) header: Option<HeaderWords>,
    /// Whether it is a place.
    pub(super) is_place: bool,
    /// The last event before a place.
    pub(super) head: Option<EventId>,
    /// The event.
    pub(super) event: Option<EventWords>,
}

/// What the first line says.
#[derive(Debug)]
pub(super) struct HeaderWords {
    pub(super) issuer: String,
    pub(super) to: Option<EventId>,
}

/// What an event's line says.
#[derive(Debug)]
pub(super) struct EventWords {
    pub(super) id: EventId,
    pub(super) digest: EventDigest,
    /// The index of its leaf, counted from the first position of the tree.
    pub(super) position: Option<u64>,
}

impl BundleWords {
    /// Reads a line; nothing if it says nothing of these.
    pub(super) fn of(line: &[u8], header_tree: Option<TreeHead>) -> Option<Self> {
        let line = json::read(line.trim_ascii_end(), json::Limits::new(LONGEST_LINE, 96)).ok()?;
        let none = Self {
            at: Timestamp::EPOCH,
            incarnation: 1,
            tree: None,
            header: None,
            is_place: false,
            head: None,
            event: None,
        };
        match line.get("kind")?.as_str()? {
            "evidence" => Some(Self {
                at: parsed(&line, "at")?,
                incarnation: incarnation(&line),
                tree: tree(&line),
                header: Some(HeaderWords {
                    issuer: line.get("issuer")?.as_str()?.to_owned(),
                    to: parsed(&line, "to"),
                }),
                ..none
            }),
            "checkpoint" => {
                let claims = claims(line.get("token")?.as_str()?)?;
                let issued = claims.get("iat")?.as_i64()?;
                Some(Self {
                    at: Timestamp::from_unix_seconds(issued),
                    incarnation: incarnation(&claims),
                    tree: tree(&claims),
                    is_place: true,
                    head: parsed(&claims, "head"),
                    ..none
                })
            }
            "event" => {
                let index = line.pointer("/inclusion/index").and_then(Value::as_u64);
                let position = header_tree.zip(index);
                let position = position.and_then(|(tree, index)| tree.first.checked_add(index));
                let (id, digest) = (parsed(&line, "id")?, parsed(&line, "digest")?);
                Some(Self { event: Some(EventWords { id, digest, position }), ..none })
            }
            _ => None,
        }
    }
}

fn parsed<T: std::str::FromStr>(line: &Value, name: &str) -> Option<T> {
    line.get(name)?.as_str()?.parse().ok()
}

fn incarnation(line: &Value) -> u64 {
    line.get("incarnation").and_then(Value::as_u64).unwrap_or(1)
}

fn tree(line: &Value) -> Option<TreeHead> {
    serde_json::from_value(line.get("tree")?.clone()).ok()
}

/// The claims of a JWS.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
    json::read(&payload, json::Limits::new(LONGEST_LINE, 32)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_stands_at_its_leaf_of_the_trees_first_position() {
        let head = json!({ "first": 7, "size": 3, "root": "A".repeat(43) });
        let head: TreeHead = serde_json::from_value(head).unwrap();
        let line = json!({
            "kind": "event", "id": EventId::MIN.to_string(), "digest": "07".repeat(32),
            "inclusion": { "index": 2, "proof": [] },
        });
        let position = |tree| {
            let words = BundleWords::of(format!("{line}\n").as_bytes(), tree).unwrap();
            words.event.unwrap().position
        };

        assert_eq!(position(Some(head)), Some(9));
        assert_eq!(position(None), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_passed_over(
            line in prop_oneof![
                "\\PC{0,80}",
                "\\{\"kind\":\"(event|checkpoint|evidence)\",\"(id|token|at)\":\"[a-zA-Z0-9._-]{0,30}\",\"(digest|issuer|tree)\":(7|\"x\"|\\{\\})\\}\n",
            ],
        ) {
            if let Some(words) = BundleWords::of(line.as_bytes(), None) {
                prop_assert!(words.event.is_none() || line.contains("digest"));
            }
        }
    }
}
