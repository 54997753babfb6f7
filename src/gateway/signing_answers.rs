//! Signs for producers what became of the entries of their requests.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ambient::Clock;
use crate::config::Config;
use crate::event::{EventId, EventProducer};
use crate::eventlog::{Entry, Log, LogError, LogTree, Store};
use crate::keys::{KeyFailure, KeyRing, SigningAlgorithm};
use crate::seal::{
    AcceptedEntry, AcceptedEvent, AcceptedOutcome, AcceptedPlace, AcceptedReceipt, sign_accepted,
};
use crate::source::{Admitted, EntryAnswer, SignAnswers};
use crate::telemetry::error_chain;

/// Signs answers to producers: one signature for each request.
pub(super) struct AnswerSigner {
    issuer: String,
    algorithm: SigningAlgorithm,
    ring: Arc<KeyRing>,
    log: Arc<dyn Log>,
    tree: Arc<dyn LogTree>,
    clock: Arc<dyn Clock>,
    /// Nothing while the log lacks what is known of it: what it takes then is of none yet.
    incarnation: Option<u64>,
}

/// Why an answer was not signed.
#[derive(Debug, thiserror::Error)]
enum UnsignedAnswer {
    /// The log was set back, and is looked at all the same.
    #[error("the log was set back, and goes on as no incarnation yet")]
    SetBack,
    /// There is no key.
    #[error("there is no key to sign with")]
    NoKey,
    /// The key does not sign.
    #[error("the key does not sign")]
    Key(#[from] KeyFailure),
    /// The log does not say where the events are.
    #[error("the log does not say where the events are")]
    Log(#[from] LogError),
    /// The log lacks an event that it has just taken.
    #[error("the log does not hold the event {0}, which it has just taken")]
    Lost(EventId),
}

impl AnswerSigner {
    /// Signs with the key that signs at the moment, in the first of the configured algorithms.
    pub(super) fn open(
        config: &Config,
        store: &Store,
        (ring, clock): (&Arc<KeyRing>, &Arc<dyn Clock>),
        (incarnation, is_set_back): (u64, bool),
    ) -> Arc<dyn SignAnswers> {
        Arc::new(Self {
            issuer: config.issuer.as_str().trim_end_matches('/').to_owned(),
            algorithm: config.keys.algorithms.first().copied().unwrap_or_default(),
            ring: Arc::clone(ring),
            log: Arc::clone(&store.log),
            tree: Arc::clone(&store.tree),
            clock: Arc::clone(clock),
            incarnation: (!is_set_back).then_some(incarnation),
        })
    }

    async fn receipt(
        &self,
        producer: &EventProducer,
        entries: Vec<EntryAnswer>,
    ) -> Result<String, UnsignedAnswer> {
        let ids: Vec<EventId> = entries
            .iter()
            .filter_map(|entry| entry.outcome.as_ref().ok())
            .flat_map(|admitted| admitted.events.iter().copied())
            .collect();
        let found = if ids.is_empty() { Vec::new() } else { self.log.find(&ids).await? };
        let found: HashMap<EventId, Arc<Entry>> =
            found.into_iter().flatten().map(|entry| (entry.event.id, entry)).collect();
        let told = Told { found: &found };
        let entries: Result<_, _> = entries.iter().map(|entry| told.entry(entry)).collect();
        let receipt = AcceptedReceipt {
            issuer: self.issuer.clone(),
            audience: producer.name.to_string(),
            issued_at: self.clock.now(),
            incarnation: self.incarnation.ok_or(UnsignedAnswer::SetBack)?,
            entries: entries?,
            // Asked for after the events were durable, so that it has them.
            tree: self.tree.tree_head().await?,
        };
        let key = self.ring.active(self.algorithm).ok_or(UnsignedAnswer::NoKey)?;
        Ok(sign_accepted(&receipt, &key)?)
    }
}

#[async_trait]
impl SignAnswers for AnswerSigner {
    async fn sign(&self, producer: &EventProducer, entries: Vec<EntryAnswer>) -> Option<String> {
        let signed = self.receipt(producer, entries).await;
        signed
            .inspect_err(|error| {
                tracing::error!(
                    error = %error_chain(error),
                    "An answer to {producer} was given without the signature that it asked for",
                );
            })
            .ok()
    }
}

/// What is told of the events of one request.
struct Told<'a> {
    found: &'a HashMap<EventId, Arc<Entry>>,
}

impl Told<'_> {
    fn entry(&self, answer: &EntryAnswer) -> Result<AcceptedEntry, UnsignedAnswer> {
        let sent = answer.sent;
        let admitted = match &answer.outcome {
            Ok(admitted) => admitted,
            Err(code) => {
                let (outcome, code) = (AcceptedOutcome::Refused, Some((*code).to_owned()));
                return Ok(AcceptedEntry { sent, outcome, code, events: Vec::new() });
            }
        };
        let events = admitted.events.iter().map(|id| self.event(*id, admitted));
        let events: Vec<AcceptedEvent> = events.collect::<Result<_, _>>()?;
        let outcome = match (events.is_empty(), admitted.repeated) {
            (false, false) => AcceptedOutcome::Accepted,
            (false, true) => AcceptedOutcome::Repeated,
            (true, _) if admitted.quarantined > 0 => AcceptedOutcome::Quarantined,
            (true, _) => AcceptedOutcome::Unwanted,
        };
        Ok(AcceptedEntry { sent, outcome, code: None, events })
    }

    /// Where an event stands. The salt of one that was there before is not told: it may be that of
    /// another producer, whose content could be guessed with it.
    fn event(&self, id: EventId, admitted: &Admitted) -> Result<AcceptedEvent, UnsignedAnswer> {
        let entry = self.found.get(&id);
        let place = entry.map(|entry| AcceptedPlace {
            event_type: entry.event.event_type.as_str().to_owned(),
            position: entry.position.0,
            digest: entry.event.digest,
        });
        let is_new = !admitted.earlier.contains(&id);
        let salt = entry.and_then(|entry| entry.event.salt).filter(|_| is_new);
        if is_new && salt.is_none() {
            return Err(UnsignedAnswer::Lost(id));
        }
        Ok(AcceptedEvent { id, place, salt })
    }
}
