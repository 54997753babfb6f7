//! Texts that clients keep, and ask for again by their names.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// For ever: a year, the longest that caches take (RFC 8246).
pub(super) const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Until an event names it, it may be another one by the next start or reload.
pub(super) const ASK_AGAIN: &str = "no-cache";

/// For whoever asked, and asked again each time: access to it may end.
pub(super) const FOR_ONE: &str = "private, no-cache";

/// Whether a client says that it has this version (RFC 9110, section 13.1.2: a weak comparison).
pub(super) fn has(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).into_iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// A text and how long it may be kept.
pub(super) struct CachedText<'a> {
    /// What is served.
    pub(super) text: &'a str,
    /// Its name, a strong one, with its quotes.
    pub(super) etag: String,
    /// What it is.
    pub(super) media_type: &'static str,
    /// How long caches may keep it.
    pub(super) policy: &'static str,
}

impl CachedText<'_> {
    /// The text, or that the client has it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let fixed: [(HeaderName, &str); 2] =
            [(header::CACHE_CONTROL, self.policy), (header::ETAG, &self.etag)];
        if has(headers, &self.etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let media_type = (header::CONTENT_TYPE, self.media_type);
        (fixed, [media_type], self.text.to_owned()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_that_has_the_version_is_told_so() {
        let had = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            has(&headers, "\"abc\"")
        };

        for value in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(had(value), "{value}");
        }
        for value in ["\"x\"", "abc", ""] {
            assert!(!had(value), "{value}");
        }
    }
}
