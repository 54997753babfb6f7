//! Reads the query of a request, in which every parameter is known.

use std::error::Error as _;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::json_object::reason;
use crate::api::{Code, Problem};
use crate::event::{EventBound, EventId};

/// What a query says, as a `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        let axum::extract::Query(query) = read.map_err(|refusal| {
            // The cause alone names the parameter.
            let cause = refusal.source().map_or_else(|| refusal.to_string(), ToString::to_string);
            let detail = match cause.split_once(": ") {
                Some((name, words)) => format!("{name}: {}", reason(words)),
                None => cause,
            };
            Problem::new(Code::BadRequest, format!("in the query, {detail}"))
        })?;
        Ok(Self(query))
    }
}

/// Reads what a member of a request says as text.
pub(super) fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new(Code::Invalid, format!("{name}: {error}")))
}

/// Reads what a member of a request says as text, if it is there.
pub(super) fn parse_given<T: FromStr<Err: Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| parse(name, text)).transpose()
}

/// Reads the beginning of a range of events: an id, or a time.
pub(super) fn range_start(text: Option<&str>) -> Result<Option<EventId>, Problem> {
    Ok(parse_given::<EventBound>("from", text)?.map(EventBound::first))
}

/// Reads the end of a range of events, which belongs to it: an id, or a time.
pub(super) fn range_end(text: Option<&str>) -> Result<Option<EventId>, Problem> {
    Ok(parse_given::<EventBound>("to", text)?.map(EventBound::last))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(rename = "limit")]
        _limit: Option<usize>,
    }

    #[tokio::test]
    async fn the_parameter_is_named() {
        let read = async |query: &str| {
            let request = Request::get(format!("http://gateway/events?{query}")).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            let read = Query::<Wanted>::from_request_parts(&mut parts, &()).await;
            read.map(drop).map_err(|problem| problem.detail().unwrap_or_default().to_owned())
        };
        assert_eq!(read("limit=7").await, Ok(()));
        for (query, words) in [
            ("limit=x", "in the query, limit: use a whole number"),
            ("limit=-1", "in the query, limit: use a whole number"),
            ("limit=1&limit=2", "in the query, duplicate field `limit`"),
            ("limt=1", "in the query, limt: unknown field, expected `limit`"),
        ] {
            assert_eq!(read(query).await.unwrap_err(), words);
        }
    }
}
