//! The seam to the kinds of sink: a sealed event in, an answer out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::deliver::sink::{BodyCut, SinkAnswer};
use crate::event::{AttributeName, AttributeValue, ConsumerId, EventId, ReplayId, SubscriptionId};
use crate::seal::TokenText;
use crate::subscriptions::{Challenge, ContentMode, SealedCredential, Subscription};

/// A sink, and how it is spoken to.
#[derive(Clone)]
pub struct SinkTarget {
    /// Which subscription it serves.
    pub subscription: SubscriptionId,
    /// Whose sink it is.
    pub consumer: ConsumerId,
    /// Its address.
    pub sink: Url,
    /// How the gateway shows itself there.
    pub credential: Option<SealedCredential>,
    /// In which form its consumer wants its events.
    pub content_mode: ContentMode,
    /// Whether its answers may hold receipts.
    pub gives_receipts: bool,
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl SinkTarget {
    /// The sink of a subscription; nothing if its consumer fetches its events.
    pub fn of(subscription: &Subscription, timeout: Duration) -> Option<Self> {
        Some(Self {
            subscription: subscription.id.clone(),
            consumer: subscription.consumer.clone(),
            sink: subscription.sink.clone()?,
            credential: subscription.credential.clone(),
            content_mode: subscription.document.config.content_mode,
            gives_receipts: subscription.receipts.is_some(),
            timeout,
        })
    }
}

/// A sealed event, and what may be shown beside its token.
#[derive(Clone)]
pub struct Parcel {
    /// The event's id, which is always shown.
    pub id: EventId,
    /// The event's name, if it may be shown.
    pub name: Option<String>,
    /// The attributes of the CloudEvent that may be shown, without its id, in order.
    pub attributes: Vec<(&'static str, String)>,
    /// The extension attributes that may be shown beside those of the gateway.
    pub extensions: Vec<(AttributeName, AttributeValue)>,
    /// The event's number in its subscription, if it has one and it may be shown.
    pub sequence: Option<u64>,
    /// The replay that it belongs to, if that may be shown.
    pub replay: Option<ReplayId>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The sealed event.
    pub token: TokenText,
}

impl Parcel {
    /// The value of an attribute that may be shown.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// Why a sink has not proved itself; the text is shown to its consumer.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// It wants no events from this gateway; this is how it says so.
    #[error("the sink does not consent: {0}")]
    NoConsent(&'static str),
    /// There was no answer.
    #[error("the sink did not answer the challenge: {0}")]
    NoAnswer(Arc<str>),
    /// It refused the challenge.
    #[error("the sink answered the challenge with {}", .0.words)]
    Refused(ChallengeRefusal),
    /// It said yes, and the body that has to hold the nonce is not whole.
    #[error("the sink answered the challenge with status {0} and not to the end: {1}")]
    Cut(u16, BodyCut),
    /// Its answer holds no nonce; this is how it would be right.
    #[error("the sink's answer does not hold the nonce: {0}")]
    NotAnswered(&'static str),
    /// Its answer holds another nonce; this is how it would be right.
    #[error("the sink's answer is not the nonce that it was sent: {0}")]
    WrongAnswer(&'static str),
}

impl ChallengeError {
    /// How long the sink asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::NoConsent(_)
            | Self::NoAnswer(_)
            | Self::Cut(..)
            | Self::NotAnswered(_)
            | Self::WrongAnswer(_) => None,
        }
    }
}

/// How a sink refused a challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChallengeRefusal {
    /// In the words of its protocol, bounded, and without the nonce.
    pub words: String,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether it may take the challenge once that is sealed for another key.
    pub asks_for_another_key: bool,
}

/// What a sink has shown that was sent a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeAnswer {
    /// The nonce is in its answer, or sinks of its kind prove themselves by taking it.
    Proved,
    /// It has taken the challenge and cannot answer: its consumer tells the gateway the nonce.
    Delivered,
}

/// A kind of sink.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Attempts a sealed event once. Attempts that are in flight at the same time may travel together.
    ///
    /// Cancel safe in that nothing is kept; the sink may have received the event all the same.
    async fn deliver(&self, target: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer;

    /// Asks a sink, where that can be asked, whether events of this origin may be sent to it.
    ///
    /// # Errors
    ///
    /// The consumer's turn: its sink says no.
    async fn ask_consent(
        &self,
        _target: &Arc<SinkTarget>,
        _origin: &str,
    ) -> Result<(), ChallengeError> {
        Ok(())
    }

    /// Gives a sink a signed statement about its subscription, which is no event, in a parcel; says whether
    /// the sink has taken it.
    async fn tell(&self, target: &Arc<SinkTarget>, statement: Parcel) -> bool;

    /// Has a sink prove itself before the first event: it is sent a challenge, sealed in this parcel,
    /// once, and shows that it has opened it as far as sinks of this kind can.
    ///
    /// # Errors
    ///
    /// The consumer's turn: its sink has not proved itself.
    async fn prove(
        &self,
        target: &Arc<SinkTarget>,
        parcel: Parcel,
        challenge: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError>;
}
