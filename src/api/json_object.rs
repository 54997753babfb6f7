//! Reads the body of a request: one JSON object, of which every member is known and named once.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, OptionalFromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::api::body_budget::{BodySender, BodyShare};
use crate::api::event_body::{self, UnreadBody};
use crate::api::{Caller, Code, Problem, Services};
use crate::event::json;

/// The longest name of a member that a refusal repeats whole, in characters.
const LONGEST_NAME: usize = 64;

/// What a body says, as a `T`.
///
/// Unlike `axum::Json` it takes no list in the place of an object, and no member that is named
/// twice, of which one would be passed over in silence.
#[derive(Debug)]
pub struct JsonObject<T>(pub T);

/// Why a body was not read. What it holds is not repeated.
#[derive(Debug)]
pub enum Unread {
    /// It is not said to be JSON.
    MediaType,
    /// It did not come whole, or is too large.
    Body(Problem),
    /// It is no JSON, or an ambiguous one.
    Malformed(json::Error),
    /// It is JSON of another shape; where, as a JSON pointer, and what is wrong there.
    Shape(String, String),
}

impl Unread {
    /// The problem, under this code if the body is JSON of another shape.
    pub fn problem(self, of_shape: Code) -> Problem {
        match self {
            Self::MediaType => {
                let detail = "send the body as `content-type: application/json`";
                Problem::new(Code::UnsupportedMediaType, detail)
            }
            Self::Body(problem) => problem,
            Self::Malformed(error) => Problem::new(
                Code::BadRequest,
                format!("the body is not JSON as it is read here: {error}"),
            ),
            Self::Shape(pointer, reason) if pointer.is_empty() => {
                Problem::new(of_shape, format!("the body: {reason}"))
            }
            Self::Shape(pointer, reason) => Problem::new(of_shape, format!("{pointer}: {reason}")),
        }
    }
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        self.problem(Code::Invalid).into_response()
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Services>> for JsonObject<T> {
    type Rejection = Unread;

    async fn from_request(request: Request, services: &Arc<Services>) -> Result<Self, Unread> {
        let media_type = request.headers().get(CONTENT_TYPE);
        if !media_type.is_some_and(|value| is_json(value.as_bytes())) {
            return Err(Unread::MediaType);
        }
        let (parts, body) = request.into_parts();
        let share = share_of(&mut parts.clone(), services).await;
        let body = whole(Request::from_parts(parts, body), services, &share).await?;
        read(&body).map(Self)
    }
}

/// A body that may be missing: no bytes are no object, whatever media type they are said to be.
impl<T: DeserializeOwned> OptionalFromRequest<Arc<Services>> for JsonObject<T> {
    type Rejection = Unread;

    async fn from_request(
        request: Request,
        services: &Arc<Services>,
    ) -> Result<Option<Self>, Unread> {
        let (parts, body) = request.into_parts();
        let share = share_of(&mut parts.clone(), services).await;
        let body = whole(Request::from_parts(parts.clone(), body), services, &share).await?;
        if body.is_empty() {
            return Ok(None);
        }
        let request = Request::from_parts(parts, Body::from(body));
        // It is counted again there.
        drop(share);
        <Self as FromRequest<_>>::from_request(request, services).await.map(Some)
    }
}

/// The share of whoever sends a body. Handlers look at the caller's key before the body, so that it is known.
async fn share_of(parts: &mut Parts, services: &Arc<Services>) -> BodyShare {
    let caller = Caller::from_request_parts(parts, services).await.ok();
    services.bodies.share_of(caller.map(|caller| BodySender::Caller(caller.id().clone())))
}

async fn whole(
    request: Request,
    services: &Arc<Services>,
    share: &BodyShare,
) -> Result<Bytes, Unread> {
    let (parts, body) = request.into_parts();
    let most = services.config.max_body.bytes();
    let body = event_body::read(&parts.headers, body, most, share).await;
    body.map_err(|unread| {
        Unread::Body(match unread {
            UnreadBody::TooLong => {
                let detail = format!("the body is larger than {most} bytes (`api.max-body`)");
                Problem::new(Code::TooLarge, detail)
            }
            UnreadBody::Broken => {
                Problem::new(Code::BadRequest, "the body did not come whole; send it again")
            }
            UnreadBody::NoRoom => event_body::crowded(),
        })
    })
}

/// Tells whether a media type is `application/json`, or is built upon it.
fn is_json(media_type: &[u8]) -> bool {
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json"
        || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// Reads an object.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unread> {
    // The server has bounded the bytes.
    let limits = json::Limits { bytes: usize::MAX, ..json::Limits::default() };
    let value = json::read(body, limits).map_err(Unread::Malformed)?;
    if !value.is_object() {
        return Err(Unread::Shape(String::new(), format!("{}, send an object", kind(&value))));
    }
    // From the text, because of a tree the library only says that a number is wrong, and not why.
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .map_err(|error| Unread::Shape(pointer(error.path()), reason(&error.inner().to_string())))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "it is null",
        Value::Bool(_) => "it is a boolean",
        Value::Number(_) => "it is a number",
        Value::String(_) => "it is a string",
        Value::Array(_) => "it is a list",
        Value::Object(_) => "it is an object",
    }
}

/// A place in the body (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => {
                let shown: String = key.chars().take(LONGEST_NAME).collect();
                pointer.push_str(&shown.replace('~', "~0").replace('/', "~1"));
                if shown.len() < key.len() {
                    pointer.push('…');
                }
            }
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}

/// What the deserialiser says, in the words of JSON and without the value that it repeats: that may be
/// a secret.
pub(super) fn reason(words: &str) -> String {
    // The place within the body is said as a pointer.
    let words = words.rsplit_once(" at line ").map_or(words, |(reason, _)| reason);
    if words.starts_with("invalid digit") || words.starts_with("number too large") {
        return "use a whole number".to_owned();
    }
    // What stands before is the caller's.
    for unknown in ["unknown field", "unknown variant"] {
        if words.starts_with(unknown) {
            let expected =
                words.rsplit_once("`, expected ").map_or("none", |(_, expected)| expected);
            return format!("{unknown}, expected {expected}");
        }
    }
    let starts = ["invalid type: ", "invalid value: "];
    let Some(mismatch) = starts.iter().find_map(|start| words.strip_prefix(start)) else {
        return words.to_owned();
    };
    let Some((found, expected)) = mismatch.rsplit_once(", expected ") else {
        return "it is of another type".to_owned();
    };
    let found = match found.split(['"', '`']).next().unwrap_or_default().trim() {
        "integer" | "floating point" => "this number",
        "sequence" => "a list",
        "map" => "an object",
        "boolean" => "a boolean",
        "string" => "this text",
        other => other,
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(rename = "rate")]
        _rate: Option<u32>,
        #[serde(rename = "parts", default)]
        _parts: Vec<Part>,
        #[serde(rename = "as")]
        _form: Option<Form>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form {
        Whole,
    }

    #[derive(Debug, Deserialize)]
    struct Part {
        #[serde(rename = "a/b")]
        _name: String,
    }

    #[test]
    fn a_refusal_says_where_and_what_and_repeats_nothing() {
        for (body, words) in [
            (r#"{"rate": -1}"#, "/rate: expected a whole number, 0 or more, found this number"),
            (r#"{"rate": "s3cret"}"#, "/rate: expected a whole number, 0 or more, found this text"),
            (r#"{"rate": 1, "rate": 1}"#, "a member name that is repeated at line 1"),
            (r#"{"parts": {"s3cret": 1}}"#, "/parts: expected a list, found an object"),
            (
                r#"{"parts": [{"a/b": ["s3cret"]}]}"#,
                "/parts/0/a~1b: expected a string, found a list",
            ),
            (
                r#"{"parts": [{"a/b": "x"}, "s3cret"]}"#,
                "/parts/1: expected an object, found this text",
            ),
            (r#"{"parts": [{}]}"#, "/parts/0: missing field `a/b`"),
            (r#"{"rat": 1}"#, "/rat: unknown field, expected one of `rate`, `parts`, `as`"),
            (r#"{"as": "s3cret"}"#, "/as: unknown variant, expected `whole`"),
            (r#"{"as": "s3cret`, expected `x"}"#, "/as: unknown variant, expected `whole`"),
            ("7", "the body: it is a number, send an object"),
        ] {
            let refused = read::<Wanted>(body.as_bytes()).unwrap_err().problem(Code::Invalid);
            let detail = refused.detail().unwrap();
            assert!(detail.contains(words), "{body}: {detail}");
            assert!(!detail.contains("s3cret"), "{detail}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let body = format!(r#"{{"{}": 1}}"#, "ä".repeat(5000));
        let refused = read::<Wanted>(body.as_bytes()).unwrap_err().problem(Code::Invalid);
        let expected = format!("/{}…: unknown field, expected", "ä".repeat(LONGEST_NAME));
        assert!(refused.detail().unwrap().starts_with(&expected), "{:?}", refused.detail());
    }

    #[test]
    fn a_media_type_may_have_parameters_and_be_built_upon_json() {
        for media_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/a+json"]
        {
            assert!(is_json(media_type.as_bytes()), "{media_type}");
        }
        for media_type in ["", "text/plain", "text/json", "application/jsonp", "image/a+json"] {
            assert!(!is_json(media_type.as_bytes()), "{media_type}");
        }
    }
}
