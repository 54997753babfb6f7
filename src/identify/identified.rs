//! An event with every name but its id.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::contract::{CrossingIdentity, SchemaAddresses, Validated};
use crate::event::{Blame, CanonicalError, Content, Data, Fault, Violation};
use crate::eventlog::{Draft, Observed, Origin, Protection};
use crate::identify::{BusinessKey, BusinessKeyError};
use crate::source::{ArchiveReplays, Received};

/// What names are made with beside the event.
#[derive(Clone, Debug)]
pub struct Naming {
    /// Where the schema of each publication is served.
    pub schemas: SchemaAddresses,
    /// The largest content, in bytes of its canonical form.
    pub largest: usize,
    /// What an event that an EventBridge archive sends again is taken for.
    pub archive_replays: ArchiveReplays,
}

impl Naming {
    /// The largest content unless it is set otherwise: 64 KiB.
    pub const DEFAULT_LARGEST: usize = 64 * 1024;
}

/// Why an event cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// A number that has no canonical text.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A part of the business key is missing.
    #[error("the data has nothing at `{pointer}`, which is part of the key of `{publication}`")]
    KeyMissing {
        /// The publication, as `domain/event`.
        publication: Arc<str>,
        /// Where the part should be.
        pointer: String,
    },
    /// The event is larger than what may be delivered.
    #[error(
        "the event has {actual} bytes, the limit is {limit}; publish a reference to what is large"
    )]
    TooLarge {
        /// Bytes of its canonical content.
        actual: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
}

impl Blame for IdentifyError {
    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl IdentifyError {
    /// A stable word for what went wrong; listed in `docs/errors.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Canonical(_) => "number-out-of-range",
            Self::KeyMissing { .. } => "key-missing",
            Self::TooLarge { .. } => "event-too-large",
        }
    }

    /// The error as a violation, so that it can be answered and quarantined like a breach of the
    /// contract.
    pub fn violation(&self) -> Violation {
        let pointer = match self {
            Self::KeyMissing { pointer, .. } => pointer.strip_prefix("/data").unwrap_or_default(),
            Self::Canonical(_) | Self::TooLarge { .. } => "",
        };
        Violation {
            pointer: pointer.to_owned(),
            code: self.code().to_owned(),
            message: self.to_string(),
        }
    }
}

/// An event that is ready for the log; only [`identify`] makes one.
#[derive(Clone)]
pub struct Identified(Draft);

/// Names a validated event.
///
/// # Errors
///
/// The caller's turn: the event is too large, lacks a part of its business key, or holds a number
/// that is not exact.
pub fn identify(validated: Validated, naming: &Naming) -> Result<Identified, IdentifyError> {
    let CrossingIdentity { source, event_type, context } = validated.identity().clone();
    let (enriched, _, observed) = validated.into_parts();
    let publication = Arc::clone(enriched.publication());
    let subject = enriched.subject().clone();
    let content = Content::of(&source, &event_type, Some(&subject), enriched.data())?;
    let (actual, limit) = (content.text().len(), naming.largest);
    if actual > limit {
        return Err(IdentifyError::TooLarge { actual, limit });
    }
    let idempotency_key = match publication.key() {
        [] => content.idempotency_key(),
        pointers => BusinessKey::of(&source, &event_type, pointers, enriched.data())
            .map_err(|error| match error {
                BusinessKeyError::Canonical(error) => IdentifyError::Canonical(error),
                BusinessKeyError::Missing { pointer } => IdentifyError::KeyMissing {
                    publication: Arc::clone(publication.name()),
                    pointer,
                },
            })?
            .idempotency_key(),
    };
    let received = Arc::clone(enriched.received());
    Ok(Identified(Draft {
        source,
        event_type,
        subject: Some(subject),
        time: received.envelope.time.clone(),
        dataschema: naming.schemas.dataschema_of(&publication).cloned(),
        idempotency_key,
        digest: content.digest(),
        trace: received.trace(),
        context,
        data: Data::from_parts(content.data_text(), enriched.into_data()),
        publication: Arc::clone(publication.name()),
        envelope_id: Arc::from(received.envelope.id.as_str()),
        origin: origin(&received, publication.name(), naming.archive_replays),
        deduplicate: publication.deduplicate(),
        observed: Observed::of(observed),
        protection: Protection::default(),
    }))
}

/// Recognises the same event of the same bus for the same publication, if the bus repeats its ids.
///
/// A replay that is let through is part of the name: its events are new ones, and a second arrival of
/// the same event from the same replay is still a repeat.
fn origin(received: &Received, publication: &str, replays: ArchiveReplays) -> Option<Origin> {
    let envelope = &received.envelope;
    let replay = match replays {
        ArchiveReplays::Repeat => None,
        ArchiveReplays::Replay => envelope.replay_name.as_deref(),
    };
    let mut hash = Sha256::new();
    let parts = [envelope.source.as_str(), &envelope.id, publication];
    for part in parts.into_iter().chain(replay) {
        // The length before each part keeps `a`, `bc` and `ab`, `c` apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let first = digest.first_chunk().copied()?;
    received.repeatable.then_some(Origin(first))
}

impl Identified {
    /// Gives the event to the log.
    pub fn into_draft(self) -> Draft {
        self.0
    }
}

/// Shows names only, because data never reaches a log.
impl fmt::Debug for Identified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identified({} {})", self.0.publication, self.0.idempotency_key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{Catalog, Gate};
    use crate::enrich::Publications;
    use crate::source::Envelope;

    fn received(id: &str, repeatable: bool, detail: Value) -> Arc<Received> {
        let envelope = Envelope { id: id.into(), ..Envelope::example(detail) };
        Arc::new(Received { envelope, repeatable, traceparent: None })
    }

    fn name(item: &str, received: &Arc<Received>, largest: usize) -> Result<Draft, IdentifyError> {
        named(item, received, largest, ArchiveReplays::Repeat)
    }

    fn named(
        item: &str,
        received: &Arc<Received>,
        largest: usize,
        replays: ArchiveReplays,
    ) -> Result<Draft, IdentifyError> {
        let text = include_str!("../../config/publications/orders.yaml").replacen(
            "    patch:\n",
            &format!("{item}    patch:\n"),
            1,
        );
        let files = std::iter::once(("orders.yaml".to_owned(), text)).collect();
        let publications = Publications::load(&files).unwrap();
        let contract = include_str!("../../asyncapi/orders.yaml").to_owned();
        let contracts = std::iter::once(("orders.yaml".to_owned(), contract)).collect();
        let catalog = Catalog::load(&contracts);
        let base = "https://gw.example/schemas";
        let schemas = SchemaAddresses::new(base, &catalog, &publications);
        let gate = Gate::new(Arc::new(catalog), &publications).unwrap();
        let tree = received.envelope.to_tree();
        let wanted = publications.iter().find(|one| one.when().matches(&tree)).unwrap();
        let validated = gate.check(wanted.enrich(received).unwrap()).unwrap();
        let naming = Naming { schemas, largest, archive_replays: replays };
        identify(validated, &naming).map(Identified::into_draft)
    }

    fn order() -> Value {
        json!({"id": 101, "amount": 100})
    }

    #[test]
    fn an_event_gets_every_name_but_its_id() {
        let draft = name("", &received("e1", true, order()), Naming::DEFAULT_LARGEST).unwrap();

        assert_eq!(draft.event_type.as_str(), "Order.Created");
        assert_eq!(draft.subject.unwrap().as_str(), "Order.Created");
        assert_eq!(&*draft.publication, "orders/Order.Created");
        assert_eq!(&*draft.envelope_id, "e1");
        assert_eq!(draft.data.text(), r#"{"amount":100,"orderId":101}"#);
        assert_eq!(
            draft.dataschema.as_deref(),
            Some("https://gw.example/schemas/orders/Order.Created/1.0.0")
        );
    }

    #[test]
    fn the_same_content_has_the_same_key_under_any_envelope() {
        let one = name("", &received("e1", true, order()), 1000).unwrap();
        let other = name("", &received("e2", true, json!({"amount": 100.0, "id": 101})), 1000);
        let other = other.unwrap();

        assert_eq!(one.idempotency_key, other.idempotency_key);
        assert_eq!(one.digest, other.digest);
        assert_ne!(one.origin, other.origin);
    }

    #[test]
    fn only_a_bus_that_repeats_its_ids_gives_an_origin() {
        let one = name("", &received("e1", true, order()), 1000).unwrap();
        let again = name("", &received("e1", true, json!({"id": 9, "amount": 1})), 1000).unwrap();
        let unrepeatable = name("", &received("e1", false, order()), 1000).unwrap();

        assert_eq!(one.origin, again.origin);
        assert!(one.origin.is_some());
        assert_eq!(unrepeatable.origin, None);
    }

    #[test]
    fn a_replay_is_an_event_of_its_own_only_where_it_is_let_through() {
        let sent = |replay: Option<&str>| {
            let mut envelope = received("e1", true, order()).envelope.clone();
            envelope.replay_name = replay.map(str::to_owned);
            Arc::new(Received { envelope, repeatable: true, traceparent: None })
        };
        let draft = |replay, replays| {
            named("    key: [/data/orderId]\n", &sent(replay), 1000, replays).unwrap()
        };
        let live = draft(None, ArchiveReplays::Replay);
        let may = draft(Some("of-may"), ArchiveReplays::Replay);

        assert_eq!(draft(Some("of-may"), ArchiveReplays::Repeat).origin, live.origin);
        assert_ne!(may.origin, live.origin);
        assert_eq!(may.origin, draft(Some("of-may"), ArchiveReplays::Replay).origin);
        assert_ne!(may.origin, draft(Some("of-june"), ArchiveReplays::Replay).origin);
        assert_eq!((may.idempotency_key, may.digest), (live.idempotency_key, live.digest));
    }

    #[test]
    fn a_business_key_names_the_event_and_the_digest_still_proves_all_of_it() {
        let key = "    key: [/data/orderId]\n";
        let one = name(key, &received("e1", true, order()), 1000).unwrap();
        let other = received("e2", true, json!({"id": 101, "amount": 7}));
        let other = name(key, &other, 1000).unwrap();

        assert_eq!(one.idempotency_key, other.idempotency_key);
        assert_ne!(one.digest, other.digest);

        let missing = name("    key: [/data/customer]\n", &received("e1", true, order()), 1000);
        let violation = missing.unwrap_err().violation();
        assert_eq!((&*violation.code, &*violation.pointer), ("key-missing", "/customer"));
    }

    #[test]
    fn an_event_that_is_too_large_is_refused_before_it_is_kept() {
        let size = r#"{"data":{"amount":100,"orderId":101},"source":"/orders","subject":"Order.Created","type":"Order.Created"}"#.len();
        let received = received("e1", true, order());

        assert!(name("", &received, size).is_ok());
        let error = name("", &received, size - 1).unwrap_err();
        assert_eq!((error.code(), error.fault()), ("event-too-large", Fault::Caller));
    }
}
