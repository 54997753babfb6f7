//! A subscription that was checked: every part of it is known to work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::access::{ComingEnd, EndedAccess, Entitlement};
use crate::event::{
    ConsumerId, QualifiedName, SubscriptionAsk, SubscriptionId, SubscriptionName, Timestamp,
};
use crate::eventlog::{Entry, Position, Revision};
use crate::keys::{ConsumerKeys, SigningAlgorithm, VerifyingKeys};
use crate::route::{BoundedFilter, Budget, Filter};
use crate::subscriptions::{
    ChallengeBinding, ClearAttributes, ContentMode, FormerSecret, KeptWish, OnDeadLetter,
    PendingHandshake, Protocol, SealedCredential, SealedOuterKeySecret, Settings,
    SubscriptionDocument, SubscriptionState,
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
    /// What is kept of its handshake while its sink has not proved itself; nothing if none was begun yet.
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
    /// The publications that its consumer could hear and cannot any more, oldest first.
    pub ended: Vec<EndedAccess>,
    /// Ends that come, of which its sink was told, or is not told any more.
    pub told_coming: Vec<ComingEnd>,
    /// What events are sealed for.
    pub keys: RecipientKeys,
    /// Shared secrets that were replaced, oldest first: see
    /// [`former_secrets`](Self::former_secrets()).
    pub former_secrets: Vec<FormerSecret>,
    /// The receipts that its sink signs; nothing: none are asked for.
    pub receipts: Option<Box<ReceiptTerms>>,
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

/// A wish, what its consumer may hear, and the first position that both apply to.
#[derive(Clone, PartialEq)]
pub struct Epoch {
    /// The first position.
    pub from: Position,
    /// What is wanted from there on.
    pub wish: Arc<KeptWish>,
    /// How much work it may be to tell that of one event.
    pub budget: Budget,
    /// What the consumer could hear then of publications that are not public.
    pub entitlement: Arc<Entitlement>,
    /// The `aud` of its tokens then.
    pub audience: Arc<str>,
}

/// What events are sealed for.
#[derive(Clone)]
pub enum RecipientKeys {
    /// Public keys of the consumer.
    Public(ConsumerKeys),
    /// Two secret keys of the gateway's making, encrypted under its data key.
    Shared(String),
}

/// The receipts that a consumer signs.
#[derive(Clone)]
pub struct ReceiptTerms {
    /// The public keys that they are checked with.
    pub keys: ConsumerKeys<VerifyingKeys>,
    /// Whether an answer without a valid one counts as a failed attempt, and an acknowledgement without one
    /// not at all.
    pub required: bool,
}

impl Subscription {
    /// The filter that applies at a position.
    pub fn filter_at(&self, position: Position) -> Option<&Arc<Filter>> {
        self.epoch_at(position).map(|epoch| epoch.wish.filter())
    }

    /// The filter that applies at a position, and how much work it may be.
    pub fn asked_at(&self, position: Position) -> Option<BoundedFilter> {
        self.epoch_at(position).map(Epoch::asked)
    }

    /// The filter that applies to events from now on, and how much work it may be.
    pub fn asked_now(&self) -> Option<BoundedFilter> {
        self.epochs.last().map(Epoch::asked)
    }

    /// What applies at a position.
    pub fn epoch_at(&self, position: Position) -> Option<&Epoch> {
        self.epochs.iter().rev().find(|epoch| epoch.from <= position)
    }

    /// Whether the consumer could hear an entry when the log took it: what it could not hear has no
    /// number, whatever the filter says.
    pub fn could_hear(&self, entry: &Entry) -> bool {
        self.epoch_at(entry.position).is_some_and(|epoch| epoch.entitlement.numbers(entry))
    }

    /// What the consumer may hear from now on, as it was recorded last.
    pub fn newest_entitlement(&self) -> Option<&Arc<Entitlement>> {
        self.epochs.last().map(|epoch| &epoch.entitlement)
    }

    /// Whether its `types` may want events of a name, or of one below it.
    pub fn may_want(&self, event_name: &str) -> bool {
        may_want(&self.document.types, event_name)
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

    /// As people know it, with its id where that is another word: `shop/orders (01m8…)`.
    pub fn shown(&self) -> String {
        let name = self.qualified_name();
        if self.id.as_str() == self.name.as_str() {
            return name.to_string();
        }
        format!("{name} ({})", self.id)
    }

    /// Whether its id or its name has a text in it, which is written in small letters.
    pub(super) fn is_called(&self, text: &str) -> bool {
        let (id, name) = (self.id.as_str(), self.name.as_str());
        id.to_ascii_lowercase().contains(text) || name.to_ascii_lowercase().contains(text)
    }

    /// Whether its sink has yet to prove itself: a fact of its own beside whether delivery is wanted, so
    /// that a paused one can wait for the proof as well.
    pub const fn awaits_proof(&self) -> bool {
        match self.state {
            SubscriptionState::Pending => true,
            SubscriptionState::Paused => self.handshake.is_some(),
            SubscriptionState::Active | SubscriptionState::Closed => false,
        }
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
    /// What is asked for, as its digest covers it.
    pub fn asks_for(&self) -> SubscriptionAsk {
        let grants: Vec<String> =
            self.entitlement.grants().into_iter().map(ToString::to_string).collect();
        SubscriptionAsk {
            audience: self.audience.to_string(),
            epoch: self.from.0,
            filters: self.wish.text().read_filters(),
            grants: (!grants.is_empty()).then_some(grants),
            types: self.wish.text().types().to_vec(),
        }
    }

    /// What is asked of events: whether they are wanted.
    pub fn asked(&self) -> BoundedFilter {
        BoundedFilter { filter: Arc::clone(self.wish.filter()), budget: self.budget }
    }
}

/// Whether `types` may want events of a name, or of one below it: a publication may add a level to it.
pub(crate) fn may_want(types: &[String], event_name: &str) -> bool {
    let is_below = |name: &str, parent: &str| {
        name.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let wants = |wanted: &String| match wanted.strip_suffix(".*") {
        Some(parent) => is_below(event_name, parent) || is_below(parent, event_name),
        None => wanted == "*" || is_below(wanted, event_name),
    };
    types.is_empty() || types.iter().any(wants)
}

/// Shows names only: keys and addresses are the consumer's.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} of {}, {})", self.id, self.consumer, self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_may_want_a_publication_by_its_name_by_a_hierarchy_and_by_a_level_below() {
        for (wanted, expected) in [
            ("Payment.Failed", true),
            ("Payment.Failed.Late", true),
            ("Payment.Failed.*", true),
            ("Payment.*", true),
            ("*", true),
            ("Payment.FailedLate", false),
            ("Payment.Succeeded", false),
            ("Order.*", false),
        ] {
            assert_eq!(may_want(&[wanted.to_owned()], "Payment.Failed"), expected, "{wanted}");
        }
        assert!(may_want(&[], "Payment.Failed"));
    }
}
