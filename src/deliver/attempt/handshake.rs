//! Asks a sink for its consent, then for the nonce that was sealed for it.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::attempt::{Sealer, SealerError};
use crate::deliver::sink::{ChallengeAnswer, ChallengeError, Destinations, Parcel, SinkTarget};
use crate::subscriptions::{CHALLENGE_TYPE, Challenge, Subscription};

/// Why a sink has not proved itself; the text is shown to its consumer.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The consumer fetches its events.
    #[error("the subscription has no sink to prove: with the protocol PULL it is active at once")]
    NoSink,
    /// The sink was asked and did not prove itself.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// The challenge could not be sealed.
    #[error("the challenge could not be sealed")]
    Seal(#[from] SealerError),
}

impl HandshakeError {
    /// How long the sink asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Challenge(error) => error.retry_after(),
            Self::NoSink | Self::Seal(_) => None,
        }
    }

    /// Tells whether the sink has answered with another nonce.
    pub const fn is_wrong_answer(&self) -> bool {
        matches!(self, Self::Challenge(ChallengeError::WrongAnswer(_)))
    }
}

/// Proves that a consumer controls its sink and its key.
pub struct Handshake {
    /// Speaks to sinks.
    pub destinations: Arc<Destinations>,
    /// Seals challenges.
    pub sealer: Arc<Sealer>,
    /// The gateway's own address, as it is named to sinks.
    pub issuer: url::Url,
    /// How long a sink may take to answer.
    pub timeout: Duration,
}

impl Handshake {
    /// Performs both steps once, with a challenge that is sealed for the keys of the moment, or for the
    /// shared secret whose turn it is where several are good. `attempt` counts from 1.
    ///
    /// Cancel safe in that nothing is kept; the sink may have received the challenge all the same.
    ///
    /// # Errors
    ///
    /// The consumer's turn: what its sink did not do.
    pub async fn perform(
        &self,
        subscription: &Subscription,
        challenge: &Challenge,
        attempt: u32,
    ) -> Result<ChallengeAnswer, HandshakeError> {
        let destination = self.destinations.of(subscription).ok_or(HandshakeError::NoSink)?;
        let target = SinkTarget::of(subscription, self.timeout).ok_or(HandshakeError::NoSink)?;
        let target = Arc::new(target);
        let origin = self.issuer.host_str().unwrap_or_default();
        destination.ask_consent(&target, origin).await?;
        let sealed = self.sealer.seal_challenge(subscription, challenge, attempt).await?;
        let parcel = Parcel {
            id: challenge.id(),
            name: Some(CHALLENGE_TYPE.to_owned()),
            attributes: vec![
                ("type", CHALLENGE_TYPE.to_owned()),
                ("source", self.issuer.to_string()),
            ],
            extensions: Vec::new(),
            sequence: None,
            replay: None,
            attempt,
            token: sealed.shared(),
        };
        let shown = destination.prove(&target, parcel, challenge).await;
        if let Err(ChallengeError::Refused(refusal)) = &shown
            && refusal.asks_for_another_key
        {
            self.sealer.renew_keys(subscription).await;
        }
        Ok(shown?)
    }
}
