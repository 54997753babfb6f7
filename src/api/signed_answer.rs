//! A signature over the answer to a producer, and how it is handed over.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::source::RECEIPT;

/// The header that tells which preference was heeded (RFC 7240, section 3).
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A signature over an answer.
#[derive(Clone, Debug)]
pub(super) struct SignedAnswer {
    /// A compact JWS.
    pub(super) token: String,
    /// Whether the request has asked for it.
    pub(super) is_preferred: bool,
}

impl SignedAnswer {
    /// The headers that tell of a signature.
    pub(super) fn applied(signed: Option<&Self>) -> HeaderMap {
        let is_applied = signed.is_some_and(|signed| signed.is_preferred);
        let header = is_applied.then(|| (APPLIED, HeaderValue::from_static(RECEIPT)));
        header.into_iter().collect()
    }

    /// The signature, and the headers that tell of it.
    pub(super) fn parts(signed: Option<Self>) -> (Option<String>, HeaderMap) {
        let headers = Self::applied(signed.as_ref());
        (signed.map(|signed| signed.token), headers)
    }
}
