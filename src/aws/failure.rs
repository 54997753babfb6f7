//! Why a call of AWS has failed, whatever the service.

use std::error::Error;
use std::fmt::Debug;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::egress::{EgressRefusal, NetworkFailure};

/// Characters of an explanation that are shown at the most.
const LONGEST_WORDS: usize = 512;
/// Codes of credentials whose time is over.
pub const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException"];
/// Codes of credentials that AWS does not know, or that were withdrawn.
pub const UNKNOWN_CREDENTIALS: &[&str] = &["InvalidClientTokenId", "UnrecognizedClientException"];

/// What stood between the gateway and a yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsFailure {
    /// The egress guard does not let the address be dialed.
    Guard(EgressRefusal),
    /// STS does not give the role, for this reason.
    Role(Box<Self>),
    /// There are no credentials to sign with.
    NoCredentials(String),
    /// The service says no.
    Refused(AwsRefusal),
    /// There was no answer in time.
    Timeout,
    /// No connection could be made, or it broke: in the word of consumers and those of operators.
    Unreachable(Option<NetworkFailure>, String),
    /// What came was no answer of AWS, or nothing was sent.
    Broken(String),
}

/// An error in the words of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRefusal {
    /// The status of the answer.
    pub status: u16,
    /// What names it; empty if nothing does.
    pub code: String,
    /// What explains it; maybe empty.
    pub message: String,
}

impl AwsFailure {
    /// Reads the SDK's error.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        // The role's credentials are asked for within the call that needs them.
        if let Some(refused) = inner_of::<SdkError<AssumeRoleError>>(error) {
            return Self::Role(Box::new(Self::of(refused)));
        }
        if let Some(refused) = EgressRefusal::among_causes(error) {
            return Self::Guard(refused);
        }
        if inner_of::<CredentialsError>(error).is_some() {
            return Self::NoCredentials(innermost(error));
        }
        match error {
            SdkError::ServiceError(context) => {
                let code = error.code().unwrap_or_default().to_owned();
                let message = words(&code, error.message().unwrap_or_default());
                Self::Refused(AwsRefusal { status: context.raw().status().as_u16(), code, message })
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                Self::Unreachable(NetworkFailure::of(error), innermost(error))
            }
            _ => Self::Broken(innermost(error)),
        }
    }

    /// What happened between here and AWS, for the log of whoever runs the gateway; nothing where AWS
    /// has said it, or it took too long.
    pub fn details(&self) -> Option<String> {
        match self {
            Self::Guard(refused) => Some(refused.to_string()),
            Self::Role(reason) => reason.details(),
            Self::NoCredentials(words) | Self::Unreachable(_, words) | Self::Broken(words) => {
                Some(words.clone())
            }
            Self::Refused(_) | Self::Timeout => None,
        }
    }

    /// Whether other credentials may do, because these have ended or are not known: those that the
    /// call was signed with, or those with which its role was asked for.
    pub fn wants_other_credentials(&self) -> bool {
        match self {
            Self::Role(reason) => reason.wants_other_credentials(),
            Self::Refused(refusal) => {
                let code = refusal.code.as_str();
                EXPIRED.contains(&code) || UNKNOWN_CREDENTIALS.contains(&code)
            }
            _ => false,
        }
    }
}

/// The explanation of an error, as far as it may be shown: its beginning, without control characters.
///
/// Where a signature is wrong, AWS explains it with all that was to be signed, the session token
/// among it; of such an error the code says enough.
fn words(code: &str, message: &str) -> String {
    if code.contains("Signature") || message.to_ascii_lowercase().contains("x-amz-security-token") {
        return String::new();
    }
    message.chars().filter(|character| !character.is_control()).take(LONGEST_WORDS).collect()
}

/// The cause of this kind, if there is one.
fn inner_of<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The innermost cause names the trouble; the outer ones would repeat the address.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The causes of an error, the innermost last.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn an_explanation_that_quotes_a_session_token_is_not_shown() {
        let quoted = "The canonical string should have been 'POST x-amz-security-token:SECRET'";
        assert_eq!(words("InvalidSignatureException", quoted), "");
        assert_eq!(words("SignatureDoesNotMatch", "short"), "");
        assert_eq!(words("AccessDenied", quoted), "");
        assert_eq!(words("AccessDenied", "not\n\u{1b}yours"), "notyours");
        assert_eq!(words("AccessDenied", &"a".repeat(9999)).len(), LONGEST_WORDS);
    }

    type TakeError = SdkError<AssumeRoleError>;

    /// STS says no.
    fn refused(status: u16, code: &str) -> TakeError {
        let raw = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        let metadata = ErrorMetadata::builder().code(code).message("some words").build();
        SdkError::service_error(AssumeRoleError::generic(metadata), raw)
    }

    /// A call that was not sent, because there were no credentials for this reason.
    fn unsigned(reason: impl Into<Box<dyn Error + Send + Sync>>) -> TakeError {
        let reason = CredentialsError::provider_error(reason);
        SdkError::dispatch_failure(ConnectorError::other(Box::new(reason), None))
    }

    #[test]
    fn what_sts_says_of_a_role_is_told_apart_from_what_the_service_says() {
        let denied = AwsFailure::of(&refused(403, "AccessDenied"));
        let AwsFailure::Refused(refusal) = &denied else { panic!("{denied:?}") };
        assert_eq!((refusal.status, &*refusal.code), (403, "AccessDenied"));
        assert_eq!(refusal.message, "some words");

        let role = AwsFailure::of(&unsigned(refused(403, "AccessDenied")));

        assert_eq!(role, AwsFailure::Role(Box::new(denied)));
        assert!(!role.wants_other_credentials());
        let none = AwsFailure::of(&unsigned("nothing in the environment"));
        assert_eq!(none, AwsFailure::NoCredentials("nothing in the environment".to_owned()));
    }

    #[test]
    fn credentials_that_have_ended_are_seen_in_the_call_and_behind_its_role() {
        for code in EXPIRED.iter().chain(UNKNOWN_CREDENTIALS) {
            assert!(AwsFailure::of(&refused(400, code)).wants_other_credentials(), "{code}");
            let role = AwsFailure::of(&unsigned(refused(403, code)));
            assert!(role.wants_other_credentials(), "{code}");
        }
        assert!(!AwsFailure::of(&refused(400, "Throttling")).wants_other_credentials());
    }

    #[test]
    fn without_an_answer_it_is_said_why() {
        let io = || SdkError::dispatch_failure(ConnectorError::io("refused".into()));
        let slow = SdkError::dispatch_failure(ConnectorError::timeout("slow".into()));
        let guarded = ConnectorError::io(Box::new(EgressRefusal::NotAws));
        let unreachable = AwsFailure::Unreachable(None, "refused".to_owned());

        assert_eq!(AwsFailure::of::<AssumeRoleError>(&io()), unreachable);
        assert_eq!(AwsFailure::of::<AssumeRoleError>(&slow), AwsFailure::Timeout);
        let guarded: TakeError = SdkError::dispatch_failure(guarded);
        assert_eq!(AwsFailure::of(&guarded), AwsFailure::Guard(EgressRefusal::NotAws));
        let role = AwsFailure::of(&unsigned(io() as TakeError));
        assert_eq!(role, AwsFailure::Role(Box::new(unreachable)));
    }
}
