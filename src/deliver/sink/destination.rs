//! The seam to the kinds of sink: one attempt in, one answer out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::deliver::sink::content::SetError;
use crate::seal::ReceiptFault;
use crate::subscriptions::SealedCredential;

/// What is handed to a sink: a sealed event with its clear attributes.
#[derive(Clone)]
pub struct Parcel {
    /// `POST`, but for the question of consent.
    pub method: reqwest::Method,
    /// The sink's address.
    pub sink: url::Url,
    /// How the gateway shows itself there.
    pub credential: Option<SealedCredential>,
    /// Header names in lower case and their values, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body's media type.
    pub content_type: &'static str,
    /// The body; usually the token.
    pub body: Bytes,
    /// How long the sink may take to answer.
    pub timeout: Duration,
}

/// Why there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// The egress guard does not let the address be dialed.
    Refused,
    /// No connection could be made.
    Connect,
    /// No complete response within the time allowed.
    Timeout,
    /// The connection broke, or what came was not HTTP.
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
}

/// What an answer says of its sink, whatever it means for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has taken the event.
    Well,
    /// It is there and does not want this event, or not like this: a redirect or a 4xx.
    Declined,
    /// It wants fewer events: 429.
    Busy,
    /// It cannot keep up: 503, or no answer in time.
    Overloaded,
    /// It is not there or not itself: another 5xx, no connection, no HTTP.
    Failed,
    /// It was not asked: the event could not be sealed, or the address is not allowed.
    Unasked,
}

/// How a sink answered, if it did.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    outcome: Result<u16, AttemptFailure>,
    retry_after: Option<Duration>,
    detail: Arc<str>,
    body: Bytes,
    lacks_receipt: bool,
    set_error: Option<SetError>,
}

impl Answer {
    fn new(outcome: Result<u16, AttemptFailure>, detail: &str) -> Self {
        let (detail, body) = (Arc::from(detail), Bytes::new());
        Self { outcome, retry_after: None, detail, body, lacks_receipt: false, set_error: None }
    }

    /// A response with this status.
    pub fn of_status(status: u16) -> Self {
        Self::new(Ok(status), "")
    }

    /// No response, for this reason; `detail` says more and holds no secret.
    pub fn failed(failure: AttemptFailure, detail: &str) -> Self {
        Self::new(Err(failure), detail)
    }

    /// Adds the refusal of a receiver of Security Event Tokens.
    pub fn with_set_error(self, error: SetError) -> Self {
        Self { set_error: Some(error), ..self }
    }

    /// Whether the token may be taken once it is sealed or signed with another key.
    pub fn asks_for_another_key(&self) -> bool {
        self.set_error.as_ref().is_some_and(SetError::asks_for_another_key)
    }

    /// Adds how long the sink asks to be left alone.
    pub fn with_retry_after(self, span: Duration) -> Self {
        Self { retry_after: Some(span), ..self }
    }

    /// Adds the beginning of the response's body.
    pub fn with_detail(self, detail: &str) -> Self {
        Self { detail: Arc::from(detail), ..self }
    }

    /// Adds the body of a response that said yes, in which a receipt may be.
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Makes a yes count as a failure, because the receipt that it must carry is not there.
    pub fn without_receipt(self, fault: ReceiptFault) -> Self {
        Self { lacks_receipt: true, ..self.with_detail(&format!("no valid receipt: {fault}")) }
    }

    /// Whether the sink has taken the event.
    pub fn is_yes(&self) -> bool {
        matches!(self.outcome, Ok(200..=299)) && !self.lacks_receipt
    }

    /// The beginning of the body of a response that said yes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.outcome.ok()
    }

    /// What the answer says of the sink.
    pub const fn health(&self) -> Health {
        match self.outcome {
            Ok(200..=299) => Health::Well,
            Ok(429) => Health::Busy,
            Ok(503) | Err(AttemptFailure::Timeout) => Health::Overloaded,
            Ok(500..=599) | Err(AttemptFailure::Connect | AttemptFailure::Broken) => Health::Failed,
            Ok(_) => Health::Declined,
            Err(
                AttemptFailure::Refused
                | AttemptFailure::Authorization
                | AttemptFailure::Seal
                | AttemptFailure::NoSink,
            ) => Health::Unasked,
        }
    }

    /// Tells whether there was no connection, or one that broke.
    pub const fn is_broken(&self) -> bool {
        matches!(self.outcome, Err(AttemptFailure::Connect | AttemptFailure::Broken))
    }

    /// How long the sink asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The beginning of the response's body, or what went wrong.
    pub fn detail(&self) -> Arc<str> {
        match self.outcome {
            Err(failure) if self.detail.is_empty() => Arc::from(failure.word()),
            Err(failure) => Arc::from(format!("{}: {}", failure.word(), self.detail)),
            Ok(_) => Arc::clone(&self.detail),
        }
    }
}

/// Shows no body, because a sink may echo what it was sent.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({:?}, {:?}, {})", self.outcome, self.retry_after, self.detail)
    }
}

/// A kind of sink.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Makes one attempt, within the parcel's time.
    ///
    /// Cancel safe in that nothing is kept; the sink may have received the parcel all the same.
    async fn attempt(&self, parcel: Parcel) -> Answer;
}
