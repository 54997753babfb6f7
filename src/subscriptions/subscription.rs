//! A subscription that was checked: every part of it is known to work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::event::{ConsumerId, QualifiedName, SubscriptionId, SubscriptionName, Timestamp};
use crate::eventlog::{Position, Revision};
use crate::keys::{ConsumerKeys, SigningAlgorithm, VerifyingKeys};
use crate::route::{BoundedFilter, Budget, Filter};
use crate::subscriptions::{
    ChallengeBinding, ClearAttributes, ContentMode, KeptWish, OnDeadLetter, PendingHandshake,
    Protocol, SealedCredential, SealedOuterKeySecret, Settings, SubscriptionDocument,
    SubscriptionState,
};

/// Who receives what, where, and sealed for which key.
#[derive(Clone)]
pub struct Subscription {
    /// Its name among all, for ever.
    pub id: SubscriptionId,
    /// What its consumer calls it.
    pub name: SubscriptionName,
    /// Who receives.
    pub consumer: ConsumerId,
    /// Where it stands.
    pub state: SubscriptionState,
    /// Why it stands there, if that is not plain.
    pub reason: Option<String>,
    /// What is kept of its handshake while it is pending; nothing if none was begun yet.
    pub handshake: Option<PendingHandshake>,
    /// What its consumer asked for, word for word but for secrets and for filters, which stand in the
    /// newest of its epochs: see [`whole_document`](Self::whole_document).
    pub document: SubscriptionDocument,
    /// The address that events are posted to; nothing if the consumer fetches them.
    pub sink: Option<Url>,
    /// How the gateway shows itself there, encrypted.
    pub credential: Option<SealedCredential>,
    /// What its outer keys are made under, encrypted; nothing for one that was kept before there was
    /// such a secret, until it is opened.
    pub outer_key_secret: Option<SealedOuterKeySecret>,
    /// What it wants, by the position from which on it wants that; never empty, oldest first.
    pub epochs: Vec<Epoch>,
    /// Everything up to here lies before its start, as far as that was known when it was created.
    pub begins: Option<Position>,
    /// What events are sealed for.
    pub keys: RecipientKeys,
    /// The receipts that its sink signs; nothing: none are asked for.
    pub receipts: Option<ReceiptTerms>,
    /// The `aud` of its tokens.
    pub audience: String,
    /// The algorithm of the signature; nothing: the gateway's first one.
    pub signature: Option<SigningAlgorithm>,
    /// How many attempts may be in flight at once; nothing: the gateway's default.
    pub parallel: Option<u16>,
    /// When it was created.
    pub created: Timestamp,
    /// The revision of what is kept.
    pub revision: Revision,
}

/// A wish and the first position that it applies to.
#[derive(Clone, PartialEq)]
pub struct Epoch {
    /// The first position.
    pub from: Position,
    /// What is wanted from there on.
    pub wish: Arc<KeptWish>,
    /// How much work it may be to tell that of one event.
    pub budget: Budget,
}

/// What events are sealed for.
#[derive(Clone)]
pub enum RecipientKeys {
    /// Public keys of the consumer.
    Public(ConsumerKeys),
    /// Two secret keys of the gateway's making, encrypted under its data key.
    Shared(String),
}

/// The receipts that a sink signs.
#[derive(Clone)]
pub struct ReceiptTerms {
    /// The public keys that they are checked with.
    pub keys: ConsumerKeys<VerifyingKeys>,
    /// Whether an answer without a valid one counts as a failed attempt.
    pub required: bool,
}

impl Subscription {
    /// The filter that applies at a position.
    pub fn filter_at(&self, position: Position) -> Option<&Arc<Filter>> {
        let epoch = self.epochs.iter().rev().find(|epoch| epoch.from <= position);
        epoch.map(|epoch| epoch.wish.filter())
    }

    /// The filter that applies at a position, and how much work it may be.
    pub fn asked_at(&self, position: Position) -> Option<BoundedFilter> {
        self.epochs.iter().rev().find(|epoch| epoch.from <= position).map(Epoch::asked)
    }

    /// The filter that applies to events from now on, and how much work it may be.
    pub fn asked_now(&self) -> Option<BoundedFilter> {
        self.epochs.last().map(Epoch::asked)
    }

    /// The filter that applies to events from now on.
    pub fn newest_filter(&self) -> Option<&Arc<Filter>> {
        self.newest_wish().map(|wish| wish.filter())
    }

    /// What it wants of events from now on.
    pub fn newest_wish(&self) -> Option<&Arc<KeptWish>> {
        self.epochs.last().map(|epoch| &epoch.wish)
    }

    /// What its consumer asked for, filters included.
    pub fn whole_document(&self) -> SubscriptionDocument {
        let filters = self.newest_wish().map(|wish| wish.text().read_filters());
        SubscriptionDocument { filters: filters.unwrap_or_default(), ..self.document.clone() }
    }

    /// Its consumer and its name, which no other has together.
    pub fn qualified_name(&self) -> QualifiedName {
        QualifiedName { consumer: self.consumer.clone(), name: self.name.clone() }
    }

    /// Whether its id or its name has a text in it, which is written in small letters.
    pub(super) fn is_called(&self, text: &str) -> bool {
        let (id, name) = (self.id.as_str(), self.name.as_str());
        id.to_ascii_lowercase().contains(text) || name.to_ascii_lowercase().contains(text)
    }

    /// Tells whether the consumer fetches its events.
    pub const fn is_pulled(&self) -> bool {
        self.sink.is_none()
    }

    /// What a challenge of it holds for.
    pub fn challenge_binding(&self) -> ChallengeBinding {
        let shared_secret = match &self.keys {
            RecipientKeys::Shared(kept) => Some(&**kept),
            RecipientKeys::Public(_) => None,
        };
        ChallengeBinding::of(&self.id, &self.document, shared_secret)
    }

    /// How old an event may become before it is given up.
    pub fn maximum_event_age(&self) -> Option<Duration> {
        self.document.config.maximum_event_age.map(|age| Duration::from_secs(age.into()))
    }

    /// What happens with the later events of a subject when one is given up.
    pub fn on_dead_letter(&self) -> OnDeadLetter {
        self.document.config.on_dead_letter.unwrap_or_default()
    }

    /// Tells whether an outer key travels in the clear: not on a bus, where others match, log and archive
    /// what they see.
    pub fn shows_outer_keys(&self) -> bool {
        let Settings { content_mode, .. } = self.document.config;
        let is_shown = content_mode != ContentMode::Set && !self.hides_attributes();
        is_shown && self.document.protocol == Protocol::Http
    }

    /// Tells whether only the id travels in the clear.
    pub fn hides_attributes(&self) -> bool {
        self.document.config.attributes == ClearAttributes::Id
    }
}

impl Epoch {
    /// What is asked of events: whether they are wanted.
    pub fn asked(&self) -> BoundedFilter {
        BoundedFilter { filter: Arc::clone(self.wish.filter()), budget: self.budget }
    }
}

/// Shows names only: keys and addresses are the consumer's.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} of {}, {})", self.id, self.consumer, self.state)
    }
}
