//! What the embedded bus answers: a result, or an error in the words of AWS.

use serde::Serialize;
use uuid::Uuid;

/// The kinds of errors of a whole request, named as AWS names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// The producer may not do this at all.
    AccessDenied,
    /// The `Authorization` header lacks a part.
    IncompleteSignature,
    /// Something of ours is broken.
    InternalFailure,
    /// The pattern of `TestEventPattern` is not a pattern.
    InvalidEventPattern,
    /// The signature is not the one that we calculate.
    InvalidSignature,
    /// There is no `Authorization` header.
    MissingAuthenticationToken,
    /// The body is over the limit.
    RequestEntityTooLarge,
    /// The bus does not exist.
    ResourceNotFound,
    /// The body is not the JSON that the operation takes.
    Serialization,
    /// Nothing was stored, and the same request may succeed later.
    ServiceUnavailable,
    /// The operation is not offered.
    UnknownOperation,
    /// The access key is not ours.
    UnrecognizedClient,
    /// The body comes in a content coding that is not read.
    UnsupportedMediaType,
    /// A parameter breaks a constraint.
    Validation,
}

impl AwsErrorKind {
    /// The code that SDKs turn into an exception.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidEventPattern => "InvalidEventPatternException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Serialization => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::UnsupportedMediaType => "UnsupportedMediaTypeException",
            Self::Validation => "ValidationException",
        }
    }
}

/// A request that was not done. Nothing of it was stored, or a repeat of it is harmless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The kind of error.
    pub kind: AwsErrorKind,
    /// What is wrong, without data.
    pub message: String,
}

impl Refused {
    pub(super) fn new(kind: AwsErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The body that carries the error.
    pub fn to_json(&self) -> String {
        serde_json::json!({ "__type": self.kind.code(), "message": self.message }).to_string()
    }
}

/// The outcome of a call, with the id that every answer carries in `x-amzn-RequestId`.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Names the request.
    pub request_id: Uuid,
    /// The JSON body of the result, or the error.
    pub outcome: Result<String, Refused>,
}

/// The result of one entry of `PutEvents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum EntryResult {
    /// The event was taken.
    #[serde(rename_all = "PascalCase")]
    Taken {
        /// The envelope's id.
        event_id: Uuid,
    },
    /// The entry is wrong, or could not be taken.
    #[serde(rename_all = "PascalCase")]
    Failed {
        /// The code that a producer can act on.
        error_code: &'static str,
        /// What is wrong, without data.
        error_message: String,
    },
}

impl EntryResult {
    pub(super) fn failed(error_code: &'static str, error_message: impl Into<String>) -> Self {
        Self::Failed { error_code, error_message: error_message.into() }
    }

    /// The code of the error, if it is one.
    pub(super) const fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::Taken { .. } => None,
            Self::Failed { error_code, .. } => Some(error_code),
        }
    }
}

/// Writes the result of `PutEvents`, with the signature over it where there is one: SDKs pass over a
/// member that they do not know.
pub(super) fn put_events_json(entries: &[&EntryResult], receipt: Option<String>) -> String {
    let is_failed = |entry: &&&EntryResult| matches!(entry, EntryResult::Failed { .. });
    let failed = entries.iter().filter(is_failed).count();
    let mut answer = serde_json::json!({ "FailedEntryCount": failed, "Entries": entries });
    if let (Some(receipt), Some(members)) = (receipt, answer.as_object_mut()) {
        members.insert("Receipt".to_owned(), receipt.into());
    }
    answer.to_string()
}
