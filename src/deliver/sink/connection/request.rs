//! One request to a token endpoint (RFC 6749, section 4.4).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::ambient::Secret;
use crate::deliver::sink::connection::fields::{
    add_all, pairs, sensitive, url_encoded, with_query,
};
use crate::deliver::sink::connection::identities::NoClient;
use crate::deliver::sink::connection::identities::TlsIdentity;
use crate::deliver::sink::connection::unusable::Unusable;
use crate::egress::{
    EgressRefusal, ExchangeError, GuardedAnswer, GuardedClient, GuardedRequest, NetworkFailure,
};
use crate::event::{Blame, Fault};
use crate::subscriptions::{ClientAuthentication, OAuth, SecretText, TokenMethod};
use crate::telemetry::error_chain;

/// Bytes of an answer; a token has a few thousand.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Bytes of a token, which has to fit into a header.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Bounds on what `expires_in` may say, and what holds when it says nothing.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_hours(24);
const USUAL: Duration = Duration::from_mins(5);
/// The words that a token endpoint may refuse with (RFC 6749, section 5.2). Others are not repeated,
/// because they could be anything.
const REFUSALS: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Why there is no token. The texts are shown to consumers and hold nothing of an answer.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The egress guard does not let the endpoint be dialed.
    #[error("the token endpoint: {0}")]
    Refused(#[source] EgressRefusal),
    /// The TLS stack does not take the identity for the endpoint.
    #[error("the token endpoint: {0}")]
    Identity(#[source] NoClient),
    /// The exchange failed.
    #[error("the token endpoint cannot be reached{}", NetworkFailure::after_colon(*.0))]
    Unreachable(Option<NetworkFailure>),
    /// There was no answer in time.
    #[error("the token endpoint did not answer in time")]
    Late,
    /// An answer other than 200; redirects are not followed.
    #[error("the token endpoint answered {status} instead of 200{}", code.map(|code| format!(" ({code})")).unwrap_or_default())]
    Status {
        /// The status.
        status: u16,
        /// The word of RFC 6749, if it gave one.
        code: Option<&'static str>,
    },
    /// A long answer.
    #[error("the token endpoint's answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    /// An answer that holds no token that can be used.
    #[error("the token endpoint's answer cannot be used: {0}")]
    Content(&'static str),
}

impl Blame for TokenError {
    fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::Caller,
            // The consumer's to mend, and delivery goes on when it is.
            _ => Fault::Later,
        }
    }
}

/// A bearer token, as the header of a request.
pub struct Token {
    header: HeaderValue,
    text: Secret,
}

impl Token {
    /// The value of `Authorization`.
    pub const fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The token, to take it out of what a sink answers.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

/// Shows nothing of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Everything that a request for a token says.
pub struct TokenRequest {
    endpoint: Url,
    method: Method,
    headers: HeaderMap,
    /// The parameters of the grant: in the body, or in the query of a `GET`.
    form: Vec<(String, Secret)>,
    tls: Option<TlsIdentity>,
    authorization: Option<Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
}

impl TokenRequest {
    /// Prepares the requests of a credential.
    ///
    /// # Errors
    ///
    /// Ours: it was checked when it was kept, and cannot be used now.
    pub fn new(oauth: &OAuth) -> Result<Self, Unusable> {
        let endpoint = Url::parse(&oauth.endpoint).map_err(|_| Unusable::Part)?;
        let secret = oauth.client_secret.as_ref().and_then(SecretText::text);
        let secret = secret.ok_or(Unusable::Part)?;
        let plain = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
        let mut form = vec![plain("grant_type", "client_credentials")];
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut authorization = None;
        match oauth.client_authentication {
            ClientAuthentication::Basic => {
                // RFC 6749, section 2.3.1: each part is form-encoded first.
                let both = [url_encoded(&oauth.client_id), url_encoded(secret)].join(":");
                let both = Zeroizing::new(both);
                let encoded = base64_simd::STANDARD.encode_to_string(both.as_bytes());
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {encoded}"))?);
                authorization = Some(Secret::new(encoded));
            }
            ClientAuthentication::Body => {
                form.push(plain("client_id", &oauth.client_id));
                form.push(plain("client_secret", secret));
            }
        }
        form.extend(oauth.scope.as_deref().map(|scope| plain("scope", scope)));
        form.extend(oauth.audience.as_deref().map(|audience| plain("audience", audience)));
        form.extend(pairs(&oauth.body));
        add_all(&mut headers, &oauth.headers)?;
        let tls = oauth.tls.as_ref().map(TlsIdentity::new).transpose();
        Ok(Self {
            endpoint: with_query(&endpoint, &pairs(&oauth.query)),
            method: match oauth.method {
                TokenMethod::Get => Method::GET,
                TokenMethod::Post => Method::POST,
                TokenMethod::Put => Method::PUT,
            },
            headers,
            form,
            tls: tls.map_err(|_| Unusable::Part)?,
            authorization,
        })
    }

    /// Where the request goes.
    pub const fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The TLS identity for the endpoint.
    pub const fn tls(&self) -> Option<&TlsIdentity> {
        self.tls.as_ref()
    }

    /// The client's name and secret as they are sent, if they are sent in a header.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(Secret::expose)
    }

    /// Asks for a token, and tells how long it is good for.
    ///
    /// # Errors
    ///
    /// Later: the endpoint gives none.
    pub async fn send(
        &self,
        client: &GuardedClient,
        patience: Duration,
    ) -> Result<(Token, Duration), TokenError> {
        let address = if self.method == Method::GET {
            with_query(&self.endpoint, &self.form)
        } else {
            self.endpoint.clone()
        };
        let mut headers = self.headers.clone();
        let mut body = Bytes::new();
        if self.method != Method::GET {
            let form = with_query(&self.endpoint_without_query(), &self.form);
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.append(CONTENT_TYPE, kind);
            body = form.query().unwrap_or_default().to_owned().into();
        }
        let request = GuardedRequest {
            method: self.method.clone(),
            url: &address,
            headers,
            body,
            // One byte more tells that there are too many.
            body_limit: LONGEST_ANSWER + 1,
            patience,
        };
        let failed = |error: &ExchangeError| failed(self.endpoint.host_str(), error);
        let answer = client.answer(request, |_| patience).await.map_err(|error| failed(&error))?;
        let GuardedAnswer { head, body, cut } = answer;
        let media_type = head.headers.get(CONTENT_TYPE);
        let is_json = media_type.and_then(|value| value.to_str().ok()).is_some_and(is_json);
        let body = Zeroizing::new(body);
        if body.len() > LONGEST_ANSWER {
            return Err(TokenError::TooLong);
        }
        if head.status != StatusCode::OK {
            let status = head.status.as_u16();
            return Err(TokenError::Status { status, code: refusal(&body) });
        }
        if let Some(cut) = cut {
            return Err(failed(&cut));
        }
        if !is_json {
            return Err(TokenError::Content("it is not application/json"));
        }
        read(&body)
    }

    fn endpoint_without_query(&self) -> Url {
        let mut bare = self.endpoint.clone();
        bare.set_query(None);
        bare
    }
}

fn refusal(body: &[u8]) -> Option<&'static str> {
    let told: TokenRefusal = serde_json::from_slice(body).ok()?;
    REFUSALS.iter().copied().find(|word| *word == told.error)
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn read(body: &[u8]) -> Result<(Token, Duration), TokenError> {
    let refuse = TokenError::Content;
    // The library would take an array for the object as well.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(refuse("it is no JSON object"));
    }
    // The library's own words may repeat the answer.
    let answer: TokenAnswer = serde_json::from_slice(body)
        .map_err(|_| refuse("it is no JSON object with access_token"))?;
    if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(refuse("its token_type is not Bearer"));
    }
    let text = Secret::new(answer.access_token);
    let token = text.expose();
    // RFC 6750, section 2.1: b64token; other visible characters are seen in the field.
    let is_token = token.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    if token.is_empty() || token.len() > LONGEST_TOKEN || !is_token {
        return Err(refuse("its access_token does not fit into a header"));
    }
    let header = Zeroizing::new(format!("Bearer {token}"));
    let header = sensitive(&header).map_err(|_| refuse("its access_token is no text"))?;
    let lifetime = match answer.expires_in {
        None | Some(Value::Null) => USUAL,
        Some(seconds) => lifetime(&seconds).ok_or(refuse("its expires_in is no number"))?,
    };
    Ok((Token { header, text }, lifetime))
}

/// Some endpoints give the number as text.
fn lifetime(seconds: &Value) -> Option<Duration> {
    let seconds = match seconds {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let seconds = seconds.clamp(SHORTEST.as_secs_f64(), LONGEST.as_secs_f64());
    Duration::try_from_secs_f64(seconds).ok()
}

/// What a consumer is told of an error; the log has the rest of it.
fn failed(host: Option<&str>, error: &ExchangeError) -> TokenError {
    match error {
        ExchangeError::Refused(refused) => TokenError::Refused(*refused),
        ExchangeError::Late => TokenError::Late,
        ExchangeError::Connect(_) | ExchangeError::Broken(_) => {
            let host = host.unwrap_or_default();
            let error_text = error_chain(error);
            tracing::info!(host, error = %error_text, "The token endpoint at {host} gives no answer");
            TokenError::Unreachable(error.network())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer(value: &Value) -> Result<(Token, Duration), TokenError> {
        read(value.to_string().as_bytes())
    }

    #[test]
    fn a_token_is_good_for_as_long_as_it_says_within_bounds() {
        for (expires_in, seconds) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(0), 5),
            (json!(-1), 5),
            (json!(1e12), 86_400),
            (Value::Null, 300),
        ] {
            let told =
                json!({"access_token": "t", "token_type": "bearer", "expires_in": expires_in});
            let (token, lifetime) = answer(&told).unwrap();
            assert_eq!((token.expose(), lifetime.as_secs()), ("t", seconds), "{expires_in}");
            assert_eq!(token.header(), "Bearer t");
            assert!(token.header().is_sensitive());
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused_without_repeating_it() {
        for wrong in [
            json!({"access_token": "hunter2 hunter2"}),
            json!({"access_token": ""}),
            json!({"access_token": "hunter2", "token_type": "mac"}),
            json!({"access_token": "hunter2", "expires_in": "hunter2"}),
            json!({"access_token": "hunter2\r\nx: y"}),
            json!({"access_token": ["hunter2"]}),
            json!({"access_token": "h".repeat(LONGEST_TOKEN + 1)}),
            json!(["hunter2"]),
        ] {
            let told = answer(&wrong).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn only_the_words_of_the_standard_are_repeated() {
        assert_eq!(refusal(br#"{"error":"invalid_client"}"#), Some("invalid_client"));
        assert_eq!(refusal(br#"{"error":"hunter2"}"#), None);
        assert_eq!(refusal(b"hunter2"), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_no_refusal_repeats_it(body in "\\{?\"access_token\":\"hunter2.{0,40}") {
            if let Err(error) = read(body.as_bytes()) {
                prop_assert!(!error.to_string().contains("hunter2"));
            }
        }
    }
}
