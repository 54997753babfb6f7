//! How values become columns, and columns become values.

use std::sync::Arc;

use rusqlite::types::{FromSqlError, ToSqlOutput, Type};
use rusqlite::{Row, ToSql};

use crate::event::{
    ChainValue, CloudEvent, Data, EventContext, EventDigest, EventId, EventProducer, EventSource,
    EventType, IdempotencyKey, ProducerKind, ReplayId, Salt, Subject, SubscriptionId, Timestamp,
    TokenDigest,
};
use crate::eventlog::{
    Attempt, Cursor, DeadLetter, DeadLetterId, DeliveryKey, Entry, KeptReceipt, NewQuarantined,
    Position, Protection, QuarantineId, Quarantined, QuarantinedContent, ReceiptId, Record, Retry,
    Revision, SequenceCheckpoint, SequenceSet, UnreadBytes,
};

/// The columns that [`entry`] reads.
pub(super) const ENTRY: &str = "position, accepted, publication, envelope_id, conflict, \
    (SELECT data_key FROM protections AS kept WHERE kept.position = events.position), \
    id, source, type, subject, time, dataschema, idempotency_key, digest, trace, data, \
    (SELECT time FROM times AS kept WHERE kept.position = events.position), \
    (SELECT context FROM contexts AS kept WHERE kept.position = events.position)";

/// The columns that [`retry`] reads.
pub(super) const RETRY: &str = "subscription, replay, event, position, sequence, chain, attempts, first_attempt, due, redriven";

/// The columns that [`dead_letter`] reads.
pub(super) const DEAD_LETTER: &str = "subscription, replay, event, position, sequence, chain, number, \
    reason, attempts, status, detail, at, redriven, \
    event, source, type, subject, time, dataschema, idempotency_key, digest, trace, data, time_text, \
    context";

/// The columns that [`attempt`] reads.
pub(super) const ATTEMPT: &str =
    "subscription, replay, event, attempt, at, duration_ms, status, verdict, detail, receipt";

/// The columns that [`receipt`] reads.
pub(super) const RECEIPT: &str = "subscription, replay, event, sequence, at, token, jws, id";

/// The columns that [`quarantined`] reads, of `quarantine`, `unread`, `quarantined_events` and
/// `quarantine_sizes`.
pub(super) const QUARANTINED: &str = "quarantine.id, at, publication, received, violations, envelope_id, codes, \
     unread.producer_kind, unread.producer, unread.identity, headers, body, quarantined_events.identity, \
     quarantine_sizes.producer_kind, quarantine_sizes.producer";

/// An event as repeats are told it, and when the log took it.
pub(super) type Known = (EventId, Timestamp);

/// A position, id or count as SQLite keeps it.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// What [`signed`] was made from.
pub(super) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// The replay column: empty for live traffic.
pub(super) fn replay_text(key: &DeliveryKey) -> &str {
    key.replay.as_ref().map_or("", ReplayId::as_str)
}

/// The columns `subscription, replay, event` of a delivery.
pub(super) fn key_columns(key: &DeliveryKey) -> (&str, &str, [u8; 16]) {
    (key.subscription.as_str(), replay_text(key), key.event.to_bytes())
}

/// The ranges of a set, each as two numbers of 8 bytes, least significant first.
pub(super) fn ranges_to_bytes(set: &SequenceSet) -> Vec<u8> {
    set.ranges()
        .iter()
        .flat_map(|(first, last)| [first.to_le_bytes(), last.to_le_bytes()])
        .flatten()
        .collect()
}

fn ranges_from_bytes(bytes: &[u8]) -> Option<SequenceSet> {
    let (numbers, []) = bytes.as_chunks::<8>() else { return None };
    let (pairs, []) = numbers.as_chunks::<2>() else { return None };
    let pair =
        |[first, last]: &[[u8; 8]; 2]| (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    Some(SequenceSet::from_ranges(pairs.iter().map(pair)))
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        position: Position(unsigned(row.get(0)?)),
        accepted: timestamp(row, 1)?,
        publication: row.get(2)?,
        envelope_id: row.get(3)?,
        conflict: row.get::<_, Option<[u8; 16]>>(4)?.map(EventId::from_bytes),
        protection: Protection { data_key: row.get(5)? },
        event: cloud_event(row, 6)?,
    })
}

pub(super) fn cursor(row: &Row<'_>) -> rusqlite::Result<(SubscriptionId, Cursor)> {
    let ahead = row.get_ref(4)?.as_blob()?;
    let cursor = Cursor {
        settled: Position(unsigned(row.get(1)?)),
        sequence: unsigned(row.get(2)?),
        chain: ChainValue::from_bytes(row.get(3)?),
        ahead: ranges_from_bytes(ahead).ok_or(FromSqlError::InvalidType)?,
        failing_since: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_unix_nanos),
    };
    Ok((parsed(row, 0, str::parse)?, cursor))
}

/// Reads `position, sequence, chain`.
pub(super) fn sequence_checkpoint(row: &Row<'_>) -> rusqlite::Result<SequenceCheckpoint> {
    Ok(SequenceCheckpoint {
        position: Position(unsigned(row.get(0)?)),
        sequence: unsigned(row.get(1)?),
        chain: ChainValue::from_bytes(row.get(2)?),
    })
}

pub(super) fn retry(row: &Row<'_>) -> rusqlite::Result<Retry> {
    Ok(Retry {
        key: delivery_key(row)?,
        position: Position(unsigned(row.get(3)?)),
        link: link(row, 4)?,
        attempts: row.get(6)?,
        first_attempt: timestamp(row, 7)?,
        due: timestamp(row, 8)?,
        redriven: row.get(9)?,
    })
}

pub(super) fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        key: delivery_key(row)?,
        position: Position(unsigned(row.get(3)?)),
        link: link(row, 4)?,
        id: DeadLetterId(unsigned(row.get(6)?)),
        reason: row.get(7)?,
        attempts: row.get(8)?,
        status: row.get(9)?,
        detail: row.get(10)?,
        at: timestamp(row, 11)?,
        redriven: row.get(12)?,
        event: cloud_event(row, 13)?,
    })
}

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        key: delivery_key(row)?,
        number: row.get(3)?,
        at: timestamp(row, 4)?,
        duration_ms: row.get(5)?,
        status: row.get(6)?,
        verdict: row.get(7)?,
        detail: row.get(8)?,
        receipt: row.get(9)?,
    })
}

pub(super) fn receipt(row: &Row<'_>) -> rusqlite::Result<KeptReceipt> {
    Ok(KeptReceipt {
        key: delivery_key(row)?,
        sequence: row.get::<_, Option<i64>>(3)?.map(unsigned),
        at: timestamp(row, 4)?,
        token: TokenDigest::from_bytes(row.get(5)?),
        jws: row.get(6)?,
        id: ReceiptId(unsigned(row.get(7)?)),
    })
}

pub(super) fn quarantined(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    let content = match row.get_ref(8)?.as_str_or_null()? {
        Some(_) => QuarantinedContent::Bytes(unread_bytes(row)?),
        None => QuarantinedContent::Event(NewQuarantined {
            producer: producer(row, (13, 14))?,
            publication: row.get(2)?,
            received: row.get(3)?,
            violations: row.get(4)?,
            envelope_id: row.get(5)?,
            codes: row.get(6)?,
            identity: row.get(12)?,
        }),
    };
    Ok(Quarantined { id: QuarantineId(unsigned(row.get(0)?)), at: timestamp(row, 1)?, content })
}

/// Reads a producer's kind and name; there is none where the kind is empty or missing.
pub(super) fn producer(
    row: &Row<'_>,
    (kind, name): (usize, usize),
) -> rusqlite::Result<Option<EventProducer>> {
    let text: Option<String> = row.get(kind)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let unknown = || rusqlite::Error::InvalidColumnType(kind, text.clone(), Type::Text);
    let kind = ProducerKind::from_text(&text).ok_or_else(unknown)?;
    Ok(Some(EventProducer { kind, name: row.get(name)? }))
}

/// Reads an entry that could not be read as an event.
fn unread_bytes(row: &Row<'_>) -> rusqlite::Result<UnreadBytes> {
    let kind = ProducerKind::from_text(row.get_ref(7)?.as_str()?);
    Ok(UnreadBytes {
        producer: EventProducer { kind: kind.ok_or(FromSqlError::InvalidType)?, name: row.get(8)? },
        identity: row.get(9)?,
        violations: row.get(4)?,
        envelope_id: row.get(5)?,
        codes: row.get(6)?,
        headers: row.get(10)?,
        body: row.get(11)?,
    })
}

/// Reads `id, revision, changed, body`.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        revision: Revision(unsigned(row.get(1)?)),
        changed: timestamp(row, 2)?,
        body: row.get(3)?,
    })
}

/// Reads the name of a subscription.
pub(super) fn subscription(row: &Row<'_>, at: usize) -> rusqlite::Result<SubscriptionId> {
    parsed(row, at, str::parse)
}

/// Reads an id.
pub(super) fn event_id(row: &Row<'_>, at: usize) -> rusqlite::Result<EventId> {
    row.get(at).map(EventId::from_bytes)
}

/// Reads a moment.
pub(super) fn timestamp(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_unix_nanos)
}

/// Reads `id, source, type, subject, time, dataschema, idempotency_key, digest, trace, data` and the
/// text of the time, where the number does not say it all, and its context, where it has one.
fn cloud_event(row: &Row<'_>, first: usize) -> rusqlite::Result<CloudEvent> {
    let (digest, salt) =
        digest_and_salt(row.get_ref(first + 7)?.as_blob()?).ok_or(FromSqlError::InvalidType)?;
    Ok(CloudEvent {
        id: event_id(row, first)?,
        source: parsed(row, first + 1, EventSource::new)?,
        event_type: parsed(row, first + 2, EventType::new)?,
        subject: parsed_option(row, first + 3, Subject::new)?,
        time: match parsed_option(row, first + 10, str::parse)? {
            Some(time) => time,
            None => timestamp(row, first + 4)?.into(),
        },
        dataschema: row.get(first + 5)?,
        idempotency_key: IdempotencyKey::from_bytes(row.get(first + 6)?),
        digest,
        salt,
        trace: parsed_option(row, first + 8, str::parse)?,
        context: parsed_option(row, first + 11, EventContext::from_json)?.map(Arc::new),
        data: Data::from_text(row.get(first + 9)?),
    })
}

/// The column of an event's digest: 32 bytes, and behind them the salt where there is one.
///
/// Not in a table of its own, which would have a page more written with each small transaction.
pub(super) struct KeptDigest {
    digest_and_salt: [u8; 32 + Salt::LENGTH],
    is_salted: bool,
}

impl KeptDigest {
    pub(super) fn of(event: &CloudEvent) -> Self {
        let mut digest_and_salt = [0; 32 + Salt::LENGTH];
        let (digest, salt) = digest_and_salt.split_at_mut(32);
        digest.copy_from_slice(&event.digest.to_bytes());
        if let Some(given) = event.salt {
            salt.copy_from_slice(&given.to_bytes());
        }
        Self { digest_and_salt, is_salted: event.salt.is_some() }
    }
}

impl ToSql for KeptDigest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let (digest, _) = self.digest_and_salt.split_at(32);
        Ok(if self.is_salted { &self.digest_and_salt } else { digest }.into())
    }
}

fn digest_and_salt(bytes: &[u8]) -> Option<(EventDigest, Option<Salt>)> {
    let (digest, salt) = bytes.split_first_chunk::<32>()?;
    let salt = if salt.is_empty() { None } else { Some(Salt::from_bytes(salt.try_into().ok()?)) };
    Some((EventDigest::from_bytes(*digest), salt))
}

/// Reads `subscription, replay, event` at the start of a row.
pub(super) fn delivery_key(row: &Row<'_>) -> rusqlite::Result<DeliveryKey> {
    let replay = match row.get_ref(1)?.as_str()? {
        "" => None,
        _ => Some(parsed(row, 1, str::parse)?),
    };
    Ok(DeliveryKey { subscription: parsed(row, 0, str::parse)?, replay, event: event_id(row, 2)? })
}

/// Reads `sequence, chain`.
fn link(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<(u64, ChainValue)>> {
    let sequence: Option<i64> = row.get(first)?;
    let chain: Option<[u8; 32]> = row.get(first + 1)?;
    Ok(sequence.map(unsigned).zip(chain.map(ChainValue::from_bytes)))
}

pub(super) fn parsed<T, E>(
    row: &Row<'_>,
    at: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(at)?.as_str()?;
    parse(text).map_err(|error| damaged(at, error))
}

fn parsed_option<T, E>(
    row: &Row<'_>,
    at: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<Option<T>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(at)?.as_str_or_null()?;
    text.map(parse).transpose().map_err(|error| damaged(at, error))
}

fn damaged(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}

/// The columns `sequence, chain`: both or neither.
pub(super) fn link_columns(link: Option<(u64, ChainValue)>) -> (Option<i64>, Option<[u8; 32]>) {
    (link.map(|(sequence, _)| signed(sequence)), link.map(|(_, chain)| chain.to_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sequence_set_comes_back_from_its_bytes(
            ranges in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..20),
        ) {
            let set = SequenceSet::from_ranges(ranges);
            prop_assert_eq!(ranges_from_bytes(&ranges_to_bytes(&set)), Some(set));
        }
    }

    #[test]
    fn a_digest_has_its_salt_behind_it_and_any_other_length_is_damage() {
        assert_eq!(digest_and_salt(&[7; 32]), Some((EventDigest::from_bytes([7; 32]), None)));
        let salt = Some(Salt::from_bytes([7; 16]));
        assert_eq!(digest_and_salt(&[7; 48]), Some((EventDigest::from_bytes([7; 32]), salt)));
        for length in [0, 16, 31, 33, 47, 49, 64] {
            assert_eq!(digest_and_salt(&vec![7; length]), None, "{length}");
        }
    }

    #[test]
    fn torn_ranges_are_damage() {
        assert_eq!(ranges_from_bytes(&[0; 15]), None);
        assert_eq!(ranges_from_bytes(&[0; 24]), None);
    }
}
