//! Speaks to HTTP sinks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use http::HeaderMap;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::ambient::Clock;
use crate::deliver::sink::connection::Connections;
use crate::deliver::sink::http_answer::{HttpExchange, answer_of, kind_of, refusal_of};
use crate::deliver::sink::http_request::HttpRequest;
use crate::deliver::sink::retry_after::retry_after;
use crate::deliver::sink::{
    AnswerKind, AttemptFailure, ChallengeAnswer, ChallengeError, Destination, Parcel, SinkAnswer,
    SinkTarget,
};
use crate::egress::{EgressRefusal, GuardedClients};
use crate::subscriptions::{Challenge, ChallengeReply};

/// How much of a response's body is read and kept.
const BODY_LIMIT: usize = 16 * 1024;

/// How a sink refuses consent (CloudEvents webhooks, section 4.2).
const OTHER_ORIGINS: &str = "WebHook-Allowed-Origin does not name this gateway";
/// How a challenge is answered.
const RIGHT_ANSWER: &str =
    r#"answer 200 with the body {"challenge": "<the nonce of the opened token>"}"#;

/// Posts events to HTTP sinks.
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

    /// Sends a request, under its credential if it has one, and gives the whole response with up to
    /// 16 KiB of its body.
    ///
    /// # Errors
    ///
    /// Later: there was no complete response in time, the address is not allowed for now, or the
    /// token endpoint of the credential gives no token.
    pub async fn exchange(&self, request: HttpRequest) -> Result<HttpExchange, SinkAnswer> {
        if let Some(credential) = &request.target.credential {
            return self.exchange_as(credential, &request).await;
        }
        let client = self.clients.client_for(&request.target.sink);
        let client = client.map_err(|refused| refusal(&refused))?;
        self.send(client, request, HeaderMap::new()).await
    }

    /// Sends a request once, with these headers more.
    pub(super) async fn send(
        &self,
        client: &reqwest::Client,
        wanted: HttpRequest,
        more: HeaderMap,
    ) -> Result<HttpExchange, SinkAnswer> {
        let mut request = client
            .request(wanted.method, wanted.target.sink.clone())
            .headers(more)
            .timeout(wanted.target.timeout)
            .header(CONTENT_TYPE, wanted.content_type)
            .body(wanted.body);
        for (name, value) in wanted.headers {
            request = request.header(&*name, value);
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
        Ok(HttpExchange { status, retry_after, allowed_origin, body })
    }

    /// How long the sink asks to be left alone.
    fn retry_after(&self, value: &str) -> Option<Duration> {
        retry_after(value, self.clock.now())
    }
}

#[async_trait]
impl Destination for HttpDestination {
    async fn deliver(&self, target: &Arc<SinkTarget>, parcel: Parcel) -> SinkAnswer {
        let now = self.clock.now().unix_seconds();
        let exchange = self.exchange(HttpRequest::event(Arc::clone(target), parcel, now)).await;
        exchange.map_or_else(|answer| answer, answer_of)
    }

    /// A sink that knows `OPTIONS` may say no; one that does not know it is asked by the nonce alone.
    async fn ask_consent(
        &self,
        target: &Arc<SinkTarget>,
        origin: &str,
    ) -> Result<(), ChallengeError> {
        let exchange = self.exchange(HttpRequest::consent(Arc::clone(target), origin)).await;
        match exchange.ok().and_then(|exchange| exchange.allowed_origin) {
            Some(allowed) if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) => {
                Err(ChallengeError::NoConsent(OTHER_ORIGINS))
            }
            _ => Ok(()),
        }
    }

    /// Its answer must hold the nonce.
    async fn prove(
        &self,
        target: &Arc<SinkTarget>,
        parcel: Parcel,
        challenge: &Challenge,
    ) -> Result<ChallengeAnswer, ChallengeError> {
        let now = self.clock.now().unix_seconds();
        let request = HttpRequest::challenge(Arc::clone(target), parcel, now);
        let exchange = self.exchange(request).await;
        let exchange = exchange.map_err(|answer| ChallengeError::NoAnswer(answer.detail))?;
        if kind_of(exchange.status) != AnswerKind::Delivered {
            return Err(ChallengeError::Refused(refusal_of(&exchange, challenge)));
        }
        match challenge.reply(&exchange.body) {
            ChallengeReply::Right => Ok(ChallengeAnswer::Proved),
            ChallengeReply::Wrong => Err(ChallengeError::WrongAnswer(RIGHT_ANSWER)),
            ChallengeReply::Nothing => Err(ChallengeError::NotAnswered(RIGHT_ANSWER)),
        }
    }
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

fn refusal(refused: &EgressRefusal) -> SinkAnswer {
    SinkAnswer::failed(AttemptFailure::Refused, &refused.to_string())
}

fn failure(error: &reqwest::Error) -> SinkAnswer {
    if error.is_timeout() {
        return SinkAnswer::failed(AttemptFailure::Timeout, "");
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
    SinkAnswer::failed(kind, &cause.to_string())
}
