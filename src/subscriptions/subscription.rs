//! A subscription that was checked: every part of it is known to work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::event::{ConsumerId, SubscriptionId, Timestamp};
use crate::eventlog::{Position, Revision};
use crate::keys::{ConsumerKeys, SigningAlgorithm, VerifyingKeys};
use crate::route::{BoundedFilter, Budget, Filter};
use crate::subscriptions::{
    ChallengeBinding, ClearAttributes, ContentMode, OnDeadLetter, PendingHandshake, Protocol,
    SealedCredential, SealedOuterKeySecret, Settings, SubscriptionDocument, SubscriptionState,
};

/// Who receives what, where, and sealed for which key.
#[derive(Clone)]
pub struct Subscription {
    /// Its name.
    pub id: SubscriptionId,
    /// Who receives.
    pub consumer: ConsumerId,
    /// Where it stands.
    pub state: SubscriptionState,
    /// Why it stands there, if that is not plain.
    pub reason: Option<String>,
    /// What is kept of its handshake while it is pending; nothing if none was begun yet.
    pub handshake: Option<PendingHandshake>,
    /// What its consumer asked for, word for word but for secrets.
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

/// A filter and the first position that it applies to.
#[derive(Clone)]
pub struct Epoch {
    /// The first position.
    pub from: Position,
    /// What is wanted from there on.
    pub filter: Arc<Filter>,
    /// How much work it may be to tell that of one event.
    pub budget: Budget,
    /// The `types` and `filters` that it was made from.
    pub wish: (Vec<String>, Vec<Value>),
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
        self.epochs.iter().rev().find(|epoch| epoch.from <= position).map(|epoch| &epoch.filter)
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
        self.epochs.last().map(|epoch| &epoch.filter)
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
        BoundedFilter { filter: Arc::clone(&self.filter), budget: self.budget }
    }
}

/// Shows names only: keys and addresses are the consumer's.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} of {}, {})", self.id, self.consumer, self.state)
    }
}
