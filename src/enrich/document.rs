//! The document that a patch reads: the envelope, the publication's constants, and the data so far.

use std::borrow::Cow;

use json_patch::jsonptr::{Pointer, Resolve as _};
use serde_json::Value;

use crate::source::Envelope;

/// What a patch can read beside the data that it makes. Nothing of it is copied before it is asked
/// for, so the size of an event costs nothing that a patch does not take.
#[derive(Clone, Copy)]
pub(super) struct PatchedDocument<'a> {
    /// The event as its bus described it: every member of [`Envelope::to_tree`].
    pub envelope: &'a Envelope,
    /// The publication's constants, below `/context`.
    pub context: &'a Value,
}

impl<'a> PatchedDocument<'a> {
    /// Finds what `pointer` names, where `data` is what lies below `/data`.
    pub fn find(self, pointer: &Pointer, data: &'a Value) -> Option<Cow<'a, Value>> {
        let (member, rest) = pointer.split_front()?;
        let envelope = self.envelope;
        let below = |tree: &'a Value| tree.resolve(rest).ok().map(Cow::Borrowed);
        let text = |text: &str| rest.is_root().then(|| Cow::Owned(Value::from(text)));
        match member.decoded().as_ref() {
            "data" => below(data),
            "detail" => below(&envelope.detail),
            "context" => below(self.context),
            "id" => text(&envelope.id),
            "source" => text(&envelope.source),
            "detail-type" => text(&envelope.detail_type),
            "time" => text(&envelope.time.to_string()),
            "account" => text(envelope.account.as_deref().unwrap_or_default()),
            "region" => text(envelope.region.as_deref().unwrap_or_default()),
            "replay-name" => envelope.replay_name.as_deref().and_then(text),
            "version" => text("0"),
            "resources" => {
                let resources = Value::from(envelope.resources.as_slice());
                resources.resolve(rest).ok().cloned().map(Cow::Owned)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use json_patch::jsonptr::PointerBuf;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_pointer_finds_what_it_finds_in_the_envelopes_tree() {
        let envelope = Envelope {
            region: Some("eu-west-1".into()),
            replay_name: Some("of-may".into()),
            resources: vec!["arn:a".into(), "arn:b".into()],
            ..Envelope::example(json!({"id": 1, "lines": [{"a/b": "x"}], "": 0}))
        };
        let context = json!({"currency": "EUR"});
        let data = json!({"orderId": 7});
        let mut tree = envelope.to_tree();
        tree["context"] = context.clone();
        tree["data"] = data.clone();
        let document = PatchedDocument { envelope: &envelope, context: &context };
        let members: Vec<String> =
            tree.as_object().unwrap().keys().map(|member| format!("/{member}")).collect();
        let deeper = [
            "/detail/id",
            "/detail/lines/0/a~1b",
            "/detail/lines/1",
            "/detail/lines/00",
            "/detail/",
            "/resources/1",
            "/resources/2",
            "/resources/-",
            "/id/x",
            "/context/currency",
            "/nothing",
            "/data/orderId",
            "/data/x",
        ];
        for pointer in members.iter().map(String::as_str).chain(deeper) {
            let parsed = PointerBuf::parse(pointer).unwrap();
            let found = document.find(&parsed, &data);
            assert_eq!(found.as_deref(), tree.resolve(&parsed).ok(), "{pointer}");
        }
    }
}
