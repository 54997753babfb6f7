//! What goes wrong at AWS: answers that say no, and answers that never come.

use std::time::Duration;

/// A fault that a test has the stub commit.
#[derive(Clone, Debug)]
pub enum AwsFault {
    /// The whole request is refused, and nothing is done.
    Refused(Refusal),
    /// Entries of a batch fail, by their place in the request (from 0) and with a code; the others
    /// are done.
    Entries(Vec<(usize, String)>),
    /// Nothing is done, and the connection breaks.
    RequestLost,
    /// What is asked is done, and the connection breaks before the answer.
    AnswerLost,
    /// What is asked is done after this while.
    Slow(Duration),
}

/// An error in the words of AWS.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// A parameter that SQS does not accept.
    pub fn parameter(value: &str, name: &str, reason: &str) -> Self {
        let message = format!("Value {value} for parameter {name} is invalid. Reason: {reason}");
        Self::new(400, "InvalidParameterValue", message)
    }
}

impl AwsFault {
    /// A refusal of any kind.
    pub fn refused(status: u16, code: &str, message: &str) -> Self {
        Self::Refused(Refusal::new(status, code, message))
    }

    /// 400 `ThrottlingException`.
    pub fn throttled() -> Self {
        Self::refused(400, "ThrottlingException", "Rate exceeded")
    }

    /// 503 `ServiceUnavailable`.
    pub fn unavailable() -> Self {
        Self::refused(503, "ServiceUnavailable", "Service is unable to handle request.")
    }

    /// 500 `InternalFailure`.
    pub fn internal_failure() -> Self {
        Self::refused(500, "InternalFailure", "Internal failure.")
    }

    /// 400 `ExpiredTokenException`.
    pub fn expired_token() -> Self {
        Self::Refused(expired())
    }

    /// 400 `AccessDeniedException`.
    pub fn access_denied() -> Self {
        Self::refused(400, "AccessDeniedException", "User is not authorized to perform this.")
    }

    /// 400 `ResourceNotFoundException`.
    pub fn not_found() -> Self {
        Self::refused(400, "ResourceNotFoundException", "The resource does not exist.")
    }

    /// Entries that fail, by their place and with a code.
    pub fn entries<'a>(failing: impl IntoIterator<Item = (usize, &'a str)>) -> Self {
        let failing = failing.into_iter().map(|(place, code)| (place, code.to_owned()));
        Self::Entries(failing.collect())
    }

    /// The code with which an entry of a batch fails, if it does.
    pub fn of_entry(&self, place: usize) -> Option<&str> {
        let Self::Entries(failing) = self else { return None };
        failing.iter().find(|(failing, _)| *failing == place).map(|(_, code)| code.as_str())
    }
}

/// A session whose time is over.
pub fn expired() -> Refusal {
    let message = "The security token included in the request is expired";
    Refusal::new(400, "ExpiredTokenException", message)
}
