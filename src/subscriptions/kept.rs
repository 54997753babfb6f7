//! What is kept of a subscription, and how it becomes one again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{ComingEnd, EndedAccess, Entitlement};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Position, Revision};
use crate::route::Budget;
use crate::subscriptions::check::{CheckedKeys, CheckedParts, check};
use crate::subscriptions::{
    Epoch, FirstHandshake, FormerSecret, Invalid, KeptCredential, KeptWish, PendingHandshake,
    Protocol, RecipientKeys, SealedCredential, SealedOuterKeySecret, Subscription,
    SubscriptionDocument, SubscriptionError, SubscriptionState, WishText, Wishes,
};

/// What is kept of a subscription.
#[derive(Clone, PartialEq)]
pub(super) struct KeptSubscription {
    /// Without its filters, which the newest epoch has.
    pub(super) document: SubscriptionDocument,
    pub(super) state: SubscriptionState,
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) epochs: Vec<Epoch>,
    pub(super) begins: Option<Position>,
    pub(super) shared_secret: Option<String>,
    /// Those that were replaced and may still be good, oldest first.
    pub(super) former_secrets: Vec<FormerSecret>,
    pub(super) credential: Option<KeptCredential>,
    pub(super) handshake: Option<PendingHandshake>,
    /// Missing in what was kept before there was one.
    pub(super) outer_key_secret: Option<String>,
    pub(super) ended: Vec<EndedAccess>,
    pub(super) told_coming: Vec<ComingEnd>,
}

impl KeptSubscription {
    /// A sink or keys that are new have to prove themselves; without a sink there is nothing to prove.
    pub(super) fn prove_anew(&mut self, handshake: Option<PendingHandshake>) {
        if self.document.protocol == Protocol::Pull {
            if self.state == SubscriptionState::Pending {
                (self.state, self.reason) = (SubscriptionState::Active, None);
            }
            self.handshake = None;
            return;
        }
        let had_proved = match &self.handshake {
            Some(unproved) => unproved.had_proved,
            None => self.state != SubscriptionState::Pending,
        };
        let changed = "the address or the keys were changed";
        let reason = match words_while_waiting(handshake.as_ref()) {
            Some(waits) => format!("{changed}; {waits}"),
            None => changed.to_owned(),
        };
        self.handshake = handshake;
        if let Some(begun) = &mut self.handshake {
            begun.had_proved = had_proved;
        }
        // Whoever has paused it wants it paused still.
        if self.state != SubscriptionState::Paused {
            self.state = SubscriptionState::Pending;
        }
        self.explain_doubt(Some(reason));
    }

    /// Has kept why the sink has not proved itself, if there is something new to say. That is why the
    /// subscription stands where it does, unless someone has paused it.
    pub(super) fn explain_doubt(&mut self, reason: Option<String>) {
        let Some(reason) = reason else { return };
        if let Some(handshake) = &mut self.handshake {
            handshake.reason = Some(reason.clone());
        }
        if self.state == SubscriptionState::Pending {
            self.reason = Some(reason);
        }
    }

    /// Whatever else was changed may be what the sink has waited for.
    pub(super) fn try_again(&mut self, now: Timestamp) {
        let waits = self.document.config.verify == FirstHandshake::Later
            && self.handshake.as_ref().is_some_and(|kept| kept.attempts == 0);
        if !waits {
            self.handshake = self.handshake.take().map(|kept| kept.again(now));
        }
    }
}

/// What is said of a handshake that nobody has asked for yet.
pub(super) fn words_while_waiting(handshake: Option<&PendingHandshake>) -> Option<&'static str> {
    handshake.filter(|begun| begun.due.is_none()).map(
        |_| "the sink is asked to prove itself once `POST /subscriptions/{id}/verify` asks for it",
    )
}

/// What is kept, as it is written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    document: SubscriptionDocument,
    state: SubscriptionState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created: Timestamp,
    epochs: Vec<WrittenEpoch>,
    /// What the epochs want, each wish once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wishes: Vec<WishText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begins: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former_secrets: Vec<FormerSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<KeptCredential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handshake: Option<PendingHandshake>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outer_key_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ended: Vec<EndedAccess>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told_coming: Vec<ComingEnd>,
}

/// The first position of an epoch, and the place of its wish among all that are written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenEpoch {
    from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wish: Option<usize>,
    /// The wish itself, as older gateways wrote it with each epoch.
    #[serde(default, skip_serializing)]
    types: Vec<String>,
    #[serde(default, skip_serializing)]
    filters: Vec<Value>,
    /// The most steps that it may take; missing in what was kept before there were budgets, and
    /// then nothing is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    /// An epoch of before grants has none: everything was public.
    #[serde(default, skip_serializing_if = "Entitlement::is_everything")]
    entitlement: Entitlement,
    /// Missing where it is that of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<Arc<str>>,
}

/// An epoch whose wish is not there.
#[derive(Debug, thiserror::Error)]
#[error("an epoch names a wish that is not there")]
struct MissingWish;

/// What was kept cannot be read.
pub(super) fn damaged(
    id: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> SubscriptionError {
    SubscriptionError::Damaged { id: id.to_owned(), source: Box::new(source) }
}

/// Reads what is kept; only a wish that nobody has yet is compiled.
pub(super) fn read(
    id: &str,
    body: &str,
    wishes: &Wishes,
) -> Result<KeptSubscription, SubscriptionError> {
    let written: Written = serde_json::from_str(body).map_err(|error| damaged(id, error))?;
    let of = |text| wishes.of(text).map_err(|error| damaged(id, error));
    let known = written.wishes.into_iter().map(of).collect::<Result<Vec<_>, _>>()?;
    let present: Arc<str> = written.document.audience().into();
    let read_epoch = |epoch: WrittenEpoch| {
        let wish = match epoch.wish {
            Some(place) => known.get(place).cloned().ok_or_else(|| damaged(id, MissingWish))?,
            None => of(WishText::new(&epoch.types, &epoch.filters))?,
        };
        let budget = epoch.budget.unwrap_or(Budget::UNLIMITED);
        let entitlement = Arc::new(epoch.entitlement);
        let audience = epoch.audience.unwrap_or_else(|| Arc::clone(&present));
        Ok(Epoch { from: Position(epoch.from), wish, budget, entitlement, audience })
    };
    let epochs = written.epochs.into_iter().map(read_epoch);
    let own: SubscriptionId = id.parse().map_err(|error| damaged(id, error))?;
    // What was kept before there were names is called as its id is.
    let name = written.document.name.clone().unwrap_or_else(|| own.as_name());
    Ok(KeptSubscription {
        document: SubscriptionDocument {
            id: Some(own),
            name: Some(name),
            filters: Vec::new(),
            ..written.document
        },
        state: written.state,
        reason: written.reason,
        created: written.created,
        epochs: epochs.collect::<Result<_, SubscriptionError>>()?,
        begins: written.begins.map(Position),
        shared_secret: written.shared_secret,
        former_secrets: written.former_secrets,
        credential: written.credential,
        handshake: written.handshake,
        outer_key_secret: written.outer_key_secret,
        ended: written.ended,
        told_coming: written.told_coming,
    })
}

/// Writes what is kept.
pub(super) fn write(id: &str, kept: &KeptSubscription) -> Result<String, SubscriptionError> {
    let present = kept.document.audience();
    let mut wishes: Vec<&Arc<KeptWish>> = Vec::new();
    let mut epochs = Vec::new();
    for epoch in &kept.epochs {
        let known = wishes.iter().position(|wish| ***wish == *epoch.wish);
        let place = known.unwrap_or(wishes.len());
        if known.is_none() {
            wishes.push(&epoch.wish);
        }
        epochs.push(WrittenEpoch {
            from: epoch.from.0,
            wish: Some(place),
            types: Vec::new(),
            filters: Vec::new(),
            budget: (epoch.budget != Budget::UNLIMITED).then_some(epoch.budget),
            entitlement: (*epoch.entitlement).clone(),
            audience: Some(&epoch.audience).filter(|then| ***then != *present).cloned(),
        });
    }
    let written = Written {
        document: kept.document.clone(),
        state: kept.state,
        reason: kept.reason.clone(),
        created: kept.created,
        epochs,
        wishes: wishes.into_iter().map(|wish| wish.text().clone()).collect(),
        begins: kept.begins.map(|begins| begins.0),
        shared_secret: kept.shared_secret.clone(),
        former_secrets: kept.former_secrets.clone(),
        credential: kept.credential.clone(),
        handshake: kept.handshake.clone(),
        outer_key_secret: kept.outer_key_secret.clone(),
        ended: kept.ended.clone(),
        told_coming: kept.told_coming.clone(),
    };
    serde_json::to_string(&written).map_err(|error| damaged(id, error))
}

/// Makes a subscription of what is kept.
pub(super) fn restore(
    id: &str,
    kept: KeptSubscription,
    revision: Revision,
) -> Result<Subscription, SubscriptionError> {
    // What was kept before addresses had one form is compared in it.
    let document = kept.document.normalised().map_err(|error| damaged(id, error))?;
    let CheckedParts { sink, keys, receipts, audience, signature } =
        check(&document).map_err(|error| damaged(id, error))?;
    let keys = match keys {
        CheckedKeys::Public(keys) => RecipientKeys::Public(keys),
        CheckedKeys::SharedSecret => {
            let missing = || Invalid::new("/config/keys/sharedSecret", "its secret is not kept");
            RecipientKeys::Shared(kept.shared_secret.ok_or_else(|| damaged(id, missing()))?)
        }
    };
    let id: SubscriptionId = id.parse().map_err(|error| damaged(id, error))?;
    let owner = id.clone();
    Ok(Subscription {
        name: document.name.clone().unwrap_or_else(|| id.as_name()),
        id,
        outer_key_secret: kept
            .outer_key_secret
            .map(|sealed| SealedOuterKeySecret::new(owner.clone(), &sealed)),
        credential: kept.credential.map(|kept| SealedCredential::new(owner, kept)),
        consumer: document.consumer.clone(),
        state: kept.state,
        reason: kept.reason,
        handshake: kept.handshake,
        ended: kept.ended,
        told_coming: kept.told_coming,
        sink,
        epochs: kept.epochs,
        begins: kept.begins,
        keys,
        former_secrets: kept.former_secrets,
        receipts,
        audience,
        signature,
        parallel: document.config.parallel,
        created: kept.created,
        document,
        revision,
    })
}
