//! What is kept of a subscription, and how it becomes one again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{EndedAccess, Entitlement};
use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{Position, Revision};
use crate::subscriptions::check::{CheckedKeys, CheckedParts, check};
use crate::subscriptions::{
    Epoch, FirstHandshake, Invalid, KeptCredential, PendingHandshake, Protocol, RecipientKeys,
    SealedCredential, Subscription, SubscriptionDocument, SubscriptionError, SubscriptionState,
};

/// What is kept of a subscription.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeptSubscription {
    pub(super) document: SubscriptionDocument,
    pub(super) state: SubscriptionState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) epochs: Vec<KeptEpoch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shared_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) credential: Option<KeptCredential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) handshake: Option<PendingHandshake>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ended: Vec<EndedAccess>,
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
        let had_proved = match self.state {
            SubscriptionState::Pending => {
                self.handshake.as_ref().is_some_and(|kept| kept.had_proved)
            }
            _ => true,
        };
        let changed = "the address or the keys were changed";
        self.reason = Some(match words_while_waiting(handshake.as_ref()) {
            Some(waits) => format!("{changed}; {waits}"),
            None => changed.to_owned(),
        });
        self.handshake = handshake;
        if let Some(begun) = &mut self.handshake {
            begun.had_proved = had_proved;
        }
        self.state = SubscriptionState::Pending;
    }

    /// Whatever else was changed may be what the sink has waited for.
    pub(super) fn try_again(&mut self, now: Timestamp) {
        let waits = self.document.config.verify == FirstHandshake::Later
            && self.handshake.as_ref().is_some_and(|kept| kept.attempts == 0);
        if self.state == SubscriptionState::Pending && !waits {
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

/// A filter that is kept, with what the consumer could hear, and the first position that both apply
/// to.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeptEpoch {
    pub(super) from: u64,
    types: Vec<String>,
    filters: Vec<Value>,
    /// An epoch of before grants has none: everything was public.
    #[serde(default, skip_serializing_if = "Entitlement::is_everything")]
    pub(super) entitlement: Entitlement,
}

impl KeptEpoch {
    /// Whether it has the filter of another.
    pub(super) fn wants_the_same(&self, other: &Self) -> bool {
        self.types == other.types && self.filters == other.filters
    }
}

/// The filter of a document and what its consumer may hear, from this position on.
pub(super) fn epoch(
    document: &SubscriptionDocument,
    (from, entitlement): (Position, &Entitlement),
) -> KeptEpoch {
    KeptEpoch {
        from: from.0,
        types: document.types.clone(),
        filters: document.filters.clone(),
        entitlement: entitlement.clone(),
    }
}

/// What was kept cannot be read.
pub(super) fn damaged(
    id: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> SubscriptionError {
    SubscriptionError::Damaged { id: id.to_owned(), source: Box::new(source) }
}

/// Reads what is kept.
pub(super) fn read(id: &str, body: &str) -> Result<KeptSubscription, SubscriptionError> {
    serde_json::from_str(body).map_err(|error| damaged(id, error))
}

/// Makes a subscription of what is kept.
pub(super) fn restore(
    id: &str,
    body: &str,
    revision: Revision,
) -> Result<Subscription, SubscriptionError> {
    let kept = read(id, body)?;
    let CheckedParts { sink, keys, receipts, audience, signature } =
        check(&kept.document).map_err(|error| damaged(id, error))?;
    let keys = match keys {
        CheckedKeys::Public(keys) => RecipientKeys::Public(keys),
        CheckedKeys::SharedSecret => {
            let missing = || Invalid::new("/config/keys/sharedSecret", "its secret is not kept");
            RecipientKeys::Shared(kept.shared_secret.ok_or_else(|| damaged(id, missing()))?)
        }
    };
    let restore_epoch = |epoch: KeptEpoch| {
        let filter = crate::route::Filter::new(&epoch.types, &epoch.filters)
            .map_err(|error| damaged(id, error))?;
        Ok(Epoch {
            from: Position(epoch.from),
            filter: Arc::new(filter),
            wish: (epoch.types, epoch.filters),
            entitlement: Arc::new(epoch.entitlement),
        })
    };
    let epochs =
        kept.epochs.into_iter().map(restore_epoch).collect::<Result<_, SubscriptionError>>()?;
    let id: SubscriptionId = id.parse().map_err(|error| damaged(id, error))?;
    let owner = id.clone();
    Ok(Subscription {
        id,
        credential: kept.credential.map(|kept| SealedCredential::new(owner, kept)),
        consumer: kept.document.consumer.clone(),
        state: kept.state,
        reason: kept.reason,
        handshake: kept.handshake,
        ended: kept.ended,
        sink,
        epochs,
        keys,
        receipts,
        audience,
        signature,
        parallel: kept.document.config.parallel,
        created: kept.created,
        document: kept.document,
        revision,
    })
}
