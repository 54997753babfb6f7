//! The way in, on one screen: enrich, check, identify, append.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::enrich::{Publication, Wanting};
use crate::event::{Blame, EventId, EventProducer, Fault, OWN_SOURCE};
use crate::eventlog::{Appended, Draft, Log, LogError, NewQuarantined, Quarantine};
use crate::gateway::CrossingRules;
use crate::gateway::choosing::{Choosing, undecided};
use crate::gateway::pacing::Pacing;
use crate::gateway::repeats::differing;
use crate::gateway::setting_aside::{QuarantineQuotas, keep_events, set_aside};
use crate::gateway::unwanted::Unwanted;
use crate::source::{
    Admit, AdmitRefusal, Admitted, Envelope, Received, ResponseMode, Trial, Unparsed,
};
use crate::telemetry::{Metric, Metrics, error_chain};

/// Takes events from their sources to the log.
pub struct Inbound {
    /// What decides whether events cross, until it is replaced.
    pub rules: Arc<ArcSwap<CrossingRules>>,
    /// Which publication wants an event.
    pub choosing: Choosing,
    /// The record.
    pub log: Arc<dyn Log>,
    /// Where events wait that broke their contract.
    pub quarantine: Arc<dyn Quarantine>,
    /// What each producer may have there.
    pub quotas: QuarantineQuotas,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What no publication wants.
    pub unwanted: Unwanted,
    /// How much is taken while deliveries are behind.
    pub pacing: Arc<Pacing>,
}

/// What one received event becomes before anything is stored.
#[derive(Default)]
struct Prepared {
    drafts: Vec<Draft>,
    quarantined: Vec<NewQuarantined>,
}

/// How much of what is stored is one event's.
#[derive(Clone, Copy)]
struct Share {
    drafts: usize,
    quarantined: usize,
}

impl Share {
    fn of(prepared: &Result<Prepared, AdmitRefusal>) -> Result<Self, AdmitRefusal> {
        let prepared = prepared.as_ref().map_err(Clone::clone)?;
        Ok(Self { drafts: prepared.drafts.len(), quarantined: prepared.quarantined.len() })
    }

    const fn is_nothing(self) -> bool {
        self.drafts == 0 && self.quarantined == 0
    }
}

/// What the log has made of a draft, and whether it took it for a repeat of another content.
#[derive(Clone, Copy)]
struct Stored {
    appended: Appended,
    differs: bool,
}

#[async_trait]
impl Admit for Inbound {
    async fn admit(
        &self,
        batch: Vec<Received>,
        producer: Option<&EventProducer>,
        response_mode: ResponseMode,
    ) -> Vec<Result<Admitted, AdmitRefusal>> {
        let began = Instant::now();
        // What the gateway says of itself takes no turn.
        let is_own = batch.iter().all(|one| one.envelope.source == OWN_SOURCE);
        if !is_own && !self.pacing.takes(producer) {
            self.metrics.counter(Metric::EventsRefused, &["busy"]).increment();
            return vec![Err(slowed_down()); batch.len()];
        }
        // What is put in place meanwhile decides about the next batch.
        let rules = self.rules.load_full();
        let mut prepared = Vec::with_capacity(batch.len());
        for received in batch {
            prepared.push(self.prepare(&rules, received, (producer, response_mode)).await);
        }
        let mut shares: Vec<_> = prepared.iter().map(Share::of).collect();
        match self.store(prepared, &mut shares).await {
            Ok(stored) => {
                self.measure(began, &stored);
                settle(shares, &stored)
            }
            Err(error) => {
                let refusal = self.unstored(&error);
                let refuse = |answer: Result<Share, AdmitRefusal>| match answer {
                    Ok(share) if share.is_nothing() => Ok(Admitted::default()),
                    Ok(_) => Err(refusal.clone()),
                    Err(own) => Err(own),
                };
                shares.into_iter().map(refuse).collect()
            }
        }
    }

    async fn release(
        &self,
        received: Received,
        publication: &str,
    ) -> Result<EventId, AdmitRefusal> {
        let rules = self.rules.load_full();
        let (received, wanted) = self.choosing.wanted_by(&rules.publications, received, None).await;
        let is_named = |one: &Publication| **one.name() == *publication;
        let wanting = wanted.wanting.iter().find(|wanting| is_named(wanting.publication()));
        let released = match (wanting, wanted.undecided.iter().find(|one| is_named(one))) {
            (Some(wanting), _) => self.walk(&rules, wanting, &received),
            (None, Some(one)) => Err(undecided(one)),
            (None, None) => Err(unwanted(&rules, publication)),
        };
        let draft = released.inspect_err(|refusal| {
            self.metrics.counter(Metric::EventsRefused, &[refusal.code]).increment();
        })?;
        let appended = self.append(vec![draft]).await;
        let appended = appended.map_err(|error| self.unstored(&error))?;
        if let Some(Stored { appended, differs: true }) = appended.first() {
            return Err(differs_from(appended.id()));
        }
        let event = appended.first().map(|one| one.appended.id());
        event.ok_or_else(|| ours("the log gave no answer for an event".to_owned()))
    }

    async fn set_aside(&self, batch: Vec<Unparsed>) -> Vec<Result<u64, AdmitRefusal>> {
        let count = batch.len();
        let kept = set_aside(batch, (&*self.quarantine, self.quotas.unread), &self.metrics).await;
        kept.unwrap_or_else(|error| vec![Err(self.unstored(&error)); count])
    }

    async fn trials(&self, received: &Arc<Received>) -> Vec<Trial> {
        let (rules, copied) = (self.rules.load_full(), Received::clone(received));
        let (received, wanted) = self.choosing.wanted_by(&rules.publications, copied, None).await;
        rules.crossing().trials(&received, &wanted, self.choosing.steps_at_once())
    }
}

impl Inbound {
    /// Measures how long what is stored now was on its way.
    fn measure(&self, began: Instant, stored: &[Stored]) {
        let took = began.elapsed();
        let admitted = self.metrics.histogram(Metric::AdmitSeconds, &[]);
        for _ in stored {
            admitted.observe_duration(took);
        }
    }

    /// Walks one event through every publication that wants it.
    async fn prepare(
        &self,
        rules: &CrossingRules,
        received: Received,
        (producer, response_mode): (Option<&EventProducer>, ResponseMode),
    ) -> Result<Prepared, AdmitRefusal> {
        // What is set aside walks in again when it is released; should that happen twice, the log
        // must recognize it.
        let repeatable = received.repeatable || response_mode == ResponseMode::Asynchronous;
        let received = Received { repeatable, ..received };
        let mut prepared = Prepared::default();
        let (received, wanted) =
            self.choosing.wanted_by(&rules.publications, received, producer).await;
        let is_unwanted = wanted.wanting.is_empty() && wanted.undecided.is_empty();
        // Nobody has to publish what the gateway says of itself.
        if is_unwanted && received.envelope.source != OWN_SOURCE {
            self.unwanted.note(&received.envelope.source, &received.envelope.detail_type);
        }
        let refused: Vec<_> =
            wanted.undecided.iter().map(|one| (one, Err(undecided(one)))).collect();
        let walked =
            wanted.wanting.iter().map(|one| (one.publication(), self.walk(rules, one, &received)));
        for (publication, walked) in refused.into_iter().chain(walked) {
            let name = publication.name();
            match walked {
                Ok(draft) => prepared.drafts.push(draft),
                Err(refusal) if response_mode == ResponseMode::Asynchronous => {
                    prepared.quarantined.push(aside((name, producer), &received, &refusal)?);
                }
                Err(refusal) => {
                    self.metrics.counter(Metric::EventsRefused, &[refusal.code]).increment();
                    return Err(refusal);
                }
            }
        }
        Ok(prepared)
    }

    /// The walk of one event through one publication: enrich, check, identify.
    fn walk(
        &self,
        rules: &CrossingRules,
        wanting: &Wanting,
        received: &Arc<Received>,
    ) -> Result<Draft, AdmitRefusal> {
        let publication = wanting.publication();
        let draft = rules.crossing().walk(wanting, received, |_| ())?;
        if draft.observed.is_some() {
            self.metrics.counter(Metric::ViolationsObserved, &[publication.name()]).increment();
        }
        Ok(draft)
    }

    /// Makes everything durable before anyone hears yes.
    ///
    /// The quarantine comes first: where it has no room the event is refused whole, and must not be in
    /// the log. If the log is full then, the producer sends again, and what was set aside is recognized.
    async fn store(
        &self,
        prepared: Vec<Result<Prepared, AdmitRefusal>>,
        shares: &mut [Result<Share, AdmitRefusal>],
    ) -> Result<Vec<Stored>, LogError> {
        let (mut drafts, mut quarantined) = (Vec::with_capacity(prepared.len()), Vec::new());
        for one in prepared {
            let one = one.unwrap_or_default();
            drafts.push(one.drafts);
            quarantined.extend(one.quarantined);
        }
        self.keep(quarantined, shares).await?;
        let taken = drafts.into_iter().zip(shares).filter(|(_, share)| share.is_ok());
        let drafts: Vec<Draft> = taken.flat_map(|(drafts, _)| drafts).collect();
        if drafts.is_empty() { Ok(Vec::new()) } else { self.append(drafts).await }
    }

    /// Keeps what broke its contract; an event of which something finds no room is refused.
    async fn keep(
        &self,
        quarantined: Vec<NewQuarantined>,
        shares: &mut [Result<Share, AdmitRefusal>],
    ) -> Result<(), LogError> {
        if quarantined.is_empty() {
            return Ok(());
        }
        let within = (&*self.quarantine, self.quotas.events);
        let mut kept = keep_events(quarantined, within, &self.metrics).await?.into_iter();
        for share in shares {
            let count = share.as_ref().map_or(0, |share| share.quarantined);
            let refusals: Vec<_> = kept.by_ref().take(count).flatten().collect();
            if let Some(refusal) = refusals.into_iter().next() {
                self.metrics.counter(Metric::EventsRefused, &[refusal.code]).increment();
                *share = Err(refusal);
            }
        }
        Ok(())
    }

    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Stored>, LogError> {
        let publications: Vec<_> =
            drafts.iter().map(|draft| Arc::clone(&draft.publication)).collect();
        let digests: Vec<_> = drafts.iter().map(|draft| draft.digest).collect();
        let appended = self.log.append(drafts).await?;
        let differing = differing(&*self.log, &digests, &appended).await;
        for (publication, appended) in publications.iter().zip(&appended) {
            let metric = match appended {
                Appended::New { conflict: None, .. } => Metric::EventsAccepted,
                Appended::New { conflict: Some(earlier), id, .. } => {
                    tracing::warn!(
                        event.id = %id,
                        "Event {id} has the idempotency key of {earlier} and another content",
                    );
                    self.metrics.counter(Metric::Conflicts, &[publication]).increment();
                    Metric::EventsAccepted
                }
                Appended::Duplicate { .. } => Metric::Duplicates,
            };
            self.metrics.counter(metric, &[publication]).increment();
        }
        let stored = appended.into_iter().zip(differing).zip(&publications);
        Ok(stored.map(|((appended, differs), name)| self.tell(appended, differs, name)).collect())
    }

    /// Tells operators of an event that was taken for a repeat and is another one.
    fn tell(&self, appended: Appended, differs: bool, publication: &str) -> Stored {
        if differs {
            let id = appended.id();
            tracing::warn!(
                event.id = %id,
                "Event {id} came again under its source and id with another content, which was left out",
            );
            self.metrics.counter(Metric::DifferingRepeats, &[publication]).increment();
        }
        Stored { appended, differs }
    }

    fn unstored(&self, error: &LogError) -> AdmitRefusal {
        if error.fault() == Fault::Ours {
            tracing::error!(error = %error_chain(error), "The log did not take a batch of events");
        }
        let code = if error.fault() == Fault::Later { "busy" } else { "internal" };
        self.metrics.counter(Metric::EventsRefused, &[code]).increment();
        // How much room there is, and where, is for the operator.
        let message = match error {
            LogError::Full { .. } => {
                "the gateway's disk is full until its operator makes room; send it again later"
                    .to_owned()
            }
            other => error_chain(other).to_string(),
        };
        AdmitRefusal { fault: error.fault(), code, message, violations: Vec::new() }
    }
}

/// What a producer hears that is to send no faster than events are delivered.
fn slowed_down() -> AdmitRefusal {
    let message = "deliveries are behind what is sent; send it again in a second, and more slowly";
    let (message, violations) = (message.to_owned(), Vec::new());
    AdmitRefusal { fault: Fault::Later, code: "busy", message, violations }
}

/// Says why a publication cannot release what it once set aside.
fn unwanted(rules: &CrossingRules, publication: &str) -> AdmitRefusal {
    let problem = match rules.publications.get(publication) {
        Some(_) => "does not want the event any more; widen its `when`",
        None => "does not exist any more; bring it back",
    };
    let message = format!("publication `{publication}` {problem}, or drop the event");
    AdmitRefusal { fault: Fault::Caller, code: "wrong-state", message, violations: Vec::new() }
}

/// Gives each event its share of what was appended, in order.
fn settle(
    answers: Vec<Result<Share, AdmitRefusal>>,
    stored: &[Stored],
) -> Vec<Result<Admitted, AdmitRefusal>> {
    let mut stored = stored.iter();
    let share = |answer: Result<Share, AdmitRefusal>| {
        let Share { drafts, quarantined } = answer?;
        let own: Vec<Stored> = stored.by_ref().take(drafts).copied().collect();
        let earlier = |one: &Stored| match one.appended {
            Appended::Duplicate { of } => Some(of),
            Appended::New { .. } => None,
        };
        let earlier: Vec<EventId> = own.iter().filter_map(earlier).collect();
        Ok(Admitted {
            events: own.iter().map(|one| one.appended.id()).collect(),
            repeated: !own.is_empty() && earlier.len() == own.len(),
            earlier,
            differs: own.iter().any(|one| one.differs),
            quarantined,
        })
    };
    answers.into_iter().map(share).collect()
}

/// Refuses to release an event that would be taken for a repeat of another one, and so be lost.
fn differs_from(id: EventId) -> AdmitRefusal {
    let message = format!(
        "event {id} came under the same source and id with another content; this one cannot cross \
         beside it, so have its producer send it under an id of its own, or remove the entry"
    );
    AdmitRefusal { fault: Fault::Caller, code: "wrong-state", message, violations: Vec::new() }
}

fn ours(message: String) -> AdmitRefusal {
    AdmitRefusal { fault: Fault::Ours, code: "internal", message, violations: Vec::new() }
}

/// Describes an event that is set aside until someone releases it.
fn aside(
    (publication, producer): (&str, Option<&EventProducer>),
    received: &Received,
    refusal: &AdmitRefusal,
) -> Result<NewQuarantined, AdmitRefusal> {
    let mut codes: Vec<&str> = refusal.violations.iter().map(|one| one.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    Ok(NewQuarantined {
        producer: producer.cloned(),
        publication: Arc::from(publication),
        envelope_id: Arc::from(&*received.envelope.id),
        codes: Arc::from(codes.join(",")),
        received: received.to_json().map_err(|error| ours(error.to_string()))?,
        violations: serde_json::to_string(&refusal.violations)
            .map_err(|error| ours(error.to_string()))?,
        identity: Some(identity(publication, &received.envelope)?),
    })
}

/// What an event is recognized by that a publication sets aside again. Its trace and its time are left
/// out: each repeat may have another trace, and what says no time has that of its arrival.
fn identity(publication: &str, envelope: &Envelope) -> Result<[u8; 32], AdmitRefusal> {
    let Envelope { id, source, detail_type, account, region, resources, detail, .. } = envelope;
    let parts = (publication, id, source, detail_type, account, region, resources, detail);
    let text = serde_json::to_vec(&parts).map_err(|error| ours(error.to_string()))?;
    Ok(Sha256::digest(text).into())
}
