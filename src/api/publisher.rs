//! Finds out who publishes: the ways to show a credential on `POST /events`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};

use crate::api::credentials::{self, ShownCredential, ShownError};
use crate::api::{AccessTokens, Caller, CallerError, Code, Problem, Services};

/// What to show instead of nothing.
const MISSING: &str = "send one of: `Authorization: Bearer` with a key from `sealway callers add` or a \
                       token from `POST /oauth/token`; `x-api-key` with such a key; `Authorization: \
                       Basic` with the caller's name as user and its key as password";
/// What to do about two credentials.
const AMBIGUOUS: &str = "the request shows two different credentials; send one of them";
/// What to do about a credential that is nobody's.
const WRONG: &str = "the credential is not valid, or not valid any more; send a key from `sealway \
                     callers add`, for `Basic` with its caller's name as user, or a new token from \
                     `POST /oauth/token`";
/// What can be shown (RFC 9110, section 11.6.1).
const CHALLENGE: &str = r#"Bearer realm="sealway", Basic realm="sealway", charset="UTF-8""#;
/// The same, to whoever showed a token that is not good (RFC 6750, section 3.1).
const STALE: &str =
    r#"Bearer realm="sealway", error="invalid_token", Basic realm="sealway", charset="UTF-8""#;

/// A caller that showed a credential in one of the ways that producers have.
///
/// Only publishing is open to all of them: EventBridge's connections know no `Authorization: Bearer`
/// with a key, and a key in fewer places is a key in fewer logs.
#[derive(Debug)]
pub struct Publisher(pub Caller);

impl FromRequestParts<Arc<Services>> for Publisher {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        let found = identify(&parts.headers, services).await;
        let found = found.map_err(|error| Problem::from(error).into_response())?;
        let caller = found.map_err(|(words, challenge)| {
            let mut refused = Problem::new(Code::Unauthorized, words).into_response();
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            refused
        })?;
        let counted = services.rates.count(parts, caller, services.clock.now());
        counted.map(Self).map_err(Problem::into_response)
    }
}

/// The caller, or the words and the challenge of a refusal.
type CallerOrWords = Result<Caller, (&'static str, &'static str)>;

async fn identify(headers: &HeaderMap, services: &Services) -> Result<CallerOrWords, CallerError> {
    let callers = &services.callers;
    let (found, challenge) = match credentials::shown(headers) {
        Err(ShownError::Missing) => return Ok(Err((MISSING, CHALLENGE))),
        Err(ShownError::Unreadable) => return Ok(Err((WRONG, CHALLENGE))),
        Err(ShownError::Ambiguous) => return Ok(Err((AMBIGUOUS, CHALLENGE))),
        Ok(ShownCredential::Bearer(token)) if AccessTokens::is_token(token.expose()) => {
            let now = services.clock.now();
            (services.access_tokens.identify(token.expose(), now).await?, STALE)
        }
        Ok(ShownCredential::Bearer(key)) => (callers.identify(key.expose()).await?, STALE),
        Ok(ShownCredential::ApiKey(key)) => (callers.identify(key.expose()).await?, CHALLENGE),
        Ok(ShownCredential::Basic(named)) => {
            (callers.identify_named(&named.id, named.key.expose()).await?, CHALLENGE)
        }
    };
    Ok(found.ok_or((WRONG, challenge)))
}
