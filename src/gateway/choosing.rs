//! Which publications want an event: what is cheap at once, and what is not on a thread of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::ambient::FairTurns;
use crate::enrich::{Publication, Publications, WantingPublications};
use crate::event::{EventProducer, Fault, Violation};
use crate::route::{PatternConfig, StepAllowance};
use crate::source::{AdmitRefusal, Received};

/// Asks the patterns of publications, and never keeps other work waiting for long.
pub struct Choosing {
    config: PatternConfig,
    /// One event at a time, and turns go round by producer: however many are expensive, they take one
    /// core, and whoever sends many waits for itself. Who is no producer has a line with others like
    /// it.
    turns: FairTurns<Option<EventProducer>>,
}

impl Choosing {
    /// Asks with the work that the settings allow.
    pub fn new(config: PatternConfig) -> Self {
        Self { config, turns: FairTurns::new() }
    }

    /// Finds those of these publications that want an event, and those for which that takes more work than is
    /// allowed at all.
    pub async fn wanted_by(
        &self,
        publications: &Arc<Publications>,
        mut received: Received,
        producer: Option<&EventProducer>,
    ) -> (Arc<Received>, WantingPublications) {
        let allowance = self.config.at_once();
        let ask = |tree: &Value| publications.wanting(tree, allowance);
        let at_once = received.envelope.with_tree(ask);
        let received = Arc::new(received);
        if at_once.undecided.is_empty() {
            return (received, at_once);
        }
        let wanted = Box::pin(self.wanted_at_length(publications, &received, producer)).await;
        (received, wanted.unwrap_or(at_once))
    }

    /// The same with all the work that is allowed, when it is the turn of the producer.
    async fn wanted_at_length(
        &self,
        publications: &Arc<Publications>,
        received: &Arc<Received>,
        producer: Option<&EventProducer>,
    ) -> Option<WantingPublications> {
        let turn = self.turns.take(&producer.cloned()).await;
        let steps = self.config.budget().steps();
        let allowance = StepAllowance::of_all(steps);
        let (publications, received) = (Arc::clone(publications), Arc::clone(received));
        let work = move || {
            // Held by the work itself, which goes on when nobody waits for it any more.
            let _turn = turn;
            publications.wanted_by(&received, allowance)
        };
        // Whoever panics there has decided nothing.
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Steps that an explanation of one publication may take.
    pub const fn steps_at_once(&self) -> u64 {
        self.config.at_once().each
    }
}

/// What is said of an event that is too much work for the pattern of a publication.
pub fn undecided(publication: &Publication) -> AdmitRefusal {
    let name = publication.name();
    let message = format!(
        "to tell whether publication `{name}` wants the event takes more work than is allowed"
    );
    let violation = Violation {
        pointer: String::new(),
        code: "undecided".to_owned(),
        message: format!("{message}; send it in smaller parts"),
    };
    AdmitRefusal { fault: Fault::Caller, code: "undecided", message, violations: vec![violation] }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::event::ProducerKind;
    use crate::gateway::contracts;
    use crate::source::Envelope;

    const CONTRACT: &str = "asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels:
  shop:
    address: shop
    messages:
      Order.Placed: { payload: { type: object, properties: { lines: { type: array } } } }
operations: { publish: { action: send, channel: { $ref: '#/channels/shop' } } }
";

    /// A publication that asks each line for many combinations.
    fn expensive() -> Arc<Publications> {
        let folder = tempfile::tempdir().unwrap();
        let list = || (0..5).map(|n| json!({"a": [n]})).collect::<Value>();
        let lines = json!({"$or": list(), "p": {"$or": list()}, "q": {"$or": list()}});
        let when = json!({"source": ["till"], "detail": {"lines": lines}});
        let publications = format!(
            "domain: shop\ncontract: asyncapi/shop.yaml\nsource: /shop\npublications:\n  - event: \
             Order.Placed\n    when: {when}\n    patch: [ {{ op: copy, from: /detail/lines, path: /data/lines }} ]\n"
        );
        for (name, text) in [("asyncapi", CONTRACT), ("publications", &*publications)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("shop.yaml"), text).unwrap();
        }
        let config = Config {
            contracts: folder.path().join("asyncapi"),
            publications: folder.path().join("publications"),
            ..Config::default()
        };
        contracts(&config).unwrap().1
    }

    #[tokio::test]
    async fn a_producer_of_much_work_is_waited_for_once() {
        let config = PatternConfig { steps_at_once: 2_000, steps: 1_000_000 };
        let (publications, choosing) = (expensive(), Choosing::new(config));
        let any = json!([0, 1, 2, 3, 4]);
        let mut lines = vec![json!({"a": -1}); 2_000];
        lines.push(json!({"a": any, "p": {"a": any}, "q": {"a": any}}));
        let envelope =
            Envelope { source: "till".to_owned(), ..Envelope::example(json!({ "lines": lines })) };
        let received = Received { envelope, repeatable: true, traceparent: None };
        let at_once = publications.wanted_by(&received, config.at_once());
        assert_eq!(at_once.undecided.len(), 1, "it is much work");
        let served = Mutex::new(Vec::new());
        let ask = async |name: &'static str| {
            let producer = EventProducer { kind: ProducerKind::Caller, name: name.into() };
            let (kept, wanted) =
                choosing.wanted_by(&publications, received.clone(), Some(&producer)).await;
            assert_eq!(*kept, received);
            assert_eq!((wanted.wanting.len(), wanted.undecided.len()), (1, 0));
            served.lock().unwrap().push(name);
        };
        let asking = ["much"; 40].into_iter().chain(["one"]).map(ask);

        futures_util::future::join_all(asking).await;

        let served = served.into_inner().unwrap();
        // Not behind all forty; a busy machine tells of the first few in any order.
        let before = served.iter().position(|name| *name == "one").unwrap();
        assert!(before < 10, "{served:?}");
    }
}
