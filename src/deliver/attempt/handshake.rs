//! Asks a sink for its consent, then for the nonce that was sealed for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use crate::ambient::{Clock, Entropy};
use crate::deliver::attempt::sealer::{Sealer, SealerError};
use crate::deliver::sink::{HttpDestination, Parcel, body};
use crate::subscriptions::{CHALLENGE_TYPE, Challenge, Subscription};

/// Why a sink has not proved itself; the text is shown to its consumer.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The consumer fetches its events.
    #[error("the subscription has no sink to prove: with the protocol PULL it is active at once")]
    NoSink,
    /// The sink named other origins (CloudEvents webhooks, section 4.2).
    #[error("the sink does not consent: WebHook-Allowed-Origin does not name this gateway")]
    NoConsent,
    /// There was no response to the challenge.
    #[error("the sink did not answer the challenge: {0}")]
    NoAnswer(Arc<str>),
    /// The sink refused the challenge.
    #[error("the sink answered the challenge with status {0} instead of 200")]
    Status(u16),
    /// The nonce is not in the answer.
    #[error(
        "the sink's answer does not hold the nonce: answer 200 with the body {{\"challenge\": \"<the nonce of the opened token>\"}}"
    )]
    WrongAnswer,
    /// The challenge could not be sealed.
    #[error("the challenge could not be sealed")]
    Seal(#[from] SealerError),
}

/// Proves that a consumer controls its sink and its key.
pub struct Handshake {
    /// Speaks to sinks.
    pub destination: Arc<HttpDestination>,
    /// Seals challenges.
    pub sealer: Arc<Sealer>,
    /// The gateway's own address, as it is named to sinks.
    pub issuer: url::Url,
    /// How long a sink may take to answer.
    pub timeout: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Handshake {
    /// Performs both steps.
    ///
    /// # Errors
    ///
    /// The consumer's turn: what its sink did not do.
    pub async fn perform(&self, subscription: &Subscription) -> Result<(), HandshakeError> {
        let sink = subscription.sink.as_ref().ok_or(HandshakeError::NoSink)?;
        self.ask_consent(subscription, sink).await?;
        let challenge = Challenge::new(self.clock.now(), &*self.entropy);
        let sealed = self.sealer.seal_challenge(subscription, &challenge).await?;
        let mode = subscription.document.config.content_mode;
        let (id, source) = (challenge.id().to_string(), self.issuer.to_string());
        let headers = vec![
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", id.clone()),
            ("ce-type", CHALLENGE_TYPE.to_owned()),
            ("ce-source", source.clone()),
        ];
        let attributes = [("id", id), ("type", CHALLENGE_TYPE.to_owned()), ("source", source)];
        let parcel = Parcel {
            method: Method::POST,
            sink: sink.clone(),
            credential: subscription.credential.clone(),
            headers: if mode.is_binary() { headers } else { Vec::new() },
            content_type: mode.media_type(),
            body: body(mode, sealed.token(), attributes),
            timeout: self.timeout,
        };
        let exchange = self.destination.exchange(parcel).await;
        let exchange = exchange.map_err(|answer| HandshakeError::NoAnswer(answer.detail()))?;
        if !(200..300).contains(&exchange.status) {
            return Err(HandshakeError::Status(exchange.status));
        }
        if challenge.is_answered_by(&exchange.body) {
            Ok(())
        } else {
            Err(HandshakeError::WrongAnswer)
        }
    }

    /// A sink that knows `OPTIONS` may say no; one that does not know it is asked by the nonce alone.
    async fn ask_consent(
        &self,
        subscription: &Subscription,
        sink: &url::Url,
    ) -> Result<(), HandshakeError> {
        let origin = self.issuer.host_str().unwrap_or_default();
        let parcel = Parcel {
            method: Method::OPTIONS,
            sink: sink.clone(),
            credential: subscription.credential.clone(),
            headers: vec![("webhook-request-origin", origin.to_owned())],
            content_type: "application/jwt",
            body: Bytes::new(),
            timeout: self.timeout,
        };
        let Ok(exchange) = self.destination.exchange(parcel).await else { return Ok(()) };
        match exchange.allowed_origin.as_deref() {
            Some(allowed) if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) => {
                Err(HandshakeError::NoConsent)
            }
            _ => Ok(()),
        }
    }
}
