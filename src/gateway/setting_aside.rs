//! Keeps what a producer sent and cannot cross, within the producer's quota: events that broke a contract,
//! and what could not be read.

use std::sync::Arc;

use crate::event::Fault;
use crate::eventlog::{
    KeptEntry, LogError, NewQuarantined, Quarantine, QuarantineId, QuarantineQuota,
    QuarantineUsage, UnreadBytes,
};
use crate::source::{AdmitRefusal, Unparsed};
use crate::telemetry::{Metric, Metrics};

/// What each producer may have in quarantine.
#[derive(Clone, Copy, Debug)]
pub struct QuarantineQuotas {
    /// Of events that broke a contract.
    pub events: QuarantineQuota,
    /// Of what could not be read.
    pub unread: QuarantineQuota,
}

/// Makes durable what broke its contract, and says of each why it was not kept, in the order given.
/// What is there already, because it came again, is not counted.
///
/// # Errors
///
/// As [`Quarantine::quarantine`]; nothing was kept then.
pub(super) async fn keep_events(
    batch: Vec<NewQuarantined>,
    (quarantine, quota): (&dyn Quarantine, QuarantineQuota),
    metrics: &Metrics,
) -> Result<Vec<Option<AdmitRefusal>>, LogError> {
    let describe = |one: &NewQuarantined| (Arc::clone(&one.publication), one.bytes_on_disk());
    let described: Vec<_> = batch.iter().map(describe).collect();
    let kept = quarantine.quarantine(batch, quota).await?;
    let settle = |(kept, (publication, bytes)): (KeptEntry, (Arc<str>, u64))| match kept {
        KeptEntry::New(_) => {
            metrics.counter(Metric::EventsQuarantined, &[&publication]).increment();
            None
        }
        KeptEntry::Already(_) => None,
        KeptEntry::OverQuota | KeptEntry::Full if Words::is_too_large(quota, bytes) => {
            Some(EVENT.too_large(quota))
        }
        KeptEntry::OverQuota => Some(EVENT.over_quota(quota)),
        KeptEntry::Full => Some(EVENT.full()),
    };
    Ok(kept.into_iter().zip(described).map(settle).collect())
}

/// Makes durable what could not be read, and answers each in the order given.
///
/// # Errors
///
/// As [`Quarantine::quarantine_bytes`]; nothing was kept then.
pub(super) async fn set_aside(
    batch: Vec<Unparsed>,
    (quarantine, quota): (&dyn Quarantine, QuarantineQuota),
    metrics: &Metrics,
) -> Result<Vec<Result<u64, AdmitRefusal>>, LogError> {
    let refused = |refusal: AdmitRefusal| {
        metrics.counter(Metric::EventsRefused, &[refusal.code]).increment();
        refusal
    };
    let mut answers = Vec::with_capacity(batch.len());
    let mut kept = Vec::with_capacity(batch.len());
    for unparsed in batch {
        let bytes = described(unparsed).and_then(|bytes| within(bytes, quota));
        answers.push(bytes.map(|bytes| kept.push(bytes)).map_err(refused));
    }
    let codes: Vec<_> = kept.iter().map(|bytes: &UnreadBytes| Arc::clone(&bytes.codes)).collect();
    let outcomes = quarantine.quarantine_bytes(kept, quota).await?;
    let settle = |(kept, code): (KeptEntry, Arc<str>)| match kept {
        KeptEntry::New(QuarantineId(number)) => {
            metrics.counter(Metric::UnreadableQuarantined, &[&*code]).increment();
            Ok(number)
        }
        KeptEntry::Already(QuarantineId(number)) => Ok(number),
        KeptEntry::OverQuota => Err(refused(UNREAD.over_quota(quota))),
        KeptEntry::Full => Err(refused(UNREAD.full())),
    };
    let mut settled = outcomes.into_iter().zip(codes).map(settle);
    let lost = || Err(ours("the quarantine gave no answer for what could not be read".to_owned()));
    let settle_next = |answer: Result<(), AdmitRefusal>| match answer {
        Ok(()) => settled.next().unwrap_or_else(lost),
        Err(refusal) => Err(refusal),
    };
    Ok(answers.into_iter().map(settle_next).collect())
}

/// Describes what could not be read in the words of the quarantine.
fn described(unparsed: Unparsed) -> Result<UnreadBytes, AdmitRefusal> {
    let violations = serde_json::to_string(&[&unparsed.reason]);
    Ok(UnreadBytes {
        identity: unparsed.identity(),
        producer: unparsed.producer,
        envelope_id: unparsed.id.unwrap_or_default().into(),
        codes: unparsed.reason.code.as_str().into(),
        violations: violations.map_err(|error| ours(error.to_string()))?,
        headers: unparsed.headers.to_json().map_err(|error| ours(error.to_string()))?,
        body: unparsed.body,
    })
}

/// Refuses what is over the quota by itself: sent again, it would be refused for ever.
fn within(bytes: UnreadBytes, quota: QuarantineQuota) -> Result<UnreadBytes, AdmitRefusal> {
    if Words::is_too_large(quota, bytes.bytes_on_disk()) {
        return Err(UNREAD.too_large(quota));
    }
    Ok(bytes)
}

fn ours(message: String) -> AdmitRefusal {
    AdmitRefusal { fault: Fault::Ours, code: "internal", message, violations: Vec::new() }
}

/// How it is told that there is no room for a kind of entry.
struct Words {
    /// What is wrong with what was sent.
    what: &'static str,
    /// What others of the kind are.
    others: &'static str,
    /// The quota's setting.
    setting: &'static str,
}

const EVENT: Words =
    Words { what: "breaks a contract", others: "that breaks one", setting: "source.quarantined" };
const UNREAD: Words =
    Words { what: "cannot be read", others: "that cannot be read", setting: "source.unreadable" };

impl Words {
    /// Whether there is no room for it even where nothing else is.
    fn is_too_large(quota: QuarantineQuota, bytes: u64) -> bool {
        let empty = QuarantineUsage::default();
        !quota.admits(empty, bytes) || !quota.has_room(empty, bytes)
    }

    fn too_large(&self, quota: QuarantineQuota) -> AdmitRefusal {
        let Self { what, setting, .. } = self;
        let limit = quota.bytes;
        AdmitRefusal {
            fault: Fault::Caller,
            code: "too-large",
            message: format!(
                "what was sent {what}, and cannot be kept in quarantine: it is over the {limit} bytes of \
                 `{setting}.max-bytes`, or over `log.retention.quarantine-size`"
            ),
            violations: Vec::new(),
        }
    }

    fn over_quota(&self, quota: QuarantineQuota) -> AdmitRefusal {
        let (Self { what, others, setting }, QuarantineQuota { entries, bytes, .. }) =
            (self, quota);
        no_room(format!(
            "what was sent {what}, and its producer has as much in quarantine {others} as `{setting}` \
             lets it: {entries} entries, {bytes} bytes; release or remove some, or correct what is sent"
        ))
    }

    fn full(&self) -> AdmitRefusal {
        no_room(format!(
            "what was sent {}, and the quarantine is as large as `log.retention.quarantine-size` lets it \
             be; release or remove some, or correct what is sent",
            self.what
        ))
    }
}

fn no_room(message: String) -> AdmitRefusal {
    AdmitRefusal { fault: Fault::Later, code: "quarantine-full", message, violations: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{ManualClock, SeededEntropy};
    use crate::event::{EventProducer, ProducerKind, Timestamp, Violation};
    use crate::eventlog::{LogLimits, MemoryLog};
    use crate::source::KeptHeaders;

    fn unparsed(body: &str) -> Unparsed {
        Unparsed {
            producer: EventProducer { kind: ProducerKind::Caller, name: "shop".into() },
            headers: KeptHeaders::default(),
            body: body.into(),
            id: None,
            reason: Violation {
                pointer: String::new(),
                code: "invalid-event".to_owned(),
                message: String::new(),
            },
        }
    }

    #[tokio::test]
    async fn what_is_there_already_is_named_and_not_counted_again() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let log = MemoryLog::new(LogLimits::default(), clock, Arc::new(SeededEntropy::new(1)));
        let quota = QuarantineQuota { entries: 2, bytes: 1_000_000, total: None };
        let metrics = Metrics::new();
        let keep = async |bodies: &[&str]| {
            let batch = bodies.iter().map(|body| unparsed(body)).collect();
            let told = set_aside(batch, (&*log, quota), &metrics).await.unwrap();
            told.into_iter().map(|one| one.map_err(|error| error.code)).collect::<Vec<_>>()
        };

        assert_eq!(keep(&["{", "{"]).await, [Ok(1), Ok(1)]);
        assert_eq!(keep(&["{", "["]).await, [Ok(1), Ok(2)]);
        assert_eq!(keep(&["{", "[[", "["]).await, [Ok(1), Err("quarantine-full"), Ok(2)]);

        let kept = metrics.counter(Metric::UnreadableQuarantined, &["invalid-event"]);
        assert_eq!(kept.value(), 2);
        assert_eq!(metrics.counter(Metric::EventsRefused, &["quarantine-full"]).value(), 1);
    }
}
