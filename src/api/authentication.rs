//! Finds out who calls, by the key in the head of a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::api::{Caller, CallerError, Code, Problem, Services};

/// No credential came.
fn no_caller() -> Problem {
    let detail = "send `Authorization: Bearer` with a key from `sealway callers add`";
    Problem::new(Code::Unauthorized, detail)
}

/// A credential came, and it is nobody's: what was sent is to be looked at, and not whether it was sent.
pub(super) fn not_valid() -> Problem {
    let detail = "the credential is not valid, or not valid any more: it was cut or altered, is of another \
                  gateway, or its caller was removed; send `Authorization: Bearer` with a whole key from \
                  `sealway callers add`";
    Problem::new(Code::Unauthorized, detail)
}

/// What a caller is told whose key was good once; nothing for a key that never was, as far as is known.
pub(super) async fn ended(services: &Services, key: &str) -> Result<Option<Problem>, CallerError> {
    let at = services.callers.ended(key).await?;
    Ok(at.map(|at| {
        let detail = format!(
            "this key ended {at}; ask whoever runs the gateway for another one (`sealway callers \
             rotate`) or another end (`sealway callers change --until`)"
        );
        Problem::new(Code::Unauthorized, detail)
    }))
}

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(AUTHORIZATION).ok_or_else(no_caller)?;
        let shown = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
        let (scheme, key) = shown.ok_or_else(not_valid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(not_valid());
        }
        let Some(caller) = services.callers.identify(key.trim()).await? else {
            return Err(ended(services, key.trim()).await?.unwrap_or_else(not_valid));
        };
        services.rates.count(parts, caller, services.clock.now())
    }
}
