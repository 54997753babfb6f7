//! The embedded bus: from the bytes of a call to its answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use uuid::Uuid;

use crate::ambient::{Clock, Entropy};
use crate::event::{EventProducer, ProducerKind, Timestamp};
use crate::source::aws::answer::EntryResult;
use crate::source::aws::cbor::CLASSIC_ONLY;
use crate::source::aws::entries::{self, Checked, PutEntry};
use crate::source::aws::entry_outcome::{EntryOutcome, SettledEntry, refuse_whole, settled, whole};
use crate::source::aws::operations::{self, Buses};
use crate::source::aws::repeats::{Answers, Invocation};
use crate::source::aws::seen_signatures::{KeepSignatures, SeenSignature, SeenSignatures};
use crate::source::aws::signature::Signed;
use crate::source::aws::signed_result::{SignedResults, set_aside};
use crate::source::aws::testing_patterns::PatternTests;
use crate::source::aws::{AccessKeys, Answered, AwsErrorKind, Call, Identity, Refused, signature};
use crate::source::body::without_byte_order_mark;
use crate::source::trace::trace_of;
use crate::source::{
    Admit, CodingError, Config, ContentCoding, OnViolation, Received, ResponseMode, SignAnswers,
    Signatures, Unparsed,
};
use crate::telemetry::{Metric, Metrics};

const TARGET_PREFIX: &str = "AWSEvents.";
/// The label of a producer whose access key is not ours; no access key has such an id.
const UNKNOWN_KEY: &str = "(unsigned)";

/// How far an entry has come.
enum Place {
    /// Its answer is known.
    Settled(SettledEntry),
    /// It is among the events that the gateway was offered.
    Offered,
    /// No event can be made of it, and it is among the bytes that the quarantine was offered.
    SetAside,
}

/// The embedded bus.
pub struct Bus {
    pub(super) config: Config,
    buses: Buses,
    keys: Arc<AccessKeys>,
    answers: Answers,
    seen: SeenSignatures,
    admit: Arc<dyn Admit>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pattern_tests: PatternTests,
    signed_results: SignedResults,
}

impl Bus {
    /// Opens the bus that the settings describe.
    pub fn new(
        config: Config,
        keys: impl Into<Arc<AccessKeys>>,
        (admit, metrics): (Arc<dyn Admit>, Arc<Metrics>),
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let buses = Buses::new(&config);
        let answers = Answers::new(config.repeat_answers.0);
        let seen = SeenSignatures::new(config.remembered_signatures);
        let pattern_tests = PatternTests::default();
        let signed_results = SignedResults::new(config.sign_answers);
        Self {
            config,
            buses,
            keys: keys.into(),
            answers,
            seen,
            admit,
            metrics,
            clock,
            entropy,
            pattern_tests,
            signed_results,
        }
    }

    /// Signs answers where producers ask for it; without it none is signed.
    #[must_use]
    pub fn signing_answers(self, signer: Arc<dyn SignAnswers>) -> Self {
        Self { signed_results: self.signed_results.signed_by(signer), ..self }
    }

    /// Remembers the signatures that were kept, and keeps those that come; without it a start forgets
    /// them.
    #[must_use]
    pub fn keeping_signatures(
        self,
        keeper: Arc<dyn KeepSignatures>,
        kept: impl IntoIterator<Item = SeenSignature>,
    ) -> Self {
        Self { seen: self.seen.kept_by(keeper, kept), ..self }
    }

    /// The longest body that a call may have, in bytes.
    pub fn max_body(&self) -> usize {
        self.config.max_body.bytes()
    }

    /// Answers a call.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped future leaves the producer in doubt. Its SDK repeats the call,
    /// which is harmless.
    pub async fn answer(&self, call: Call<'_>) -> Answered {
        let outcome = self.operate(call).await;
        Answered { request_id: self.random_id(), outcome }
    }

    /// Refuses a call in the protocol of custom event buses, whatever it asks for and whoever asks; the
    /// id names the request.
    pub fn refuse_other_protocol(&self) -> (Uuid, Refused) {
        (self.random_id(), Refused::new(AwsErrorKind::UnknownOperation, CLASSIC_ONLY))
    }

    async fn operate(&self, call: Call<'_>) -> Result<String, Refused> {
        let (identity, signed) = self.identify(&call)?;
        call.room.trust();
        // The signature is over the bytes that were sent, so they are decoded after it.
        let body = self.decode(&call)?;
        let call = Call { body: without_byte_order_mark(&body), ..call };
        let target = call.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        match target.and_then(|target| target.strip_prefix(TARGET_PREFIX)) {
            Some("PutEvents") => self.put_events(call, (identity, signed)).await,
            Some("DescribeEventBus") => operations::describe_event_bus(call.body, &self.buses),
            Some("ListEventBuses") => operations::list_event_buses(call.body, &self.buses),
            Some("TestEventPattern") => {
                let test = (call.body.to_vec(), self.config.json_limits());
                self.pattern_tests.test(&identity.access_key, test).await
            }
            _ => Err(Refused::new(
                AwsErrorKind::UnknownOperation,
                "The gateway answers AWSEvents.PutEvents, .TestEventPattern, .DescribeEventBus and \
                 .ListEventBuses in X-Amz-Target, and no other operation.",
            )),
        }
    }

    /// The access key id that a request names, if it is one of ours; nothing of it is verified yet.
    pub fn named_key<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        Some(signature::claimed_access_key(headers)).filter(|key| self.keys.knows(key))
    }

    /// Refuses a call whose headers or peer show already that it is a stranger's, before its body is
    /// read; nothing if the body is needed to tell.
    pub fn refuse_stranger(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Answered> {
        let refused = if self.config.signatures == Signatures::Required {
            signature::check_headers(headers, &self.keys, self.clock.now()).err()?
        } else {
            self.trust(headers, peer).err()?
        };
        Some(Answered { request_id: self.random_id(), outcome: Err(refused) })
    }

    fn decode<'a>(&self, call: &Call<'a>) -> Result<Cow<'a, [u8]>, Refused> {
        let coding = ContentCoding::of(call.headers);
        coding.and_then(|coding| coding.decode(call.body, self.max_body(), call.room)).map_err(
            |error| {
                let kind = match error {
                    CodingError::Unsupported => AwsErrorKind::UnsupportedMediaType,
                    CodingError::Damaged => AwsErrorKind::Serialization,
                    CodingError::TooLong { .. } => AwsErrorKind::RequestEntityTooLarge,
                    CodingError::NoRoom => AwsErrorKind::ServiceUnavailable,
                };
                Refused::new(kind, format!("Cannot read the request body: {error}."))
            },
        )
    }

    fn identify(&self, call: &Call<'_>) -> Result<(Identity, Option<Signed>), Refused> {
        if self.config.signatures == Signatures::Required {
            let verified = signature::verify(call, &self.keys, self.clock.now());
            return verified.map(|(identity, signed)| (identity, Some(signed)));
        }
        self.trust(call.headers, call.peer)?;
        Ok((Identity::unsigned(signature::claimed_access_key(call.headers)), None))
    }

    /// Lets a neighbor publish unsigned, where the settings say so.
    fn trust(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), Refused> {
        // A proxy on this machine would make every stranger look like a neighbor.
        let forwarded =
            ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
        if forwarded || !self.config.trusts_unsigned(peer) {
            return Err(Refused::new(
                AwsErrorKind::AccessDenied,
                "Signatures are switched off, so only loopback peers may publish. Set `signatures: \
                 required` and give the producer an access key.",
            ));
        }
        Ok(())
    }

    async fn put_events(
        &self,
        call: Call<'_>,
        (identity, signed): (Identity, Option<Signed>),
    ) -> Result<String, Refused> {
        let named = call
            .headers
            .get("amz-sdk-invocation-id")
            .and_then(|id| id.to_str().ok())
            .filter(|id| !id.is_empty())
            .map(|id| Invocation::new(&identity.access_key, id, call.body));
        let recognized = signed.map(|signed| {
            self.seen.recognize(signed, (&identity.access_key, named), self.clock.now())
        });
        let recognized = recognized.transpose()?;
        let invocation = recognized.as_ref().map(|found| found.invocation).or(named);
        let is_signed = self.signed_results.are_asked(call.headers);
        let put = async {
            let put = self.put_once(call, &identity, (invocation, named.is_some())).await;
            self.count_refusals(&put, &identity);
            let by = self.producer(&identity);
            let answer = self.signed_results.answer(put?, is_signed.then_some((call.body, &by)));
            Ok(answer.await)
        };
        let keep = async {
            match &recognized {
                Some(recognized) => self.seen.keep(recognized).await,
                None => Ok(()),
            }
        };
        let put = async {
            match invocation {
                Some(invocation) => self.answers.first((invocation, is_signed), put).await,
                None => put.await,
            }
        };
        // In this order, so that the signature is written with the events or before them.
        let (kept, answer) = futures_util::future::join(keep, put).await;
        kept.map_err(|refusal| whole(&refusal))?;
        answer
    }

    async fn put_once(
        &self,
        call: Call<'_>,
        identity: &Identity,
        (invocation, is_named): (Option<Invocation>, bool),
    ) -> Result<Vec<SettledEntry>, Refused> {
        let checked = entries::read(call.body, identity, &self.buses, &self.config)?;
        let keeps_unreadable = self.keeps_unreadable(identity);
        let (mut batch, mut aside) = (Vec::with_capacity(checked.len()), Vec::new());
        let mut places = Vec::with_capacity(checked.len());
        for (at, checked) in checked.into_iter().enumerate() {
            let event_id =
                invocation.map_or_else(|| self.random_id(), |invocation| invocation.event_id(at));
            let place = match checked {
                Checked::Fail(result) => Place::Settled(result.into()),
                Checked::Drop => Place::Settled(EntryResult::Taken { event_id }.into()),
                Checked::Unreadable(entry) if keeps_unreadable => {
                    aside.push(entry.into_unparsed(event_id, (identity, call.headers)));
                    Place::SetAside
                }
                Checked::Unreadable(entry) => Place::Settled(entry.failed.into()),
                Checked::Take(entry) => {
                    batch.push(self.receive(*entry, event_id, invocation.is_some(), call.headers));
                    Place::Offered
                }
            };
            places.push((place, event_id));
        }
        let (offered, aside) = self.store(batch, aside, (identity, is_named)).await?;
        let (mut offered, mut aside) = (offered.into_iter(), aside.into_iter());
        let settle = |(place, event_id)| match place {
            Place::Settled(entry) => entry,
            Place::Offered => settled(offered.next(), event_id),
            Place::SetAside => settled(aside.next(), event_id),
        };
        Ok(places.into_iter().map(settle).collect())
    }

    /// Offers events to the gateway and then bytes to the quarantine, and says of each what became of
    /// it.
    async fn store(
        &self,
        batch: Vec<Received>,
        aside: Vec<Unparsed>,
        (identity, repeatable): (&Identity, bool),
    ) -> Result<(Vec<EntryOutcome>, Vec<EntryOutcome>), Refused> {
        let mut offered: Vec<EntryOutcome> = Vec::new();
        if !batch.is_empty() {
            let producer = self.producer(identity);
            let outcomes = self.admit.admit(batch, Some(&producer), self.response_mode()).await;
            offered.extend(outcomes);
        }
        // What is repeated whole sets its bytes aside then.
        refuse_whole(offered.iter(), repeatable)?;
        let mut kept: Vec<EntryOutcome> = Vec::new();
        if !aside.is_empty() {
            let outcomes = self.admit.set_aside(aside).await;
            kept.extend(outcomes.into_iter().map(|outcome| outcome.map(set_aside)));
        }
        refuse_whole(offered.iter().chain(&kept), repeatable)?;
        Ok((offered, kept))
    }

    /// Whether producers are told of violations; most never look at single entries.
    const fn response_mode(&self) -> ResponseMode {
        match self.config.on_violation {
            OnViolation::Refuse => ResponseMode::Synchronous,
            OnViolation::Quarantine => ResponseMode::Asynchronous,
        }
    }

    /// Whether an entry of which no event can be made is kept as bytes: only where producers are not
    /// told of violations. What nobody has signed is not kept.
    fn keeps_unreadable(&self, identity: &Identity) -> bool {
        self.response_mode() == ResponseMode::Asynchronous
            && self.config.signatures == Signatures::Required
            && self.keys.has(identity)
    }

    /// The access key of a request; one name for all that nobody has signed.
    fn key<'a>(&self, identity: &'a Identity) -> &'a str {
        if self.keys.has(identity) { &identity.access_key } else { UNKNOWN_KEY }
    }

    fn producer(&self, identity: &Identity) -> EventProducer {
        EventProducer { kind: ProducerKind::AccessKey, name: self.key(identity).into() }
    }

    /// Counts what was refused by access key, since most producers never look at it.
    fn count_refusals(&self, put: &Result<Vec<SettledEntry>, Refused>, identity: &Identity) {
        let key = self.key(identity);
        let count = |code| self.metrics.counter(Metric::PutEventsRefused, &[key, code]).increment();
        match put {
            Ok(put) => put.iter().filter_map(|one| one.result.error_code()).for_each(count),
            Err(refused) => count(refused.kind.code()),
        }
    }

    /// Reads an entry of `PutEvents` again, its JSON, that could not be read when it arrived; its id
    /// is the one that its producer was answered. The entry's access key is not asked for its sources.
    ///
    /// # Errors
    ///
    /// The caller's turn: it still cannot be read, as the text says without data.
    pub fn read_again(
        &self,
        entry: &[u8],
        id: &str,
        headers: &HeaderMap,
        arrived: Timestamp,
    ) -> Result<Received, String> {
        let id = id.parse().map_err(|_| "its event id is not known".to_owned())?;
        let request = [b"{\"Entries\":[", entry, b"]}"].concat();
        let identity = Identity::unsigned("");
        let mut checked = entries::read(&request, &identity, &self.buses, &self.config)
            .map_err(|refused| refused.message)?;
        match (checked.pop(), checked.is_empty()) {
            (Some(Checked::Take(mut put)), true) => {
                put.time.get_or_insert_with(|| arrived.into());
                Ok(self.receive(*put, id, true, headers))
            }
            (Some(Checked::Unreadable(entry)), true) => Err(entry.why()),
            (Some(Checked::Fail(EntryResult::Failed { error_code, error_message })), true) => {
                Err(format!("{error_message} ({error_code})"))
            }
            _ => Err("it is not one entry of a bus that exists".to_owned()),
        }
    }

    fn receive(
        &self,
        entry: PutEntry,
        event_id: Uuid,
        repeatable: bool,
        headers: &HeaderMap,
    ) -> Received {
        let named = (event_id.to_string(), repeatable);
        entry.into_received(named, trace_of(headers), (&self.config, self.clock.now()))
    }

    pub(super) fn random_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
