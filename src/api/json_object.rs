//! Reads the body of a request: one JSON object, of which every member is known and named once.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::api::{Code, Problem};
use crate::event::json;

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

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonObject<T> {
    type Rejection = Unread;

    async fn from_request(request: Request, state: &S) -> Result<Self, Unread> {
        let media_type = request.headers().get(CONTENT_TYPE);
        if !media_type.is_some_and(|value| is_json(value.as_bytes())) {
            return Err(Unread::MediaType);
        }
        let body = Bytes::from_request(request, state).await.map_err(|refusal| {
            Unread::Body(Problem::new(Code::from_status(refusal.status()), refusal.body_text()))
        })?;
        read(&body).map(Self)
    }
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
    serde_path_to_error::deserialize(value)
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
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}

/// What the deserialiser says, without the value that it repeats: that may be a secret.
fn reason(words: &str) -> String {
    let Some(found) =
        ["invalid type: ", "invalid value: "].iter().find_map(|start| words.strip_prefix(start))
    else {
        return words.to_owned();
    };
    let Some((found, expected)) = found.rsplit_once(", expected ") else {
        return "it is of another type".to_owned();
    };
    let kind = found.split(['"', '`']).next().unwrap_or_default().trim();
    format!("found {kind}, expected {expected}")
}
