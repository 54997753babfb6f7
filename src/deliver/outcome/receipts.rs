//! Takes the receipts that sinks sign, and holds them against what was delivered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Clock;
use crate::deliver::outcome::Delivery;
use crate::event::{ChainValue, SubscriptionId, TokenDigest};
use crate::eventlog::ReceiptKey;
use crate::keys::{RemoteKeys, VerifyingKey, VerifyingKeys};
use crate::seal::{Delivered, Receipt, ReceiptFault, ReceiptReader, signer_of};
use crate::subscriptions::ReceiptTerms;

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

/// The key of a receipt as it is kept with it.
fn kept_key(subscription: &SubscriptionId, key: &VerifyingKey) -> ReceiptKey {
    ReceiptKey {
        subscription: subscription.clone(),
        kid: key.kid().into(),
        thumbprint: key.thumbprint().into(),
        jwk: key.to_jwk().to_string().into(),
    }
}

/// Checks receipts.
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
        let mut read = self.read(&keys, delivery, body);
        if read == Err(ReceiptFault::UnknownKey) {
            keys = receipts.keys.renewed(&self.remote).await.map_err(no_keys)?;
            read = self.read(&keys, delivery, body);
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
        // What was read is ASCII.
        let jws: Arc<str> = Arc::from(String::from_utf8_lossy(body.trim_ascii()));
        let signer = signer_of(&jws).and_then(|kid| keys.get(&kid).cloned());
        let signer = signer.ok_or(ReceiptFault::Invalid)?;
        let signer = kept_key(&delivery.subscription.id, &signer);
        Ok(SignedReceipt { token, jws, signer })
    }

    fn read(
        &self,
        keys: &VerifyingKeys,
        delivery: &Delivery,
        body: &[u8],
    ) -> Result<Receipt, ReceiptFault> {
        let read = |audience| {
            let reader = ReceiptReader {
                keys,
                issuer: &delivery.subscription.audience,
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
