//! The way out, on one screen: seal, send, judge, record.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::ambient::{Clock, Entropy};
use crate::deliver::attempt::sealer::SealedEvent;
use crate::deliver::attempt::{Sealer, SealerError};
use crate::deliver::outcome::{
    AttemptOutcome, AttemptResult, Delivery, DeliverySignal, DeliverySignals, Ledger, Policy,
    Reason, ReceiptChecker, Schedule, SignedReceipt, Situation, Verdict, word_of,
};
use crate::deliver::sink::{
    AnswerKind, AttemptFailure, Destinations, Health, Parcel, SinkAnswer, SinkTarget,
};
use crate::egress::EgressRefusal;
use crate::event::{EventId, Timestamp};
use crate::eventlog::Entry;
use crate::seal::ReceiptFault;
use crate::subscriptions::{ContentMode, OuterKey, Protocol, Subscription};
use crate::telemetry::{Metric, Metrics, error_chain};

/// The `type` of the CloudEvents of subscriptions that show nothing but an id.
const SEALED_TYPE: &str = "sealway.sealed";
/// The `type` of a signed checkpoint where sinks take nothing but events.
const CHECKPOINT_EVENT_TYPE: &str = "sealway.subscription.checkpoint";

/// Makes attempts at deliveries, and records what becomes of them.
pub struct Attempter {
    /// Makes tokens.
    pub sealer: Arc<Sealer>,
    /// Speak to sinks.
    pub destinations: Arc<Destinations>,
    /// Checks the receipts that sinks sign.
    pub receipts: ReceiptChecker,
    /// Where outcomes are noted.
    pub ledger: Arc<Ledger>,
    /// The delays between attempts.
    pub schedule: Schedule,
    /// How long a sink may take to answer.
    pub timeout: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entropy, for jitter and for ids of statements.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Takes word of sinks that are gone.
    pub signals: DeliverySignals,
    /// Says who may hear what, now.
    pub access: Arc<Access>,
}

/// A delivery, sealed and on its way.
struct Sending<'a> {
    delivery: &'a Delivery,
    began: Timestamp,
    /// Nothing if it could not be sealed, or has nowhere to go.
    sealed: Option<SealedEvent>,
    /// Nothing until it was sent.
    answer: Option<SinkAnswer>,
}

impl Attempter {
    /// Makes one attempt at a delivery.
    ///
    /// Not cancel safe: the sink may have the event while nothing is recorded, so that it is
    /// delivered again (at least once).
    ///
    /// Whatever leads to an attempt passes here, so that none begins of what its consumer may not
    /// hear any more: then it is given up.
    pub async fn attempt(&self, delivery: &Delivery) -> AttemptResult {
        if !self.may_send(&delivery.subscription, &delivery.entry) {
            return self.withhold(delivery);
        }
        let mut sending = self.seal(delivery).await;
        self.send(&mut sending).await;
        self.conclude(sending).await
    }

    /// Whether an entry may be sent to the consumer of a subscription now.
    pub fn may_send(&self, subscription: &Subscription, entry: &Entry) -> bool {
        let of = (&*entry.publication, &entry.event);
        self.access.lets(&subscription.consumer, of, entry.position)
    }

    fn withhold(&self, delivery: &Delivery) -> AttemptResult {
        self.ledger.give_up(delivery.withheld(self.clock.now()));
        self.withheld(&delivery.subscription, 1);
        let verdict = Verdict::GiveUp(Reason::NotEntitled);
        AttemptResult { verdict, health: Health::Unasked, retry_after: None }
    }

    /// Counts deliveries that were given up because their consumer may not hear them.
    pub fn withheld(&self, subscription: &Subscription, count: usize) {
        let labels = [subscription.id.as_str(), Reason::NotEntitled.word()];
        self.metrics.counter(Metric::DeadLetters, &labels).add(count as u64);
    }

    /// Gives the sink of a subscription a signed statement; says whether it has taken it.
    pub async fn tell(&self, subscription: &Subscription, statement: String) -> bool {
        let destination = self.destinations.of(subscription);
        let target = SinkTarget::of(subscription, self.timeout).map(Arc::new);
        match (destination, target) {
            (Some(destination), Some(target)) => {
                let statement = self.statement(statement);
                destination.tell(&target, statement).await
            }
            _ => true,
        }
    }

    /// A statement as it stands where events do. Its id is no event's.
    fn statement(&self, token: String) -> Parcel {
        let unix_ms = u64::try_from(self.clock.now().unix_ms()).unwrap_or(0);
        Parcel {
            id: EventId::from_parts(unix_ms, self.entropy.next_u128()),
            name: Some(CHECKPOINT_EVENT_TYPE.to_owned()),
            attributes: vec![
                ("type", CHECKPOINT_EVENT_TYPE.to_owned()),
                ("source", self.sealer.issuer().to_owned()),
            ],
            extensions: Vec::new(),
            sequence: None,
            replay: None,
            attempt: 1,
            token: token.into(),
        }
    }

    async fn seal<'a>(&self, delivery: &'a Delivery) -> Sending<'a> {
        let began = self.clock.now();
        let (sealed, answer) = if delivery.subscription.sink.is_none() {
            (None, Some(SinkAnswer::failed(AttemptFailure::NoSink, "")))
        } else {
            let sealed = self.sealer.seal(delivery).await;
            let took = self.clock.now().since(began);
            self.metrics.histogram(Metric::SealSeconds, &[]).observe_duration(took);
            match sealed {
                Ok(sealed) => (Some(sealed), None),
                Err(error) => (None, Some(unsealed(&error))),
            }
        };
        Sending { delivery, began, sealed, answer }
    }

    /// Notes the answer, if there is something to send and somebody to send it to.
    async fn send(&self, sending: &mut Sending<'_>) {
        let Sending { delivery, sealed: Some(sealed), .. } = &*sending else { return };
        let subscription = &delivery.subscription;
        let destination = self.destinations.of(subscription);
        let target = SinkTarget::of(subscription, self.timeout).map(Arc::new);
        let (Some(destination), Some(target)) = (destination, target) else { return };
        let outer_key = match self.sealer.outer_key(delivery) {
            Ok(outer_key) => outer_key,
            Err(error) => return sending.answer = Some(unsealed(&error)),
        };
        let parcel = parcel(delivery, sealed, (self.sealer.issuer(), outer_key));
        let answer = destination.deliver(&target, parcel).await;
        let (refused, to) = ((sealed, &answer), (destination, &target));
        let other = self.sealer.offer_under_another(delivery, refused, to, outer_key).await;
        match other {
            Some((taken, yes)) => (sending.sealed, sending.answer) = (Some(taken), Some(yes)),
            None => sending.answer = Some(answer),
        }
    }

    /// Judges the answer and records what follows from it.
    async fn conclude(&self, sending: Sending<'_>) -> AttemptResult {
        let Sending { delivery, began, sealed, answer } = sending;
        let none = || SinkAnswer::failed(AttemptFailure::Broken, "no answer");
        let mut answer = answer.unwrap_or_else(none);
        let receipt = self.check(delivery, sealed.as_ref(), &mut answer).await;
        if answer.kind == AnswerKind::OtherKey {
            // What is seldom needed is not part of every attempt's size, here and below.
            Box::pin(self.sealer.renew(delivery)).await;
        } else if let Some(sealed) = sealed.filter(|_| !answer.is_yes()) {
            Box::pin(self.sealer.keep(delivery, sealed)).await;
        }
        let now = self.clock.now();
        let situation = Situation {
            made: delivery.attempts.saturating_add(1),
            ages_from: delivery.ages_from(began),
            now,
        };
        let policy = Policy::of(&delivery.subscription, &self.schedule);
        let verdict = policy.judge(&answer, situation, &*self.entropy);
        let result =
            AttemptResult { verdict, health: answer.health(), retry_after: answer.retry_after };
        let kind = answer.kind;
        self.ledger
            .record(delivery, &AttemptOutcome { answer, verdict, began, ended: now, receipt });
        self.observe(delivery, verdict, now.since(began));
        if let AnswerKind::Gone(words) = kind {
            let subscription = Arc::clone(&delivery.subscription);
            self.signals.tell(DeliverySignal::SinkGone { subscription, words });
        }
        result
    }

    /// Checks the receipt in a yes, if the subscription asks for one; where it has to be there and
    /// is not, the yes counts as none.
    async fn check(
        &self,
        delivery: &Delivery,
        sealed: Option<&SealedEvent>,
        answer: &mut SinkAnswer,
    ) -> Option<Result<SignedReceipt, ReceiptFault>> {
        let receipts = delivery.subscription.receipts.as_deref().filter(|_| answer.is_yes())?;
        let token = sealed?.token();
        let check = self.receipts.check((delivery, receipts), token, &answer.body);
        let checked = Box::pin(check).await;
        if let (Err(fault), true) = (&checked, receipts.required) {
            *answer = answer.clone().without_receipt(*fault);
        }
        let labels = [delivery.subscription.id.as_str(), word_of(&checked)];
        self.metrics.counter(Metric::Receipts, &labels).increment();
        Some(checked)
    }

    /// Counts what was attempted.
    fn observe(&self, delivery: &Delivery, verdict: Verdict, took: Duration) {
        let subscription = delivery.subscription.id.as_str();
        let count = |metric, labels: &[&str]| self.metrics.counter(metric, labels).increment();
        count(Metric::Attempts, &[subscription, verdict.word()]);
        self.metrics.histogram(Metric::AttemptSeconds, &[]).observe_duration(took);
        match verdict {
            Verdict::Delivered => {
                count(Metric::Delivered, &[subscription]);
                if delivery.replay.is_some() {
                    count(Metric::Replayed, &[subscription]);
                } else if !delivery.redriven {
                    let age = self.clock.now().since(delivery.entry.accepted);
                    self.metrics.histogram(Metric::EndToEndSeconds, &[]).observe_duration(age);
                }
            }
            Verdict::GiveUp(reason) => count(Metric::DeadLetters, &[subscription, reason.word()]),
            Verdict::Retry { .. } => {}
        }
    }

    /// Counts deliveries that were given up before they were offered.
    pub fn given_up(&self, subscription: &Subscription, reason: Reason, count: usize) {
        let labels = [subscription.id.as_str(), reason.word()];
        self.metrics.counter(Metric::DeadLetters, &labels).add(count as u64);
    }
}

/// What a sink is handed of a delivery: the attributes of its event only as far as they may be
/// shown, and for its idempotency key, which whoever can guess at the data could check a guess
/// against, the outer key.
pub(super) fn parcel(
    delivery: &Delivery,
    sealed: &SealedEvent,
    (issuer, outer_key): (&str, Option<OuterKey>),
) -> Parcel {
    let (subscription, event) = (&delivery.subscription, &delivery.entry.event);
    let bare = Parcel {
        id: event.id,
        name: None,
        attributes: Vec::new(),
        extensions: Vec::new(),
        sequence: None,
        replay: None,
        attempt: delivery.attempts.saturating_add(1),
        token: sealed.sealed_token(),
    };
    let mode = subscription.document.config.content_mode;
    if mode == ContentMode::Set {
        return bare;
    }
    if subscription.hides_attributes() {
        let is_for_bus = subscription.document.protocol == Protocol::EventBridge;
        return if mode.is_binary() && !is_for_bus { bare } else { nameless(bare, issuer) };
    }
    let shown = |(name, value): (&'static str, Cow<'_, str>)| match name {
        // What is in the token is said by the token's own media type.
        "datacontenttype" => None,
        "idempotencykey" => outer_key.map(|outer| (name, outer.to_string())),
        _ => Some((name, value.into_owned())),
    };
    let extensions = event.clear_extensions();
    // Room for all of them at once.
    let mut attributes = Vec::with_capacity(8);
    attributes.extend(event.clear_attributes().filter_map(shown));
    Parcel {
        name: Some(event.name().to_string()),
        attributes,
        extensions: extensions.map(|(name, value)| (name.clone(), value.clone())).collect(),
        sequence: delivery.link.map(|(sequence, _)| sequence),
        replay: delivery.replay.clone(),
        ..bare
    }
}

/// The same as a CloudEvent, which has a source and a type: the gateway's own, whatever it holds.
fn nameless(bare: Parcel, issuer: &str) -> Parcel {
    let attributes = vec![("source", issuer.to_owned()), ("type", SEALED_TYPE.to_owned())];
    Parcel { name: Some(SEALED_TYPE.to_owned()), attributes, ..bare }
}

fn unsealed(error: &SealerError) -> SinkAnswer {
    // The consumer's keys may lie where the egress guard lets nobody go.
    let is_refused = EgressRefusal::among_causes(error).is_some();
    let failure = if is_refused { AttemptFailure::Refused } else { AttemptFailure::Seal };
    SinkAnswer::failed(failure, &error_chain(error).to_string())
}
