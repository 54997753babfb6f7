//! How a sink answered, whatever its protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::egress::{EgressRefusal, NetworkFailure};
use crate::seal::ReceiptFault;

/// What an answer means for its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The sink has taken it.
    Delivered,
    /// The sink may take it later; now it is like this.
    Later(Health),
    /// The sink may take it once it is sealed or signed with another key.
    OtherKey,
    /// The sink does not take it, and will hardly take it later.
    Refused,
    /// The same, because the sink does not know the gateway or does not let it in.
    Unauthorised,
    /// The same, because the event is too large.
    TooLarge,
    /// The sink is gone for good, as its consumer is told in these words.
    Gone(&'static str),
    /// There is no answer.
    NoAnswer(AttemptFailure),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// The egress guard does not let the address be dialed.
    Refused,
    /// No connection could be made.
    Connect,
    /// No complete answer within the time allowed.
    Timeout,
    /// The connection broke, or what came was not of the protocol.
    Broken,
    /// The subscription has lost its sink: its consumer fetches events now.
    NoSink,
    /// There is no token for the sink, or its credential cannot be used.
    Authorization,
    /// The event could not be sealed, for example because the consumer's keys cannot be fetched.
    Seal,
}

impl AttemptFailure {
    /// The stable word for the attempt list.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refused => "address-not-allowed",
            Self::Connect => "connect-failed",
            Self::Timeout => "timeout",
            Self::Broken => "connection-broken",
            Self::NoSink => "no-sink",
            Self::Authorization => "authorization-failed",
            Self::Seal => "cannot-be-sealed",
        }
    }

    const fn health(self) -> Health {
        match self {
            Self::Timeout => Health::Overloaded,
            Self::Connect | Self::Broken => Health::Failed,
            Self::Refused | Self::Authorization | Self::Seal | Self::NoSink => Health::Unasked,
        }
    }
}

/// What an answer says of its sink, whatever it means for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has taken the event.
    Well,
    /// It is there and does not want this event, or not like this.
    Declined,
    /// It wants fewer events.
    Busy,
    /// It cannot keep up, or did not answer in time.
    Overloaded,
    /// It is not there or not itself.
    Failed,
    /// It was not asked: the event could not be sealed, or the address is not allowed.
    Unasked,
}

/// How a sink answered, if it did.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkAnswer {
    /// What it means for its event.
    pub kind: AnswerKind,
    /// The number that the protocol gives to it, if there was one: to be shown, not to be judged.
    pub status: Option<u16>,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The sink's own words, or what went wrong; no secrets.
    pub detail: Arc<str>,
    /// The beginning of the body of a yes, in which a receipt may be.
    pub body: Bytes,
}

impl SinkAnswer {
    /// An answer of this kind, without words.
    pub fn new(kind: AnswerKind) -> Self {
        // The text without characters is one for all.
        let (detail, body) = (Arc::default(), Bytes::new());
        Self { kind, status: None, retry_after: None, detail, body }
    }

    /// No answer, for this reason; `more` says more and holds no secret, and nothing of the gateway's
    /// network.
    pub fn failed(failure: AttemptFailure, more: &str) -> Self {
        let word = failure.word();
        let detail = if more.is_empty() { word.to_owned() } else { format!("{word}: {more}") };
        Self { detail: detail.into(), ..Self::new(AnswerKind::NoAnswer(failure)) }
    }

    /// No connection, or one that broke, for this reason of the network, if one is known.
    pub fn unconnected(failure: AttemptFailure, reason: Option<NetworkFailure>) -> Self {
        Self::failed(failure, reason.map_or("", NetworkFailure::word))
    }

    /// The address is not dialed. Of a name it is not told where it would have led.
    pub fn not_dialed(refused: EgressRefusal) -> Self {
        Self::failed(AttemptFailure::Refused, &refused.to_string())
    }

    /// Makes a yes count as a failure, because the receipt that it must carry is not there.
    pub fn without_receipt(self, fault: ReceiptFault) -> Self {
        let more = if self.detail.is_empty() { "" } else { &format!(" ({})", self.detail) };
        let detail = format!("no valid receipt: {fault}{more}").into();
        Self { kind: AnswerKind::Later(Health::Well), detail, ..self }
    }

    /// Whether the sink has taken the event.
    pub fn is_yes(&self) -> bool {
        self.kind == AnswerKind::Delivered
    }

    /// Tells whether there was no connection, or one that broke.
    pub const fn is_broken(&self) -> bool {
        matches!(self.kind, AnswerKind::NoAnswer(AttemptFailure::Connect | AttemptFailure::Broken))
    }

    /// What the answer says of the sink.
    pub const fn health(&self) -> Health {
        match self.kind {
            AnswerKind::Delivered => Health::Well,
            AnswerKind::Later(health) => health,
            AnswerKind::NoAnswer(failure) => failure.health(),
            AnswerKind::OtherKey
            | AnswerKind::Refused
            | AnswerKind::Unauthorised
            | AnswerKind::TooLarge
            | AnswerKind::Gone(_) => Health::Declined,
        }
    }
}

/// Shows no body, because a sink may echo what it was sent.
impl fmt::Debug for SinkAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, status, retry_after, detail, body: _ } = self;
        write!(f, "Answer({kind:?}, {status:?}, {retry_after:?}, {detail})")
    }
}
