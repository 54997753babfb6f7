//! Receipts: a consumer's signed word on which token it has received.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::event::{ChainValue, EventId, SubscriptionId, Timestamp, TokenDigest};
use crate::keys::VerifyingKeys;
use crate::seal::open::is_addressed;
use crate::seal::signed;
use crate::seal::{OpenLimits, text};

pub(super) const RECEIPT_TYPE: &str = "receipt+jwt";
/// The longest receipt, in characters: room for RSA with 4096 bits and long names.
pub(super) const LONGEST_RECEIPT: usize = 8 * 1024;

/// What a receipt says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// `jti`: the event.
    pub event: EventId,
    /// `sub_id`: the subscription.
    pub subscription: SubscriptionId,
    /// `seq`: the sequence number of the delivery; nothing in a replay.
    pub sequence: Option<u64>,
    /// `token_sha256`: the digest of the token that was received.
    pub token: TokenDigest,
    /// `chain`: the chain value after the event, if the consumer has computed it.
    pub chain: Option<ChainValue>,
    /// `iat`: when it was received, in whole seconds.
    pub issued_at: Timestamp,
}

/// Why an answer holds no receipt for what was delivered: a closed list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptFault {
    /// There is nothing of the form of a receipt.
    Missing,
    /// It is no receipt from this consumer to this gateway, or its signature is wrong.
    Invalid,
    /// It names another event, subscription, sequence number or chain value.
    WrongEvent,
    /// It was made for another token.
    WrongToken,
    /// It names a key that the consumer has not given, or whose set cannot be had.
    UnknownKey,
}

impl ReceiptFault {
    /// Every fault, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::Missing, Self::Invalid, Self::WrongEvent, Self::WrongToken, Self::UnknownKey];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::WrongEvent => "wrong-event",
            Self::WrongToken => "wrong-token",
            Self::UnknownKey => "unknown-key",
        }
    }
}

impl fmt::Display for ReceiptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What was delivered, for a receipt to be held against.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// The event.
    pub event: EventId,
    /// To whom.
    pub subscription: &'a SubscriptionId,
    /// Its sequence number and the chain value after it; nothing in a replay.
    pub place: Option<(u64, ChainValue)>,
    /// The digest of the token.
    pub token: TokenDigest,
}

/// What a gateway expects of a consumer's receipts.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptReader<'a> {
    /// The consumer's public keys for receipts.
    pub keys: &'a VerifyingKeys,
    /// The only `iss` that is accepted: the `aud` of the consumer's tokens.
    pub issuer: &'a str,
    /// The only `aud` that is accepted: the `iss` of the tokens.
    pub audience: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How far the clocks of both sides may differ.
    pub leeway: Duration,
}

impl ReceiptReader<'_> {
    /// Reads a receipt from an answer's body, in which nothing else may stand.
    ///
    /// # Errors
    ///
    /// The consumer's turn: this is no receipt of it.
    pub fn read(&self, body: &[u8]) -> Result<Receipt, ReceiptFault> {
        let receipt = body.trim_ascii();
        if receipt.len() > LONGEST_RECEIPT {
            return Err(ReceiptFault::Invalid);
        }
        let receipt = str::from_utf8(receipt).map_err(|_| ReceiptFault::Missing)?;
        let [header, ..] =
            text::parts::<3>(receipt, LONGEST_RECEIPT).ok_or(ReceiptFault::Missing)?;
        let limits =
            OpenLimits { token: LONGEST_RECEIPT, inflated: 0, depth: 8, ..OpenLimits::default() };
        let members = text::object(header, limits.of_inner_header());
        let kid = members.as_ref().and_then(|members| members.get("kid")?.as_str());
        if self.keys.get(kid.ok_or(ReceiptFault::Invalid)?).is_none() {
            return Err(ReceiptFault::UnknownKey);
        }
        self.verified(receipt, &limits).ok_or(ReceiptFault::Invalid)
    }

    fn verified(&self, receipt: &str, limits: &OpenLimits) -> Option<Receipt> {
        let claims = signed::verify(receipt, RECEIPT_TYPE, self.keys, limits)?;
        if !is_addressed(&claims, self.issuer, self.audience) {
            return None;
        }
        let (issued_at, subscription) = signed::statement(&claims)?;
        if issued_at > self.now.after(self.leeway) {
            return None;
        }
        let sequence = match claims.get("seq") {
            None => None,
            Some(sequence) => Some(sequence.as_u64()?),
        };
        let chain = match claims.get("chain") {
            None => None,
            Some(chain) => Some(chain.as_str()?.parse().ok()?),
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        Some(Receipt {
            event: text("jti")?.parse().ok()?,
            subscription,
            sequence,
            token: text("token_sha256")?.parse().ok()?,
            chain,
            issued_at,
        })
    }
}

impl Receipt {
    /// Holds a receipt against what was delivered.
    ///
    /// # Errors
    ///
    /// The consumer's turn: it is for something else.
    pub fn answers(&self, delivered: &Delivered<'_>) -> Result<(), ReceiptFault> {
        self.concerns(delivered.event, delivered.subscription, delivered.place)?;
        if self.token == delivered.token { Ok(()) } else { Err(ReceiptFault::WrongToken) }
    }

    /// Tells whether it is for an event at its place, whichever token carried it.
    ///
    /// # Errors
    ///
    /// The consumer's turn: it is for something else.
    pub fn concerns(
        &self,
        event: EventId,
        subscription: &SubscriptionId,
        place: Option<(u64, ChainValue)>,
    ) -> Result<(), ReceiptFault> {
        let (sequence, after) = place.unzip();
        let fits = self.event == event
            && self.subscription == *subscription
            && self.sequence == sequence
            && self.chain.is_none_or(|chain| Some(chain) == after);
        if fits { Ok(()) } else { Err(ReceiptFault::WrongEvent) }
    }
}
