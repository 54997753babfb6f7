//! Finds out who calls, by the key in the head of a request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::api::{Caller, Code, Problem, Services};

/// Nobody is known to call.
pub(super) fn no_caller() -> Problem {
    let detail = "send `Authorization: Bearer` with a key from `sealway callers add`";
    Problem::new(Code::Unauthorized, detail)
}

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, key) = value.and_then(|value| value.split_once(' ')).ok_or_else(no_caller)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(no_caller());
        }
        let caller = services.callers.identify(key.trim()).await?.ok_or_else(no_caller)?;
        services.rates.count(parts, caller, services.clock.now())
    }
}
