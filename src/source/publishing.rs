//! As which sources a producer may publish.

use crate::event::{EventProducer, ProducerKind};
use crate::source::Config;

/// Whether a producer may publish as a source by the settings of this moment: asked when what it sent
/// is released, since nobody could tell the source before.
///
/// An access key that is gone may not; a caller may publish as any source.
pub fn may_publish_as(config: &Config, producer: &EventProducer, source: &str) -> bool {
    match producer.kind {
        ProducerKind::Caller => true,
        ProducerKind::AccessKey => {
            let mut keys = config.access_keys.iter();
            let key = keys.find(|key| *key.id == *producer.name);
            key.is_some_and(|key| key.sources.as_deref().is_none_or(|own| names(own, source)))
        }
    }
}

/// Whether a list of sources names one; a `*` at the end stands for any rest.
pub(super) fn names(sources: &[String], source: &str) -> bool {
    sources.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => source.starts_with(prefix),
        None => source == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SecretReference;
    use crate::source::AccessKey;

    #[test]
    fn an_access_key_publishes_as_its_sources_and_not_at_all_once_it_is_gone() {
        let key = |id: &str, sources: Option<Vec<String>>| AccessKey {
            id: id.into(),
            secret: SecretReference::Env("X".into()),
            sources,
        };
        let own = Some(vec!["orders".into(), "shop.*".into()]);
        let config =
            Config { access_keys: vec![key("AKIA", own), key("ANY", None)], ..Config::default() };
        let may = |kind, name: &str, source| {
            may_publish_as(&config, &EventProducer { kind, name: name.into() }, source)
        };

        assert!(may(ProducerKind::AccessKey, "AKIA", "shop.eu"));
        assert!(!may(ProducerKind::AccessKey, "AKIA", "payments"));
        assert!(may(ProducerKind::AccessKey, "ANY", "payments"));
        assert!(!may(ProducerKind::AccessKey, "GONE", "orders"));
        assert!(may(ProducerKind::Caller, "AKIA", "payments"));
    }
}
