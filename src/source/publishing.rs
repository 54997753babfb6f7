//! As which sources a producer may publish.

use crate::event::{EventProducer, ProducerKind};
use crate::source::source_rule::is_allowed;
use crate::source::{Config, Signatures};

/// Whether a producer may publish as a source by the settings of this moment: asked when what it sent
/// is released, since nobody could tell the source before.
///
/// An access key or a queue that is gone may not, unless nobody has to sign; of a caller, who knows the
/// callers must tell.
pub fn may_publish_as(config: &Config, producer: &EventProducer, source: &str) -> bool {
    match producer.kind {
        ProducerKind::Caller => false,
        ProducerKind::AccessKey if config.signatures == Signatures::Off => true,
        ProducerKind::AccessKey => {
            let mut keys = config.access_keys.iter();
            let key = keys.find(|key| *key.id == *producer.name);
            key.is_some_and(|key| is_allowed(key.sources.as_deref(), source))
        }
        ProducerKind::Queue => {
            let queue = config.queue(&producer.name);
            queue.is_some_and(|queue| is_allowed(queue.sources.as_deref(), source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SecretReference;
    use crate::source::queue::QueueSource;
    use crate::source::{AccessKey, SourceRule};

    #[test]
    fn an_access_key_publishes_as_its_sources_and_not_at_all_once_it_is_gone() {
        let key = |id: &str, sources: Option<Vec<SourceRule>>| AccessKey {
            id: id.into(),
            secret: SecretReference::Env("X".into()),
            sources,
        };
        let own = Some(vec!["orders".parse().unwrap(), "shop.*".parse().unwrap()]);
        let config =
            Config { access_keys: vec![key("AKIA", own), key("ANY", None)], ..Config::default() };
        let may = |kind, name: &str, source| {
            may_publish_as(&config, &EventProducer { kind, name: name.into() }, source)
        };

        assert!(may(ProducerKind::AccessKey, "AKIA", "shop.eu"));
        assert!(!may(ProducerKind::AccessKey, "AKIA", "payments"));
        assert!(may(ProducerKind::AccessKey, "ANY", "payments"));
        assert!(!may(ProducerKind::AccessKey, "GONE", "orders"));
        assert!(!may(ProducerKind::Caller, "AKIA", "orders"));
        let off = Config { signatures: Signatures::Off, ..Config::default() };
        let unsigned = EventProducer { kind: ProducerKind::AccessKey, name: "".into() };
        assert!(may_publish_as(&off, &unsigned, "orders"));
    }

    #[test]
    fn a_queue_publishes_as_its_sources_and_not_at_all_once_it_is_gone() {
        let arn = "arn:aws:sqs:eu-west-1:111122223333:gateway-in";
        let queue = QueueSource {
            sources: Some(vec!["payment-*".parse().unwrap()]),
            ..QueueSource::example(arn)
        };
        let config = Config { queues: vec![queue], ..Config::default() };
        let may = |name: &str, source| {
            let producer = EventProducer { kind: ProducerKind::Queue, name: name.into() };
            may_publish_as(&config, &producer, source)
        };

        assert!(may(arn, "payment-eu"));
        assert!(!may(arn, "orders"));
        assert!(!may("arn:aws:sqs:eu-west-1:111122223333:gone", "payment-eu"));
    }
}
