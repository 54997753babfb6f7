//! Reads what the SDK says of a call that failed.

use std::error::Error;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::aws::{AwsFailure, AwsRefusal};
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
    pub fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let place = match AwsFailure::of(error) {
            AwsFailure::Refused(AwsRefusal { code, message, .. }) => {
                let code = Some(code).filter(|code| !code.is_empty());
                return Self::said(code, Some(&*message).filter(|message| !message.is_empty()));
            }
            AwsFailure::Guard(_) => FailedPlace::Guard,
            AwsFailure::Role(_) | AwsFailure::NoCredentials(_) => FailedPlace::Credentials,
            AwsFailure::Timeout | AwsFailure::Unreachable(..) | AwsFailure::Broken(_) => {
                FailedPlace::Network
            }
        };
        let words = words_of_credentials(error).filter(|_| place == FailedPlace::Credentials);
        let message = words.unwrap_or_else(|| error_chain(error).to_string());
        Self { code: None, message, place: Some(place) }
    }

    /// Of one entry of a call that was answered.
    pub fn of_entry(code: &str, message: Option<&str>) -> Self {
        Self::said(Some(code.to_owned()), message)
    }

    fn said(code: Option<String>, message: Option<&str>) -> Self {
        Self { code, message: message.unwrap_or("no explanation").to_owned(), place: None }
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
