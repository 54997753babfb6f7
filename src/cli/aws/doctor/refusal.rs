//! Reads what the SDK says of a call that failed.

use std::error::Error;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::egress::EgressRefusal;
use crate::telemetry::error_chain;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRefusal {
    /// The code that AWS sent; nothing if AWS sent none, because it was not reached.
    pub code: Option<String>,
    /// What AWS says, or what stood in the way.
    pub message: String,
    /// Where it failed, if it was not AWS that refused.
    pub place: Option<FailedPlace>,
}

/// What stood between the gateway and an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedPlace {
    /// There are no credentials to sign with.
    Credentials,
    /// The guard of outgoing connections.
    Guard,
    /// The network, or whoever answers there.
    Network,
}

impl CallRefusal {
    /// Reads the SDK's error.
    pub fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        if let SdkError::ServiceError(context) = error {
            let refused = context.err();
            let message = refused.message().unwrap_or("no explanation").to_owned();
            return Self { code: refused.code().map(str::to_owned), message, place: None };
        }
        let whole = || error_chain(error).to_string();
        let (place, message) = if EgressRefusal::among_causes(error).is_some() {
            (FailedPlace::Guard, whole())
        } else if let Some(words) = words_of_credentials(error) {
            (FailedPlace::Credentials, words)
        } else {
            (FailedPlace::Network, whole())
        };
        Self { code: None, message, place: Some(place) }
    }

    /// Of one entry of a call that was answered.
    pub fn of_entry(code: &str, message: Option<&str>) -> Self {
        let message = message.unwrap_or("no explanation").to_owned();
        Self { code: Some(code.to_owned()), message, place: None }
    }
}

/// What the SDK says where it found nothing to sign with, without the words around it.
fn words_of_credentials(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.to_string().contains("credential") {
            return Some(error_chain(inner).to_string());
        }
        cause = inner.source();
    }
    None
}
