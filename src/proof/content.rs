//! The digest of an event's content, computed from what was in a token.

use serde_json::Value;

use crate::event::{ContentDigest, EventSource, EventType, Subject};
use crate::identify::Content;

/// The digest of an event's content; nothing if it is no CloudEvent of a gateway.
pub fn content_digest(event: &Value) -> Option<ContentDigest> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let subject = text("subject").map(Subject::new).transpose().ok()?;
    let (source, kind) = (EventSource::new(text("source")?), EventType::new(text("type")?));
    let content =
        Content::of(&source.ok()?, &kind.ok()?, subject.as_ref(), event.get("data")?).ok()?;
    Some(content.digest())
}
