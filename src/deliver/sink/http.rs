//! Speaks to HTTP sinks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use http::HeaderMap;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::ambient::Clock;
use crate::deliver::sink::connection::Connections;
use crate::deliver::sink::content::SetError;
use crate::deliver::sink::destination::{Answer, AttemptFailure, Destination, Parcel};
use crate::egress::{EgressRefusal, GuardedClients};
use crate::event::Timestamp;

/// How much of a response's body is read and kept.
const BODY_LIMIT: usize = 16 * 1024;
/// How much of a response's body is shown in the attempt list.
const DETAIL_LIMIT: usize = 512;

/// Posts parcels to HTTP sinks.
pub struct HttpDestination {
    clients: GuardedClients,
    connections: Connections,
    clock: Arc<dyn Clock>,
}

impl HttpDestination {
    /// Begins a client for sinks, which keeps idle connections for a while.
    pub fn client_builder() -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_mins(1))
            .user_agent(concat!("sealway/", env!("CARGO_PKG_VERSION")))
    }

    /// Takes the clients that all sinks share, made from [`client_builder`](Self::client_builder),
    /// and what those share that have credentials.
    pub fn new(clients: GuardedClients, connections: Connections, clock: Arc<dyn Clock>) -> Self {
        Self { clients, connections, clock }
    }

    pub(super) const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Posts a parcel, under its credential if it has one, and gives the whole answer with up to
    /// 16 KiB of its body.
    ///
    /// # Errors
    ///
    /// Later: there was no complete response in time, the address is not allowed for now, or the
    /// token endpoint of the credential gives no token.
    pub async fn exchange(&self, parcel: Parcel) -> Result<Exchange, Answer> {
        if let Some(credential) = &parcel.credential {
            return self.exchange_as(credential, &parcel).await;
        }
        let client = self.clients.client_for(&parcel.sink);
        let client = client.map_err(|refused| refusal(&refused))?;
        self.post(client, parcel, HeaderMap::new()).await
    }

    /// Posts a parcel once, with these headers more.
    pub(super) async fn post(
        &self,
        client: &reqwest::Client,
        parcel: Parcel,
        more: HeaderMap,
    ) -> Result<Exchange, Answer> {
        let mut request = client
            .request(parcel.method, parcel.sink)
            .headers(more)
            .timeout(parcel.timeout)
            .header(CONTENT_TYPE, parcel.content_type)
            .body(parcel.body);
        for (name, value) in parcel.headers {
            request = request.header(name, value);
        }
        // The address stays out of every error: its query may hold a secret.
        let failed = |error: reqwest::Error| failure(&error.without_url());
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| self.retry_after(value));
        let allowed_origin = response
            .headers()
            .get("webhook-allowed-origin")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = read_some(response).await.map_err(failed)?;
        Ok(Exchange { status, retry_after, allowed_origin, body })
    }

    /// Reads `Retry-After` as seconds or as an HTTP date (RFC 9110, section 10.2.3).
    fn retry_after(&self, value: &str) -> Option<Duration> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More than a number can hold is still a number.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let format = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = time::PrimitiveDateTime::parse(value, &format).ok()?.assume_utc();
        Some(Timestamp::from_unix_seconds(date.unix_timestamp()).since(self.clock.now()))
    }
}

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its status.
    pub status: u16,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Which origins may post to the sink, if it says so (CloudEvents webhooks, section 4.2).
    pub allowed_origin: Option<String>,
    /// The first 16 KiB of its body.
    pub body: Vec<u8>,
}

#[async_trait]
impl Destination for HttpDestination {
    async fn attempt(&self, parcel: Parcel) -> Answer {
        match self.exchange(parcel).await {
            Err(answer) => answer,
            Ok(Exchange { status, retry_after, body, .. }) => {
                let answer = Answer::of_status(status);
                let answer =
                    if answer.is_yes() { answer.with_body(body) } else { refused(answer, &body) };
                retry_after.map_or(answer.clone(), |span| answer.with_retry_after(span))
            }
        }
    }
}

/// Adds what the sink says of its refusal: the code and words of RFC 8935, or the beginning of the
/// body.
fn refused(answer: Answer, body: &[u8]) -> Answer {
    let error = SetError::read(body).filter(|_| answer.status() == Some(400));
    match error {
        Some(error) => {
            let words = format!("{}: {}", error.code, error.description);
            answer.with_detail(&excerpt(words.as_bytes())).with_set_error(error)
        }
        None => answer.with_detail(&excerpt(body)),
    }
}

/// Shows the beginning of a refusal's body without long words, among which an echoed token would be.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words = text.split_whitespace().filter(|word| word.len() <= 64);
    let shown: String = words.collect::<Vec<_>>().join(" ").chars().take(DETAIL_LIMIT).collect();
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn read_some(response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while body.len() < BODY_LIMIT
        && let Some(chunk) = chunks.next().await
    {
        let chunk = chunk?;
        body.extend(chunk.iter().take(BODY_LIMIT - body.len()));
    }
    Ok(body)
}

fn refusal(refused: &EgressRefusal) -> Answer {
    Answer::failed(AttemptFailure::Refused, &refused.to_string())
}

fn failure(error: &reqwest::Error) -> Answer {
    if error.is_timeout() {
        return Answer::failed(AttemptFailure::Timeout, "");
    }
    if let Some(refused) = EgressRefusal::among_causes(error) {
        return refusal(&refused);
    }
    // The innermost cause names the trouble; the outer ones would repeat the address.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let kind = if error.is_connect() { AttemptFailure::Connect } else { AttemptFailure::Broken };
    Answer::failed(kind, &cause.to_string())
}
