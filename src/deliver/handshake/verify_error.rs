//! Why a handshake that someone has asked for did not prove the sink.

use std::sync::Arc;

use crate::deliver::attempt::HandshakeError;
use crate::deliver::dispatch::SubscriptionServiceError;
use crate::event::SubscriptionId;

/// Why a sink that was asked for someone has not proved itself, or was not asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// It has not proved itself.
    #[error("subscription `{id}` stays as it is")]
    Unproved {
        /// Which one.
        id: SubscriptionId,
        /// What its sink did.
        #[source]
        source: Arc<HandshakeError>,
    },
    /// The subscription was not read or written.
    #[error(transparent)]
    Service(Arc<SubscriptionServiceError>),
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopping,
}

impl From<SubscriptionServiceError> for VerifyError {
    fn from(error: SubscriptionServiceError) -> Self {
        Self::Service(Arc::new(error))
    }
}
