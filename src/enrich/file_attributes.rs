//! Reads which extension attributes a publication gives its events, and what is clear of them.

use json_patch::jsonptr::Pointer;
use serde_json::Value;

use crate::enrich::attributes::{ClearNames, PublishedAttribute};
use crate::enrich::publication_reader::PublicationReader;
use crate::event::{AttributeName, AttributeNameError, Placed, SUBJECT, YamlNode};

/// Extension attributes of one publication; real ones have three.
const MAX_ATTRIBUTES: usize = 32;

impl PublicationReader<'_> {
    /// Reads `attributes`.
    pub(super) fn attributes(
        &mut self,
        written: Option<&Placed<YamlNode>>,
        context: &Value,
    ) -> Vec<PublishedAttribute> {
        let Some(written) = written else { return Vec::new() };
        let YamlNode::Object(members) = &written.value else {
            let help = "write for example `correlationid: /detail/correlationId`";
            self.mistake(written.place, "`attributes` names attributes: a mapping", help);
            return Vec::new();
        };
        if let Some((name, _)) = members.get(MAX_ATTRIBUTES) {
            let problem = format!("a publication sets at most {MAX_ATTRIBUTES} attributes");
            self.mistake(name.place, problem, "");
        }
        let members = members.iter().take(MAX_ATTRIBUTES);
        members.filter_map(|(name, origin)| self.attribute(name, origin, context)).collect()
    }

    fn attribute(
        &mut self,
        name: &Placed<String>,
        origin: &Placed<YamlNode>,
        context: &Value,
    ) -> Option<PublishedAttribute> {
        let parsed = self.attribute_name(name);
        let (from, optional) = match &origin.value {
            YamlNode::Object(members) => self.chosen(origin.place, members)?,
            _ => (origin, false),
        };
        let Some(text) = text_of(from) else {
            let help = "write a pointer such as `/detail/correlationId`; a constant stands below \
                        `context`";
            self.mistake(from.place, "an attribute has its value from a pointer", help);
            return None;
        };
        let place = from.place;
        let from = self.pointer_at(text, place)?;
        if from.is_root() {
            self.mistake(origin.place, "the event as a whole is no value of an attribute", "");
            return None;
        }
        let constant = from.strip_prefix(Pointer::from_static("/context"));
        if !optional && constant.is_some_and(|inside| inside.resolve(context).is_err()) {
            self.mistake(place, format!("`context` has nothing at `{from}`"), "");
        }
        Some(PublishedAttribute { name: parsed?, from, optional, place: name.place })
    }

    fn chosen<'n>(
        &mut self,
        place: (usize, usize),
        members: &'n [(Placed<String>, Placed<YamlNode>)],
    ) -> Option<(&'n Placed<YamlNode>, bool)> {
        let (mut from, mut optional) = (None, false);
        for (name, node) in members {
            match (name.value.as_str(), &node.value) {
                ("from", _) => from = Some(node),
                ("optional", YamlNode::Scalar(Value::Bool(truth))) => optional = *truth,
                ("optional", _) => self.mistake(node.place, "`optional` is `true` or `false`", ""),
                (unknown, _) => {
                    let problem = format!("unknown key `{unknown}`");
                    self.mistake(name.place, problem, "an attribute has `from` and `optional`");
                }
            }
        }
        if from.is_none() {
            self.mistake(place, "an attribute needs a `from`", "");
        }
        from.map(|from| (from, optional))
    }

    fn attribute_name(&mut self, name: &Placed<String>) -> Option<AttributeName> {
        name.value
            .parse()
            .map_err(|error: AttributeNameError| {
                let help = match error {
                    AttributeNameError::NotAName => {
                        "CloudEvents has names such as `correlationid`, by custom of at most 20 \
                         characters"
                    }
                    AttributeNameError::Core | AttributeNameError::Ours => {
                        "`attributes` sets extension attributes; `subject` and `source` have keys \
                         of their own"
                    }
                };
                self.mistake(name.place, format!("`{}`: {error}", name.value), help);
            })
            .ok()
    }

    /// Reads `clear`.
    pub(super) fn clear(
        &mut self,
        written: &[Placed<String>],
        attributes: &[PublishedAttribute],
    ) -> ClearNames {
        let mut clear = ClearNames::default();
        for name in written {
            let known = attributes.iter().find(|known| known.name.as_str() == name.value);
            match known {
                Some(attribute) => {
                    clear.extensions.insert(attribute.name.clone());
                }
                None if name.value == SUBJECT => clear.subject = true,
                None => {
                    let problem =
                        format!("`{}` is neither `subject` nor one of `attributes`", name.value);
                    let help = "data never stands outside of tokens; `id`, `source`, `type`, \
                                `time`, `dataschema` and `idempotencykey` always do";
                    self.mistake(name.place, problem, help);
                }
            }
        }
        clear
    }
}

fn text_of(node: &Placed<YamlNode>) -> Option<&str> {
    match &node.value {
        YamlNode::Scalar(Value::String(text)) => Some(text),
        _ => None,
    }
}
