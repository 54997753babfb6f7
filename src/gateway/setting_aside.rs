//! Keeps what a producer sent and could not be read, within the producer's quota.

use std::sync::Arc;

use crate::event::Fault;
use crate::eventlog::{KeptBytes, LogError, Quarantine, QuarantineId, UnreadBytes, UnreadQuota};
use crate::source::{AdmitRefusal, Unparsed};
use crate::telemetry::{Metric, Metrics};

/// Makes durable what could not be read, and answers each in the order given.
///
/// # Errors
///
/// As [`Quarantine::quarantine_bytes`]; nothing was kept then.
pub(super) async fn set_aside(
    batch: Vec<Unparsed>,
    (quarantine, quota): (&dyn Quarantine, UnreadQuota),
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
    let settle = |(kept, code): (KeptBytes, Arc<str>)| match kept {
        KeptBytes::New(QuarantineId(number)) => {
            metrics.counter(Metric::UnreadableQuarantined, &[&*code]).increment();
            Ok(number)
        }
        KeptBytes::Already(QuarantineId(number)) => Ok(number),
        KeptBytes::OverQuota => Err(refused(full(quota))),
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
fn within(bytes: UnreadBytes, quota: UnreadQuota) -> Result<UnreadBytes, AdmitRefusal> {
    if quota.admits(0, 0, bytes.weight() as u64) {
        return Ok(bytes);
    }
    let limit = quota.bytes;
    Err(AdmitRefusal {
        fault: Fault::Caller,
        code: "too-large",
        message: format!(
            "what was sent cannot be read, and cannot be kept in quarantine: it is over the {limit} \
             bytes of `source.unreadable.max-bytes`"
        ),
        violations: Vec::new(),
    })
}

fn ours(message: String) -> AdmitRefusal {
    AdmitRefusal { fault: Fault::Ours, code: "internal", message, violations: Vec::new() }
}

fn full(quota: UnreadQuota) -> AdmitRefusal {
    let UnreadQuota { entries, bytes } = quota;
    AdmitRefusal {
        fault: Fault::Later,
        code: "quarantine-full",
        message: format!(
            "what was sent cannot be read, and its producer has as much in quarantine that cannot be \
             read as it may: {entries} entries, {bytes} bytes; release or remove some, or correct what \
             is sent"
        ),
        violations: Vec::new(),
    }
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
        let quota = UnreadQuota { entries: 2, bytes: 1_000_000 };
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
