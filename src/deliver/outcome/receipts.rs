//! Takes the receipts that sinks sign, and holds them against what was delivered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock;
use crate::deliver::outcome::Delivery;
use crate::event::{ChainValue, EventId, SubscriptionId, TokenDigest};
use crate::eventlog::ReceiptKey;
use crate::keys::{RemoteKeys, VerifyingKeys};
use crate::seal::{Delivered, Receipt, ReceiptFault, ReceiptReader, signer_of};
use crate::subscriptions::{ReceiptTerms, Subscription};

/// How far the clocks of a consumer may run ahead.
const LEEWAY: Duration = Duration::from_mins(1);

/// A receipt that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The digest of the token that it is for.
    pub token: TokenDigest,
    /// The receipt, a compact JWS.
    pub jws: Arc<str>,
    /// The key under which it was checked.
    pub signer: ReceiptKey,
}

/// Shows the token's digest only, because a consumer may have put anything into what it signs.
impl fmt::Debug for SignedReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedReceipt({})", self.token)
    }
}

/// The stable word of what a check has come to: `valid`, or that of the fault.
pub fn word_of(checked: &Result<SignedReceipt, ReceiptFault>) -> &'static str {
    match checked {
        Ok(_) => "valid",
        Err(fault) => fault.word(),
    }
}

/// The text of a receipt that was read, which is ASCII, and its key as it is kept with it.
fn kept(
    keys: &VerifyingKeys,
    subscription: &SubscriptionId,
    body: &[u8],
) -> Result<(Arc<str>, ReceiptKey), ReceiptFault> {
    let jws: Arc<str> = Arc::from(String::from_utf8_lossy(body.trim_ascii()));
    let key = signer_of(&jws).and_then(|kid| keys.get(&kid)).ok_or(ReceiptFault::Invalid)?;
    let signer = ReceiptKey {
        subscription: subscription.clone(),
        kid: key.kid().into(),
        thumbprint: key.thumbprint().into(),
        jwk: key.to_jwk().to_string().into(),
    };
    Ok((jws, signer))
}

/// A receipt under a key of its consumer, which is to be held against an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReceipt {
    receipt: Receipt,
    jws: Arc<str>,
    signer: ReceiptKey,
}

impl ReadReceipt {
    /// Holds it against an event at its place. Which token it names is the consumer's word: none that was handed
    /// out is kept, so that only the chain value binds the content, and has to be there.
    ///
    /// # Errors
    ///
    /// The consumer's turn: it is for something else, or binds no content.
    pub fn signs(
        self,
        event: EventId,
        subscription: &SubscriptionId,
        place: (u64, ChainValue),
    ) -> Result<SignedReceipt, ReceiptFault> {
        self.receipt.concerns(event, subscription, Some(place))?;
        if self.receipt.chain.is_none() {
            return Err(ReceiptFault::Invalid);
        }
        Ok(SignedReceipt { token: self.receipt.token, jws: self.jws, signer: self.signer })
    }
}

/// Checks receipts.
#[derive(Clone)]
pub struct ReceiptChecker {
    /// The `aud` of every receipt: the gateway.
    pub issuer: String,
    /// What the gateway was called before.
    pub aliases: Vec<String>,
    /// Fetches consumers' keys for receipts.
    pub remote: Arc<RemoteKeys<VerifyingKeys>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ReceiptChecker {
    /// Checks the body of an answer to a token.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// The consumer's turn: there is no receipt for this delivery in it. Later, perhaps, if its keys
    /// cannot be had.
    pub async fn check(
        &self,
        (delivery, receipts): (&Delivery, &ReceiptTerms),
        token: &str,
        body: &[u8],
    ) -> Result<SignedReceipt, ReceiptFault> {
        if body.trim_ascii().is_empty() {
            return Err(ReceiptFault::Missing);
        }
        let no_keys = |_| ReceiptFault::UnknownKey;
        let mut keys = receipts.keys.known(&self.remote).await.map_err(no_keys)?;
        let of = &delivery.subscription;
        let mut read = self.read(&keys, of, body);
        if read == Err(ReceiptFault::UnknownKey) {
            keys = receipts.keys.renewed(&self.remote).await.map_err(no_keys)?;
            read = self.read(&keys, of, body);
        }
        let event = &delivery.entry.event;
        let after = |(sequence, previous): (u64, ChainValue)| {
            (sequence, previous.next(event.id, event.digest))
        };
        let token = TokenDigest::of(token);
        read?.answers(&Delivered {
            event: event.id,
            subscription: &delivery.subscription.id,
            place: delivery.link.map(after),
            token,
        })?;
        let (jws, signer) = kept(&keys, &of.id, body)?;
        Ok(SignedReceipt { token, jws, signer })
    }

    /// Reads receipts that a consumer gives for events that it has fetched. Keys behind an address are fetched at
    /// most twice for all of them.
    ///
    /// Cancel safe.
    pub async fn read_all(
        &self,
        (subscription, terms): (&Subscription, &ReceiptTerms),
        given: BTreeMap<EventId, String>,
    ) -> BTreeMap<EventId, Result<ReadReceipt, ReceiptFault>> {
        let unknown = |(event, _)| (event, Err(ReceiptFault::UnknownKey));
        if given.is_empty() {
            return BTreeMap::new();
        }
        let Ok(mut keys) = terms.keys.known(&self.remote).await else {
            return given.into_iter().map(unknown).collect();
        };
        let (mut all, mut is_renewed) = (BTreeMap::new(), false);
        for (event, text) in given {
            let mut read = self.read(&keys, subscription, text.as_bytes());
            if read == Err(ReceiptFault::UnknownKey)
                && !std::mem::replace(&mut is_renewed, true)
                && let Ok(renewed) = terms.keys.renewed(&self.remote).await
            {
                keys = renewed;
                read = self.read(&keys, subscription, text.as_bytes());
            }
            let read = read.and_then(|receipt| {
                let (jws, signer) = kept(&keys, &subscription.id, text.as_bytes())?;
                Ok(ReadReceipt { receipt, jws, signer })
            });
            all.insert(event, read);
            // A thousand signatures are work for milliseconds, and others need their turn.
            tokio::task::yield_now().await;
        }
        all
    }

    fn read(
        &self,
        keys: &VerifyingKeys,
        subscription: &Subscription,
        body: &[u8],
    ) -> Result<Receipt, ReceiptFault> {
        let read = |audience| {
            let reader = ReceiptReader {
                keys,
                issuer: &subscription.audience,
                audience,
                now: self.clock.now(),
                leeway: LEEWAY,
            };
            reader.read(body)
        };
        let own = read(&*self.issuer);
        // The sink may have had the token of before, or call the gateway as it always did.
        self.aliases
            .iter()
            .fold(own, |read_as, alias| read_as.or_else(|error| read(alias).map_err(|_| error)))
    }
}
