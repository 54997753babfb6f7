//! `POST /oauth/token`: a caller's name and key for an access token (RFC 6749, section 4.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::ambient::Secret;
use crate::api::body_budget::BodySender;
use crate::api::credentials::{self, NamedKey, ShownCredential, ShownError};
use crate::api::event_body::{self, UnreadBody};
use crate::api::peer::Peer;
use crate::api::{CallerError, Problem, Services, json_object};

/// The most bytes of a request: a name, a key, and what senders add of their own.
const MAX_BODY: usize = 16 * 1024;
/// The one grant.
const GRANT: &str = "client_credentials";
/// The one scope.
const SCOPE: &str = "publish";
/// How a client can say who it is in a header.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static(r#"Basic realm="sealway", charset="UTF-8""#);
/// Answers hold secrets (section 5.1).
const UNCACHED: [(header::HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// The body of a 200 (section 5.1).
#[derive(Serialize, ToSchema)]
pub struct GivenToken {
    /// Good for `Authorization: Bearer` on `POST /events`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: u64,
    /// Always `publish`.
    scope: &'static str,
}

/// The body of a refusal (section 5.2).
#[derive(Serialize, ToSchema)]
pub struct TokenRefusal {
    /// A stable word of RFC 6749.
    error: &'static str,
    /// What is wrong and what to do.
    error_description: &'static str,
}

/// Why there is no token.
#[derive(Debug)]
pub enum NoToken {
    /// The request cannot be read, or lacks something.
    Request(&'static str),
    /// The request is larger than any that is meant.
    TooLarge,
    /// The client is not known by what it showed.
    Client,
    /// The grant is another.
    GrantType,
    /// The scope is another, or not the client's.
    Scope(&'static str),
    /// The registry failed.
    Failed(Problem),
}

impl From<CallerError> for NoToken {
    fn from(error: CallerError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for NoToken {
    fn into_response(self) -> Response {
        let (status, error, error_description) = match self {
            Self::Request(words) => (StatusCode::BAD_REQUEST, "invalid_request", words),
            Self::TooLarge => {
                let words = "the body is over 16 KiB";
                (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", words)
            }
            Self::Client => {
                let words = "send a caller's name as client_id and its key as client_secret, in the \
                             body or with the Basic scheme; a removed caller has no key";
                (StatusCode::UNAUTHORIZED, "invalid_client", words)
            }
            Self::GrantType => {
                let words = "send grant_type=client_credentials; there is no other grant";
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", words)
            }
            Self::Scope(words) => (StatusCode::BAD_REQUEST, "invalid_scope", words),
            Self::Failed(problem) => return problem.into_response(),
        };
        let body = Json(TokenRefusal { error, error_description });
        let mut response = (status, UNCACHED, body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response
    }
}

/// Gives an access token to a caller that shows its key; the token publishes and does nothing else.
#[utoipa::path(
    post, path = "/oauth/token", tag = "events",
    operation_id = "oauth_token",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded",
        description = "`grant_type=client_credentials`, and `client_id` and `client_secret` where \
                       they are not in the header; other parameters are passed over"),
    responses(
        (status = 200, description = "A token", body = GivenToken),
        (status = "4XX", description = "As RFC 6749, section 5.2 refuses", body = TokenRefusal)
    ),
    security((), ("basic" = []))
)]
pub async fn issue(
    State(services): State<Arc<Services>>,
    request: Request,
) -> Result<Response, NoToken> {
    let (parts, body) = request.into_parts();
    // Its sender is verified by what is in it.
    let sender = Peer::among(&parts.extensions).map(BodySender::Peer);
    let share = services.bodies.share_of(sender);
    let body = event_body::read(&parts.headers, body, MAX_BODY, &share).await;
    let body = body.map_err(|unread| match unread {
        UnreadBody::NoRoom => NoToken::Failed(event_body::crowded()),
        UnreadBody::TooLong | UnreadBody::Broken => NoToken::TooLarge,
    })?;
    let asked = Asked::read(&parts.headers, &body)?;
    match asked.grant_type.as_ref().map(Secret::expose) {
        Some(GRANT) => {}
        Some(_) => return Err(NoToken::GrantType),
        None => return Err(NoToken::Request("grant_type=client_credentials is missing")),
    }
    let client = client(&parts.headers, asked.client_id, asked.client_secret)?;
    let caller = services.callers.identify_named(&client.id, client.key.expose()).await?;
    let caller = caller.ok_or(NoToken::Client)?;
    let is_other = |scope: Secret| scope.expose().split(' ').any(|one| one != SCOPE);
    if asked.scope.is_some_and(is_other) {
        return Err(NoToken::Scope("ask for the scope publish, or for none"));
    }
    let tokens = &services.access_tokens;
    let token = tokens
        .issue(&caller, services.clock.now())
        .ok_or(NoToken::Scope("the caller needs the scope publish, which it does not have"))?;
    let answer = GivenToken {
        access_token: token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: tokens.lifetime().as_secs(),
        scope: SCOPE,
    };
    Ok((UNCACHED, Json(answer)).into_response())
}

/// The parameters that count; a sender's own are passed over (section 3.2).
#[derive(Debug, Default)]
struct Asked {
    grant_type: Option<Secret>,
    scope: Option<Secret>,
    client_id: Option<Secret>,
    client_secret: Option<Secret>,
}

impl Asked {
    /// Reads a form, which the RFC wants, or a JSON object, which some senders send.
    fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, NoToken> {
        let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let essence = media_type.unwrap_or_default().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let mut asked = Self::default();
        match essence.as_slice() {
            b"" | b"application/x-www-form-urlencoded" => {
                for (name, value) in form_urlencoded::parse(body) {
                    asked.take(&name, value.into_owned())?;
                }
            }
            b"application/json" => {
                let members: BTreeMap<String, Value> = json_object::read(body).map_err(|_| {
                    NoToken::Request("the body is not a JSON object that names each member once")
                })?;
                for (name, value) in members {
                    if let Value::String(value) = value {
                        asked.take(&name, value)?;
                    }
                }
            }
            _ => {
                let words = "send the parameters as application/x-www-form-urlencoded";
                return Err(NoToken::Request(words));
            }
        }
        Ok(asked)
    }

    /// Takes one parameter. An empty one counts as left out, and none may have two values (section
    /// 3.2); the same twice is what a sender makes of its own parameters beside a user's.
    fn take(&mut self, name: &str, value: String) -> Result<(), NoToken> {
        let value = Secret::new(value);
        let known = match name {
            "grant_type" => &mut self.grant_type,
            "scope" => &mut self.scope,
            "client_id" => &mut self.client_id,
            "client_secret" => &mut self.client_secret,
            _ => return Ok(()),
        };
        if value.expose().is_empty() {
            return Ok(());
        }
        let former = known.replace(value);
        match former.zip(known.as_ref()) {
            Some((former, now)) if former.expose() != now.expose() => {
                Err(NoToken::Request("a parameter is there twice with different values"))
            }
            _ => Ok(()),
        }
    }
}

/// Who asks: by the header or by the body (section 2.3.1), or by both if they say the same.
fn client(
    headers: &HeaderMap,
    id: Option<Secret>,
    key: Option<Secret>,
) -> Result<NamedKey, NoToken> {
    const DIFFERENT: NoToken = NoToken::Request("the header and the body name different clients");
    let named = match credentials::shown(headers) {
        Ok(ShownCredential::Basic(named)) => NamedKey {
            id: form_decoded(&named.id),
            key: Secret::new(form_decoded(named.key.expose())),
        },
        Err(ShownError::Ambiguous) => return Err(DIFFERENT),
        Ok(_) | Err(ShownError::Missing | ShownError::Unreadable) => {
            let (id, key) = id.zip(key).ok_or(NoToken::Client)?;
            return Ok(NamedKey { id: id.expose().to_owned(), key });
        }
    };
    let is_other = id.is_some_and(|id| id.expose() != named.id)
        || key.is_some_and(|key| key.expose() != named.key.expose());
    if is_other { Err(DIFFERENT) } else { Ok(named) }
}

/// Undoes the encoding that names and keys have in the header (section 2.3.1).
fn form_decoded(text: &str) -> String {
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    // A text with `&` or `=` was not encoded.
    let only = pairs.next().filter(|(_, value)| value.is_empty() && pairs.next().is_none());
    match only {
        Some((decoded, _)) if !text.contains(['&', '=']) => decoded.into_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn read(media_type: &str, body: &str) -> Result<Asked, NoToken> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
        Asked::read(&headers, &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn forms_and_json_are_read_and_a_senders_own_parameters_are_passed_over() {
        let form = "grant_type=client_credentials&client_id=shop&client_secret=a%2Bb&grant_type=client_credentials&scope=&x=1&x=2";
        let json =
            r#"{"grant_type":"client_credentials","client_id":"shop","client_secret":"a+b","n":1}"#;

        for (media_type, body) in
            [("application/x-www-form-urlencoded; charset=utf-8", form), ("Application/JSON", json)]
        {
            let asked = read(media_type, body).unwrap();
            assert_eq!(asked.grant_type.unwrap().expose(), GRANT);
            assert_eq!(asked.client_id.unwrap().expose(), "shop");
            assert_eq!(asked.client_secret.unwrap().expose(), "a+b");
            assert!(asked.scope.is_none());
        }
        for (media_type, body) in [
            ("application/x-www-form-urlencoded", "client_id=a&client_id=b"),
            ("application/json", r#"{"client_id":"a","client_id":"a"}"#),
            ("application/json", "[]"),
            ("text/plain", form),
        ] {
            assert!(matches!(read(media_type, body), Err(NoToken::Request(_))), "{body}");
        }
    }

    #[test]
    fn a_client_is_named_by_the_header_or_by_the_body() {
        let shown = |header: Option<&str>, id: Option<&str>, key: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                let value = format!("Basic {}", STANDARD.encode_to_string(header));
                headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
            }
            let secret = |text: Option<&str>| text.map(|text| Secret::new(text.to_owned()));
            let named = client(&headers, secret(id), secret(key));
            named.map(|named| format!("{} {}", named.id, named.key.expose()))
        };

        assert_eq!(shown(Some("shop:k"), None, None).unwrap(), "shop k");
        assert_eq!(shown(Some("sh%2Dop:k%2B%3D"), None, None).unwrap(), "sh-op k+=");
        assert_eq!(shown(None, Some("shop"), Some("k")).unwrap(), "shop k");
        assert_eq!(shown(Some("shop:k"), Some("shop"), Some("k")).unwrap(), "shop k");
        assert_eq!(shown(Some("shop:k"), Some("shop"), None).unwrap(), "shop k");
        for (id, key) in [(Some("till"), None), (Some("shop"), Some("l"))] {
            assert!(matches!(shown(Some("shop:k"), id, key), Err(NoToken::Request(_))));
        }
        for (id, key) in [(None, None), (Some("shop"), None), (None, Some("k"))] {
            assert!(matches!(shown(None, id, key), Err(NoToken::Client)));
        }
    }

    #[test]
    fn descriptions_have_only_the_characters_that_the_rfc_allows() {
        let refusals = [
            NoToken::Client,
            NoToken::GrantType,
            NoToken::TooLarge,
            NoToken::Scope("ask for the scope publish, or for none"),
        ];
        for refusal in refusals {
            assert_eq!(refusal.into_response().headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            json in any::<bool>(),
        ) {
            let media_type =
                if json { "application/json" } else { "application/x-www-form-urlencoded" };
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            let _ = Asked::read(&headers, &Bytes::from(body));
        }

        #[test]
        fn a_name_and_a_key_survive_the_encoding_of_the_header(text in "[ -~]{1,60}") {
            let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            prop_assert_eq!(form_decoded(&encoded), text);
        }
    }
}
