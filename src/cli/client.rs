//! Speaks to a running gateway, for the commands that need one.

use std::fmt::Write as _;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::ambient::Secret;
use crate::cli::Failure;
use crate::egress::{AGENT, ENCODING};
use crate::event::json;
use crate::eventlog::ActionReason;

/// The header that says why something is changed.
const REASON: HeaderName = HeaderName::from_static("sealway-reason");

/// How an answer is read: a list of events may be large and nest deeply.
const ANSWER: json::Limits = json::Limits::new(usize::MAX, 1100);

/// The HTTP client of one gateway and one caller.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

/// The parts of a problem (RFC 9457) that a person reads.
#[derive(Deserialize)]
struct Told {
    title: String,
    detail: Option<String>,
    #[serde(default)]
    violations: Vec<Value>,
    #[serde(default)]
    choices: Vec<Value>,
}

impl Client {
    /// Speaks to the gateway at an address, as the caller with this key, and says why it changes something.
    ///
    /// # Errors
    ///
    /// The caller's turn: the address or the key cannot be used.
    pub fn new(
        gateway: &str,
        key: Option<&Secret>,
        reason: Option<&ActionReason>,
    ) -> Result<Self, Failure> {
        let base = Url::parse(gateway).map_err(|error| {
            Failure::input(error).context(format!("`{gateway}` is not the address of a gateway"))
        })?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| Failure::input(anyhow::anyhow!("the caller key is not plain text")))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(reason) = reason {
            let value = HeaderValue::from_bytes(reason.as_str().as_bytes());
            headers.insert(REASON, value.map_err(Failure::input)?);
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODING));
        let http = reqwest::Client::builder()
            .user_agent(AGENT)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::ours)?;
        Ok(Self { base, http })
    }

    /// Begins a request; `path` starts with `/` and may carry a query.
    ///
    /// # Errors
    ///
    /// The caller's turn: the path cannot be joined to the gateway's address.
    pub fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{path}")).map_err(Failure::input)?;
        Ok(self.http.request(method, url))
    }

    /// Sends a request and turns a refusal into a failure with the gateway's own words.
    ///
    /// # Errors
    ///
    /// The caller's turn: the gateway refused (4xx). Ours: it cannot be reached or failed.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = self.exchange(request).await?;
        Self::accept(response).await
    }

    /// Sends a request and gives whatever the gateway answers.
    ///
    /// # Errors
    ///
    /// Ours: the gateway cannot be reached.
    pub async fn exchange(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| {
            let (base, error) = (&self.base, error.without_url());
            let what = match &error {
                error if error.is_connect() => {
                    format!("cannot reach the gateway at {base}; is it running?")
                }
                error if error.is_builder() => "cannot make the request".to_owned(),
                _ => format!("the exchange with the gateway at {base} broke"),
            };
            Failure::ours(error).context(what)
        })
    }

    /// Turns a refusal into a failure with the gateway's own words.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn accept(response: Response) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let mut words = match serde_json::from_str::<Told>(&text) {
            Ok(told) => told.in_words(),
            Err(_) => "no explanation".to_owned(),
        };
        if status == StatusCode::UNAUTHORIZED {
            words += "; commands take it from `--caller-key` or SEALWAY_CALLER_KEY";
        }
        let error = anyhow::anyhow!("the gateway answered {}: {words}", status.as_u16());
        // Too many requests or too slow a request are nothing to change a file for.
        let is_input = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
        Err(if is_input { Failure::input(error) } else { Failure::ours(error) })
    }

    /// Sends a request, with a JSON body if one is given, and reads the JSON answer.
    ///
    /// An answer without a body reads as `null`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); ours also if the answer is not JSON.
    pub async fn call<B: Serialize + Sync>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Value, Failure> {
        let mut request = self.request(method, path)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        self.read(request).await
    }

    /// Sends a request and reads the JSON answer; one without a body reads as `null`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn read(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let text = self.send(request).await?.text().await.map_err(Failure::ours)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        json::read_event(text.as_bytes(), ANSWER)
            .map_err(|error| Failure::ours(error).context("the gateway's answer is not JSON"))
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call::<()>(Method::GET, path, None).await
    }
}

/// Writes an id as one segment of a path, whatever it holds.
///
/// # Errors
///
/// The caller's turn: the id is empty or stands for a folder, so that no path can name it.
pub fn segment(id: &str) -> Result<String, Failure> {
    if matches!(id, "" | "." | "..") {
        let words = "cannot be part of an address; ask with `sealway events list --envelope`";
        return Err(Failure::input(anyhow::anyhow!("`{id}` {words}")));
    }
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(segment, "%{byte:02X}")),
        }
    }
    Ok(segment)
}

impl Told {
    fn in_words(self) -> String {
        let mut words = self.detail.unwrap_or(self.title);
        for violation in self.violations {
            let text = |name: &str| violation.get(name).and_then(Value::as_str).unwrap_or("");
            match text("pointer") {
                "" => words.extend(["\n  ", text("message")]),
                pointer => words.extend(["\n  at `", pointer, "`: ", text("message")]),
            }
        }
        for choice in self.choices {
            let text = |name: &str| choice.get(name).and_then(Value::as_str).unwrap_or("");
            words.extend(["\n  ", text("id"), "  ", text("type"), ", of ", text("publication")]);
            words.extend([", accepted ", text("accepted")]);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_whatever_it_holds() {
        assert_eq!(segment("order-1_a.b~c").unwrap(), "order-1_a.b~c");
        assert_eq!(segment("a/b c?d#é%").unwrap(), "a%2Fb%20c%3Fd%23%C3%A9%25");
        assert!(segment("..").is_err() && segment("").is_err());
    }
}
