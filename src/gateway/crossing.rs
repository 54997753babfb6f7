//! The way of one event through one publication, without storing anything: enrich, check, identify.

use std::sync::Arc;

use crate::contract::Gate;
use crate::enrich::{Enriched, Publication, Publications};
use crate::event::{EventId, Fault, Timestamp, Violation};
use crate::eventlog::{Draft, Entry, Position};
use crate::identify::{Naming, identify};
use crate::source::{AdmitRefusal, PatchedEvent, Received, Trial, TrialVerdict};

/// Everything that decides whether an event crosses, and as what.
#[derive(Clone, Copy)]
pub struct Crossing<'a> {
    /// What crosses the border.
    pub publications: &'a Publications,
    /// The contracts.
    pub gate: &'a Gate,
    /// How events are named.
    pub naming: &'a Naming,
}

impl Crossing<'_> {
    /// Walks one event through one publication. Whatever the publication's patch has made of it is
    /// shown to `look`, before it is checked.
    ///
    /// # Errors
    ///
    /// The caller's turn: the patch does not fit the event, or what it made breaks the contract.
    pub fn walk(
        self,
        publication: &Arc<Publication>,
        received: &Arc<Received>,
        look: impl FnOnce(&Enriched),
    ) -> Result<Draft, AdmitRefusal> {
        let name = publication.name();
        let enriched = publication
            .enrich(received)
            .map_err(|error| refused(name, "patch-failed", vec![error.violation()]))?;
        look(&enriched);
        let validated = self
            .gate
            .check(enriched)
            .map_err(|breach| refused(name, "contract-violated", breach.violations))?;
        let identified = identify(validated, self.naming)
            .map_err(|error| refused(name, "contract-violated", vec![error.violation()]))?;
        Ok(identified.into_draft())
    }

    /// Says what every publication would make of an event: first those that want it, then the
    /// others, with those first that come closest.
    pub fn trials(self, received: &Arc<Received>) -> Vec<Trial> {
        let wanting = self.publications.wanted_by(received);
        let tree = received.envelope.to_tree();
        let trial = |publication: &Arc<Publication>, verdict| Trial {
            publication: Arc::clone(publication.name()),
            verdict,
        };
        let mut others: Vec<_> = self
            .publications
            .iter()
            .filter(|one| !wanting.iter().any(|wanting| Arc::ptr_eq(wanting, one)))
            .map(|one| (one, one.when().explain(&tree)))
            .collect();
        others.sort_by_key(|(_, mismatches)| mismatches.len());
        let others = others.into_iter().map(|(one, why)| trial(one, TrialVerdict::Unwanted(why)));
        let wanting = wanting.iter().map(|one| trial(one, self.try_one(one, received)));
        wanting.chain(others).collect()
    }

    fn try_one(self, publication: &Arc<Publication>, received: &Arc<Received>) -> TrialVerdict {
        let mut patched = None;
        let walked = self.walk(publication, received, |enriched| {
            let message = self.gate.catalog().message(publication.contract(), publication.event());
            let source = match message {
                Some(message) => message.source_of(publication),
                None => publication.source().cloned(),
            };
            patched = source.map(|source| PatchedEvent {
                source,
                event_type: message
                    .map_or_else(|| enriched.event_type().clone(), |one| one.type_of(enriched)),
                subject: enriched.subject().clone(),
                data: enriched.data().clone(),
            });
        });
        match walked {
            Err(AdmitRefusal { code, violations, .. }) => {
                TrialVerdict::Refused { code, violations, patched }
            }
            Ok(mut draft) => {
                let observed = draft.observed.take();
                let observed = observed.map_or_else(Vec::new, |seen| seen.violations().to_vec());
                // Only the log names an event; nothing of these names is told.
                let entry = Entry::new(draft, EventId::MIN, Position::START, Timestamp::EPOCH);
                TrialVerdict::Crosses { event: Box::new(entry.event), observed }
            }
        }
    }
}

fn refused(publication: &str, code: &'static str, violations: Vec<Violation>) -> AdmitRefusal {
    AdmitRefusal {
        fault: Fault::Caller,
        code,
        message: format!("publication `{publication}` cannot let the event cross"),
        violations,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::gateway::{contracts, naming};
    use crate::source::Envelope;

    /// Does something with the repository's own contracts and publications.
    fn with_repository<T>(then: impl FnOnce(Crossing<'_>) -> T) -> T {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = Config {
            contracts: root.join("asyncapi"),
            publications: root.join("config/publications"),
            ..Config::default()
        };
        let (_, publications, gate) = contracts(&config).unwrap();
        let naming = naming(&config, gate.catalog(), &publications);
        then(Crossing { publications: &publications, gate: &gate, naming: &naming })
    }

    fn received(source: &str, detail_type: &str, detail: Value) -> Arc<Received> {
        let envelope = Envelope {
            source: source.to_owned(),
            detail_type: detail_type.to_owned(),
            ..Envelope::example(detail)
        };
        Arc::new(Received { envelope, repeatable: true, traceparent: None, producer: None })
    }

    #[test]
    fn a_trial_has_the_names_of_the_walk() {
        with_repository(|crossing| {
            let received = received("order-service", "OrderCreated", json!({"id": 7, "amount": 1}));
            let publication = crossing.publications.get("orders/Order.Created").unwrap();
            let draft = crossing.walk(publication, &received, |_| ()).unwrap();

            let trial = crossing.trials(&received).remove(0);

            let TrialVerdict::Crosses { event, observed } = trial.verdict else { panic!() };
            assert_eq!(event.idempotency_key, draft.idempotency_key);
            assert_eq!(
                (&event.dataschema, event.data.text()),
                (&draft.dataschema, draft.data.text())
            );
            assert!(observed.is_empty());
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_publication_is_unwanted_exactly_where_a_field_is_named(
            source in "order-service|payment-service|shop",
            detail_type in "OrderCreated|OrderCompleted|PaymentFailed|Lost",
            amount in prop_oneof![Just(json!(7)), Just(json!("much")), Just(Value::Null)],
        ) {
            with_repository(|crossing| {
                let detail = json!({"id": 1, "amount": amount});
                let received = received(&source, &detail_type, detail);
                let wanting = crossing.publications.wanted_by(&received);
                let trials = crossing.trials(&received);
                prop_assert_eq!(trials.len(), crossing.publications.iter().count());
                for trial in trials {
                    let is_wanted = wanting.iter().any(|one| *one.name() == trial.publication);
                    match trial.verdict {
                        TrialVerdict::Unwanted(fields) => {
                            prop_assert!(!is_wanted && !fields.is_empty());
                        }
                        TrialVerdict::Refused { .. } => {
                            prop_assert!(is_wanted && amount != json!(7));
                        }
                        TrialVerdict::Crosses { .. } => {
                            // What a payment was for does not cross.
                            prop_assert!(is_wanted && (amount == json!(7) || source == "payment-service"));
                        }
                    }
                }
                Ok(())
            })?;
        }
    }
}
