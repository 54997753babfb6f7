//! The only file that knows status codes: what is told to a caller when a request fails.

use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::event_choice::EventChoice;
use crate::api::outcome::Outcome;
use crate::api::signed_answer::SignedAnswer;
use crate::event::{Blame, Fault, Violation, json};
use crate::eventlog;
use crate::source::intake::Unreadable;
use crate::source::{AdmitRefusal, CodingError};
use crate::telemetry::error_chain;

/// The media type of a problem (RFC 9457).
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident: $text:literal, $status:ident, $title:literal;)+) => {
        /// A kind of problem, under a word that never changes; `docs/errors.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable word.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    /// Something in the request cannot be read.
    BadRequest: "bad-request", BAD_REQUEST, "Bad request";
    /// An event cannot be read, or lacks what every event needs.
    InvalidEvent: "invalid-event", BAD_REQUEST, "Invalid event";
    /// There is no valid caller key.
    Unauthorized: "unauthorized", UNAUTHORIZED, "Unauthorized";
    /// The caller's scopes do not allow it.
    Forbidden: "forbidden", FORBIDDEN, "Forbidden";
    /// The caller may not publish as the source of an event.
    SourceNotAllowed: "source-not-allowed", FORBIDDEN, "Source not allowed";
    /// It is not there, or not the caller's to see.
    NotFound: "not-found", NOT_FOUND, "Not found";
    /// The path exists, with other methods.
    MethodNotAllowed: "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The name is taken.
    AlreadyExists: "already-exists", CONFLICT, "Already exists";
    /// The consumer has as many subscriptions, or as much of filters, as it may.
    ConsumerFull: "consumer-full", CONFLICT, "Consumer full";
    /// The thing is not in a state that allows it.
    WrongState: "wrong-state", CONFLICT, "Wrong state";
    /// The caller names several events or subscriptions.
    Ambiguous: "ambiguous", CONFLICT, "Several of that name";
    /// What is asked for was here and is not kept any more.
    Gone: "gone", GONE, "Gone";
    /// Someone else changed it first.
    Changed: "changed", PRECONDITION_FAILED, "Changed since it was read";
    /// The body is larger than the gateway takes.
    TooLarge: "too-large", PAYLOAD_TOO_LARGE, "Body too large";
    /// The request line and headers are larger than the gateway takes.
    HeadTooLarge: "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large";
    /// The body's media type is not one that this path takes.
    UnsupportedMediaType: "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type";
    /// The request can be read, and asks for something that cannot be.
    Invalid: "invalid", UNPROCESSABLE_ENTITY, "Invalid request";
    /// An event breaks its contract.
    ContractViolated: "contract-violated", UNPROCESSABLE_ENTITY, "Contract violated";
    /// The patch of a publication does not fit the event.
    PatchFailed: "patch-failed", UNPROCESSABLE_ENTITY, "Patch failed";
    /// It takes too much work to tell whether a pattern matches an event.
    Undecided: "undecided", UNPROCESSABLE_ENTITY, "Undecided";
    /// Events are not acknowledged, because their receipts are missing or wrong.
    ReceiptRefused: "receipt-refused", UNPROCESSABLE_ENTITY, "Receipt refused";
    /// The sink did not prove that it is the consumer's.
    HandshakeFailed: "handshake-failed", UNPROCESSABLE_ENTITY, "Handshake failed";
    /// The caller has too much open at once.
    TooMany: "too-many", TOO_MANY_REQUESTS, "Too many at once";
    /// The caller has made as many requests as it may.
    RateLimited: "rate-limited", TOO_MANY_REQUESTS, "Rate limited";
    /// The producer has as much in quarantine that could not be read as it may.
    QuarantineFull: "quarantine-full", TOO_MANY_REQUESTS, "Quarantine full";
    /// Writing needs the revision that is to be replaced.
    PreconditionRequired: "precondition-required", PRECONDITION_REQUIRED,
        "Precondition required";
    /// A bug, or a broken disk.
    Internal: "internal", INTERNAL_SERVER_ERROR, "Internal error";
    /// Too much waits already.
    Busy: "busy", SERVICE_UNAVAILABLE, "Busy";
    /// A queue of AWS refuses, or cannot be reached.
    QueueUnavailable: "queue-unavailable", SERVICE_UNAVAILABLE, "Queue unavailable";
    /// The gateway is starting or stopping.
    NotReady: "not-ready", SERVICE_UNAVAILABLE, "Not ready";
    /// The answer took too long.
    TimedOut: "timed-out", SERVICE_UNAVAILABLE, "Timed out";
}

impl Code {
    /// After how many seconds the same request may be sent again, where that helps.
    const fn retry_after(self) -> Option<HeaderValue> {
        match self {
            // Room comes when an operator looks, so that asking each second helps nobody.
            Self::QuarantineFull => Some(HeaderValue::from_static("60")),
            _ if self.status().as_u16() == 503 => Some(HeaderValue::from_static("1")),
            _ => None,
        }
    }

    /// Finds a code by its word.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.text() == text)
    }

    /// The code for a status that was set without one, for example by the router.
    pub fn from_status(status: StatusCode) -> Self {
        let general = if status.is_server_error() { Self::Internal } else { Self::BadRequest };
        Self::ALL.iter().copied().find(|code| code.status() == status).unwrap_or(general)
    }
}

/// Why a request failed, as the caller is told.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    violations: Vec<Violation>,
    outcomes: Vec<Outcome>,
    choices: Vec<EventChoice>,
    receipt: Option<SignedAnswer>,
}

impl Problem {
    /// A problem with what is wrong this time and what to do; never with event data.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            violations: Vec::new(),
            outcomes: Vec::new(),
            choices: Vec::new(),
            receipt: None,
        }
    }

    /// Adds what is wrong, place by place.
    pub(super) fn with_violations(self, violations: Vec<Violation>) -> Self {
        Self { violations, ..self }
    }

    /// Adds the signature over what became of each event of the request, if there is one.
    pub(super) fn signed(self, receipt: Option<SignedAnswer>) -> Self {
        Self { receipt, ..self }
    }

    /// Adds what became of each event of the request.
    pub(super) fn with_outcomes(self, outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, ..self }
    }

    /// Adds the events that the caller has to choose from.
    pub(super) fn with_choices(self, choices: Vec<EventChoice>) -> Self {
        Self { choices, ..self }
    }

    /// It is not there, or not the caller's to see.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// A failure of ours: the caller learns nothing of it, the log gets all of it.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %error_chain(error), "A request failed for a reason of ours");
        Self { detail: None, ..Self::new(Code::Internal, "") }
    }

    /// A body that cannot be read as events.
    pub(super) fn unreadable(error: &Unreadable) -> Self {
        let code = match error {
            Unreadable::MediaType(_) | Unreadable::Coding(CodingError::Unsupported) => {
                Code::UnsupportedMediaType
            }
            Unreadable::Json(json::Error::TooLong { .. })
            | Unreadable::Coding(CodingError::TooLong { .. }) => Code::TooLarge,
            Unreadable::Coding(CodingError::NoRoom) => Code::Busy,
            _ => Code::InvalidEvent,
        };
        Self::new(code, error_chain(error).to_string())
    }

    /// A refused event, under the refusal's own code where this room knows it.
    pub fn refused(refusal: AdmitRefusal) -> Self {
        let code = Code::from_text(refusal.code).unwrap_or(match refusal.fault {
            Fault::Caller => Code::InvalidEvent,
            Fault::Later => Code::Busy,
            Fault::Ours => Code::Internal,
        });
        if refusal.fault == Fault::Ours {
            return Self::internal(&refusal);
        }
        Self { violations: refusal.violations, ..Self::new(code, refusal.message) }
    }

    /// A failed write to the registry: a document that changed meanwhile is the caller's turn.
    pub fn on_write(error: eventlog::LogError) -> Self {
        match error {
            eventlog::LogError::Stale { .. } => Self::new(
                Code::Changed,
                "read it again, and repeat the change on what is there now",
            ),
            other => other.into(),
        }
    }

    /// The kind of problem.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What is wrong this time, and what to do.
    pub(super) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

/// Asks the error whose turn it is: the caller learns what to change or when to come back, and
/// nothing of a failure that is ours.
impl<E: Blame + Error + 'static> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl Problem {
    /// The problem that fits an error which says no more than whose turn it is.
    pub(super) fn of<E: Blame + Error + 'static>(error: &E) -> Self {
        match error.fault() {
            Fault::Caller => Self::new(Code::BadRequest, error_chain(error).to_string()),
            Fault::Later => Self::new(Code::Busy, error_chain(error).to_string()),
            Fault::Ours => Self::internal(error),
        }
    }
}

/// Why a request failed (RFC 9457, section 3.1).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Where the kind of problem is explained; its last part is a stable word.
    r#type: String,
    /// What the kind means, in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How an event breaks its contract: for each place its `pointer`, a `code` and a `message`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    violations: Vec<Violation>,
    /// What became of each event of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Outcome>,
    /// The events that came of what the caller names, of which it has to name one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<EventChoice>,
    /// The gateway's signature over what became of each event, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

impl Problem {
    /// The body of its answer.
    pub(super) fn to_json(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(&self.clone().body()).unwrap_or_default()
    }

    fn body(self) -> Body {
        Body {
            r#type: format!("/problems/{}", self.code.text()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            violations: self.violations,
            events: self.outcomes,
            choices: self.choices,
            receipt: self.receipt.map(|receipt| receipt.token),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code;
        let status = code.status();
        let applied = SignedAnswer::applied(self.receipt.as_ref());
        let mut response = (status, applied, axum::Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(seconds) = code.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
